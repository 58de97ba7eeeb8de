"""Approve: hear what people say about the gated digest, and confirm that it is still what would run.

The stage never waits: no answer yet is an outcome. An answer that releases nothing is recorded, and the incident is gated
again, because an approval is written once for a digest and only a new digest can be answered anew.
"""

from datetime import UTC, datetime, timedelta

from safety_governor.api import records, v1alpha1
from safety_governor.domain import approvals, digests, lifecycle, values
from safety_governor.pipeline import cases, outcomes, ports

LOOK_AGAIN = timedelta(seconds=5)
"""How long a release waits until the approval guard is asked again."""

GUARD_MISSING = "ApprovalGuardMissing"


class Approve:
    """Ends with status.approval.decision."""

    def __init__(self, *, guard: ports.ApprovalGuard) -> None:
        self._guard = guard

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Advance means released, and everything has to be read again before anything is done; without a gate it means: ask anew."""
        gate = case.status.gate
        assert gate is not None, "the runner gates before it asks people"  # noqa: S101
        question = _question(case.incident, gate)
        judged = approvals.judge(_given(case), question, now=case.now)
        if judged.answer is approvals.Answer.EXPIRED:
            return _expired(case)
        if judged.answer is approvals.Answer.UNANSWERED:
            return outcomes.Wait(status=case.status, until=question.expires_at)
        assert judged.given is not None, "whatever else was answered, somebody said it"  # noqa: S101
        if judged.answer is approvals.Answer.REFUSED:
            return outcomes.Advance(status=refused(case, judged.given.approval, why=judged.why))
        said = _answered(case, judged)
        if judged.answer is approvals.Answer.REJECTED:
            return outcomes.Halt(status=said.model_copy(update={"phase": lifecycle.Phase.REJECTED}))
        if judged.answer is approvals.Answer.SECOND_MISSING:
            return outcomes.Wait(status=said, until=question.expires_at)
        why = self._guard.doubt()
        if why:
            return outcomes.Stall(status=case.status, reason=GUARD_MISSING, message=why, retry_after=LOOK_AGAIN.total_seconds())
        return outcomes.Advance(status=said)

    @staticmethod
    def confirm(case: cases.Case, *, released: v1alpha1.IncidentStatus, fresh: v1alpha1.IncidentStatus) -> v1alpha1.IncidentStatus:
        """The released status if what was released is still what would run; else one without a gate, to be gated again."""
        assert fresh.gate is not None  # noqa: S101
        assert released.gate is not None  # noqa: S101
        approval = case.incident.spec.approval
        if fresh.gate.plan_digest == released.gate.plan_digest:
            return released.model_copy(update={"phase": lifecycle.Phase.GATED})
        if approval is None or approval.plan_digest != released.gate.plan_digest:
            return fresh.model_copy(update={"gate": None})
        return refused(case.with_status(fresh), approval, why=f"void: {_changed(released.gate, fresh.gate)} since the question was asked")


def refused(case: cases.Case, approval: approvals.Approval, *, why: str) -> v1alpha1.IncidentStatus:
    """The status with the refusal on record and without a gate, so that the incident is gated anew."""
    refusal = approvals.Refusal(
        decision=approval.decision,
        approver=approval.person,
        plan_digest=approval.plan_digest,
        why=values.clip(why, values.TEXT_LIMIT),
        at=case.now,
    )
    before = case.status.approval.refusals if case.status.approval else ()
    asked = records.ApprovalState(refusals=(*before, refusal)[-16:])
    return case.status.model_copy(update={"gate": None, "approval": asked})


def _given(case: cases.Case) -> list[approvals.Given]:
    """What people have written, with the earliest time at which it is known to have been there."""
    spec, noted = case.incident.spec, case.status.approval
    given = []
    for field, approval in (("approval", spec.approval), ("secondApproval", spec.second_approval)):
        if approval is None:
            continue
        times = [case.incident.metadata.written_at("spec", field)]
        if noted is not None and noted.plan_digest == approval.plan_digest:
            # A wait must not make an approval younger, whoever writes to the incident meanwhile.
            times.append(noted.recorded_at)
        # When nobody says when it was given, it may have been as early as the question.
        asked_at = case.status.gate.decided_at if case.status.gate else case.now
        given.append(approvals.Given(approval=approval, at=min((one for one in times if one is not None), default=asked_at)))
    return given


def _answered(case: cases.Case, judged: approvals.Judged) -> v1alpha1.IncidentStatus:
    assert judged.given is not None  # noqa: S101
    approval, noted = judged.given.approval, case.status.approval or records.ApprovalState()
    second = case.incident.spec.second_approval
    both = second is not None and second.plan_digest == approval.plan_digest and second.person != approval.person
    who = f"{approval.person} and {second.person}" if both and second is not None else approval.person
    waiting = judged.answer is approvals.Answer.SECOND_MISSING
    known = noted.plan_digest == approval.plan_digest and noted.recorded_at is not None
    asked = noted.model_copy(
        update={
            "summary": values.clip(f"{approval.decision} by {who}" + (", a second person needed" if waiting else ""), values.LINE_LIMIT),
            "decision": None if waiting else approval.decision,
            "approver": values.clip(who, values.LINE_LIMIT),
            "reason": approval.reason,
            "plan_digest": approval.plan_digest,
            "recorded_at": noted.recorded_at if known else case.now,
        }
    )
    return case.status.model_copy(update={"approval": asked})


def _expired(case: cases.Case) -> outcomes.Halt:
    asked = (case.status.approval or records.ApprovalState()).model_copy(update={"summary": "expired, which is a denial", "decision": None})
    return outcomes.Halt(status=case.status.model_copy(update={"phase": lifecycle.Phase.EXPIRED, "approval": asked}))


def _question(incident: v1alpha1.Incident, gate: records.Gate) -> approvals.Question:
    return approvals.Question(
        plan_digest=gate.plan_digest,
        required=gate.required_approval,
        two_persons=gate.two_persons,
        requested_by=incident.spec.requested_by or "",
        expires_at=datetime.fromisoformat(gate.expires_at).astimezone(UTC),
    )


def _changed(before: records.Gate, after: records.Gate) -> str:
    """Which parts of the digest differ, with old and new."""
    absent = digests.digest(None)
    differing = [name for name in sorted(before.parts.keys() | after.parts.keys()) if before.parts.get(name) != after.parts.get(name)]
    told = [
        f"{name} changed ({digests.short(before.parts.get(name, absent))} -> {digests.short(after.parts.get(name, absent))})"
        for name in differing
    ]
    return ", ".join(told) or "the gate changed"
