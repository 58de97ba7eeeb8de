"""How a status reads as conditions: computed anew from the status at every write, so that the two cannot disagree."""

from datetime import datetime

from safety_governor.api import conditions, records, v1alpha1
from safety_governor.api.conditions import State, Type
from safety_governor.domain import approvals, lifecycle, plans, values, verification

_SUCCESS = frozenset({lifecycle.Phase.RESOLVED})
_NEUTRAL = frozenset({lifecycle.Phase.HANDED_OVER, lifecycle.Phase.OBSERVED})
_NEEDS_A_PERSON = frozenset(
    {lifecycle.Phase.AWAITING_APPROVAL, lifecycle.Phase.INDETERMINATE, lifecycle.Phase.FAILED, lifecycle.Phase.BLOCKED}
)


def described(
    incident: v1alpha1.Incident,
    status: v1alpha1.IncidentStatus,
    *,
    now: datetime,
    stalled: tuple[str, str] | None = None,
    failure: str = "",
) -> v1alpha1.IncidentStatus:
    """The status with its conditions and observedGeneration.

    `stalled` is the reason and the sentence for which the incident cannot go on; `failure` the sentence with which it ended.
    """
    present = incident.status.conditions
    for kind, (state, reason, message) in _observations(status, stalled, failure).items():
        present = conditions.put(present, kind, state, reason=reason, message=message, generation=incident.metadata.generation, now=now)
    return status.model_copy(update={"conditions": present, "observed_generation": incident.metadata.generation})


def _observations(status: v1alpha1.IncidentStatus, stalled: tuple[str, str] | None, failure: str) -> dict[Type, tuple[State, str, str]]:
    finished = status.phase in lifecycle.TERMINAL
    return {
        Type.PLANNED: _planned(status),
        Type.STRESS_TESTED: _stress_tested(status),
        Type.GATED: _gated(status),
        Type.APPROVED: _approved(status),
        Type.EXECUTED: _executed(status),
        Type.VERIFIED: _verified(status),
        Type.SUCCEEDED: _succeeded(status, failure),
        Type.RECONCILING: (State.FALSE, "Finished", "")
        if finished
        else (State.FALSE, "WaitingForPeople", "")
        if status.phase == lifecycle.Phase.AWAITING_APPROVAL
        else (State.TRUE, "UnderWay", ""),
        Type.STALLED: _stalled(status, stalled, failure),
    }


def _planned(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    plan = status.plan
    if plan is None:
        return State.UNKNOWN, "NotYet", ""
    if plan.resolution is plans.Resolution.RESOLVED:
        return State.TRUE, plan.resolution, f"{plan.action} from runbook {plan.runbook}"
    return State.FALSE, plan.resolution, plan.resolution_detail


def _stress_tested(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    stress = status.stress
    if stress is None:
        return State.UNKNOWN, "NotYet", ""
    if stress.ledger is None:
        return State.FALSE, "EvidenceUnknown", "; ".join((*stress.answer_problems, *stress.unknowns))
    counted = f"{stress.contradiction_count} contradictions, coverage {stress.evidence_coverage:.2f}"
    return State.TRUE, "Tested", counted


def _gated(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    gate = status.gate
    if gate is None:
        return State.UNKNOWN, "NotYet", ""
    reason = "".join(part.capitalize() for part in gate.decision.split("_"))
    blocking = [one.message for one in gate.findings if one.release is not values.Release.NOT_NEEDED]
    return State.TRUE, reason, "; ".join(blocking) or "no finding speaks against it"


def _approved(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    gate, approval = status.gate, status.approval
    if gate is None:
        return State.UNKNOWN, "NotYet", ""
    if approval is not None and approval.decision is not None:
        rejected = approval.decision is approvals.Word.REJECT
        said = f"{approval.decision} by {approval.approver}" + (f": {approval.reason}" if approval.reason else "")
        return (State.FALSE, "Rejected", said) if rejected else (State.TRUE, "Released", said)
    if status.phase == lifecycle.Phase.AWAITING_APPROVAL:
        refused = (
            f"; {approval.refusals[-1].decision} by {approval.refusals[-1].approver} was refused: {approval.refusals[-1].why}"
            if (approval is not None and approval.refusals)
            else ""
        )
        return State.UNKNOWN, "Waiting", f"{gate.required_approval} needed until {gate.expires_at}{refused}"
    if status.phase == lifecycle.Phase.EXPIRED:
        return State.FALSE, "Expired", f"nobody released it until {gate.expires_at}"
    if gate.required_approval is values.Release.NOT_NEEDED:
        return State.TRUE, "NotNeeded", "no finding speaks against it"
    return State.FALSE, "NotGiven", ""


def _executed(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    execution = status.execution
    if execution is None or not execution.actions:
        held = execution.held_because if execution else ""
        if status.phase in lifecycle.TERMINAL:
            return State.FALSE, "NothingDone", held
        return State.UNKNOWN, "Held" if held else "NotYet", held
    last = execution.actions[-1]
    states = {
        records.ActionState.CLAIMED: State.UNKNOWN,
        records.ActionState.DONE: State.TRUE,
        records.ActionState.FAILED: State.FALSE,
        records.ActionState.INDETERMINATE: State.UNKNOWN,
    }
    return states[last.state], last.state, last.message or f"{last.type} of {last.target.kind}/{last.target.name}"


def _verified(status: v1alpha1.IncidentStatus) -> tuple[State, str, str]:
    seen = status.verification
    if seen is None:
        return State.UNKNOWN, "NotYet", ""
    states = {
        verification.Outcome.VERIFIED: State.TRUE,
        verification.Outcome.REGRESSED: State.FALSE,
        verification.Outcome.INCONCLUSIVE: State.UNKNOWN,
    }
    return states[seen.outcome], seen.outcome, seen.message


def _succeeded(status: v1alpha1.IncidentStatus, failure: str) -> tuple[State, str, str]:
    if status.phase not in lifecycle.TERMINAL:
        return State.UNKNOWN, "UnderWay", ""
    if status.phase in _SUCCESS:
        return State.TRUE, status.phase, ""
    if status.phase in _NEUTRAL:
        return State.TRUE, status.phase, "nothing was done by the governor"
    return State.FALSE, status.phase, failure or _why_it_stopped(status)


def _why_it_stopped(status: v1alpha1.IncidentStatus) -> str:
    """Why an incident that was acted on did not come to a good end."""
    execution = status.execution
    if execution is None:
        return ""
    return execution.held_because or (execution.actions[-1].message if execution.actions else "")


def _stalled(status: v1alpha1.IncidentStatus, stalled: tuple[str, str] | None, failure: str) -> tuple[State, str, str]:
    if stalled is not None:
        return State.TRUE, stalled[0], stalled[1]
    if status.phase in _NEEDS_A_PERSON:
        return State.TRUE, "NeedsAPerson", failure or _why_it_stopped(status)
    return State.FALSE, "NotStalled", ""
