"""What stalls says why, keeps what is on record, and goes on from there; a restart of the operator changes nothing."""

import pytest

from safety_governor.api import v1alpha1
from safety_governor.domain import values
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import cases, outcomes, runner
from support.builders import CONTRADICTIONS, NAME, NAMESPACE, World

DOWN = "the store does not answer"


def restarted(world: World, status: v1alpha1.IncidentStatus) -> World:
    """Another operator process over the same cluster and store, with an agent of its own; the incident as the API server keeps it."""
    kept = v1alpha1.IncidentStatus.model_validate_json(status.model_dump_json())
    fresh = World()
    for part in ("clock", "knowledge", "workloads", "rails"):
        for name, value in vars(getattr(world, part)).items():
            setattr(getattr(fresh, part), name, value)
    fresh.incidents.put(world.incident.model_copy(update={"status": kept}))
    return fresh


class TestStall:
    async def test_while_planning_keeps_nothing_and_asks_the_agent_again(self, world: World) -> None:
        world.agent.down = "the agent does not answer"
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, outcome.message) == ("AgentUnavailable", "the agent does not answer")
        assert (world.status.phase, world.status.plan) == (Phase.PLANNING, None)
        world.agent.down = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED

    async def test_while_resolving_the_plan_records_no_plan(self, world: World) -> None:
        world.knowledge.down = DOWN
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, outcome.message) == ("KnowledgeUnavailable", DOWN)
        assert world.status.plan is None

    async def test_while_stressing_keeps_the_plan_and_does_not_ask_for_it_again(self, world: World) -> None:
        await self._stall_after_plan(world)
        assert world.status.plan is not None
        assert world.status.stress is None
        world.knowledge.down = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert world.agent.asked.count("plan") == 1

    async def test_while_gating_keeps_plan_and_stress_and_asks_the_agent_nothing(self, world: World) -> None:
        world.workloads.down = "the API server does not answer"
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Stall)
        assert (outcome.reason, outcome.retry_after) == ("ClusterUnavailable", 7)
        assert (world.status.phase, world.status.gate) == (Phase.STRESSING, None)
        world.workloads.down = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert world.agent.asked == ["plan", "stress"]

    async def test_of_the_target_while_acting_keeps_the_claim(self, world: World) -> None:
        await world.step()
        world.workloads.down = "the API server does not answer"
        assert isinstance(await world.step(), outcomes.Stall)
        assert world.status.phase == Phase.EXECUTING
        world.workloads.down = ""
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    async def test_of_the_recheck_keeps_the_question_and_the_approval(self, contradicted: World) -> None:
        await contradicted.step()
        contradicted.decide("APPROVE")
        contradicted.knowledge.down = DOWN
        before = contradicted.status
        assert isinstance(await contradicted.step(), outcomes.Stall)
        assert contradicted.status == before
        contradicted.knowledge.down = ""
        await contradicted.steps()
        assert contradicted.status.phase == Phase.RESOLVED

    @staticmethod
    async def _stall_after_plan(world: World) -> None:
        planned = await world.stages.plan.run(_case(world))
        world.incidents.put(world.incident.model_copy(update={"status": planned.status}))
        world.knowledge.down = DOWN
        assert isinstance(await world.step(), outcomes.Stall)


def _case(world: World) -> cases.Case:
    return cases.Case(incident=world.incident, status=world.status, now=world.clock.now())


class TestUnknownEvidence:
    """The store is down for longer than people should wait for it."""

    @pytest.fixture
    async def unknown(self, world: World) -> World:
        planned = await world.stages.plan.run(_case(world))
        world.incidents.put(world.incident.model_copy(update={"status": planned.status}))
        world.knowledge.down = DOWN
        await world.step(give_up_reading=True)
        return world

    async def test_is_recorded_as_unknown_and_people_are_asked_to_override(self, unknown: World) -> None:
        gate, stress = unknown.status.gate, unknown.status.stress
        assert gate is not None
        assert stress is not None
        assert (stress.ledger, stress.contradiction_count, stress.evidence_coverage, stress.policies) == (None, None, None, None)
        assert DOWN in stress.unknowns
        assert gate.reason == "PolicyUnknown,EvidenceUnknown,AuthorityFabricated"
        assert (unknown.status.phase, gate.required_approval) == (Phase.AWAITING_APPROVAL, values.Release.FORCE_OVERRIDE)

    async def test_is_executed_by_an_override_while_the_store_is_still_down(self, unknown: World) -> None:
        unknown.decide("FORCE_OVERRIDE")
        await unknown.steps()
        assert unknown.status.phase == Phase.RESOLVED
        assert unknown.status.stress is not None
        assert unknown.status.stress.ledger is None
        assert unknown.status.gate is not None
        assert "EvidenceUnknown" in unknown.status.gate.reason
        assert len(unknown.workloads.effects) == 1

    async def test_stays_the_question_while_the_store_is_down(self, unknown: World) -> None:
        asked = unknown.status
        outcome = await unknown.step()
        assert isinstance(outcome, outcomes.Wait)
        assert outcome.until - unknown.clock.now() == runner.LOOK_AGAIN
        assert unknown.status == asked

    async def test_is_asked_about_anew_as_soon_as_the_store_is_back(self, unknown: World) -> None:
        attempt = unknown.status.attempt
        unknown.knowledge.down = ""
        unknown.knowledge.put(*CONTRADICTIONS)
        await unknown.steps()
        assert unknown.status.gate is not None
        assert (unknown.status.gate.reason, unknown.status.attempt) == ("ContradictionsReached", attempt + 1)
        assert unknown.status.phase == Phase.AWAITING_APPROVAL

    async def test_needs_nobody_when_the_store_is_back_and_nothing_speaks_against_it(self, unknown: World) -> None:
        unknown.knowledge.down = ""
        await unknown.steps()
        assert unknown.status.phase == Phase.RESOLVED

    async def test_refuses_a_mere_approval(self, unknown: World) -> None:
        unknown.decide("APPROVE")
        await unknown.step(give_up_reading=True)
        assert unknown.status.phase == Phase.AWAITING_APPROVAL
        assert unknown.status.approval is not None
        assert "FORCE_OVERRIDE" in unknown.status.approval.refusals[0].why

    async def test_voids_the_override_when_the_store_is_back_and_contradicts(self, unknown: World) -> None:
        unknown.knowledge.down = ""
        unknown.knowledge.put(*CONTRADICTIONS)
        unknown.decide("FORCE_OVERRIDE")
        await unknown.steps()
        assert unknown.status.phase == Phase.AWAITING_APPROVAL
        assert unknown.status.approval is not None
        assert "evidence changed" in unknown.status.approval.refusals[0].why
        assert unknown.status.stress is not None
        assert unknown.status.stress.contradiction_count == 2
        assert unknown.workloads.effects == []


class TestRestart:
    async def test_after_every_pass_of_a_clean_incident_touches_the_target_once(self, world: World) -> None:
        for _ in range(10):
            await world.step()
            world.clock.advance(seconds=1)
            world = restarted(world, world.status)
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    async def test_after_every_pass_of_an_approved_incident_touches_the_target_once(self, contradicted: World) -> None:
        world = contradicted
        await world.step()
        world.decide("APPROVE")
        for _ in range(10):
            world = restarted(world, world.status)
            await world.step()
            world.clock.advance(seconds=1)
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    async def test_before_the_verdict_was_recorded_decides_the_same(self, contradicted: World) -> None:
        lost = await contradicted.runner.advance(contradicted.incident)
        kept = await restarted(contradicted, contradicted.status).runner.advance(contradicted.incident)
        assert kept == lost

    async def test_after_the_effect_and_before_its_record_does_not_act_again(self, world: World) -> None:
        await world.step()
        claimed = world.status
        await world.step()
        again = restarted(world, claimed)
        await again.steps()
        assert again.status.phase == Phase.RESOLVED
        assert len(again.workloads.effects) == 1

    async def test_with_an_older_verdict_of_the_same_world_claims_the_same_key(self, world: World) -> None:
        await world.step()
        assert world.status.execution is not None
        other = World()
        other.report()
        await other.step()
        assert other.status.execution is not None
        assert other.status.execution.actions[0].key == world.status.execution.actions[0].key

    async def test_under_another_uid_claims_another_key(self, world: World) -> None:
        await world.step()
        other = World()
        other.report()
        metadata = other.incident.metadata.model_copy(update={"uid": "uid-2"})
        other.incidents.stored[NAMESPACE, NAME] = other.incident.model_copy(update={"metadata": metadata})
        await other.step()
        assert world.status.execution is not None
        assert other.status.execution is not None
        assert other.status.execution.actions[0].key != world.status.execution.actions[0].key
