"""What a namespace allows: the content of its RemediationPolicies, and of several of them the strictest of each field.

How each field becomes the strictest of several stands in one table (`_STRICTEST`). A field without a line there breaks every
policy at once, so none can be forgotten. What is held against the past is judged in `holds`, the freeze windows in `freezes`.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AwareDatetime, Field, StringConstraints

from safety_governor.domain import approvals, freezes, plans, values

PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "governor-system"})
"""Never acted in, whatever any policy says: what runs here keeps the cluster and the governor itself alive."""

PROTECTED_KINDS = frozenset(
    {"Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim", "Secret", "ServiceAccount"}
)
"""Never acted on, whatever any policy says."""

ACTIONABLE_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Node", "Job"})
"""Kinds that this version can read and act on."""

DEFAULT_EXPIRY = timedelta(minutes=30)

Unavailable = Annotated[str, StringConstraints(max_length=10, pattern=r"^((100|[1-9]?[0-9])%|(0|[1-9][0-9]{0,4})(,(100|[1-9]?[0-9])%)?)$")]
"""A number of pods, a share of them, or both."""


class ProtectedTarget(values.Value):
    """A workload that is never to be acted on."""

    kind: values.Word = "Deployment"
    """Its kind; Deployment unless said otherwise."""
    name: values.Name
    """Exactly this name; `*` means every one of the kind."""

    def covers(self, target: plans.Target) -> bool:
        """Whether the target is this one."""
        return self.kind == target.kind and self.name in (target.name, "*")


class PatchableField(values.Value):
    """A field that PatchFields may set."""

    kind: values.Word = "Deployment"
    """Kind of the objects; Deployment unless said otherwise."""
    path: Annotated[str, StringConstraints(min_length=1, max_length=values.LINE_LIMIT)]
    """The field as a runbook names it, for example spec.minReadySeconds; exactly this one, nothing above or below it."""


class ActionsPerHour(values.Value):
    """How many actions may be taken within any one hour. What undoes an action is an action, too."""

    target: int | None = Field(default=None, ge=0, le=10_000)
    """On the same target."""
    namespace: int | None = Field(default=None, ge=0, le=10_000)
    """For the incidents of this namespace."""
    cluster: int | None = Field(default=None, ge=0, le=10_000)
    """In the whole cluster; when so many were taken, nothing more is done in this namespace."""


class Cooldown(values.Value):
    """How long a target is left alone after an action on it."""

    after_success_seconds: int = Field(default=0, ge=0, le=86_400)
    """After an action that helped; absent means 0."""
    after_failure_seconds: int = Field(default=300, ge=0, le=86_400)
    """After an action that did not certainly help; absent means 300. Twice as long after each further one in a row."""
    longest_seconds: int = Field(default=86_400, ge=0, le=7 * 86_400)
    """It does not grow beyond this; absent means 86400."""


class GitOps(enum.StrEnum):
    """What happens when another tool sets the target back to what is in Git."""

    WARN = "Warn"
    """People are told that the change may be reverted."""
    REFUSE = "Refuse"
    """Nothing is done."""


class VerificationRules(values.Value):
    """When an action counts as having helped."""

    soak_seconds: int | None = Field(default=None, ge=0, le=21_600)
    """How long the target is watched after the action took effect, up to 6 hours."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=86_400)
    """After so long without its effect an action is Inconclusive."""
    require_alert_resolved: bool = False
    """Whether the alert that reported the incident has to resolve itself."""


class Guardrails(values.Value):
    """What may be done in a namespace, as its platform team wrote it down."""

    allowed_actions: tuple[values.ActionType, ...] = Field(max_length=16)
    """The kinds of step that may run; an empty list allows none."""
    protected_targets: tuple[ProtectedTarget, ...] = Field(default=(), max_length=64)
    """Workloads that are never to be acted on."""
    max_unavailable: Unavailable | None = None
    """How many pods of the target an action may make unavailable at once: a share such as "25%", a number such as "2", in quotes,
    or "2,25%" for the smaller of both. A share above 0% allows at least one pod. Absent sets no limit."""
    actions_per_hour: ActionsPerHour = ActionsPerHour()
    """How many actions may be taken within any one hour."""
    targets_per_hour: int | None = Field(default=None, ge=0, le=10_000)
    """How many different targets may be acted on within any one hour, by all incidents of the namespace together."""
    cluster_targets_per_hour: int | None = Field(default=None, ge=0, le=10_000)
    """How many different targets may be acted on within any one hour in the whole cluster; beyond it nothing is done in this namespace."""
    cooldown: Cooldown = Cooldown()
    """How long a target is left alone after an action on it."""
    freeze_windows: tuple[freezes.FreezeWindow, ...] = Field(default=(), max_length=32)
    """Recurring times in which nothing is done."""
    job_templates: tuple[values.Name, ...] | None = Field(default=None, max_length=64)
    """Names of the CronJobs that RunJob may start; when no policy of the namespace names any, it may start none."""
    patchable: tuple[PatchableField, ...] | None = Field(default=None, max_length=64)
    """Fields that PatchFields may set; when no policy of the namespace names any, it may set none."""
    webhooks: tuple[values.Word, ...] | None = Field(default=None, max_length=64)
    """Names of the webhooks that may be called; when no policy of the namespace names any, none may."""
    git_ops: GitOps = GitOps.WARN
    """What happens when the target is managed from Git by another tool: Warn or Refuse; absent means Warn."""
    approval: approvals.ApprovalRules = approvals.ApprovalRules()
    """How people decide."""
    verification: VerificationRules = VerificationRules()
    """When an action counts as having helped."""
    breaker_reset_at: AwareDatetime | None = None
    """After two actions in a row that did not help, the circuit breaker opens and nothing more is done. Set this to the present
    time to close it: what failed before no longer counts. A time in the future closes nothing until then."""
    require_telemetry: bool = False
    """Block when the live logs of the service cannot be read."""
    suspend: bool = False
    """The kill switch: nothing runs while it is on; incidents wait."""


class Named(values.Value):
    """The guard-rails of one RemediationPolicy, with its name."""

    name: Annotated[str, StringConstraints(max_length=values.NAME_LIMIT)]
    rules: Guardrails


class HourlyCeilings(values.Value):
    """At most so many actions are taken within any one hour, whatever a policy says."""

    target: int = Field(default=6, ge=0)
    namespace: int = Field(default=20, ge=0)
    cluster: int = Field(default=60, ge=0)


class Ceilings(values.Value):
    """Limits of the whole cluster, from the operator's settings. They only tighten what the policies say."""

    actions_per_hour: HourlyCeilings = HourlyCeilings()
    targets_per_hour: int = Field(default=30, ge=0)
    """Different targets in the whole cluster."""


_Fold: TypeAlias = Callable[[Sequence[Any]], Any]
_Folds: TypeAlias = "Mapping[str, _Fold | _Folds]"
_Made = TypeVar("_Made", bound=values.Value)
_Part = TypeVar("_Part")


def _least(found: Sequence[int | None]) -> int | None:
    return min((one for one in found if one is not None), default=None)


def _most(found: Sequence[int | None]) -> int | None:
    return max((one for one in found if one is not None), default=None)


def _earliest_of_all(found: Sequence[datetime | None]) -> datetime | None:
    known = [one for one in found if one is not None]
    return min(known) if len(known) == len(found) else None


def _together(found: Sequence[tuple[_Part, ...]]) -> tuple[_Part, ...]:
    return tuple(dict.fromkeys(part for one in found for part in one))


def _in_all(found: Sequence[tuple[_Part, ...] | None]) -> tuple[_Part, ...] | None:
    """What every list has; a list that is absent says nothing."""
    said = [set(one) for one in found if one is not None]
    return tuple(sorted(set.intersection(*said), key=str)) if said else None


def _smallest_of_each_kind(found: Sequence[str | None]) -> str | None:
    """A number and a share cannot be compared without the pods at hand, so both are kept."""
    limits = [part for one in found if one is not None for part in one.split(",")]
    numbers = [int(one) for one in limits if not one.endswith("%")]
    shares = [int(one[:-1]) for one in limits if one.endswith("%")]
    return ",".join([*([str(min(numbers))] if numbers else ()), *([f"{min(shares)}%"] if shares else ())]) or None


def _refusing(found: Sequence[GitOps]) -> GitOps:
    return GitOps.REFUSE if GitOps.REFUSE in found else GitOps.WARN


def _sorted_together(found: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set(_together(found))))


_STRICTEST: _Folds = {
    "allowed_actions": _in_all,
    "protected_targets": _together,
    "max_unavailable": _smallest_of_each_kind,
    "actions_per_hour": {"target": _least, "namespace": _least, "cluster": _least},
    "targets_per_hour": _least,
    "cluster_targets_per_hour": _least,
    "cooldown": {"after_success_seconds": max, "after_failure_seconds": max, "longest_seconds": max},
    "freeze_windows": _together,
    "job_templates": _in_all,
    "patchable": _in_all,
    "webhooks": _in_all,
    "git_ops": _refusing,
    "approval": {"expires_after_seconds": _least, "two_person_rule": _sorted_together},
    "verification": {"soak_seconds": _most, "timeout_seconds": _least, "require_alert_resolved": any},
    "breaker_reset_at": _earliest_of_all,
    "require_telemetry": any,
    "suspend": any,
}
"""Of each field, what holds when all of several policies do."""


def strictest(policies: Sequence[Named]) -> Guardrails | None:
    """What holds when all of these do; None when the namespace has not opted in."""
    return _folded([policy.rules for policy in policies], _STRICTEST) if policies else None


def _folded(several: Sequence[_Made], folds: _Folds) -> _Made:
    strict: dict[str, Any] = {}
    for name in type(several[0]).model_fields:
        found, fold = [getattr(one, name) for one in several], folds[name]
        strict[name] = fold(found) if callable(fold) else _folded(found, fold)
    # A copy, because the limits of one resource are not those of several together: no protected target may fall off the end.
    return several[0].model_copy(update=strict)


def tightened(rules: Guardrails, ceilings: Ceilings) -> Guardrails:
    """The rules with no limit above the ceilings."""
    own, most = rules.actions_per_hour, ceilings.actions_per_hour
    hourly = ActionsPerHour(
        target=_least((own.target, most.target)),
        namespace=_least((own.namespace, most.namespace)),
        cluster=_least((own.cluster, most.cluster)),
    )
    targets = _least((rules.cluster_targets_per_hour, ceilings.targets_per_hour))
    return rules.model_copy(update={"actions_per_hour": hourly, "cluster_targets_per_hour": targets})


def origins(policies: Sequence[Named]) -> Mapping[str, tuple[str, ...]]:
    """Of each field that is set, as `kubectl explain` names it, the policies that it comes from.

    Those are the ones that alone would say the same, and where none would, all that say something of it.
    """
    rules = strictest(policies)
    if rules is None:
        return {}
    said = {policy.name: dict(_said(policy.rules, _STRICTEST)) for policy in policies}
    return {path: _origins(path, content, said) for path, content in _said(rules, _STRICTEST)}


def _origins(path: str, content: object, said: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    saying = {name: fields[path] for name, fields in said.items() if path in fields}
    alone = tuple(name for name, own in saying.items() if _comparable(own) == _comparable(content))
    return alone or tuple(saying)


def _comparable(content: object) -> object:
    return frozenset(content) if isinstance(content, tuple) else content


def _said(rules: values.Value, folds: _Folds, under: str = "") -> Iterator[tuple[str, object]]:
    """Every field that differs from what is meant when nothing is said, with its path."""
    for name, field in type(rules).model_fields.items():
        content, fold, path = getattr(rules, name), folds[name], f"{under}{field.alias}"
        if not callable(fold):
            yield from _said(content, fold, f"{path}.")
        elif content != field.get_default():
            yield path, content


def unavailable_limit(rules: Guardrails, wanted: int) -> int | None:
    """How many of the wanted pods may be unavailable at once; None: no limit.

    A share is rounded down, but a share above zero allows at least one pod, as it does where Kubernetes limits its own
    rollouts: else a quarter of three pods would mean that nothing can ever be restarted. "0" and "0%" allow none.
    """
    if rules.max_unavailable is None:
        return None
    return min(_pods(one, wanted) for one in rules.max_unavailable.split(","))


def _pods(limit: str, wanted: int) -> int:
    if not limit.endswith("%"):
        return int(limit)
    share = int(limit[:-1])
    return max(share * wanted // 100, 1) if share else 0


def may_start(rules: Guardrails, template: str) -> bool:
    """Whether RunJob may start a Job from the CronJob of this name."""
    return template in (rules.job_templates or ())


def may_patch(rules: Guardrails, *, kind: str, path: str) -> bool:
    """Whether PatchFields may set this field of objects of this kind."""
    return any((one.kind, one.path) == (kind, path) for one in rules.patchable or ())


def may_call(rules: Guardrails, webhook: str) -> bool:
    """Whether the webhook of this name may be called."""
    return webhook in (rules.webhooks or ())


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
