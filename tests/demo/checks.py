"""Was everything as it must be? Asked of the API server and of its audit log, which the operator cannot write."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.expected import DEPLOYMENTS, EXPECTED, Expectation
from demo.incidents import Seen
from testbed import ControlPlane, mutating_requests

_ACTED_FOR = "safetygovernor.io/incident"
_OWN_KEEPERS = frozenset({"system:kube-controller-manager"})
"""The Deployment controller keeps its own books on the objects; it restarts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One write to a Deployment, as the audit log has it."""

    namespace: str
    deployment: str
    incident: str
    """For which one, as the write itself says."""
    by: str
    impersonating: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.deployment} for {self.incident or 'no incident'} by {self.by} as {self.impersonating or 'itself'}"


def effects(cluster: ControlPlane, mark: int) -> list[Effect]:
    """Every write to a Deployment since the mark, but for the controllers' own bookkeeping."""
    found = mutating_requests(cluster.audit_events(mark), resource="deployments/")
    return [one for one in map(_effect, found) if one.by not in _OWN_KEEPERS]


def _effect(event: Mapping[str, Any]) -> Effect:
    body = event.get("requestObject")
    metadata = body.get("metadata") if isinstance(body, dict) else None
    annotations = (metadata or {}).get("annotations") or {}
    target = event["objectRef"]
    return Effect(
        namespace=target.get("namespace", ""),
        deployment=target.get("name", ""),
        incident=annotations.get(_ACTED_FOR, ""),
        by=event["user"]["username"],
        impersonating=event.get("impersonatedUser", {}).get("username", ""),
    )


def differences(cluster: ControlPlane, seen: Mapping[str, Seen], found: Sequence[Effect]) -> dict[str, list[str]]:
    """What differs from what must happen, by incident; under an empty name what belongs to none."""
    wrong = {one.name: _of_incident(one, seen[one.name], found) for one in EXPECTED}
    wrong[""] = _of_effects(cluster, found) + _of_deployments(cluster)
    return {name: sentences for name, sentences in wrong.items() if sentences}


def _of_incident(one: Expectation, seen: Seen, found: Sequence[Effect]) -> list[str]:
    reasons = "NoFindings" if one.reasons == () else ",".join(one.reasons or ())
    approval = seen.approval
    said = f"{approval['decision']} by {approval.get('approver')}" if approval.get("decision") else ""
    refused = ", ".join(f"{refusal['decision']} by {refusal['approver']}" for refusal in approval.get("refusals") or ())
    touched = Counter(f"{effect.namespace}/{effect.deployment}" for effect in found if effect.incident == one.key)
    wanted = Counter({f"{one.namespace}/{one.deployment}": one.effects} if one.effects else {})
    compared = [
        ("phase", seen.phase, one.phase),
        ("decision", seen.gate.get("decision"), one.decision),
        ("required approval", seen.gate.get("requiredApproval"), one.requires),
        ("reason", seen.gate.get("reason") if one.reasons is not None else reasons, reasons),
        ("decided by", said, one.says),
        ("refused", refused, ", ".join(one.refused)),
        ("touched", dict(touched), dict(wanted)),
        ("verification", (seen.status.get("verification") or {}).get("outcome"), "Verified" if one.effects else None),
    ]
    return [f"{what} is {_shown(actual)}, must be {_shown(must)}" for what, actual, must in compared if actual != must]


def _of_effects(cluster: ControlPlane, found: Sequence[Effect]) -> list[str]:
    operator = cluster.username("operator")
    keys = {one.key for one in EXPECTED}
    return [
        f"unexpected write to {one}"
        for one in found
        if one.incident not in keys or one.by != operator or one.impersonating != f"system:serviceaccount:{one.namespace}:governor-executor"
    ]


def _of_deployments(cluster: ControlPlane) -> list[str]:
    """A second witness: the generation of an object counts the changes to its spec."""
    wrong = []
    for namespace, name in DEPLOYMENTS:
        _, body = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        must = sum(one.effects for one in EXPECTED if (one.namespace, one.deployment) == (namespace, name))
        changes = int(body["metadata"]["generation"]) - 1
        if changes != must:
            wrong.append(f"Deployment {namespace}/{name} was changed {changes} times, must be {must}")
    return wrong


def _shown(value: object) -> str:
    return str(value) if value else "nothing"
