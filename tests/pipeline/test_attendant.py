"""The attendant: what is put on record and how often, how long it waits, and that no incident is ever lost."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest

from safety_governor.api import conditions
from safety_governor.domain import errors
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import attendant, cases, outcomes, runner
from safety_governor.pipeline.stages import execute
from support.builders import CONTRADICTIONS, NAME, NAMESPACE, SERVICE, World, an_incident
from support.fakes import NOON, in_fake_time

HOUR = 3600.0


class Raising:
    """A stage in which something goes wrong."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, case: cases.Case) -> outcomes.Outcome:
        raise self._error


class RaisingExecute(execute.Execute):
    """The same where the cluster may have been touched."""

    async def run(self, case: cases.Case) -> NoReturn:
        raise KeyError("replicas")


def attend(world: World, *, seconds: float = HOUR, at: dict[float, Callable[[], object]] | None = None) -> bool:
    """Attend the incident for so long. At the given seconds something happens, and the incident is woken. Whether it came to its end."""
    at_work = attendant.Attendant(incidents=world.incidents, runner=world.runner, clock=world.clock, past=world.past)
    ended = False

    async def main() -> None:
        nonlocal ended
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        for moment, happens in (at or {}).items():
            loop.call_at(moment, happens)
            loop.call_at(moment, woken.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(at_work.attend(NAMESPACE, NAME, woken), timeout=seconds)
            ended = True

    in_fake_time(world.clock, main())
    return ended


def condition(world: World, kind: conditions.Type) -> conditions.Condition:
    found = conditions.find(world.status.conditions, kind)
    assert found is not None
    return found


def recording_reads(world: World) -> list[float]:
    """When the incident is read, in seconds since noon."""
    times: list[float] = []
    find = world.incidents.find

    async def find_and_note(namespace: str, name: str) -> object:
        times.append((world.clock.now() - NOON).total_seconds())
        return await find(namespace, name)

    world.incidents.find = find_and_note  # type: ignore[method-assign,assignment]
    return times


class TestWrites:
    def test_clean_incident_takes_two_and_one_event(self, world: World) -> None:
        assert attend(world)
        assert [one.phase for one in world.incidents.writes] == [Phase.EXECUTING, Phase.RESOLVED]
        assert world.incidents.events == [("GateExecute", "NoFindings: no finding speaks against it", False)]

    def test_approved_incident_takes_three_and_one_event(self, contradicted: World) -> None:
        assert attend(contradicted, at={60: lambda: contradicted.decide("APPROVE")})
        assert [one.phase for one in contradicted.incidents.writes] == [Phase.AWAITING_APPROVAL, Phase.EXECUTING, Phase.RESOLVED]
        assert [(reason, warning) for reason, _, warning in contradicted.incidents.events] == [("GateBlockAndEscalate", True)]

    def test_slow_rollout_takes_one_more_however_long_it_is(self, world: World) -> None:
        world.workloads.slow = True
        assert attend(world, at={300: lambda: world.workloads.progress(SERVICE, updated=1)})
        assert [one.phase for one in world.incidents.writes] == [Phase.EXECUTING, Phase.VERIFYING, Phase.RESOLVED]

    def test_held_incident_takes_one_however_long_it_is_held(self, world: World) -> None:
        world.rails.change(suspend=True)
        assert not attend(world)
        assert len(world.incidents.writes) == 1

    def test_waking_for_nothing_takes_none(self, contradicted: World) -> None:
        attend(contradicted, seconds=60, at={float(second): lambda: None for second in range(1, 50)})
        assert len(contradicted.incidents.writes) == 1

    def test_new_decision_after_a_refusal_is_announced_again(self, world: World) -> None:
        world.report(severity="critical")
        attend(world, seconds=120, at={60: lambda: world.decide("APPROVE")})
        assert [reason for reason, _, _ in world.incidents.events] == ["GateBlockAndEscalate", "GateBlockAndEscalate"]

    def test_finished_incident_is_read_once_and_left_alone(self, world: World) -> None:
        attend(world)
        world.incidents.reads.clear()
        world.incidents.writes.clear()
        assert attend(world)
        assert (len(world.incidents.reads), world.incidents.writes) == (1, [])

    def test_deleted_incident_ends_the_task(self, contradicted: World) -> None:
        assert attend(contradicted, at={60: contradicted.incidents.stored.clear})

    def test_generation_that_was_seen_is_on_record(self, contradicted: World) -> None:
        attend(contradicted, seconds=60)
        assert contradicted.status.observed_generation == contradicted.incident.metadata.generation


class TestWaiting:
    def test_question_expires_on_time_without_being_woken(self, contradicted: World) -> None:
        assert attend(contradicted)
        assert contradicted.status.phase == Phase.EXPIRED
        assert timedelta(minutes=30) <= contradicted.clock.now() - NOON <= timedelta(minutes=30, seconds=2)

    def test_question_expires_on_time_although_the_store_is_down(self, contradicted: World) -> None:
        def approve_and_go_down() -> None:
            contradicted.decide("APPROVE")
            contradicted.workloads.down = "the API server does not answer"

        assert attend(contradicted, at={1200: approve_and_go_down})
        assert contradicted.status.phase == Phase.EXPIRED
        assert contradicted.clock.now() - NOON <= timedelta(minutes=30, seconds=2)

    def test_approval_that_grows_old_while_nothing_answers_is_refused_and_asked_for_anew(self, contradicted: World) -> None:
        def approve_and_go_down() -> None:
            contradicted.decide("APPROVE")
            contradicted.workloads.down = "the API server does not answer"

        attend(contradicted, at={60: approve_and_go_down, 1500: lambda: setattr(contradicted.workloads, "down", "")}, seconds=1700)
        assert contradicted.status.phase == Phase.AWAITING_APPROVAL
        assert contradicted.status.approval is not None
        assert "more than 15 minutes ago" in contradicted.status.approval.refusals[0].why
        assert contradicted.workloads.effects == []

    def test_held_incident_is_looked_at_every_minute_although_nobody_wakes_it(self, world: World) -> None:
        world.rails.change(suspend=True)
        times = recording_reads(world)
        attend(world, seconds=301)
        assert len(times) == 6

    def test_held_incident_goes_on_at_once_when_it_is_woken(self, world: World) -> None:
        world.rails.change(suspend=True)
        assert attend(world, at={40: lambda: world.rails.change(suspend=False)})
        assert world.status.phase == Phase.RESOLVED
        assert world.clock.now() - NOON < timedelta(seconds=41)


class TestConflict:
    def test_on_the_verdict_is_read_again_and_decided_again(self, world: World) -> None:
        world.incidents.failures = [errors.ConflictError("changed")]
        assert attend(world)
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    def test_with_an_abort_ends_the_incident_untouched(self, world: World) -> None:
        advance = world.runner.advance

        async def advance_and_be_overtaken(incident: object, *, give_up_reading: bool = False) -> outcomes.Outcome:
            outcome = await advance(incident, give_up_reading=give_up_reading)  # type: ignore[arg-type]
            if isinstance(outcome, outcomes.Record):
                world.change(abort=True)
            return outcome

        world.runner.advance = advance_and_be_overtaken  # type: ignore[method-assign]
        assert attend(world)
        assert world.status.phase == Phase.ABORTED
        assert world.workloads.effects == []

    def test_on_the_result_does_not_act_again(self, world: World) -> None:
        write = world.incidents.record_status
        refuse = [errors.ConflictError("changed")]

        async def write_and_conflict(incident: object, status: object) -> object:
            if getattr(status, "phase", "") == Phase.RESOLVED and refuse:
                raise refuse.pop()
            return await write(incident, status)  # type: ignore[arg-type]

        world.incidents.record_status = write_and_conflict  # type: ignore[method-assign,assignment]
        assert attend(world)
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1


class TestStalled:
    def test_incident_says_for_what_it_waits(self, world: World) -> None:
        world.agent.down = "the agent does not answer"
        assert not attend(world, seconds=60)
        stalled = condition(world, conditions.Type.STALLED)
        assert (stalled.status, stalled.reason, stalled.message) == ("True", "AgentUnavailable", "the agent does not answer")
        assert len(world.incidents.writes) == 1

    def test_incident_no_longer_says_so_when_it_goes_on(self, world: World) -> None:
        world.agent.down = "the agent does not answer"
        assert attend(world, at={60: lambda: setattr(world.agent, "down", "")})
        assert world.status.phase == Phase.RESOLVED
        assert condition(world, conditions.Type.STALLED).status == "False"

    def test_pauses_grow_up_to_a_minute(self, world: World) -> None:
        world.agent.down = "the agent does not answer"
        times = recording_reads(world)
        attend(world, seconds=400)
        pauses = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
        assert pauses[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_pause_is_at_least_as_long_as_the_server_asked_for(self, world: World) -> None:
        world.workloads.down = "too many requests"
        times = recording_reads(world)
        attend(world, seconds=20)
        assert [round(one) for one in times] == [0, 7, 14]

    def test_pauses_start_again_after_an_answer(self, world: World) -> None:
        world.rails.change(suspend=True)
        times = recording_reads(world)

        def switch(down: str) -> Callable[[], None]:
            return lambda: setattr(world.workloads, "down", down)

        attend(world, seconds=100, at={5: switch("down"), 20: switch(""), 45: switch("down")})
        # The server asks for 7 seconds; the second outage starts with 7 again although the first had grown beyond.
        after = [round(one) for one in times if one >= 45]
        assert after[:2] == [45, 52]

    def test_incident_that_cannot_be_read_is_read_again(self, world: World) -> None:
        world.incidents.unreadable = [errors.ClusterUnavailableError("down", retry_after=30)]
        assert attend(world)
        assert world.status.phase == Phase.RESOLVED
        assert world.clock.now() - NOON >= timedelta(seconds=30)

    def test_people_are_asked_when_patience_is_at_its_end(self, world: World) -> None:
        self._go_down_after_the_plan(world)
        attend(world, seconds=300)
        assert world.status.phase == Phase.AWAITING_APPROVAL
        assert world.status.gate is not None
        assert "EvidenceUnknown" in world.status.gate.reason
        assert timedelta(minutes=2) <= self._gated_at(world) - NOON <= timedelta(minutes=4)

    def test_nobody_is_asked_while_there_is_patience(self, world: World) -> None:
        self._go_down_after_the_plan(world)
        attend(world, seconds=115)
        assert world.status.plan is not None
        assert world.status.gate is None

    def test_guard_that_is_missing_is_announced_once_and_asked_every_few_seconds(self, contradicted: World) -> None:
        contradicted.guard.why = "the policy is missing"
        attend(contradicted, seconds=300, at={60: lambda: contradicted.decide("APPROVE")})
        reasons = [reason for reason, _, _ in contradicted.incidents.events]
        assert reasons == ["GateBlockAndEscalate", "ApprovalGuardMissing"]
        assert condition(contradicted, conditions.Type.STALLED).reason == "ApprovalGuardMissing"

    @staticmethod
    def _go_down_after_the_plan(world: World) -> None:
        """The store goes away between the plan and the evidence."""
        search = world.knowledge.search_evidence

        async def down(*args: object, **options: object) -> object:
            world.knowledge.down = "the store does not answer"
            return await search(*args, **options)  # type: ignore[arg-type]

        world.knowledge.search_evidence = down  # type: ignore[method-assign,assignment]

    @staticmethod
    def _gated_at(world: World) -> datetime:
        assert world.status.gate is not None
        return world.status.gate.decided_at


class TestFailed:
    def test_error_that_is_final_ends_the_incident_with_its_text(self, world: World) -> None:
        self._break_gate(world, errors.ClusterRefusedError("the operator may not read deployments"))
        assert attend(world)
        assert world.status.phase == Phase.FAILED
        assert condition(world, conditions.Type.SUCCEEDED).message == "the operator may not read deployments"
        assert condition(world, conditions.Type.STALLED).reason == "NeedsAPerson"

    def test_error_that_nobody_foresaw_ends_the_incident_with_its_text(self, world: World) -> None:
        self._break_gate(world, ZeroDivisionError("division by zero"))
        assert attend(world)
        assert world.status.phase == Phase.FAILED
        assert "ZeroDivisionError: division by zero" in condition(world, conditions.Type.SUCCEEDED).message

    def test_error_that_nobody_foresaw_is_tried_again_a_few_times_first(self, world: World) -> None:
        gate, failures = world.stages.gate, [ZeroDivisionError("division by zero") for _ in range(attendant.TRIES)]

        class Passing:
            async def run(self, case: cases.Case) -> outcomes.Outcome:
                if failures:
                    raise failures.pop()
                return await gate.run(case)

        world.runner = runner.Runner(stages=dataclasses.replace(world.stages, gate=Passing()), clock=world.clock)
        assert attend(world)
        assert world.status.phase == Phase.RESOLVED

    def test_status_that_the_definitions_do_not_know_ends_the_incident_untouched(self, world: World) -> None:
        world.incidents.failures = [errors.InvalidStatusError('unknown field "status.gate.parts"')]
        assert attend(world)
        assert world.status.phase == Phase.FAILED
        assert 'crds/ as new as the operator? unknown field "status.gate.parts"' in condition(world, conditions.Type.SUCCEEDED).message
        assert world.workloads.effects == []

    def test_result_that_the_definitions_do_not_know_is_left_to_a_person(self, world: World) -> None:
        write = world.incidents.record_status

        async def refuse_results(incident: object, status: object) -> object:
            if getattr(status, "verification", None) is not None:
                raise errors.InvalidStatusError("too long")
            return await write(incident, status)  # type: ignore[arg-type]

        world.incidents.record_status = refuse_results  # type: ignore[method-assign,assignment]
        assert attend(world)
        assert world.status.phase == Phase.INDETERMINATE
        assert len(world.workloads.effects) == 1

    def test_error_while_the_cluster_may_have_been_touched_is_left_to_a_person(self, world: World) -> None:
        broken = RaisingExecute(
            targets=world.workloads,
            actuator=world.workloads,
            guard=world.guarded,
            fence=world.fence,
            journal=world.journal,
        )
        world.runner = runner.Runner(stages=dataclasses.replace(world.stages, execute=broken), clock=world.clock)
        assert attend(world)
        assert world.status.phase == Phase.INDETERMINATE
        assert "KeyError" in condition(world, conditions.Type.SUCCEEDED).message

    @pytest.mark.parametrize("error", [errors.ClusterRefusedError("status is too large"), errors.ClusterUnavailableError("down")])
    def test_status_that_is_not_taken_loses_nothing(self, error: Exception, world: World) -> None:
        world.incidents.failures = [error]
        assert attend(world)
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    def test_status_that_is_never_taken_touches_nothing(self, world: World) -> None:
        world.incidents.failures = [errors.ClusterRefusedError("forbidden") for _ in range(1000)]
        assert not attend(world)
        assert world.workloads.effects == []
        assert len(world.incidents.reads) <= 61

    @staticmethod
    def _break_gate(world: World, error: Exception) -> None:
        world.runner = runner.Runner(stages=dataclasses.replace(world.stages, gate=Raising(error)), clock=world.clock)


def test_so_many_incidents_at_once_and_no_more() -> None:
    world = World()
    for number in range(6):
        one = an_incident()
        world.incidents.put(one.model_copy(update={"metadata": one.metadata.model_copy(update={"name": f"slow-{number}"})}))
    running, most = 0, 0
    advance = world.runner.advance

    async def advance_slowly(incident: object, *, give_up_reading: bool = False) -> outcomes.Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return await advance(incident, give_up_reading=give_up_reading)  # type: ignore[arg-type]

    world.runner.advance = advance_slowly  # type: ignore[method-assign]
    at_work = attendant.Attendant(incidents=world.incidents, runner=world.runner, clock=world.clock, past=world.past, at_once=2)

    async def main() -> None:
        await asyncio.gather(*(at_work.attend(NAMESPACE, f"slow-{number}", asyncio.Event()) for number in range(6)))

    in_fake_time(world.clock, main())
    assert most == 2
    assert NAME not in world.incidents.reads


class TestMemory:
    """What others are told about this incident while it is attended."""

    def test_incident_that_is_deleted_while_it_acts_lets_its_target_go(self, world: World) -> None:
        world.workloads.slow = True
        assert attend(world, at={60: world.incidents.stored.clear})
        assert len(world.workloads.effects) == 1
        assert self._guards(world) == ["Cooldown"]

    def test_claim_whose_answer_was_lost_is_known_and_carried_out_once(self, world: World) -> None:
        write, lost = world.incidents.record_status, [errors.ClusterUnavailableError("timeout")]

        async def write_and_lose(*args: Any) -> Any:
            written = await write(*args)
            if lost:
                raise lost.pop()
            return written

        world.incidents.record_status = write_and_lose  # type: ignore[method-assign,assignment]
        world.workloads.slow = True
        attend(world, seconds=10)
        assert (len(world.workloads.effects), self._guards(world)) == (1, ["InFlight"])
        shown = world.past.standing(world.rails.policies["default"], namespace=NAMESPACE, now=world.clock.now())
        assert shown.actions_last_hour == 1

    def test_claim_that_could_not_be_written_keeps_nobody_away_while_people_are_asked(self, world: World) -> None:
        world.incidents.failures = [errors.ConflictError("somebody wrote first")]

        def contradict() -> None:
            world.knowledge.put(*CONTRADICTIONS)

        find = world.incidents.find

        async def find_later(namespace: str, name: str) -> Any:
            if len(world.incidents.reads) == 1:
                contradict()
            return await find(namespace, name)

        world.incidents.find = find_later  # type: ignore[method-assign]
        attend(world, seconds=600)
        assert (world.status.phase, world.incidents.failures) == (Phase.AWAITING_APPROVAL, [])
        assert self._guards(world) == []

    def test_step_that_is_held_halfway_costs_one_write_however_long_it_is_held(self, world: World) -> None:
        world.remedy({"type": "RolloutRestart"}, {"type": "Scale", "parameters": {"replicas": "3"}})
        act = world.workloads.act

        async def act_and_freeze(*args: Any) -> None:
            await act(*args)
            world.rails.change(suspend=True)

        world.workloads.act = act_and_freeze  # type: ignore[method-assign,assignment]
        assert not attend(world, seconds=800)
        assert len(world.incidents.writes) == 2
        assert attend(world)
        assert (world.status.phase, len(world.incidents.writes), len(world.workloads.effects)) == (Phase.INDETERMINATE, 3, 1)

    @staticmethod
    def _guards(world: World) -> list[str]:
        rules = world.rails.policies["default"]
        target = world.incidents.stored[NAMESPACE, NAME].target if world.incidents.stored else an_incident().target
        found = world.past.judge(rules, namespace=NAMESPACE, target=target, incident="shop/other", now=world.clock.now())
        return [one.guard.value for one in found]
