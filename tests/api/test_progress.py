"""How a status reads as conditions, for every phase that an incident can be in."""

from datetime import timedelta
from typing import Any

import pytest

from api.builders import DIGEST, NOON, a_gate, a_plan, a_stress, a_verification, an_execution, an_incident
from safety_governor.api import conditions, progress, records, v1alpha1
from safety_governor.api.conditions import Type
from safety_governor.domain import approvals, checks, lifecycle, plans, values, verification

Phase = lifecycle.Phase
Release = values.Release
ActionState = records.ActionState
Outcome = verification.Outcome
PLANNED: dict[str, Any] = {"plan": a_plan()}
TESTED: dict[str, Any] = {**PLANNED, "stress": a_stress()}
FREE: dict[str, Any] = {**TESTED, "gate": a_gate()}
BLOCKED: dict[str, Any] = {**TESTED, "gate": a_gate(Release.APPROVE)}
RELEASED: dict[str, Any] = {
    **BLOCKED,
    "approval": records.ApprovalState(decision=approvals.Word.APPROVE, approver="bob", reason="go", plan_digest=DIGEST, recorded_at=NOON),
}
REJECTED: dict[str, Any] = {**BLOCKED, "approval": records.ApprovalState(decision=approvals.Word.REJECT, approver="bob")}
DONE: dict[str, Any] = {**FREE, "execution": an_execution(ActionState.DONE), "verification": a_verification(Outcome.VERIFIED)}

COLUMNS = (
    Type.PLANNED,
    Type.STRESS_TESTED,
    Type.GATED,
    Type.APPROVED,
    Type.EXECUTED,
    Type.VERIFIED,
    Type.SUCCEEDED,
    Type.RECONCILING,
    Type.STALLED,
)
"""What the words of a row stand for: each is `status/reason`."""

_NOTHING_YET = ("Unknown/NotYet",) * 6
_ON = ("Unknown/UnderWay", "True/UnderWay", "False/NotStalled")
_GATED_FREE = ("True/Resolved", "True/Tested", "True/Execute", "True/NotNeeded")
_GATED_BLOCKED = ("True/Resolved", "True/Tested", "True/BlockAndEscalate")
_UNTOUCHED = ("False/NothingDone", "Unknown/NotYet")

PHASES: dict[Phase, tuple[dict[str, Any], tuple[str, ...]]] = {
    Phase.PENDING: ({}, (*_NOTHING_YET, *_ON)),
    Phase.PLANNING: ({}, (*_NOTHING_YET, *_ON)),
    Phase.STRESSING: (PLANNED, ("True/Resolved", *_NOTHING_YET[1:], *_ON)),
    Phase.GATED: (FREE, (*_GATED_FREE, "Unknown/NotYet", "Unknown/NotYet", *_ON)),
    Phase.AWAITING_APPROVAL: (
        BLOCKED,
        (
            *_GATED_BLOCKED,
            "Unknown/Waiting",
            "Unknown/NotYet",
            "Unknown/NotYet",
            "Unknown/UnderWay",
            "False/WaitingForPeople",
            "True/NeedsAPerson",
        ),
    ),
    Phase.EXECUTING: (
        {**RELEASED, "execution": an_execution(ActionState.CLAIMED)},
        (*_GATED_BLOCKED, "True/Released", "Unknown/Claimed", "Unknown/NotYet", *_ON),
    ),
    Phase.VERIFYING: (
        {**FREE, "execution": an_execution(ActionState.DONE)},
        (*_GATED_FREE, "True/Done", "Unknown/NotYet", *_ON),
    ),
    Phase.RESOLVED: (DONE, (*_GATED_FREE, "True/Done", "True/Verified", "True/Resolved", "False/Finished", "False/NotStalled")),
    Phase.ROLLED_BACK: (
        {**DONE, "verification": a_verification(Outcome.REGRESSED)},
        (*_GATED_FREE, "True/Done", "False/Regressed", "False/RolledBack", "False/Finished", "False/NotStalled"),
    ),
    Phase.REJECTED: (
        REJECTED,
        (*_GATED_BLOCKED, "False/Rejected", *_UNTOUCHED, "False/Rejected", "False/Finished", "False/NotStalled"),
    ),
    Phase.EXPIRED: (BLOCKED, (*_GATED_BLOCKED, "False/Expired", *_UNTOUCHED, "False/Expired", "False/Finished", "False/NotStalled")),
    Phase.ABORTED: (FREE, (*_GATED_FREE, *_UNTOUCHED, "False/Aborted", "False/Finished", "False/NotStalled")),
    Phase.BLOCKED: (
        {**BLOCKED, "gate": a_gate(Release.IMPOSSIBLE)},
        (*_GATED_BLOCKED, "False/NotGiven", *_UNTOUCHED, "False/Blocked", "False/Finished", "True/NeedsAPerson"),
    ),
    Phase.HANDED_OVER: (
        {**TESTED, "gate": a_gate(Release.IMPOSSIBLE, decision="hand_over")},
        (
            "True/Resolved",
            "True/Tested",
            "True/HandOver",
            "False/NotGiven",
            *_UNTOUCHED,
            "True/HandedOver",
            "False/Finished",
            "False/NotStalled",
        ),
    ),
    Phase.OBSERVED: (BLOCKED, (*_GATED_BLOCKED, "False/NotGiven", *_UNTOUCHED, "True/Observed", "False/Finished", "False/NotStalled")),
    Phase.INDETERMINATE: (
        {**FREE, "execution": an_execution(ActionState.INDETERMINATE), "verification": a_verification(Outcome.INCONCLUSIVE)},
        (
            *_GATED_FREE,
            "Unknown/Indeterminate",
            "Unknown/Inconclusive",
            "False/Indeterminate",
            "False/Finished",
            "True/NeedsAPerson",
        ),
    ),
    Phase.FAILED: (
        {**FREE, "execution": an_execution(ActionState.FAILED)},
        (*_GATED_FREE, "False/Failed", "Unknown/NotYet", "False/Failed", "False/Finished", "True/NeedsAPerson"),
    ),
}


def described(phase: Phase, *, stalled: tuple[str, str] | None = None, failure: str = "", **status: Any) -> v1alpha1.IncidentStatus:
    return progress.described(an_incident(), v1alpha1.IncidentStatus(phase=phase, **status), now=NOON, stalled=stalled, failure=failure)


def condition(status: v1alpha1.IncidentStatus, kind: Type) -> conditions.Condition:
    found = conditions.find(status.conditions, kind)
    assert found is not None
    return found


def test_every_phase_has_its_row() -> None:
    assert list(PHASES) == list(Phase)


@pytest.mark.parametrize(("phase", "status", "row"), [(phase, *row) for phase, row in PHASES.items()], ids=list(PHASES))
def test_phase_reads_as(phase: Phase, status: dict[str, Any], row: tuple[str, ...]) -> None:
    made = described(phase, **status)
    assert {one.type: f"{one.status}/{one.reason}" for one in made.conditions} == dict(zip(COLUMNS, row, strict=True))


MESSAGES: dict[str, tuple[Phase, dict[str, Any], Type, str]] = {
    "the action and its runbook": (Phase.STRESSING, PLANNED, Type.PLANNED, "restart-checkout from runbook rb-1"),
    "why the action is unresolved": (
        Phase.BLOCKED,
        {"plan": a_plan(resolution=plans.Resolution.UNKNOWN_ACTION, resolution_detail="no runbook knows it")},
        Type.PLANNED,
        "no runbook knows it",
    ),
    "what was counted": (Phase.GATED, FREE, Type.STRESS_TESTED, "1 contradictions, coverage 0.50"),
    "what could not be read": (
        Phase.BLOCKED,
        {"stress": a_stress(ledger=None, answer_problems=("no JSON",), unknowns=("the store is down",))},
        Type.STRESS_TESTED,
        "no JSON; the store is down",
    ),
    "that nothing speaks against it": (Phase.GATED, FREE, Type.GATED, "no finding speaks against it"),
    "which findings block and no warning": (
        Phase.AWAITING_APPROVAL,
        {
            "gate": a_gate(
                Release.APPROVE,
                findings=(
                    checks.Finding(
                        check=checks.Check.POSITION_CHANGED, message="it moved", measured="a", threshold="b", release=Release.APPROVE
                    ),
                    checks.Finding(
                        check=checks.Check.TELEMETRY_UNKNOWN, message="no logs", measured="a", threshold="b", release=Release.NOT_NEEDED
                    ),
                ),
            )
        },
        Type.GATED,
        "it moved",
    ),
    "what is asked of people until when": (Phase.AWAITING_APPROVAL, BLOCKED, Type.APPROVED, "APPROVE needed until 2026-03-01T12:30:00Z"),
    "which answer was refused and why": (
        Phase.AWAITING_APPROVAL,
        {
            **BLOCKED,
            "approval": records.ApprovalState(
                refusals=(approvals.Refusal(decision=approvals.Word.APPROVE, approver="eve", plan_digest=DIGEST, why="too weak", at=NOON),)
            ),
        },
        Type.APPROVED,
        "APPROVE needed until 2026-03-01T12:30:00Z; APPROVE by eve was refused: too weak",
    ),
    "who released it and why": (Phase.GATED, RELEASED, Type.APPROVED, "APPROVE by bob: go"),
    "who rejected it": (Phase.REJECTED, REJECTED, Type.APPROVED, "REJECT by bob"),
    "that nobody answered": (Phase.EXPIRED, BLOCKED, Type.APPROVED, "nobody released it until 2026-03-01T12:30:00Z"),
    "what is being done": (
        Phase.EXECUTING,
        {"execution": an_execution(ActionState.CLAIMED)},
        Type.EXECUTED,
        "RolloutRestart of Deployment/checkout",
    ),
    "why the API server refused": (
        Phase.FAILED,
        {"execution": an_execution(ActionState.FAILED, message="forbidden")},
        Type.EXECUTED,
        "forbidden",
    ),
    "what holds the action": (Phase.GATED, {"execution": records.Execution(held_because="suspended")}, Type.EXECUTED, "suspended"),
    "what was seen": (Phase.RESOLVED, DONE, Type.VERIFIED, "3 of 3 replicas are new and available"),
}


@pytest.mark.parametrize(("phase", "status", "kind", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_message_tells(phase: Phase, status: dict[str, Any], kind: Type, message: str) -> None:
    assert condition(described(phase, **status), kind).message == message


def test_held_action_says_so_while_the_incident_goes_on() -> None:
    made = described(Phase.GATED, execution=records.Execution(held_because="suspended"))
    assert condition(made, Type.EXECUTED).reason == "Held"


def test_stall_names_its_reason() -> None:
    made = condition(described(Phase.PLANNING, stalled=("KnowledgeUnavailable", "the store is down")), Type.STALLED)
    assert (made.status, made.reason, made.message) == ("True", "KnowledgeUnavailable", "the store is down")


def test_failure_is_told_where_people_look() -> None:
    made = described(Phase.FAILED, failure="the resource is invalid")
    assert condition(made, Type.SUCCEEDED).message == condition(made, Type.STALLED).message == "the resource is invalid"


def test_status_names_the_generation_that_it_describes() -> None:
    made = progress.described(an_incident(generation=7), v1alpha1.IncidentStatus(), now=NOON)
    assert made.observed_generation == 7
    assert {one.observed_generation for one in made.conditions} == {7}


def test_describing_again_changes_nothing() -> None:
    first = described(Phase.GATED, **FREE)
    again = progress.described(an_incident(status=first), first, now=NOON + timedelta(hours=1))
    assert again == first


def test_conditions_of_another_writer_are_kept() -> None:
    learned = conditions.put((), Type.LEARNED, conditions.State.TRUE, reason="Recorded", generation=1, now=NOON)
    before = v1alpha1.IncidentStatus(conditions=learned)
    made = progress.described(an_incident(status=before), before, now=NOON)
    assert conditions.find(made.conditions, Type.LEARNED) == learned[0]
