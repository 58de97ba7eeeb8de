"""Was everything as it must be? Asked of the API server and of its audit log, which the operator cannot write."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.expected import BEFORE, DEPLOYMENTS, EXPECTED, Expectation
from demo.incidents import Seen
from testbed import ControlPlane, mutating_requests

_ACTED_FOR = "safetygovernor.io/incident"
_BOOKKEEPER = "system:serviceaccount:kube-system:deployment-controller"
"""The Deployment controller keeps its own books on the objects; it restarts nothing."""
_RECORDS = frozenset({"safetygovernor.io", "coordination.k8s.io", "events.k8s.io"})
"""Groups in which the operator writes for itself: incidents, its Lease, Events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One write by which something was touched, as the audit log has it."""

    namespace: str
    target: str
    """Name of the Deployment, or kind and name of anything else."""
    incident: str
    """For which one, as the write itself says."""
    by: str
    impersonating: str
    at: str
    """When it arrived; times of one log compare as text."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.target} for {self.incident or 'no incident'} by {self.by} as {self.impersonating or 'itself'}"


@dataclass(frozen=True, slots=True)
class Witness:
    """What the audit log says about the time since the operator was started."""

    effects: tuple[Effect, ...]
    released_at: Mapping[str, str]
    """When the last word about an incident arrived, by `namespace/name`."""


def hear_witness(cluster: ControlPlane, mark: int) -> Witness:
    """Read the log since the mark."""
    writes = mutating_requests(cluster.audit_events(mark))
    effects = tuple(_effect(event) for event in writes if _touches(event, cluster.username("operator")))
    said = {_key(event): _time(event) for event in writes if event["objectRef"].get("resource") == "incidents" and event["verb"] == "patch"}
    return Witness(effects, said)


def differences(cluster: ControlPlane, seen: Mapping[str, Seen], witness: Witness) -> dict[str, list[str]]:
    """What differs from what must happen, by incident; under an empty name what belongs to none."""
    wrong = {one.name: of_incident(one, seen[one.name], witness) for one in EXPECTED}
    wrong[""] = _of_effects(cluster, witness.effects) + _of_deployments(cluster)
    return {name: sentences for name, sentences in wrong.items() if sentences}


def of_incident(one: Expectation, seen: Seen, witness: Witness) -> list[str]:
    """What differs for one incident."""
    approval = seen.approval
    effects = [effect for effect in witness.effects if effect.incident == one.key]
    compared = [
        ("phase", seen.phase, one.phase),
        ("decision", seen.gate.get("decision"), one.decision),
        ("required approval", seen.gate.get("requiredApproval"), one.requires),
        ("last word", f"{approval['decision']} by {approval.get('approver')}" if approval.get("decision") else "", one.says),
        ("refused", _listed(f"{it['decision']} by {it['approver']}" for it in approval.get("refusals") or ()), _listed(one.refused)),
        (
            "touched",
            _counted(f"{it.namespace}/{it.target}" for it in effects),
            _counted([f"{one.namespace}/{one.deployment}"] * one.effects),
        ),
        ("verification", (seen.status.get("verification") or {}).get("outcome"), one.verified if one.effects else None),
        ("held", bool(seen.held), bool(one.held)),
    ]
    if one.reasons is not None:
        compared.append(("reason", seen.gate.get("reason"), ",".join(one.reasons) or "NoFindings"))
    wrong = [f"{what} is {actual or 'nothing'}, must be {must or 'nothing'}" for what, actual, must in compared if actual != must]
    if one.held not in seen.held:
        wrong.append(f"is held because {seen.held!r}, must say {one.held!r}")
    if one.says and any(effect.at <= witness.released_at.get(one.key, "~") for effect in effects):
        wrong.append(f"was begun before “{one.says}” was said")
    return wrong


def _of_effects(cluster: ControlPlane, effects: Sequence[Effect]) -> list[str]:
    operator, keys = cluster.username("operator"), {one.key for one in EXPECTED}
    return [
        f"unexpected write to {one}"
        for one in effects
        if one.incident not in keys or one.by != operator or one.impersonating != f"system:serviceaccount:{one.namespace}:governor-executor"
    ]


def _of_deployments(cluster: ControlPlane) -> list[str]:
    """A second witness: the generation of an object counts the changes to its spec."""
    wrong = []
    for namespace, name in DEPLOYMENTS:
        _, body = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        must = sum(one.effects for one in EXPECTED if (one.namespace, one.deployment) == (namespace, name))
        changes = int(body["metadata"]["generation"]) - 1 - BEFORE.get((namespace, name), 0)
        if changes != must:
            wrong.append(f"Deployment {namespace}/{name} was changed {changes} times, must be {must}")
    return wrong


def _touches(event: Mapping[str, Any], operator: str) -> bool:
    """Whatever anybody did to a Deployment, and whatever the operator did beyond its own records."""
    target, user = event["objectRef"], event["user"]["username"]
    if target.get("resource") == "deployments":
        return bool(user != _BOOKKEEPER)
    return bool(user == operator and target.get("apiGroup", "") not in _RECORDS)


def _effect(event: Mapping[str, Any]) -> Effect:
    body, target = event.get("requestObject"), event["objectRef"]
    is_deployment = target.get("resource") == "deployments" and not target.get("subresource")
    kind = "/".join(part for part in (target.get("resource"), target.get("subresource")) if part)
    return Effect(
        namespace=target.get("namespace", ""),
        target=target.get("name", "") if is_deployment else f"{kind} {target.get('name', '')}",
        incident=_annotations(body).get(_ACTED_FOR, ""),
        by=event["user"]["username"],
        impersonating=event.get("impersonatedUser", {}).get("username", ""),
        at=_time(event),
    )


def _annotations(body: object) -> Mapping[str, str]:
    """What a write says about itself, whether it is a JSON patch or any other body."""
    if isinstance(body, list):
        return next((one["value"] for one in body if one["path"] == "/metadata/annotations"), {})
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return (metadata or {}).get("annotations") or {}


def _key(event: Mapping[str, Any]) -> str:
    return f"{event['objectRef'].get('namespace')}/{event['objectRef'].get('name')}"


def _time(event: Mapping[str, Any]) -> str:
    return str(event["requestReceivedTimestamp"])


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _counted(targets: Iterable[str]) -> str:
    return _listed(f"{target} ×{number}" for target, number in sorted(Counter(targets).items()))
