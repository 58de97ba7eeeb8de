"""Several steps, their undo, and everything that may come between: each is claimed, at most once done, and told about truly."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from safety_governor.api import records
from safety_governor.domain import digests, errors, marks, plans, requests, values, verification, workloads
from safety_governor.domain.lifecycle import Phase
from safety_governor.domain.verification import Outcome
from safety_governor.pipeline import outcomes
from safety_governor.pipeline.stages import claim, execute
from support.builders import CONTRADICTIONS, NAME, NAMESPACE, SERVICE, World, an_incident
from support.fakes import NOON

RESTART = {"type": "RolloutRestart"}
SCALE = {"type": "Scale", "parameters": {"replicas": "3"}}
EVICT = {"type": "EvictPods", "parameters": {"which": "oldest", "most": "2"}}
RUN_JOB = {"type": "RunJob", "parameters": {"template": "report"}}
CALL = {"type": "Webhook", "parameters": {"webhook": "failover", "inverse": "failback"}}
JOB_TEMPLATE = workloads.JobTemplate(name="report", digest=digests.digest("report"), spec={})
BUDGET = "Cannot evict pod as it would violate the pod's disruption budget; it is asked again"
FREEZE: dict[str, Any] = {"freeze_windows": ({"name": "noon", "schedule": "0 0 * * *", "durationSeconds": 86_400},)}


def planned(*steps: dict[str, Any]) -> World:
    """A world in which the remediation has these steps, and nothing speaks against them."""
    world = World()
    world.workloads.job_templates["report"] = JOB_TEMPLATE
    world.remedy(*steps)
    world.report()
    return world


def actions(world: World) -> tuple[records.Action, ...]:
    assert world.status.execution is not None
    return world.status.execution.actions


def told(world: World) -> str:
    """Why it waits or has stopped."""
    assert world.status.execution is not None
    return world.status.execution.held_because


def story(world: World) -> list[tuple[str, str | None]]:
    return [(one.id, one.outcome.value if one.outcome else None) for one in actions(world)]


async def until(world: World, reached: Callable[[World], bool], *, limit: int = 40) -> None:
    """Passes, as quickly as they come, until it is so."""
    for _ in range(limit):
        if reached(world):
            return
        await world.step()
        world.clock.advance(seconds=0.5)
    raise AssertionError(f"that never came: {world.status.phase}")


def is_claimed(step: str) -> Callable[[World], bool]:
    return lambda world: world.status.execution is not None and bool(actions(world)) and actions(world)[-1].id == step


async def held_after_first(world: World, **rails: Any) -> World:
    """The first of two steps is verified, and a guard-rail holds the second."""
    await until(world, lambda one: len(one.workloads.effects) == 1)
    world.rails.change(**(rails or FREEZE))
    await until(world, lambda one: actions(one)[0].outcome is Outcome.VERIFIED)
    assert story(world) == [("step-1", "Verified")]
    return world


@pytest.fixture
def two() -> World:
    return planned(RESTART, SCALE)


class TestInOrder:
    async def test_each_step_is_claimed_and_proved_before_the_next(self) -> None:
        world = planned(RESTART, SCALE, EVICT)
        seen = []
        while not world.incident.is_finished:
            await world.step()
            seen.append([*(one.state.value for one in actions(world)), f"{len(world.workloads.effects)} effects"])
            world.clock.advance(seconds=1)
        assert seen == [
            ["Claimed", "0 effects"],
            ["Claimed", "1 effects"],
            ["Done", "Claimed", "1 effects"],
            ["Done", "Claimed", "2 effects"],
            ["Done", "Done", "Claimed", "2 effects"],
            ["Done", "Done", "Claimed", "3 effects"],
            ["Done", "Done", "Claimed", "4 effects"],
            ["Done", "Done", "Done", "4 effects"],
        ]
        assert (world.status.phase, story(world)) == (Phase.RESOLVED, [(f"step-{n}", "Verified") for n in (1, 2, 3)])

    async def test_each_step_has_a_key_a_pre_state_and_a_post_state_of_its_own(self, two: World) -> None:
        await two.steps()
        first, second = actions(two)
        assert first.key != second.key
        assert first.after is not None
        assert (first.after.generation, second.before.generation) == (first.before.generation + 1, first.before.generation + 1)
        assert first.after.template_hash != first.before.template_hash
        assert second.after is not None
        assert (second.before.replicas, second.after.replicas) == (1, 3)

    async def test_each_step_is_in_the_journal_before_it_is_done_and_when_it_ended(self, two: World) -> None:
        await two.steps()
        keys = [one.key for one in actions(two)]
        assert [one.key for one in two.journal.intents] == keys
        assert [(one.key, one.outcome) for one in two.journal.ends] == [(key, Outcome.VERIFIED) for key in keys]
        assert [type(one).__name__ for one in two.journal.events] == ["Intent", "End", "Intent", "End"]

    async def test_step_that_cannot_be_proved_good_is_the_last(self, two: World) -> None:
        await until(two, is_claimed("step-1"))
        two.workloads.slow = True
        await two.step()
        two.clock.advance(seconds=600)
        await two.step()
        assert (two.status.phase, story(two)) == (Phase.INDETERMINATE, [("step-1", "Inconclusive")])
        assert "after 10 minutes" in told(two)
        assert len(two.workloads.effects) == 1

    async def test_step_that_is_refused_fails_and_after_another_it_is_left_to_a_person(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.workloads.refusal = "quota exceeded"
        await two.step()
        assert two.status.phase == Phase.INDETERMINATE
        assert [one.state for one in actions(two)] == [records.ActionState.DONE, records.ActionState.FAILED]
        assert actions(two)[1].message == "the action was refused, so nothing was changed: quota exceeded"
        assert two.journal.ends[-1].outcome is None

    async def test_pods_that_were_restarting_before_are_not_held_against_the_action(self) -> None:
        world = planned(CALL)
        ill = world.workloads.pod(SERVICE, restarts=2, last_ended_at=NOON - timedelta(minutes=9), last_ended_reason="OOMKilled")
        world.workloads.pods[SERVICE] = [ill]
        await until(world, is_claimed("step-1"))
        world.workloads.pods[SERVICE] = [ill.model_copy(update={"restarts": 3, "last_ended_at": world.clock.now()})]
        await world.steps()
        assert story(world) == [("step-1", "Inconclusive")]

    async def test_rollout_that_was_stuck_before_is_not_held_against_the_action(self) -> None:
        world = planned(CALL)
        before = {"progressing_reason": "ProgressDeadlineExceeded", "progressing_since": NOON - timedelta(hours=1)}
        world.workloads.progress(SERVICE, **before)
        await world.steps()
        assert world.status.phase == Phase.RESOLVED


async def worsened(world: World, step: str) -> None:
    """New pods crash-loop from that step on, until it is on record that it made things worse."""
    await until(world, is_claimed(step))
    world.workloads.crashes = True
    await until(world, lambda one: any(action.outcome is Outcome.REGRESSED for action in actions(one)))
    world.workloads.crashes = False


class TestUndo:
    async def test_everything_that_was_done_is_undone_the_last_first_by_actions_of_their_own(self) -> None:
        world = planned(SCALE, RESTART)
        before = world.workloads.stored[SERVICE]
        await worsened(world, "step-2")
        await world.steps()
        assert world.status.phase == Phase.ROLLED_BACK
        assert story(world) == [
            ("step-1", "Verified"),
            ("step-2", "Regressed"),
            ("step-2-undo", "Verified"),
            ("step-1-undo", "Verified"),
        ]
        assert [one.undoes for one in actions(world)] == ["", "", "step-2", "step-1"]
        assert len({one.key for one in actions(world)}) == len(world.workloads.effects) == 4
        now = world.workloads.stored[SERVICE]
        assert (now.template_hash, now.replicas) == (before.template_hash, before.replicas)

    async def test_undo_is_claimed_before_it_is_done_and_goes_into_the_journal(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        claimed = actions(world)[-1]
        assert (claimed.id, claimed.state, len(world.workloads.effects)) == ("step-1-undo", records.ActionState.CLAIMED, 1)
        assert claimed.before.template_hash != actions(world)[0].before.template_hash
        await world.steps()
        assert [(one.key, one.undoes) for one in world.journal.intents] == [(actions(world)[0].key, False), (claimed.key, True)]

    async def test_verification_tells_how_the_plan_turned_out_and_not_its_undo(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        await world.steps()
        assert world.status.verification is not None
        assert world.status.verification.outcome is Outcome.REGRESSED
        assert "is crash-looping after 3 restarts" in world.status.verification.message

    async def test_what_cannot_be_undone_is_left_to_a_person(self) -> None:
        world = planned(SCALE, {**EVICT, "parameters": {"which": "oldest", "most": "1"}})
        await worsened(world, "step-2")
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.INDETERMINATE, 2)
        assert told(world) == "step-2 made things worse or belongs to what did, and EvictPods cannot be undone; a person takes over"

    async def test_undo_that_is_refused_is_left_to_a_person_with_both_on_record(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        world.workloads.refusal = "the executor may not patch deployments"
        await world.steps()
        done, undo = actions(world)
        assert (world.status.phase, undo.state) == (Phase.INDETERMINATE, records.ActionState.FAILED)
        assert "the executor may not patch deployments" in undo.message
        assert done.after is not None
        assert (done.before.template_hash, done.after.template_hash, undo.before.template_hash) == (
            undo.parameters["template"],
            undo.before.template_hash,
            world.workloads.stored[SERVICE].template_hash,
        )

    async def test_undo_that_makes_it_worse_is_left_to_a_person_with_both_on_record(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        world.workloads.crashes = True
        await world.steps()
        done, undo = actions(world)
        assert (world.status.phase, story(world)) == (Phase.INDETERMINATE, [("step-1", "Regressed"), ("step-1-undo", "Regressed")])
        assert told(world).startswith("undoing step-1 did not come to a good end: pod checkout-")
        assert undo.after is not None
        assert done.after is not None
        assert undo.after.template_hash == done.before.template_hash != done.after.template_hash
        assert len(world.workloads.effects) == 2

    async def test_undo_whose_template_has_gone_is_left_to_a_person(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        world.workloads.revisions[SERVICE] = world.workloads.revisions[SERVICE][:1]
        await world.steps()
        assert world.status.phase == Phase.INDETERMINATE
        assert "has no such earlier revision any more" in actions(world)[-1].message
        assert len(world.workloads.effects) == 1

    async def test_undo_is_done_whatever_freezes_and_budgets_say_but_not_against_the_kill_switch(self) -> None:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        await world.step()
        world.workloads.crashes = True
        world.workloads.pods[SERVICE] = [world.workloads.pod(SERVICE)]
        world.rails.change(suspend=True, allowed_actions=(), actions_per_hour={"namespace": 0}, **FREEZE)
        await world.step()
        world.workloads.crashes = False
        assert (story(world), "suspended" in told(world)) == ([("step-1", "Regressed")], True)
        world.rails.change(suspend=False)
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.ROLLED_BACK, 2)

    async def test_undo_that_was_claimed_waits_for_the_kill_switch(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        world.rails.change(suspend=True)
        for _ in range(3):
            await world.step()
            world.clock.advance(seconds=1)
        assert (story(world), len(world.workloads.effects)) == ([("step-1", "Regressed")], 1)
        world.rails.change(suspend=False)
        await world.steps()
        assert world.status.phase == Phase.ROLLED_BACK

    async def test_undo_goes_on_although_the_incident_is_aborted(self) -> None:
        world = planned(RESTART)
        await worsened(world, "step-1")
        world.change(abort=True)
        await world.steps()
        assert world.status.phase == Phase.ROLLED_BACK

    @pytest.mark.parametrize("demand", [{"require_telemetry": True}, {"verification": {"requireAlertResolved": True}}])
    async def test_undo_is_not_asked_to_do_what_only_the_remedy_could(self, demand: dict[str, Any]) -> None:
        """It brings back how things were when the alert was raised."""
        world = planned(RESTART)
        world.rails.change(**demand)
        await until(world, is_claimed("step-1"))
        assert actions(world)[0].watch.require_telemetry == ("require_telemetry" in demand)
        await worsened(world, "step-1")
        await world.steps()
        assert world.status.phase == Phase.ROLLED_BACK
        assert actions(world)[1].baseline.error_ratio is None

    UNSAFE: ClassVar[dict[str, tuple[dict[str, Any], Callable[[World], None], str]]] = {
        "an autoscaler decides by now": (
            SCALE,
            lambda world: setattr(world.workloads, "autoscaler", "HorizontalPodAutoscaler/x"),
            "HorizontalPodAutoscaler/x decides on the replicas",
        ),
        "the automation may not be called any more": (
            CALL,
            lambda world: world.rails.change(webhooks=()),
            "webhook failback is not among the webhooks",
        ),
    }

    @pytest.mark.parametrize(("step", "change", "why"), UNSAFE.values(), ids=UNSAFE.keys())
    async def test_undo_that_is_not_safe_is_left_to_a_person_when(
        self, step: dict[str, Any], change: Callable[[World], None], why: str
    ) -> None:
        world = planned(step)
        await until(world, is_claimed("step-1"))
        await world.step()
        done = len(world.workloads.effects)
        change(world)
        world.workloads.pods[SERVICE] = [world.workloads.pod(SERVICE, ready=False, restarts=5, waiting="CrashLoopBackOff")]
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.INDETERMINATE, done)
        assert why in told(world)

    async def test_change_that_somebody_made_after_an_earlier_step_is_not_undone_with_it(self) -> None:
        world = planned(RESTART, CALL)
        await until(world, is_claimed("step-1"))
        await world.step()
        restarted_at = f"{actions(world)[0].claimed_at:%Y-%m-%dT%H:%M:%SZ}"
        world.workloads.deploy(SERVICE, image="hotfix", restarted_at=restarted_at, marks=world.workloads.stored[SERVICE].marks)
        await until(world, is_claimed("step-2"))
        hotfix = world.workloads.stored[SERVICE].template_hash
        world.workloads.pods[SERVICE] = [world.workloads.pod(SERVICE, ready=False, restarts=5, waiting="CrashLoopBackOff")]
        await until(world, lambda one: one.incident.is_finished or len(one.workloads.calls) > 1)
        world.workloads.pods[SERVICE] = [world.workloads.pod(SERVICE)]
        await world.steps()
        assert world.status.phase == Phase.INDETERMINATE
        assert "somebody else has changed the target since step-1" in told(world)
        assert world.workloads.stored[SERVICE].template_hash == hotfix


class TestBetween:
    """What happens after one step and before the next."""

    @pytest.mark.parametrize(
        ("change", "why"),
        [({"image": "v2"}, "was changed by somebody else"), ({"uid": "another"}, "was replaced"), (None, "is gone")],
        ids=["another template", "another target of the same name", "its absence"],
    )
    async def test_target_that_changes_is_left_alone_and_to_a_person(self, change: dict[str, Any] | None, why: str, two: World) -> None:
        await held_after_first(two)
        if change is None:
            two.workloads.stored.clear()
        else:
            two.workloads.deploy(SERVICE, **change)
        await two.steps()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert why in told(two)
        assert "after step-1" in told(two)

    async def test_target_that_changes_before_its_undo_is_left_alone_and_to_a_person(self) -> None:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        world.workloads.crashes = True
        await world.step()
        world.rails.change(suspend=True)
        await until(world, lambda one: actions(one)[0].outcome is Outcome.REGRESSED)
        world.workloads.deploy(SERVICE, image="hotfix")
        world.rails.change(suspend=False)
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert "was changed by somebody else after step-1" in told(world)

    async def test_status_of_the_target_may_change(self, two: World) -> None:
        await held_after_first(two)
        two.workloads.touch(SERVICE)
        two.rails.change(freeze_windows=())
        await two.steps()
        assert two.status.phase == Phase.RESOLVED

    @pytest.mark.parametrize("word", [{"abort": True}, {"mode": values.Mode.OBSERVE}], ids=["abort", "Observe"])
    async def test_incident_that_is_stopped_is_left_to_a_person(self, word: dict[str, Any], two: World) -> None:
        await held_after_first(two)
        two.change(**word)
        await two.step()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert told(two) == "stopped by a person after step-1 of 2 steps"

    async def test_incident_that_is_stopped_after_the_claim_of_the_next_is_left_to_a_person(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.change(abort=True)
        await two.steps()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert told(two) == "stopped by a person after step-1 of 2 steps"
        assert story(two) == [("step-1", "Verified")]

    async def test_remediation_that_was_begun_is_finished_although_the_alert_resolves_itself(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.change(alert_resolved=True)
        await two.steps()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.RESOLVED, 2)

    @pytest.mark.parametrize("rails", [FREEZE, {"suspend": True}], ids=["freeze", "kill switch"])
    async def test_step_is_held_says_why_and_goes_on(self, rails: dict[str, Any], two: World) -> None:
        await held_after_first(two, **rails)
        assert told(two) != ""
        two.clock.advance(minutes=14)
        two.rails.policies["default"] = World().rails.policies["default"]
        await two.steps()
        assert (two.status.phase, told(two)) == (Phase.RESOLVED, "")

    @pytest.mark.parametrize("rails", [FREEZE, {"suspend": True}], ids=["freeze", "kill switch"])
    async def test_step_that_is_held_for_too_long_is_left_to_a_person(self, rails: dict[str, Any], two: World) -> None:
        await held_after_first(two, **rails)
        done_at = actions(two)[0].done_at
        assert done_at is not None
        two.clock.at = done_at + claim.HALFWAY - timedelta(seconds=1)
        assert isinstance(await two.step(), outcomes.Wait)
        two.clock.advance(seconds=1)
        await two.step()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert told(two).startswith("held halfway for too long: ")

    async def test_claim_of_a_later_step_is_taken_back_by_a_freeze_and_waits_without_a_stir(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.rails.change(**FREEZE)
        assert isinstance(await two.step(), outcomes.Record)
        assert story(two) == [("step-1", "Verified")]
        waiting = await two.step()
        assert isinstance(waiting, outcomes.Wait)
        assert waiting.until - two.clock.now() > timedelta(seconds=10)
        assert two.journal.ends[-1].key != two.journal.intents[0].key

    async def test_budget_that_others_use_up_meanwhile_does_not_stop_it_halfway(self, two: World) -> None:
        two.rails.change(actions_per_hour={"namespace": 2}, targets_per_hour=2)
        await until(two, is_claimed("step-2"))
        self._others_act(two, 3)
        await two.steps()
        assert two.status.phase == Phase.RESOLVED

    async def test_breaker_that_others_open_meanwhile_does_not_stop_it_halfway(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        self._others_act(two, 2, outcome=Outcome.REGRESSED)
        await two.steps()
        assert two.status.phase == Phase.RESOLVED

    @staticmethod
    def _others_act(world: World, count: int, *, outcome: Outcome = Outcome.VERIFIED) -> None:
        for number in range(count):
            other = an_incident()
            action = actions(world)[0].model_copy(
                update={
                    "key": digests.digest(number),
                    "target": plans.Target(name=f"other-{number}"),
                    "outcome": outcome,
                    "done_at": world.clock.now(),
                }
            )
            status = other.status.model_copy(update={"phase": Phase.RESOLVED, "execution": records.Execution(actions=(action,))})
            metadata = other.metadata.model_copy(update={"name": f"other-{number}"})
            world.past.learn(other.model_copy(update={"metadata": metadata, "status": status}))

    FORBIDDEN: dict[str, tuple[Callable[[World], None], str]] = {  # noqa: RUF012 - read only
        "the platform team forbids it": (
            lambda world: world.rails.change(allowed_actions=("RolloutRestart",)),
            "Scale is not among the allowed actions (RolloutRestart)",
        ),
        "the target becomes protected": (
            lambda world: world.rails.change(protected_targets=({"name": SERVICE},)),
            f"Deployment/{SERVICE} is a protected target",
        ),
        "somebody else decides on the replicas now": (
            lambda world: setattr(world.workloads, "autoscaler", "HorizontalPodAutoscaler/x"),
            "HorizontalPodAutoscaler/x decides on the replicas",
        ),
    }

    @pytest.mark.parametrize("claimed", ["step-1", "step-2"])
    @pytest.mark.parametrize(("change", "why"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
    async def test_later_step_is_left_to_a_person_when(self, change: Callable[[World], None], why: str, claimed: str, two: World) -> None:
        """Whether it is seen before the second step is claimed or right after that."""
        await until(two, is_claimed(claimed))
        if claimed == "step-1":
            await two.step()
        change(two)
        await two.steps(limit=6)
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert told(two).startswith("step-2 must not be done any more after step-1: ")
        assert why in told(two)

    async def test_later_step_that_would_do_something_else_than_was_judged_is_left_to_a_person(self) -> None:
        world = planned(RESTART, RUN_JOB)
        world.workloads.job_templates["report"] = JOB_TEMPLATE
        await until(world, is_claimed("step-1"))
        world.workloads.job_templates["report"] = JOB_TEMPLATE.model_copy(update={"spec": {"parallelism": 100}})
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert told(world).startswith("step-2 must not be done any more after step-1: what it would do has changed since it was judged")

    async def test_later_step_may_change_what_an_earlier_one_brings_about(self) -> None:
        """Whether there is anything to change is only known when its turn comes."""
        world = planned({"type": "Scale", "parameters": {"replicas": "0"}}, {"type": "Scale", "parameters": {"replicas": "1"}})
        await world.steps()
        assert (world.status.phase, story(world)) == (Phase.RESOLVED, [("step-1", "Verified"), ("step-2", "Verified")])

    async def test_later_step_that_goes_back_has_to_say_to_which_revision(self) -> None:
        world = planned(SCALE, {"type": "RolloutUndo"})
        await world.step()
        assert (world.status.phase, world.workloads.effects) == (Phase.BLOCKED, [])
        assert world.status.plan is not None
        assert "step-2 (RolloutUndo): a step that is not the first has to say which revision" in world.status.plan.resolution_detail

    async def test_budget_has_to_have_room_for_all_steps(self) -> None:
        world = planned(RESTART, SCALE)
        world.rails.change(actions_per_hour={"target": 1})
        await world.steps(limit=3)
        assert world.workloads.effects == []
        assert "it takes 2 actions, and 1 on Deployment/checkout are all that an hour has" in told(world)
        world.rails.change(actions_per_hour={"target": 2})
        world.clock.advance(seconds=61)
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.RESOLVED, 2)

    async def test_steps_to_come_of_others_count_as_if_they_had_been_taken(self, two: World) -> None:
        await until(two, is_claimed("step-1"))
        assert two.guarded is not None
        two.rails.change(actions_per_hour={"namespace": 2})
        rails = await two.guarded.read(NAMESPACE)
        other = an_incident()
        other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"name": "other", "uid": "uid-2"})})
        elsewhere = other.model_copy(update={"spec": other.spec.model_copy(update={"target": plans.Target(name="cart")})})
        held = two.guarded.holds(rails, elsewhere, now=two.clock.now())
        assert [one.guard.value for one in held] == ["NamespaceBudget"]

    async def test_namespace_that_opts_out_holds_the_next_step(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.rails.policies.clear()
        await two.steps(limit=6)
        assert (story(two), len(two.workloads.effects)) == ([("step-1", "Verified")], 1)
        assert "has no RemediationPolicy any more" in told(two)


class TestJournal:
    async def test_that_is_full_stalls_the_action_before_anything_is_touched(self, two: World) -> None:
        two.journal.full = "no space left on device"
        outcome = (await two.steps())[-1]
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, outcome.message) == ("JournalUnavailable", "no space left on device")
        assert (two.workloads.effects, two.status.phase) == ([], Phase.EXECUTING)
        two.journal.full = ""
        await two.steps()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.RESOLVED, 2)

    async def test_that_is_full_at_the_end_of_an_action_loses_no_outcome(self, two: World) -> None:
        await until(two, is_claimed("step-1"))
        await two.step()
        two.journal.full = "no space left on device"
        await two.step()
        assert story(two)[0] == ("step-1", "Verified")
        two.journal.full = ""
        await two.steps()
        assert two.status.phase == Phase.RESOLVED

    async def test_that_is_full_for_long_gives_the_claim_back(self) -> None:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        world.journal.full = "no space left on device"
        await world.step()
        world.clock.advance(seconds=execute.STALE.total_seconds())
        await world.step()
        assert (world.status.phase, actions(world), world.workloads.effects) == (Phase.GATED, (), [])
        world.journal.full = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED

    async def test_says_of_a_claim_that_was_taken_back_that_nothing_was_done(self) -> None:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        key = actions(world)[0].key
        world.fence.held = False
        await world.step()
        world.fence.held = True
        world.rails.change(suspend=True)
        await world.step()
        assert [(one.key, one.outcome) for one in world.journal.ends] == [(key, None)]
        world.start()
        assert world.past.standing(world.rails.policies["default"], namespace=NAMESPACE, now=world.clock.now()).actions_last_hour == 0


class TestLease:
    async def test_that_is_lost_before_the_dry_run_leaves_the_claim(self, two: World) -> None:
        await until(two, is_claimed("step-1"))
        tried = len(two.workloads.tried)
        two.fence.held = False
        outcome = await two.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, two.workloads.effects, len(two.workloads.tried)) == ("NotLeader", [], tried)

    async def test_that_is_lost_during_the_dry_run_leaves_the_claim(self, two: World) -> None:
        await until(two, is_claimed("step-1"))
        dry_run = two.workloads.dry_run

        async def lose_the_lease(*args: Any) -> Any:
            two.fence.held = False
            return await dry_run(*args)

        two.workloads.dry_run = lose_the_lease  # type: ignore[method-assign,assignment]
        outcome = await two.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, two.workloads.effects) == ("NotLeader", [])

    async def test_of_the_next_process_goes_on_with_the_claim(self, two: World) -> None:
        await until(two, is_claimed("step-2"))
        two.fence.held = False
        await two.step()
        two.start()
        await two.steps()
        assert (two.status.phase, len(two.workloads.effects)) == (Phase.RESOLVED, 2)


class TestDisruption:
    def world(self, *steps: dict[str, Any]) -> World:
        world = planned(*steps)
        world.workloads.deploy(SERVICE, replicas=3, max_unavailable=1)
        return world

    async def test_budget_that_spares_a_pod_holds_the_claim_and_lets_it_go_later(self) -> None:
        world = self.world(RESTART)
        world.workloads.disruption = BUDGET
        outcome = (await world.steps())[-1]
        assert isinstance(outcome, outcomes.Wait)
        assert outcome.until - world.clock.now() == timedelta(seconds=15)
        assert (world.status.phase, actions(world), told(world)) == (Phase.GATED, (), BUDGET)
        world.workloads.disruption = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED

    async def test_budget_that_spares_a_pod_does_not_hold_the_question_to_people(self) -> None:
        world = self.world(EVICT)
        world.workloads.disruption = BUDGET
        await world.step()
        assert world.status.gate is not None
        assert world.status.gate.decision == "execute"
        assert world.status.gate.previews != ()

    async def test_budget_that_spares_the_second_pod_holds_the_eviction_and_lets_it_go_on(self) -> None:
        world = self.world(EVICT)
        await until(world, lambda one: len(one.workloads.effects) == 1)
        world.workloads.disruption = BUDGET
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Wait)
        assert (told(world), outcome.until - world.clock.now()) == (BUDGET, execute.PACE)
        world.clock.advance(seconds=execute.STALE.total_seconds())
        world.workloads.disruption = ""
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.RESOLVED, 2)

    async def test_budget_that_spares_the_second_pod_for_too_long_leaves_it_to_a_person(self) -> None:
        world = self.world(EVICT)
        await until(world, lambda one: len(one.workloads.effects) == 1)
        world.workloads.disruption = BUDGET
        world.clock.advance(seconds=600)
        await world.step()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert "did not come to its end in time" in actions(world)[0].message

    async def test_eviction_that_has_not_begun_is_taken_back_while_a_budget_spares_the_pod(self) -> None:
        world = self.world(EVICT)
        await until(world, is_claimed("step-1"))
        world.workloads.disruption = BUDGET
        assert isinstance(await world.step(), outcomes.Wait)
        assert told(world) == BUDGET
        world.clock.advance(seconds=execute.STALE.total_seconds())
        await world.step()
        assert (world.status.phase, actions(world)) == (Phase.GATED, ())
        assert isinstance(await world.step(), outcomes.Wait)
        assert told(world) == BUDGET

    async def test_eviction_that_is_refused_halfway_does_not_say_that_nothing_was_changed(self) -> None:
        world = self.world(EVICT)
        await until(world, lambda one: len(one.workloads.effects) == 1)
        world.workloads.refusal = "the executor may not evict"
        await world.step()
        [action] = actions(world)
        assert (world.status.phase, action.state) == (Phase.INDETERMINATE, records.ActionState.INDETERMINATE)
        assert "may have been touched" in action.message
        assert "the executor may not evict" in action.message

    async def test_eviction_that_has_begun_is_held_by_the_kill_switch_and_goes_on(self) -> None:
        world = self.world(EVICT)
        await until(world, lambda one: len(one.workloads.effects) == 1)
        world.rails.change(suspend=True)
        assert isinstance(await world.step(), outcomes.Wait)
        assert "suspended" in told(world)
        world.rails.change(suspend=False)
        await world.steps()
        assert (world.status.phase, len(world.workloads.effects)) == (Phase.RESOLVED, 2)


class TestWebhook:
    @pytest.fixture
    async def claimed(self) -> World:
        world = planned(CALL)
        await until(world, is_claimed("step-1"))
        return world

    async def test_is_called_once_and_its_answer_is_on_record(self, claimed: World) -> None:
        await claimed.steps()
        [action] = actions(claimed)
        assert claimed.workloads.calls == [action.key]
        assert (claimed.status.phase, action.acknowledged_at is not None) == (Phase.RESOLVED, True)

    async def test_whose_answer_was_lost_is_called_again_with_the_same_key(self, claimed: World) -> None:
        claimed.workloads.lost = "timeout"
        assert isinstance(await claimed.step(), outcomes.Stall)
        claimed.workloads.lost = ""
        await claimed.steps()
        assert claimed.workloads.calls == [actions(claimed)[0].key] * 2
        assert (claimed.status.phase, len(claimed.workloads.effects)) == (Phase.RESOLVED, 1)

    async def test_of_a_process_that_ended_before_the_record_is_called_again_with_the_same_key(self, claimed: World) -> None:
        await claimed.runner.advance(claimed.incident)
        claimed.start()
        await claimed.steps()
        assert claimed.workloads.calls == [actions(claimed)[0].key] * 2
        assert (claimed.status.phase, len(claimed.workloads.effects)) == (Phase.RESOLVED, 1)

    async def test_that_was_certainly_not_called_is_taken_back(self, claimed: World) -> None:
        claimed.rails.change(suspend=True)
        assert isinstance(await claimed.step(), outcomes.Record)
        assert (claimed.status.phase, actions(claimed), claimed.workloads.calls) == (Phase.GATED, (), [])

    @pytest.mark.parametrize("how", ["its answer was lost", "the process ended"])
    async def test_that_may_have_been_called_is_not_taken_back(self, how: str, claimed: World) -> None:
        if how == "the process ended":
            claimed.start()
        else:
            claimed.workloads.lost = "timeout"
            await claimed.step()
            claimed.workloads.lost = ""
        claimed.rails.change(suspend=True)
        calls = len(claimed.workloads.calls)
        assert isinstance(await claimed.step(), outcomes.Wait)
        assert (claimed.status.phase, story(claimed)) == (Phase.EXECUTING, [("step-1", None)])
        assert "suspended" in told(claimed)
        claimed.clock.advance(seconds=600)
        await claimed.step()
        assert (claimed.status.phase, len(claimed.workloads.calls)) == (Phase.INDETERMINATE, calls)

    async def test_that_is_refused_at_once_has_done_nothing(self, claimed: World) -> None:
        claimed.workloads.refusal = "the automation failover refused the call with 422"
        await claimed.step()
        assert (claimed.status.phase, actions(claimed)[0].state) == (Phase.FAILED, records.ActionState.FAILED)

    async def test_that_is_refused_after_an_answer_was_lost_may_have_done_something(self, claimed: World) -> None:
        claimed.workloads.lost = "timeout"
        await claimed.step()
        claimed.workloads.refusal = "the automation failover refused the call with 422"
        await claimed.step()
        assert (claimed.status.phase, actions(claimed)[0].state) == (Phase.INDETERMINATE, records.ActionState.INDETERMINATE)

    async def test_is_repeated_until_it_is_overdue_and_then_left_to_a_person(self, claimed: World) -> None:
        claimed.workloads.lost = "timeout"
        for _ in range(6):
            await claimed.step()
            claimed.clock.advance(seconds=100)
        await claimed.step()
        assert claimed.status.phase == Phase.INDETERMINATE
        assert claimed.workloads.calls == [actions(claimed)[0].key] * 6

    async def test_tells_when_the_automation_wants_to_be_asked_again(self, claimed: World) -> None:
        async def busy(*_: object) -> None:
            raise errors.AutomationUnavailableError("busy", retry_after=42)

        claimed.workloads.act = busy  # type: ignore[method-assign,assignment]
        outcome = await claimed.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, outcome.retry_after) == ("AutomationUnavailable", 42)


class TestRunJob:
    @pytest.fixture
    async def claimed(self) -> World:
        world = planned(RUN_JOB)
        await until(world, is_claimed("step-1"))
        return world

    async def test_is_found_again_after_a_crash(self, claimed: World) -> None:
        await claimed.runner.advance(claimed.incident)
        claimed.start()
        await claimed.steps()
        assert (claimed.status.phase, len(claimed.workloads.effects)) == (Phase.RESOLVED, 1)

    async def test_that_somebody_deletes_is_not_started_again(self, claimed: World) -> None:
        claimed.workloads.job_state = workloads.JobState.RUNNING
        await claimed.step()
        await claimed.step()
        claimed.workloads.jobs.clear()
        await claimed.steps()
        assert (claimed.status.phase, len(claimed.workloads.effects)) == (Phase.INDETERMINATE, 1)
        assert "the Job was deleted by somebody else" in actions(claimed)[0].message

    async def test_that_somebody_deletes_while_nobody_looks_is_not_started_again(self, claimed: World) -> None:
        claimed.workloads.job_state = workloads.JobState.RUNNING
        await claimed.step()
        claimed.workloads.jobs.clear()
        claimed.start()
        await claimed.steps()
        assert (claimed.status.phase, len(claimed.workloads.effects)) == (Phase.INDETERMINATE, 1)

    async def test_whose_template_changes_after_the_claim_is_left_to_a_person(self, claimed: World) -> None:
        claimed.workloads.job_templates["report"] = JOB_TEMPLATE.model_copy(update={"digest": digests.digest("other")})
        await claimed.step()
        assert (claimed.status.phase, claimed.workloads.effects) == (Phase.INDETERMINATE, [])
        assert "the template of the Job was changed" in actions(claimed)[0].message

    async def test_whose_template_goes_after_the_claim_is_not_taken_for_done(self, claimed: World) -> None:
        claimed.workloads.job_templates.clear()
        await claimed.step()
        assert (claimed.status.phase, claimed.workloads.effects) == (Phase.INDETERMINATE, [])
        assert "the template of the Job was changed" in actions(claimed)[0].message

    async def test_that_fails_is_a_regression_that_cannot_be_undone(self, claimed: World) -> None:
        claimed.workloads.job_state = workloads.JobState.FAILED
        await claimed.steps()
        assert (claimed.status.phase, story(claimed)) == (Phase.INDETERMINATE, [("step-1", "Regressed")])


class TestLate:
    """A request that was sent and not answered may still be on its way when its claim is taken back."""

    @pytest.fixture
    async def sent(self) -> World:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        return world

    @pytest.fixture
    async def late(self, sent: World) -> requests.Request:
        """The restart is on its way, and nobody knows."""
        act, on_its_way = sent.workloads.act, list[requests.Request]()

        async def keep(namespace: str, request: requests.Request) -> None:
            on_its_way.append(request)
            raise errors.ClusterUnavailableError("timeout")

        sent.workloads.act = keep  # type: ignore[method-assign]
        assert isinstance(await sent.step(), outcomes.Stall)
        sent.workloads.act = act  # type: ignore[method-assign]
        return on_its_way[0]

    async def test_comes_to_nothing_after_the_claim_was_taken_back(self, late: requests.Request, sent: World) -> None:
        key, template = actions(sent)[0].key, sent.workloads.stored[SERVICE].template_hash
        sent.rails.change(suspend=True)
        assert isinstance(await sent.step(), outcomes.Record)
        found = sent.workloads.stored[SERVICE]
        assert (found.marks, found.template_hash) == ({marks.TAKEN_BACK: key}, template)
        with pytest.raises(errors.ConflictError):
            await sent.workloads.act(NAMESPACE, late)
        assert (sent.status.phase, sent.workloads.effects) == (Phase.GATED, [])

    async def test_and_the_claim_is_made_again_and_carried_out_once(self, late: requests.Request, sent: World) -> None:
        sent.rails.change(suspend=True)
        await sent.step()
        sent.rails.change(suspend=False)
        await sent.steps()
        with pytest.raises(errors.ConflictError):
            await sent.workloads.act(NAMESPACE, late)
        assert (sent.status.phase, len(sent.workloads.effects)) == (Phase.RESOLVED, 1)

    async def test_that_came_before_it_could_be_taken_back_is_proved(self, late: requests.Request, sent: World) -> None:
        look = sent.workloads.look

        async def look_before_it_comes(*args: Any, **named: Any) -> Any:
            found = await look(*args, **named)
            if not sent.workloads.effects:
                await sent.workloads.act(NAMESPACE, late)
            return found

        sent.workloads.look = look_before_it_comes  # type: ignore[method-assign]
        sent.rails.change(suspend=True)
        assert isinstance(await sent.step(), outcomes.Wait)
        await sent.steps()
        assert (sent.status.phase, len(sent.workloads.effects)) == (Phase.RESOLVED, 1)
        assert marks.TAKEN_BACK not in sent.workloads.stored[SERVICE].marks

    @pytest.mark.usefixtures("late")
    async def test_is_not_forestalled_without_the_lease(self, sent: World) -> None:
        sent.rails.change(suspend=True)
        sent.fence.held = False
        assert isinstance(await sent.step(), outcomes.Stall)
        assert (sent.status.phase, sent.workloads.stored[SERVICE].marks) == (Phase.EXECUTING, {})

    @pytest.mark.usefixtures("late")
    async def test_that_is_forestalled_by_a_process_that_ends_then_is_never_carried_out(self, sent: World) -> None:
        sent.rails.change(suspend=True)
        await sent.runner.advance(sent.incident)
        sent.start()
        await sent.steps()
        assert sent.workloads.effects == []

    @pytest.mark.parametrize("why", ["stopped", "suspended", "without a policy"])
    async def test_of_a_process_that_ended_is_not_forestalled_before_that_is_in_the_journal(self, sent: World, why: str) -> None:
        sent.fence.holder = "operator-2"
        match why:
            case "stopped":
                sent.change(abort=True)
            case "suspended":
                sent.rails.change(suspend=True)
            case _:
                sent.rails.policies.clear()
        sent.journal.full = "no space left on device"
        outcome = await sent.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (sent.status.phase, sent.workloads.stored[SERVICE].marks) == (Phase.EXECUTING, {})
        sent.journal.full = ""
        await sent.step()
        key = sent.journal.intents[0].key
        assert sent.workloads.stored[SERVICE].marks == {marks.TAKEN_BACK: key}
        assert [(type(one).__name__, one.key) for one in sent.journal.events] == [("Intent", key), ("End", key)]

    @pytest.mark.usefixtures("late")
    async def test_waits_for_the_right_to_forestall_it(self, sent: World) -> None:
        async def forbid(*_: object) -> None:
            raise errors.ForbiddenError("the executor may not patch deployments")

        act = sent.workloads.act
        sent.workloads.act = forbid  # type: ignore[method-assign,assignment]
        sent.rails.change(suspend=True)
        outcome = await sent.step()
        assert isinstance(outcome, outcomes.Stall)
        assert "taking the claim back waits for the right to do it" in outcome.message
        sent.workloads.act = act  # type: ignore[method-assign]
        assert isinstance(await sent.step(), outcomes.Record)
        assert (sent.status.phase, sent.workloads.effects) == (Phase.GATED, [])

    async def test_is_no_matter_where_nothing_was_sent(self, sent: World) -> None:
        sent.rails.change(suspend=True)
        assert isinstance(await sent.step(), outcomes.Record)
        assert sent.workloads.stored[SERVICE].marks == {}

    async def test_right_that_is_missing_stalls_the_claim_until_it_is_back(self, sent: World) -> None:
        act = sent.workloads.act

        async def forbid(*_: object) -> None:
            raise errors.ForbiddenError("the executor may not patch deployments")

        sent.workloads.act = forbid  # type: ignore[method-assign,assignment]
        outcome = await sent.step()
        assert isinstance(outcome, outcomes.Stall)
        assert "waits for the right to do it" in outcome.message
        sent.workloads.act = act  # type: ignore[method-assign]
        await sent.steps()
        assert (sent.status.phase, len(sent.workloads.effects)) == (Phase.RESOLVED, 1)


class TestLogs:
    """What the live logs say after an action, held against what they said when it was gated."""

    @pytest.fixture
    async def acted(self) -> World:
        world = planned(RESTART)
        world.knowledge.error_ratio = 0.01
        await until(world, lambda one: len(one.workloads.effects) == 1)
        return world

    async def test_that_are_no_worse_prove_it(self, acted: World) -> None:
        await acted.steps()
        assert acted.status.phase == Phase.RESOLVED
        assert "errors 1% of the log before, 1% since" in actions(acted)[0].message

    async def test_that_said_too_little_before_prove_and_disprove_nothing(self) -> None:
        world = planned(RESTART)
        world.knowledge.error_ratio, world.knowledge.log_lines = 0.9, 19
        await until(world, is_claimed("step-1"))
        assert actions(world)[0].baseline.error_ratio is None
        await world.steps()
        assert world.status.phase == Phase.RESOLVED

    async def test_that_are_worse_have_it_undone_and_are_not_asked_about_the_undo(self, acted: World) -> None:
        acted.knowledge.error_ratio = 0.5
        await acted.steps()
        assert (acted.status.phase, story(acted)) == (Phase.ROLLED_BACK, [("step-1", "Regressed"), ("step-1-undo", "Verified")])
        assert (actions(acted)[0].baseline.error_ratio, actions(acted)[1].baseline.error_ratio) == (0.01, None)

    async def test_that_cannot_be_read_are_read_again_until_it_is_overdue(self, acted: World) -> None:
        acted.knowledge.down = "the store does not answer"
        assert isinstance(await acted.step(), outcomes.Wait)
        assert acted.status.phase == Phase.EXECUTING
        acted.clock.advance(seconds=600)
        await acted.step()
        assert (acted.status.phase, story(acted)) == (Phase.INDETERMINATE, [("step-1", "Inconclusive")])
        assert "the live logs cannot be read: the store does not answer" in told(acted)

    async def test_are_not_asked_before_the_rollout_is_complete(self, acted: World) -> None:
        acted.workloads.progress(SERVICE, updated=0)
        acted.knowledge.down = "must not be asked"
        assert isinstance(await acted.step(), outcomes.Wait)
        acted.knowledge.down = ""
        acted.workloads.progress(SERVICE, updated=1)
        await acted.steps()
        assert acted.status.phase == Phase.RESOLVED

    async def test_count_from_when_it_took_effect_and_not_from_when_it_was_claimed(self, acted: World) -> None:
        acted.workloads.progress(SERVICE, updated=0)
        await acted.step()
        acted.clock.advance(seconds=300)
        acted.workloads.progress(
            SERVICE, updated=1, progressing_reason="NewReplicaSetAvailable", progressing_since=acted.clock.now() - timedelta(seconds=20)
        )
        await acted.steps()
        assert acted.status.phase == Phase.RESOLVED
        assert acted.knowledge.windows[-1] == timedelta(seconds=20)


TAKEN_BACK: dict[str, tuple[dict[str, Any], Callable[[World], None], str]] = {
    "scaled to something else": (
        SCALE,
        lambda world: world.workloads.deploy(SERVICE, replicas=2, marks=world.workloads.stored[SERVICE].marks),
        "was scaled to 2 replicas by somebody else",
    ),
    "given another template": (
        RESTART,
        lambda world: world.workloads.deploy(SERVICE, image="hotfix", marks=world.workloads.stored[SERVICE].marks),
        "was given another template by somebody else",
    ),
    "replaced": (
        CALL,
        lambda world: world.workloads.deploy(SERVICE, uid="uid-other"),
        "was replaced by another of the same name",
    ),
    "paused": (
        RESTART,
        lambda world: world.workloads.stored.update({SERVICE: world.workloads.stored[SERVICE].model_copy(update={"paused": True})}),
        "was paused by somebody else",
    ),
}


@pytest.mark.parametrize(("step", "change", "why"), TAKEN_BACK.values(), ids=TAKEN_BACK.keys())
async def test_effect_is_not_proved_on_a_target_that_was(step: dict[str, Any], change: Callable[[World], None], why: str) -> None:
    world = planned(step)
    await until(world, lambda one: len(one.workloads.effects) == 1)
    change(world)
    await world.steps()
    assert (world.status.phase, story(world)) == (Phase.INDETERMINATE, [("step-1", "Inconclusive")])
    assert why in told(world)


async def test_change_that_somebody_else_has_made_worse_is_not_undone() -> None:
    """What it does now is not only our doing."""
    world = planned(RESTART)
    await until(world, lambda one: len(one.workloads.effects) == 1)
    world.workloads.crashes = True
    world.workloads.deploy(SERVICE, image="hotfix", marks=world.workloads.stored[SERVICE].marks)
    hotfix = world.workloads.stored[SERVICE].template_hash
    await world.steps()
    assert (world.status.phase, story(world)) == (Phase.INDETERMINATE, [("step-1", "Inconclusive")])
    assert "somebody else has changed the target since, so it is not undone" in told(world)
    assert (world.workloads.stored[SERVICE].template_hash, len(world.workloads.effects)) == (hotfix, 1)


async def test_approval_is_void_when_the_job_that_it_releases_has_changed_where_nobody_sees_it() -> None:
    """A preview hides what may be a secret; what was approved is that and nothing else all the same."""
    world = planned(RUN_JOB)
    world.knowledge.put(*CONTRADICTIONS)

    def template(secret: str) -> workloads.JobTemplate:
        containers = [{"name": "a", "env": [{"name": "PASSWORD", "value": secret}]}]
        return JOB_TEMPLATE.model_copy(update={"spec": {"template": {"spec": {"containers": containers}}}})

    world.workloads.job_templates["report"] = template("hunter2")
    await world.step()
    world.decide("APPROVE")
    world.workloads.job_templates["report"] = template("swordfish")
    await world.steps()
    assert (world.status.phase, world.workloads.effects) == (Phase.AWAITING_APPROVAL, [])
    assert world.status.approval is not None
    assert "dryRun changed" in world.status.approval.refusals[0].why


class TestForgotten:
    """After so long the traces of an effect may have been cleared away."""

    @pytest.mark.parametrize("step", [RESTART, SCALE, RUN_JOB, CALL], ids=lambda one: str(one["type"]))
    async def test_claim_without_a_trace_is_left_to_a_person(self, step: dict[str, Any]) -> None:
        world = planned(step)
        await until(world, is_claimed("step-1"))
        world.start()
        world.clock.at = actions(world)[0].claimed_at + execute.FORGOTTEN
        await world.step()
        assert (world.status.phase, world.workloads.effects) == (Phase.INDETERMINATE, [])
        assert "may have been touched" in actions(world)[0].message

    async def test_claim_that_is_watched_for_longer_than_that_is_not_acted_on_any_more(self) -> None:
        world = planned(RESTART)
        world.watch = verification.Watch(soak_seconds=0, timeout_seconds=86_400)
        world.start()
        await until(world, is_claimed("step-1"))
        world.clock.at = actions(world)[0].claimed_at + execute.FORGOTTEN
        await world.step()
        assert (world.status.phase, world.workloads.effects) == (Phase.INDETERMINATE, [])

    async def test_claim_that_is_a_little_younger_is_judged_anew(self) -> None:
        world = planned(RESTART)
        await until(world, is_claimed("step-1"))
        world.start()
        world.clock.at = actions(world)[0].claimed_at + execute.FORGOTTEN - timedelta(seconds=1)
        await world.step()
        assert (world.status.phase, actions(world)) == (Phase.GATED, ())

    async def test_claim_with_a_trace_is_proved_however_old_it_is(self) -> None:
        world = planned(RESTART)
        await until(world, lambda one: len(one.workloads.effects) == 1)
        world.start()
        world.clock.advance(hours=48)
        await world.steps()
        assert world.status.phase == Phase.RESOLVED


class TestOtherIncidents:
    async def test_target_is_kept_from_others_between_two_steps(self, two: World) -> None:
        await held_after_first(two)
        other = an_incident()
        two.incidents.put(other.model_copy(update={"metadata": other.metadata.model_copy(update={"name": "other", "uid": "uid-2"})}))
        two.rails.change(freeze_windows=())
        outcome = await two.runner.advance(two.incidents.stored[NAMESPACE, "other"])
        assert isinstance(outcome, outcomes.Wait)
        assert outcome.status.execution is not None
        assert f"{NAMESPACE}/{NAME} is acting on Deployment/{SERVICE}" in outcome.status.execution.held_because
