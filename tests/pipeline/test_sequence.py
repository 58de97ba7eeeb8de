"""What comes after what was done: the next step, an undo, or the end."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety_governor.api import records
from safety_governor.domain import actions, digests, plans, snapshots, values
from safety_governor.domain.lifecycle import Phase
from safety_governor.domain.values import ActionType
from safety_governor.domain.verification import Outcome
from safety_governor.pipeline import sequence
from support.fakes import NOON

TEMPLATE = digests.digest("the template of before")

STEPS = (
    plans.Step(id="step-1", type=ActionType.SCALE, parameters={"replicas": "5"}),
    plans.Step(id="step-2", type=ActionType.ROLLOUT_RESTART),
    plans.Step(id="step-3", type=ActionType.EVICT_PODS),
)


def a_plan(*steps: plans.Step) -> plans.Plan:
    return plans.Plan(resolution=plans.Resolution.RESOLVED, confidence_initial=8.0, steps=steps)


def a_snapshot(generation: int = 3) -> snapshots.Snapshot:
    return snapshots.Snapshot(uid="uid-1", resource_version="7", generation=generation, template_hash=TEMPLATE, replicas=3)


def an_action(step: plans.Step, outcome: Outcome | None = Outcome.VERIFIED, *, undoes: str = "", **changes: Any) -> records.Action:
    known = {
        "id": step.id,
        "type": step.type,
        "parameters": step.parameters,
        "undoes": undoes,
        "key": digests.digest(step.id),
        "target": plans.Target(name="checkout"),
        "state": records.ActionState.DONE if outcome else records.ActionState.CLAIMED,
        "before": a_snapshot(),
        "after": a_snapshot(3 + actions.of(step.type).changes_target) if outcome else None,
        "claimed_at": NOON,
        "outcome": outcome,
        "message": f"{step.id} was seen",
    }
    return records.Action.model_validate({**known, **changes})


def undone(action: records.Action, outcome: Outcome = Outcome.VERIFIED) -> records.Action:
    step = actions.of(action.type).inverse(sequence.step_of(action), action.before)
    assert step is not None
    return an_action(step, outcome, undoes=action.id)


FIRST, SECOND, THIRD = (an_action(step) for step in STEPS)


class TestForward:
    def test_first_step_comes_first(self) -> None:
        assert sequence.following(a_plan(*STEPS), ()) == sequence.Begin(step=STEPS[0])

    def test_each_step_comes_after_the_one_that_was_proved_good(self) -> None:
        assert sequence.following(a_plan(*STEPS), (FIRST,)) == sequence.Begin(step=STEPS[1])
        assert sequence.following(a_plan(*STEPS), (FIRST, SECOND)) == sequence.Begin(step=STEPS[2])

    def test_end_comes_after_the_last(self) -> None:
        assert sequence.following(a_plan(*STEPS), (FIRST, SECOND, THIRD)) == sequence.End(phase=Phase.RESOLVED)

    @pytest.mark.parametrize("done", [(), (FIRST,), (FIRST, SECOND)])
    def test_nothing_follows_what_nobody_could_tell(self, done: tuple[records.Action, ...]) -> None:
        unclear = an_action(STEPS[len(done)], Outcome.INCONCLUSIVE)
        end = sequence.End(phase=Phase.INDETERMINATE, message=f"{unclear.id} was seen")
        assert sequence.following(a_plan(*STEPS), (*done, unclear)) == end


class TestBack:
    WORSE = an_action(STEPS[1], Outcome.REGRESSED)

    def test_what_made_it_worse_is_undone_first(self) -> None:
        following = sequence.following(a_plan(*STEPS), (FIRST, self.WORSE))
        back = plans.Step(id="step-2-undo", type=ActionType.ROLLOUT_UNDO, parameters={"template": TEMPLATE})
        assert following == sequence.Begin(step=back, undoes="step-2")

    def test_then_what_was_done_before_it(self) -> None:
        following = sequence.following(a_plan(*STEPS), (FIRST, self.WORSE, undone(self.WORSE)))
        back = plans.Step(id="step-1-undo", type=ActionType.SCALE, parameters={"replicas": "3"})
        assert following == sequence.Begin(step=back, undoes="step-1")

    def test_then_it_is_rolled_back(self) -> None:
        done = (FIRST, self.WORSE, undone(self.WORSE), undone(FIRST))
        assert sequence.following(a_plan(*STEPS), done) == sequence.End(phase=Phase.ROLLED_BACK)

    @pytest.mark.parametrize("outcome", [Outcome.REGRESSED, Outcome.INCONCLUSIVE])
    def test_undo_that_is_not_proved_good_is_left_to_a_person(self, outcome: Outcome) -> None:
        end = sequence.following(a_plan(*STEPS), (FIRST, self.WORSE, undone(self.WORSE, outcome)))
        assert isinstance(end, sequence.End)
        assert (end.phase, end.message) == (
            Phase.INDETERMINATE,
            "undoing step-2 did not come to a good end: step-2-undo was seen",
        )

    @pytest.mark.parametrize("kind", [ActionType.EVICT_PODS, ActionType.RUN_JOB])
    def test_what_cannot_be_undone_is_left_to_a_person(self, kind: values.ActionType) -> None:
        step = plans.Step(id="step-2", type=kind, parameters={"template": "report"} if kind is ActionType.RUN_JOB else {})
        end = sequence.following(a_plan(STEPS[0], step), (FIRST, an_action(step, Outcome.REGRESSED)))
        assert isinstance(end, sequence.End)
        assert end.phase == Phase.INDETERMINATE
        assert end.message == f"step-2 made things worse or belongs to what did, and {kind} cannot be undone; a person takes over"

    def test_what_cannot_be_undone_before_what_made_it_worse_is_left_to_a_person_after_the_undo(self) -> None:
        plan = a_plan(STEPS[2].model_copy(update={"id": "step-1"}), STEPS[1])
        evicted = an_action(plan.steps[0])
        end = sequence.following(plan, (evicted, self.WORSE, undone(self.WORSE)))
        assert isinstance(end, sequence.End)
        assert (end.phase, "EvictPods cannot be undone" in end.message) == (Phase.INDETERMINATE, True)

    def test_what_somebody_else_has_built_upon_is_not_undone(self) -> None:
        """To go back to before the first step would take their change back as well."""
        meddled = an_action(STEPS[0], after=a_snapshot(5))
        end = sequence.following(a_plan(*STEPS), (meddled, self.WORSE, undone(self.WORSE)))
        assert isinstance(end, sequence.End)
        assert end.phase == Phase.INDETERMINATE
        assert end.message.startswith("somebody else has changed the target since step-1")

    def test_what_changes_nothing_of_the_target_is_built_upon_by_any_change(self) -> None:
        hook = plans.Step(id="step-1", type=ActionType.WEBHOOK, parameters={"webhook": "a", "inverse": "b"})
        for generation, expected in ((3, sequence.Begin), (4, sequence.End)):
            called = an_action(hook, Outcome.REGRESSED, after=a_snapshot(generation))
            assert isinstance(sequence.following(a_plan(hook), (called,)), expected)


def test_step_is_recognised_in_its_action() -> None:
    assert sequence.step_of(FIRST) == STEPS[0]


def test_claim_is_read_from_its_action() -> None:
    found = sequence.intent_of("shop/slow", FIRST)
    assert (found.key, found.incident, found.at, found.before, found.acknowledged) == (FIRST.key, "shop/slow", NOON, FIRST.before, False)
    assert sequence.intent_of("shop/slow", FIRST.model_copy(update={"acknowledged_at": NOON + timedelta(seconds=1)})).acknowledged


KINDS = st.sampled_from([ActionType.SCALE, ActionType.ROLLOUT_RESTART, ActionType.EVICT_PODS, ActionType.CORDON])


@st.composite
def some_steps(draw: st.DrawFn) -> tuple[plans.Step, ...]:
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4))
    return tuple(
        plans.Step(id=f"step-{number}", type=kind, parameters={"replicas": "5"} if kind is ActionType.SCALE else {})
        for number, kind in enumerate(kinds, start=1)
    )


@given(some_steps(), st.lists(st.sampled_from(Outcome), min_size=10, max_size=10))
def test_every_story_ends_and_tells_the_truth(steps: tuple[plans.Step, ...], outcomes: list[Outcome]) -> None:
    """Whatever becomes of each action: steps run in order, at most once, and only what was done is undone, the last first."""
    plan, done = a_plan(*steps), list[records.Action]()
    for outcome in outcomes:
        following = sequence.following(plan, done)
        if isinstance(following, sequence.End):
            break
        done.append(an_action(following.step, outcome, undoes=following.undoes))
    else:
        raise AssertionError("no end in sight")
    forward, back = [one for one in done if not one.undoes], [one for one in done if one.undoes]
    good = [one.outcome is Outcome.VERIFIED for one in done]
    assert [one.id for one in forward] == [one.id for one in steps[: len(forward)]]
    assert [one.undoes for one in back] == [one.id for one in reversed(forward)][: len(back)]
    assert following.phase == (
        Phase.RESOLVED
        if all(good) and not back
        else Phase.ROLLED_BACK
        if len(back) == len(forward) and all(one.outcome is Outcome.VERIFIED for one in back)
        else Phase.INDETERMINATE
    )
    assert (following.phase == Phase.INDETERMINATE) == bool(following.message)
