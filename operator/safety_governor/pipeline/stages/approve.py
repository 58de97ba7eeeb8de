"""Approve: hear what people say about the gated digest, and confirm that it is still what would run.

The stage never waits: no answer yet is an outcome. An answer that releases nothing is recorded, and the incident is gated
again, because an approval is written once for a digest and only a new digest can be answered anew.
"""

from datetime import UTC, datetime

from safety_governor.api import records, v1alpha1
from safety_governor.domain import approvals, lifecycle
from safety_governor.pipeline import cases, outcomes


class Approve:
    """Ends with status.approval.decision."""

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        """Advance means released: everything has to be read again before anything is done."""
        gate = case.status.gate
        assert gate is not None, "the runner gates before it asks people"  # noqa: S101
        question = _question(case.incident, gate)
        approval = case.incident.spec.approval
        judged = approvals.judge(approval, question, now=case.now) if approval else None
        if approval is None or judged is None or judged.answer is approvals.Answer.VOID:
            return self._unanswered(case, question)
        if judged.answer is approvals.Answer.REFUSED:
            return outcomes.Advance(status=self.refuse(case, approval, why=judged.why))
        said = self._answered(case, approval)
        if judged.answer is approvals.Answer.REJECTED:
            return outcomes.Halt(status=said.model_copy(update={"phase": lifecycle.Phase.REJECTED}))
        return outcomes.Advance(status=said)

    def confirm(self, case: cases.Case, *, released: v1alpha1.IncidentStatus, fresh: v1alpha1.IncidentStatus) -> v1alpha1.IncidentStatus:
        """The released status if what was approved is still what would run; else one without a gate, to be gated again."""
        assert fresh.gate is not None  # noqa: S101
        assert released.gate is not None  # noqa: S101
        approval = case.incident.spec.approval
        if fresh.gate.plan_digest == released.gate.plan_digest:
            return released.model_copy(update={"phase": lifecycle.Phase.GATED})
        if approval is None:
            return fresh.model_copy(update={"gate": None})
        changed = _changed(released, fresh)
        return self.refuse(case.with_status(fresh), approval, why=f"void: {changed} changed since the question was asked")

    @staticmethod
    def refuse(case: cases.Case, approval: approvals.Approval, *, why: str) -> v1alpha1.IncidentStatus:
        """The status with the refusal on record and without a gate, so that the incident is gated anew."""
        refusal = approvals.Refusal(
            decision=approval.decision, approver=approval.person, plan_digest=approval.plan_digest, why=why, at=case.now
        )
        before = case.status.approval.refusals if case.status.approval else ()
        asked = records.ApprovalState(refusals=(*before, refusal)[-16:])
        return case.status.model_copy(update={"gate": None, "approval": asked})

    @staticmethod
    def _unanswered(case: cases.Case, question: approvals.Question) -> outcomes.Outcome:
        if case.now < question.expires_at:
            return outcomes.Wait(status=case.status, until=question.expires_at)
        asked = (case.status.approval or records.ApprovalState()).model_copy(update={"summary": "expired, which is a denial"})
        return outcomes.Halt(status=case.status.model_copy(update={"phase": lifecycle.Phase.EXPIRED, "approval": asked}))

    @staticmethod
    def _answered(case: cases.Case, approval: approvals.Approval) -> v1alpha1.IncidentStatus:
        asked = (case.status.approval or records.ApprovalState()).model_copy(
            update={
                "summary": f"{approval.decision} by {approval.person}",
                "decision": approval.decision,
                "approver": approval.person,
                "reason": approval.reason,
                "plan_digest": approval.plan_digest,
                "recorded_at": case.now,
            }
        )
        return case.status.model_copy(update={"approval": asked})


def _question(incident: v1alpha1.Incident, gate: records.Gate) -> approvals.Question:
    return approvals.Question(
        plan_digest=gate.plan_digest,
        required=gate.required_approval,
        requested_by=incident.spec.requested_by or "",
        expires_at=datetime.fromisoformat(gate.expires_at).astimezone(UTC),
    )


def _changed(before: v1alpha1.IncidentStatus, after: v1alpha1.IncidentStatus) -> str:
    """Which parts of the digest differ, in words."""
    stress_before, stress_after = before.stress or records.Stress(), after.stress or records.Stress()
    parts = {
        "the plan or its runbook": before.plan != after.plan,
        "the target": before.target != after.target,
        "the evidence": stress_before.ledger != stress_after.ledger,
        "the policies": stress_before.policies_read != stress_after.policies_read,
    }
    named = [name for name, differs in parts.items() if differs]
    return " and ".join(named) or "the guard-rails, the scores or the gate"
