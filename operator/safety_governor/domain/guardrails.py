"""What a namespace allows: the content of its RemediationPolicies, and of several of them the strictest of each field."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from safety_governor.domain import approvals, plans, values

PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "governor-system"})
"""Never acted in, whatever any policy says: what runs here keeps the cluster and the governor itself alive."""

PROTECTED_KINDS = frozenset(
    {"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "Secret", "ServiceAccount"}
)
"""Never acted on, whatever any policy says."""

ACTIONABLE_KINDS = frozenset({"Deployment"})
"""Kinds of workload that this version can read and act on."""

DEFAULT_EXPIRY = timedelta(minutes=30)


class ProtectedTarget(values.Value):
    """A workload that is never to be acted on."""

    kind: values.Word = "Deployment"
    """Its kind; Deployment unless said otherwise."""
    name: values.Name
    """Exactly this name; `*` means every one of the kind."""

    def covers(self, target: plans.Target) -> bool:
        """Whether the target is this one."""
        return self.kind == target.kind and self.name in (target.name, "*")


class Guardrails(values.Value):
    """What may be done in a namespace, as its platform team wrote it down."""

    allowed_actions: tuple[values.ActionType, ...] = Field(max_length=16)
    """The kinds of step that may run; an empty list allows none."""
    protected_targets: tuple[ProtectedTarget, ...] = Field(default=(), max_length=64)
    """Workloads that are never to be acted on."""
    approval: approvals.ApprovalRules = approvals.ApprovalRules()
    """How people decide."""
    require_telemetry: bool = False
    """Block when the live logs of the service cannot be read."""
    suspend: bool = False
    """The kill switch: nothing runs while it is on; incidents wait."""


class Named(values.Value):
    """The guard-rails of one RemediationPolicy, with its name."""

    name: Annotated[str, StringConstraints(max_length=values.NAME_LIMIT)]
    rules: Guardrails


def strictest(policies: Sequence[Named]) -> Guardrails | None:
    """What holds when all of these do; None when the namespace has not opted in."""
    if not policies:
        return None
    rules = [policy.rules for policy in policies]
    allowed = set.intersection(*(set(one.allowed_actions) for one in rules))
    expiries = [one.approval.expires_after_seconds for one in rules if one.approval.expires_after_seconds is not None]
    # A copy, because the limits of one resource are not those of several together: no protected target may fall off the end.
    return rules[0].model_copy(
        update={
            "allowed_actions": tuple(sorted(allowed)),
            "protected_targets": tuple(dict.fromkeys(target for one in rules for target in one.protected_targets)),
            "approval": approvals.ApprovalRules(
                expires_after_seconds=min(expiries, default=None),
                two_person_rule=tuple(sorted({case for one in rules for case in one.approval.two_person_rule})),
            ),
            "require_telemetry": any(one.require_telemetry for one in rules),
            "suspend": any(one.suspend for one in rules),
        }
    )


def objections(
    rules: Guardrails | None, *, namespace: str, own_namespace: str = "", target: plans.Target, steps: Sequence[plans.Step]
) -> tuple[str, ...]:
    """Why these steps may never run on this target, each as a sentence; empty when they may. `own_namespace` is the operator's."""
    found = []
    if namespace in PROTECTED_NAMESPACES or namespace == own_namespace:
        found.append(f"namespace {namespace} is protected for good")
    if target.kind in PROTECTED_KINDS:
        found.append(f"{target.kind} is a protected kind")
    elif target.kind not in ACTIONABLE_KINDS:
        found.append(f"this version cannot act on a {target.kind}")
    if rules is None:
        found.append(f"namespace {namespace} has no RemediationPolicy, so nothing may be done in it")
        return tuple(found)
    found += [f"{target.kind}/{target.name} is a protected target" for one in rules.protected_targets if one.covers(target)]
    forbidden = sorted(
        {step.type.value for step in steps if step.type not in rules.allowed_actions and step.type is not values.ActionType.MANUAL}
    )
    found += [f"{kind} is not among the allowed actions ({', '.join(rules.allowed_actions) or 'none'})" for kind in forbidden]
    return tuple(dict.fromkeys(found))
