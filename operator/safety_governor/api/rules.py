"""CEL rules of the resources: what the API server itself refuses, whoever asks and whether or not the operator runs.

Transition rules compare with `oldSelf` and are skipped when an object is created; the stored status is visible while an
update of spec is judged.
"""

from dataclasses import dataclass

from safety_governor.domain import lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One CEL rule and the sentence that the person reads who breaks it."""

    expression: str
    message: str
    field: str = ""
    """Path that the refusal names, relative to where the rule stands."""

    def manifest(self) -> dict[str, str]:
        """As it stands in the manifest."""
        where = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.expression, "message": self.message, **where}


def _unchangeable(field: str) -> Rule:
    return Rule(
        expression=f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        message=f"{field} is immutable; report a new incident instead",
        field=f".{field}",
    )


def _current_approval(field: str) -> Rule:
    waiting = lifecycle.Phase.AWAITING_APPROVAL
    return Rule(
        expression=(
            f"!has(self.spec.{field}) || (has(oldSelf.spec.{field}) && self.spec.{field} == oldSelf.spec.{field}) || "
            f"(has(self.status) && has(self.status.gate) && has(self.status.phase) && self.status.phase == '{waiting}' && "
            f"self.spec.{field}.planDigest == self.status.gate.planDigest && "
            f"(!has(oldSelf.spec.{field}) || oldSelf.spec.{field}.planDigest != self.status.gate.planDigest))"
        ),
        message=(
            f"{field} must name the current status.gate.planDigest while the incident awaits approval, and is written once for that digest; "
            "read the incident again and decide about what it shows now"
        ),
        field=f".spec.{field}",
    )


def _kept_approval(field: str) -> Rule:
    return Rule(
        expression=f"!has(oldSelf.{field}) || has(self.{field})",
        message=f"{field} cannot be taken back; set abort to true to stop the incident",
        field=f".{field}",
    )


_TERMINAL = ", ".join(f"'{phase}'" for phase in sorted(lifecycle.TERMINAL))

INCIDENT = (
    _current_approval("approval"),
    _current_approval("secondApproval"),
    Rule(
        expression=(
            f"!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in [{_TERMINAL}]) || "
            "(has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)"
        ),
        message="status.phase is final; report a new incident instead",
    ),
)

INCIDENT_SPEC = (
    *(_unchangeable(field) for field in ("service", "severity", "summary", "symptoms", "target", "source", "requestedBy")),
    _kept_approval("approval"),
    _kept_approval("secondApproval"),
    Rule(
        expression="!has(oldSelf.abort) || !oldSelf.abort || (has(self.abort) && self.abort)",
        message="abort cannot be taken back; report a new incident instead",
        field=".abort",
    ),
    Rule(
        expression="!has(oldSelf.alertResolved) || !oldSelf.alertResolved || (has(self.alertResolved) && self.alertResolved)",
        message="alertResolved cannot be taken back; report a new incident instead",
        field=".alertResolved",
    ),
    Rule(
        expression="self.mode == oldSelf.mode || (oldSelf.mode == 'Enforce' && self.mode == 'Observe')",
        message="mode may only change from Enforce to Observe; report a new incident instead",
        field=".mode",
    ),
)

APPROVAL = (
    Rule(
        expression="self.decision != 'FORCE_OVERRIDE' || (has(self.reason) && size(self.reason.trim()) >= 20)",
        message="FORCE_OVERRIDE takes a reason of at least 20 characters; it is kept for good",
        field=".reason",
    ),
)

COOLDOWN = (
    Rule(
        expression="!has(self.longestSeconds) || !has(self.afterFailureSeconds) || self.longestSeconds >= self.afterFailureSeconds",
        message="longestSeconds is shorter than afterFailureSeconds, so no pause would be as long as that",
        field=".longestSeconds",
    ),
)
