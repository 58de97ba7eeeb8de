"""From the claim to the proof: at most one effect for each step, and a stop for a person whenever nobody can know."""

from datetime import timedelta
from typing import Any

import pytest

from safety_governor.api import records
from safety_governor.domain import marks, verification
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import outcomes
from safety_governor.pipeline.stages import claim, execute, verify
from support.builders import CONTRADICTIONS, NAMESPACE, SERVICE, World, an_incident


def actions(world: World) -> tuple[records.Action, ...]:
    assert world.status.execution is not None
    return world.status.execution.actions


@pytest.fixture
async def claimed(world: World) -> World:
    """A world with a claim on record and nothing done yet."""
    await world.step()
    assert world.status.phase == Phase.EXECUTING
    return world


@pytest.fixture
async def acted(claimed: World) -> World:
    """A world whose rollout goes on."""
    claimed.workloads.slow = True
    await claimed.step()
    return claimed


class TestClaim:
    async def test_names_holder_target_and_precondition(self, claimed: World) -> None:
        found = claimed.workloads.stored[SERVICE]
        assert claimed.status.execution is not None
        assert claimed.status.execution.holder == "operator-1"
        assert actions(claimed)[0].target.name == SERVICE
        before = actions(claimed)[0].before
        assert (before.uid, before.resource_version) == (found.uid, found.resource_version)
        assert (before.generation, before.template_hash) == (found.generation, found.template_hash)

    async def test_is_dated_to_the_second_so_that_it_reads_the_same_after_a_restart(self, world: World) -> None:
        world.clock.advance(seconds=0.75)
        await world.step()
        assert actions(world)[0].claimed_at == world.clock.now() - timedelta(seconds=0.75)

    async def test_is_held_by_the_kill_switch_and_goes_on_when_it_is_off(self, world: World) -> None:
        world.rails.change(suspend=True)
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Wait)
        assert outcome.until - world.clock.now() == claim.LOOK_AGAIN
        assert world.status.execution is not None
        assert "suspended" in world.status.execution.held_because
        world.rails.change(suspend=False)
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert world.status.execution.held_because == ""

    async def test_is_never_made_for_a_paused_target(self, world: World) -> None:
        world.workloads.deploy(SERVICE, paused=True)
        await world.step()
        assert world.status.phase == Phase.BLOCKED
        assert world.status.gate is not None
        assert "is paused" in world.status.gate.findings[0].message

    async def test_of_a_held_incident_changes_no_status_while_nothing_changes(self, world: World) -> None:
        world.rails.change(suspend=True)
        await world.step()
        held = world.status
        for _ in range(3):
            world.clock.advance(seconds=30)
            await world.step()
        assert world.status == held

    async def test_is_never_made_for_a_target_that_went_away_meanwhile(self, world: World) -> None:
        world.rails.change(suspend=True)
        await world.step()
        world.rails.change(suspend=False)
        world.workloads.stored.clear()
        await world.steps()
        assert world.status.phase == Phase.BLOCKED

    async def test_is_never_made_in_a_namespace_that_opted_out_meanwhile(self, world: World) -> None:
        world.rails.change(suspend=True)
        await world.step()
        world.rails.policies.clear()
        await world.steps()
        assert world.status.phase == Phase.BLOCKED


class TestExecute:
    async def test_acts_once_and_leaves_its_key_on_the_target(self, claimed: World) -> None:
        await claimed.steps()
        assert claimed.workloads.effects == [actions(claimed)[0].key]
        assert claimed.workloads.stored[SERVICE].marks[marks.LAST_ACTION] == actions(claimed)[0].key

    async def test_finds_its_own_effect_and_does_not_act_again(self, claimed: World) -> None:
        action = actions(claimed)[0]
        claimed.workloads.deploy(SERVICE, restarted_at=f"{action.claimed_at:%Y-%m-%dT%H:%M:%SZ}", marks={marks.LAST_ACTION: action.key})
        await claimed.steps()
        assert claimed.workloads.effects == []
        assert claimed.status.phase == Phase.RESOLVED

    async def test_acts_although_the_status_of_the_target_changed(self, claimed: World) -> None:
        claimed.workloads.touch(SERVICE)
        claimed.workloads.progress(SERVICE, available=0)
        await claimed.step()
        assert len(claimed.workloads.effects) == 1

    @pytest.mark.parametrize(
        ("change", "told"),
        [({"image": "v2"}, "was changed by somebody else"), ({"uid": "another"}, "was replaced"), (None, "is gone")],
        ids=["another template", "another target of the same name", "its absence"],
    )
    async def test_stops_for_a_person_when_its_precondition_is_broken_by(
        self, change: dict[str, Any] | None, told: str, claimed: World
    ) -> None:
        if change is None:
            claimed.workloads.stored.clear()
        else:
            claimed.workloads.deploy(SERVICE, **change)
        assert isinstance(await claimed.step(), outcomes.Halt)
        assert claimed.status.phase == Phase.INDETERMINATE
        assert actions(claimed)[0].state == records.ActionState.INDETERMINATE
        assert told in actions(claimed)[0].message
        assert claimed.workloads.effects == []

    async def test_stops_for_a_person_when_a_change_was_undone_meanwhile(self, claimed: World) -> None:
        claimed.workloads.deploy(SERVICE, image="v2")
        claimed.workloads.deploy(SERVICE)
        await claimed.step()
        assert claimed.status.phase == Phase.INDETERMINATE
        assert claimed.workloads.effects == []

    async def test_looks_again_when_the_target_changed_between_reading_and_acting(self, claimed: World) -> None:
        raced = claimed.workloads.stored[SERVICE]
        claimed.workloads.touch(SERVICE)
        current = claimed.workloads.stored[SERVICE]
        claimed.workloads.stored[SERVICE] = raced

        look = claimed.workloads.look

        async def look_and_be_overtaken(*args: object, **named: object) -> object:
            found = await look(*args, **named)  # type: ignore[arg-type]
            claimed.workloads.stored[SERVICE] = current
            return found

        claimed.workloads.look = look_and_be_overtaken  # type: ignore[assignment]
        assert isinstance(await claimed.step(), outcomes.Wait)
        assert claimed.workloads.effects == []
        claimed.workloads.look = look  # type: ignore[method-assign]
        await claimed.steps()
        assert claimed.status.phase == Phase.RESOLVED
        assert len(claimed.workloads.effects) == 1

    async def test_that_is_refused_fails_and_says_that_nothing_was_changed(self, claimed: World) -> None:
        claimed.workloads.refusal = "the executor may not patch deployments"
        assert isinstance(await claimed.step(), outcomes.Halt)
        assert claimed.status.phase == Phase.FAILED
        assert actions(claimed)[0].state == records.ActionState.FAILED
        message = "the action was refused, so nothing was changed: the executor may not patch deployments"
        assert actions(claimed)[0].message == message

    async def test_does_nothing_without_the_lease_and_says_so(self, claimed: World) -> None:
        claimed.fence.held = False
        outcome = await claimed.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, claimed.status.phase) == ("NotLeader", Phase.EXECUTING)
        assert claimed.workloads.effects == []

    async def test_recognises_its_effect_without_the_lease(self, acted: World) -> None:
        acted.fence.held = False
        acted.workloads.progress(SERVICE, updated=1)
        await acted.steps()
        assert acted.status.phase == Phase.RESOLVED

    async def test_goes_on_when_the_lease_is_back(self, claimed: World) -> None:
        claimed.fence.held = False
        await claimed.step()
        claimed.fence.held = True
        await claimed.steps()
        assert claimed.status.phase == Phase.RESOLVED


class TestVerify:
    async def test_looks_again_soon_while_the_rollout_goes_on(self, acted: World) -> None:
        outcome = await acted.step()
        assert isinstance(outcome, outcomes.Wait)
        assert timedelta(milliseconds=500) <= outcome.until - acted.clock.now() <= timedelta(seconds=5)
        assert acted.status.phase == Phase.EXECUTING

    async def test_shows_a_rollout_that_takes_long(self, acted: World) -> None:
        acted.clock.advance(seconds=verify.SLOW.total_seconds())
        await acted.step()
        assert acted.status.phase == Phase.VERIFYING
        shown = acted.status
        acted.clock.advance(seconds=30)
        await acted.step()
        assert acted.status == shown

    async def test_resolves_what_is_complete(self, acted: World) -> None:
        acted.workloads.progress(SERVICE, updated=1)
        assert isinstance(await acted.step(), outcomes.Halt)
        seen = acted.status.verification
        assert seen is not None
        assert (acted.status.phase, seen.outcome) == (Phase.RESOLVED, verification.Outcome.VERIFIED)
        assert seen.message == "1 of 1 replicas are new and available"
        assert (seen.started_at, seen.finished_at) == (actions(acted)[0].claimed_at, acted.clock.now())
        assert actions(acted)[0].state == records.ActionState.DONE

    async def test_calls_a_stuck_rollout_a_regression_and_rolls_it_back(self, acted: World) -> None:
        acted.workloads.progress(SERVICE, progressing_reason="ProgressDeadlineExceeded")
        assert isinstance(await acted.step(), outcomes.Record)
        assert acted.status.verification is not None
        assert acted.status.verification.outcome == verification.Outcome.REGRESSED
        acted.workloads.slow = False
        await acted.steps()
        assert acted.status.phase == Phase.ROLLED_BACK

    async def test_calls_a_rollout_without_an_end_inconclusive(self, acted: World) -> None:
        acted.clock.advance(minutes=10, seconds=-1)
        assert isinstance(await acted.step(), outcomes.Wait)
        acted.clock.advance(seconds=1)
        assert isinstance(await acted.step(), outcomes.Halt)
        assert acted.status.verification is not None
        assert acted.status.verification.outcome == verification.Outcome.INCONCLUSIVE
        assert "after 10 minutes" in acted.status.verification.message
        assert acted.status.phase == Phase.INDETERMINATE

    async def test_believes_nobody_before_the_controller_has_seen_the_change(self, acted: World) -> None:
        acted.workloads.progress(SERVICE, updated=1, observed_generation=0)
        assert isinstance(await acted.step(), outcomes.Wait)

    async def test_stops_for_a_person_when_somebody_else_interferes(self, acted: World) -> None:
        acted.workloads.deploy(SERVICE, image="v2", marks={})
        await acted.step()
        assert acted.status.phase == Phase.INDETERMINATE
        assert len(acted.workloads.effects) == 1


class TestTakenBack:
    """What was claimed and certainly not done yet is not done when something speaks against it in the last moment."""

    async def test_claim_waits_for_the_kill_switch_to_be_off(self, claimed: World) -> None:
        claimed.rails.change(suspend=True)
        assert isinstance(await claimed.step(), outcomes.Record)
        assert (claimed.status.phase, actions(claimed), claimed.workloads.effects) == (Phase.GATED, (), [])
        claimed.rails.change(suspend=False)
        await claimed.steps()
        assert claimed.status.phase == Phase.RESOLVED
        assert len(claimed.workloads.effects) == 1

    async def test_claim_is_judged_anew_when_the_target_was_protected_meanwhile(self, claimed: World) -> None:
        claimed.rails.change(protected_targets=({"name": SERVICE},))
        await claimed.steps()
        assert claimed.status.phase == Phase.BLOCKED
        assert claimed.workloads.effects == []

    async def test_claim_is_judged_anew_when_the_namespace_opted_out_meanwhile(self, claimed: World) -> None:
        claimed.rails.policies.clear()
        await claimed.steps()
        assert claimed.status.phase == Phase.BLOCKED
        assert claimed.workloads.effects == []

    async def test_claim_that_is_old_is_judged_anew_before_it_is_carried_out(self, claimed: World) -> None:
        claimed.knowledge.put(*CONTRADICTIONS)
        claimed.clock.advance(seconds=execute.STALE.total_seconds())
        await claimed.steps()
        assert claimed.status.phase == Phase.AWAITING_APPROVAL
        assert claimed.workloads.effects == []

    async def test_claim_that_is_old_is_carried_out_when_nothing_has_changed(self, claimed: World) -> None:
        claimed.clock.advance(hours=5)
        await claimed.steps()
        assert claimed.status.phase == Phase.RESOLVED
        assert len(claimed.workloads.effects) == 1

    async def test_effect_that_is_there_is_proved_whatever_speaks_against_it_now(self, acted: World) -> None:
        acted.rails.change(suspend=True, protected_targets=({"name": SERVICE},))
        acted.workloads.progress(SERVICE, updated=1)
        await acted.steps()
        assert acted.status.phase == Phase.RESOLVED


class TestTurns:
    """Two incidents about one target."""

    @pytest.fixture
    def world(self, world: World) -> World:
        other = an_incident()
        world.incidents.put(other.model_copy(update={"metadata": other.metadata.model_copy(update={"name": "other", "uid": "uid-2"})}))
        return world

    async def test_second_waits_and_says_for_whom(self, claimed: World) -> None:
        outcome = await claimed.runner.advance(claimed.incidents.stored[NAMESPACE, "other"])
        assert isinstance(outcome, outcomes.Wait)
        assert outcome.status.execution is not None
        assert outcome.status.execution.actions == ()
        assert f"incident {claimed.incident.key} is acting on Deployment/{SERVICE}" in outcome.status.execution.held_because

    async def test_second_is_judged_anew_after_the_first(self, claimed: World) -> None:
        held = await claimed.runner.advance(claimed.incidents.stored[NAMESPACE, "other"])
        await claimed.steps()
        claimed.past.learn(claimed.incident)
        claimed.past.release(claimed.incident.key)
        other = claimed.incidents.stored[NAMESPACE, "other"].model_copy(update={"status": held.status})
        outcome = await claimed.runner.advance(other)
        assert isinstance(outcome, outcomes.Record)
        assert outcome.status.gate is not None
        assert held.status.gate is not None
        assert outcome.status.gate.plan_digest != held.status.gate.plan_digest
