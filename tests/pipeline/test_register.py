"""The memory of what was done lately: it holds what incidents record, once each, and forgets nothing that still matters."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from safety_governor.api import records, v1alpha1
from safety_governor.domain import digests, guardrails, history, holds, plans, snapshots, values, verification
from safety_governor.domain.holds import Guard
from safety_governor.domain.lifecycle import Phase
from safety_governor.domain.verification import Outcome
from safety_governor.pipeline import register
from support.builders import NAMESPACE, an_incident
from support.fakes import NOON

TARGET, OTHER_TARGET = plans.Target(name="checkout"), plans.Target(name="cart")
RULES = guardrails.Guardrails(allowed_actions=tuple(values.ActionType), cooldown=guardrails.Cooldown(after_failure_seconds=0))
CLAIMED, DONE, FAILED, INDETERMINATE = records.ActionState


def an_action(name: str = "step-1", *, state: records.ActionState = CLAIMED, **changes: Any) -> records.Action:
    known = {
        "id": name,
        "type": values.ActionType.ROLLOUT_RESTART,
        "key": digests.digest(name),
        "target": TARGET,
        "state": state,
        "before": snapshots.Snapshot(uid="uid-1", resource_version="7"),
        "claimed_at": NOON,
    }
    if state is DONE:
        known |= {"outcome": Outcome.VERIFIED, "done_at": NOON + timedelta(seconds=30)}
    return records.Action.model_validate({**known, **changes})


def recording(*actions: records.Action, name: str = "slow", phase: Phase = Phase.EXECUTING) -> v1alpha1.Incident:
    """An incident that records these actions."""
    incident = an_incident()
    status = incident.status.model_copy(update={"phase": phase, "execution": records.Execution(actions=actions) if actions else None})
    return incident.model_copy(update={"metadata": incident.metadata.model_copy(update={"name": name}), "status": status})


def held(
    past: register.Register, *, by: str = "shop/other", target: plans.Target = TARGET, seconds: float = 60, **rules: Any
) -> list[holds.Guard]:
    """What keeps another incident from acting."""
    asked = RULES.model_copy(update=rules)
    found = past.judge(asked, namespace=NAMESPACE, target=target, incident=by, now=NOON + timedelta(seconds=seconds))
    return [one.guard for one in found]


def budget(namespace: int) -> dict[str, Any]:
    return {"actions_per_hour": guardrails.ActionsPerHour(namespace=namespace)}


@pytest.fixture
def past() -> register.Register:
    return register.Register()


class TestUnderWay:
    def test_claim_on_record_keeps_others_from_the_target_and_not_the_incident_itself(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        assert held(past) == [Guard.IN_FLIGHT]
        assert held(past, by="shop/slow") == []
        assert held(past, target=OTHER_TARGET) == []

    def test_target_is_kept_between_two_steps(self, past: register.Register) -> None:
        past.learn(recording(an_action(state=DONE)))
        assert held(past) == [Guard.IN_FLIGHT]

    def test_target_is_free_when_the_incident_has_ended(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.learn(recording(an_action(state=DONE), phase=Phase.RESOLVED))
        assert held(past) == []

    @pytest.mark.parametrize("state", [CLAIMED, INDETERMINATE])
    def test_action_of_which_nobody_knows_the_end_is_over_and_counts_as_one_that_did_not_help(
        self, state: records.ActionState, past: register.Register
    ) -> None:
        past.learn(recording(an_action(state=state), name="a", phase=Phase.INDETERMINATE))
        past.learn(recording(an_action("x", state=state), name="b", phase=Phase.INDETERMINATE))
        assert held(past) == [Guard.BREAKER]

    def test_action_that_was_refused_is_no_part_of_the_past(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.learn(recording(an_action(state=FAILED), phase=Phase.FAILED))
        assert held(past, **budget(1)) == []

    def test_claim_that_was_taken_back_is_no_part_of_the_past(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        waiting = recording(phase=Phase.GATED)
        nothing = waiting.status.model_copy(update={"execution": records.Execution(held_because="suspended")})
        past.learn(waiting.model_copy(update={"status": nothing}))
        assert held(past, **budget(1)) == []

    def test_claim_of_a_later_step_that_was_taken_back_leaves_the_earlier_one(self, past: register.Register) -> None:
        first = an_action(state=DONE)
        past.learn(recording(first, an_action("step-2")))
        past.learn(recording(first))
        assert held(past, **budget(1)) == [Guard.IN_FLIGHT, Guard.NAMESPACE_BUDGET]
        assert held(past, **budget(2)) == [Guard.IN_FLIGHT]

    def test_incident_that_was_deleted_lets_its_target_go_and_what_it_did_counts(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.abandon("shop/slow", NOON + timedelta(seconds=10))
        assert held(past, **budget(1)) == [Guard.NAMESPACE_BUDGET]
        cooling = guardrails.Cooldown(after_failure_seconds=300)
        assert held(past, cooldown=cooling, seconds=309) == [Guard.COOLDOWN]
        assert held(past, cooldown=cooling, seconds=310) == []

    def test_incident_that_was_deleted_and_reported_anew_lets_the_target_go(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.learn(recording(phase=Phase.PENDING))
        assert held(past, **budget(1)) == [Guard.NAMESPACE_BUDGET]

    def test_incident_of_another_name_is_not_abandoned_with_it(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.abandon("shop/slower", NOON)
        assert held(past) == [Guard.IN_FLIGHT]


class TestReserved:
    def test_what_is_about_to_be_claimed_counts_at_once(self, past: register.Register) -> None:
        past.reserve(recording(), an_action())
        assert held(past, **budget(1)) == [Guard.IN_FLIGHT, Guard.NAMESPACE_BUDGET]
        assert held(past, by="shop/slow", **budget(1)) == []

    def test_what_is_on_record_counts_once_and_not_twice(self, past: register.Register) -> None:
        past.reserve(recording(), an_action())
        past.learn(recording(an_action()))
        assert held(past, **budget(2)) == [Guard.IN_FLIGHT]

    def test_what_is_on_record_while_it_is_still_reserved_counts_once(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.reserve(recording(), an_action())
        assert held(past, **budget(2)) == [Guard.IN_FLIGHT]

    def test_claim_that_was_not_written_keeps_nobody_away(self, past: register.Register) -> None:
        past.reserve(recording(), an_action())
        past.learn(recording(phase=Phase.AWAITING_APPROVAL))
        assert held(past, **budget(1)) == []

    def test_release_frees_what_was_reserved_and_leaves_what_is_on_record(self, past: register.Register) -> None:
        past.reserve(recording(), an_action())
        past.release("shop/slow")
        assert held(past) == []
        past.learn(recording(an_action()))
        past.release("shop/slow")
        assert held(past) == [Guard.IN_FLIGHT]

    def test_deleted_incident_has_nothing_reserved(self, past: register.Register) -> None:
        past.reserve(recording(), an_action())
        past.abandon("shop/slow", NOON)
        assert held(past) == []


def an_entry(name: str = "step-1", outcome: Outcome | None = Outcome.VERIFIED, *, at: datetime = NOON, **changes: Any) -> history.Past:
    known = {"key": digests.digest(name), "incident": "shop/gone", "namespace": NAMESPACE, "target": TARGET, "claimed_at": at}
    return history.Past.model_validate({**known, "outcome": outcome, "ended_at": at if outcome else None, **changes})


class TestJournal:
    def test_what_a_deleted_incident_did_still_counts(self, past: register.Register) -> None:
        past.remember([an_entry()])
        assert held(past, **budget(1)) == [Guard.NAMESPACE_BUDGET]

    def test_what_an_incident_records_is_newer(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.remember([an_entry(outcome=Outcome.INCONCLUSIVE)])
        assert held(past, **budget(2)) == [Guard.IN_FLIGHT]

    def test_what_never_ended_keeps_nobody_away_for_ever(self, past: register.Register) -> None:
        past.remember([an_entry(outcome=None)])
        assert held(past, **budget(1)) == [Guard.NAMESPACE_BUDGET]

    def test_same_entries_again_count_once(self, past: register.Register) -> None:
        past.remember([an_entry(), an_entry()])
        past.remember([an_entry()])
        assert held(past, **budget(2)) == []


class TestPrune:
    def test_forgets_what_is_older_than_a_week(self, past: register.Register) -> None:
        for number in range(4):
            past.remember([an_entry(str(number), at=NOON + timedelta(hours=number))])
        past.prune(NOON + register.KEPT + timedelta(hours=1, seconds=-1))
        # Two stay whatever their age, for the circuit breaker.
        assert len(past._past) == 3
        past.prune(NOON + register.KEPT + timedelta(days=99))
        assert len(past._past) == 2

    def test_never_forgets_what_keeps_the_breaker_open(self, past: register.Register) -> None:
        past.remember([an_entry(name, Outcome.REGRESSED) for name in "abc"])
        past.remember([an_entry(name, Outcome.VERIFIED, undoes=True, at=NOON + timedelta(hours=1)) for name in "xyz"])
        later = timedelta(days=400)
        past.prune(NOON + later)
        assert held(past, seconds=later.total_seconds()) == [Guard.BREAKER]

    def test_never_forgets_what_is_under_way(self, past: register.Register) -> None:
        past.learn(recording(an_action()))
        past.prune(NOON + timedelta(days=400))
        assert held(past, seconds=400 * 86_400) == [Guard.IN_FLIGHT]


class TestStanding:
    def test_tells_of_what_is_on_record(self, past: register.Register) -> None:
        past.learn(recording(an_action(state=DONE), phase=Phase.RESOLVED))
        past.reserve(recording(name="other"), an_action("x"))
        found = past.standing(RULES.model_copy(update=budget(5)), namespace=NAMESPACE, now=NOON + timedelta(minutes=1))
        assert (found.actions_last_hour, found.budget, found.breaker) == (1, "4 of 5 left this hour", holds.Breaker.CLOSED)


def test_undo_says_nothing_about_whether_actions_help(past: register.Register) -> None:
    worse = {"outcome": Outcome.REGRESSED}
    past.learn(
        recording(an_action(state=DONE, **worse), an_action("undo", state=DONE, undoes="step-1", **worse), phase=Phase.INDETERMINATE)
    )
    assert held(past) == []


def test_outcome_is_what_the_incident_records(past: register.Register) -> None:
    done = an_action(state=DONE, outcome=Outcome.REGRESSED)
    past.learn(recording(done, phase=Phase.ROLLED_BACK))
    [entry] = past._past.values()
    assert (entry.outcome, entry.ended_at, entry.incident, entry.namespace) == (
        verification.Outcome.REGRESSED,
        done.done_at,
        "shop/slow",
        "shop",
    )
