"""The runner walks the state machine: which outcome and which phase follow from where an incident stands."""

from collections.abc import Callable
from typing import Any

import pytest

from safety_governor.domain import lifecycle, values, verdicts
from safety_governor.domain.checks import Check
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import outcomes
from support.builders import ACTION, CONTRADICTIONS, POOL, SERVICE, World, a_plan_answer, a_policy, a_runbook, an_incident, evidence


def findings(world: World) -> list[str]:
    assert world.status.gate is not None
    return [one.check.value for one in world.status.gate.findings]


class TestCleanIncident:
    async def test_is_claimed_in_the_pass_that_decides(self, world: World) -> None:
        outcome = await world.step()
        assert isinstance(outcome, outcomes.Record)
        assert world.status.phase == Phase.EXECUTING
        assert world.workloads.effects == []

    async def test_is_acted_on_only_after_the_claim_is_on_record(self, world: World) -> None:
        await world.step()
        assert isinstance(await world.step(), outcomes.Wait)
        assert world.status.execution is not None
        assert world.workloads.effects == [world.status.execution.actions[0].key]

    async def test_is_resolved_when_the_rollout_is_proved(self, world: World) -> None:
        kinds = [type(one) for one in await world.steps()]
        assert kinds == [outcomes.Record, outcomes.Wait, outcomes.Halt]
        assert world.status.phase == Phase.RESOLVED

    async def test_asks_the_agent_once_for_each_answer(self, world: World) -> None:
        await world.steps()
        assert world.agent.asked == ["plan", "stress"]


def _forget_evidence(world: World) -> None:
    world.knowledge.documents.clear()
    world.knowledge.put(a_runbook())


def _require_logs(world: World) -> None:
    world.knowledge.log_lines = 0
    world.rails.change(require_telemetry=True)


def _forbid(world: World, **changes: Any) -> None:
    world.knowledge.put(a_policy(**changes))


WORLDS: dict[str, tuple[Callable[[World], None], dict[str, Any], str, str]] = {
    "nothing speaks against it": (lambda _: None, {}, "NoFindings", Phase.EXECUTING),
    "nothing speaks against it, but it is only observed": (lambda _: None, {"mode": "Observe"}, "NoFindings", Phase.OBSERVED),
    "two claims are contradicted": (
        lambda world: world.knowledge.put(*CONTRADICTIONS),
        {},
        "ContradictionsReached",
        Phase.AWAITING_APPROVAL,
    ),
    "one claim is contradicted": (lambda world: world.knowledge.put(CONTRADICTIONS[0]), {}, "NoFindings", Phase.EXECUTING),
    "it is contradicted and only observed": (
        lambda world: world.knowledge.put(*CONTRADICTIONS),
        {"mode": "Observe"},
        "ContradictionsReached",
        Phase.OBSERVED,
    ),
    "a policy forbids the action": (_forbid, {}, "PolicyForbidsAction", Phase.AWAITING_APPROVAL),
    "a policy forbids the type of a step": (
        lambda world: _forbid(world, blocked_actions=["rolloutrestart"]),
        {},
        "PolicyForbidsAction",
        Phase.AWAITING_APPROVAL,
    ),
    "a policy that nobody may act against forbids it": (
        lambda world: _forbid(world, release="Impossible"),
        {},
        "PolicyForbidsAction",
        Phase.BLOCKED,
    ),
    "a policy of another service forbids it": (lambda world: _forbid(world, service="cart"), {}, "NoFindings", Phase.EXECUTING),
    "it is critical": (lambda _: None, {"severity": "critical"}, "SeverityCritical", Phase.AWAITING_APPROVAL),
    "nothing is known about the claims": (
        _forget_evidence,
        {},
        "EvidenceInsufficient",
        Phase.AWAITING_APPROVAL,
    ),
    "the target does not exist": (lambda world: world.workloads.stored.clear(), {}, "ActionUnresolved", Phase.BLOCKED),
    "the namespace has not opted in": (lambda world: world.rails.policies.clear(), {}, "TargetProtected", Phase.BLOCKED),
    "the target is protected": (
        lambda world: world.rails.change(protected_targets=({"name": SERVICE},)),
        {},
        "TargetProtected",
        Phase.BLOCKED,
    ),
    "restarts are not allowed": (lambda world: world.rails.change(allowed_actions=()), {}, "TargetProtected", Phase.BLOCKED),
    "the API server refuses the dry run": (
        lambda world: setattr(world.workloads, "preview_refusal", "quota exceeded"),
        {},
        "TargetProtected",
        Phase.BLOCKED,
    ),
    "there are no live logs": (lambda world: setattr(world.knowledge, "log_lines", 0), {}, "NoFindings", Phase.EXECUTING),
    "there are no live logs and they are required": (
        _require_logs,
        {},
        "TelemetryUnknown",
        Phase.AWAITING_APPROVAL,
    ),
    "the agent knows no remedy": (
        lambda world: setattr(world.agent, "plan", a_plan_answer(None)),
        {},
        "NoFindings",
        Phase.HANDED_OVER,
    ),
    "no runbook knows the action": (
        lambda world: setattr(world.agent, "plan", a_plan_answer("drop-the-database")),
        {},
        "ActionUnresolved",
        Phase.BLOCKED,
    ),
    "only a proposed runbook knows the action": (
        lambda world: world.knowledge.put(a_runbook(state="proposed")),
        {},
        "ActionUnresolved",
        Phase.BLOCKED,
    ),
    "the steps are for people": (
        lambda world: world.knowledge.put(
            a_runbook(remediations=[{"action": ACTION, "steps": [{"type": "Manual", "text": "Ask the DBA team."}]}])
        ),
        {},
        "NoFindings",
        Phase.HANDED_OVER,
    ),
    "the remediation has more steps than one": (
        lambda world: world.knowledge.put(a_runbook(steps=2)),
        {},
        "NoFindings",
        Phase.EXECUTING,
    ),
    "a step lacks a parameter": (
        lambda world: world.knowledge.put(a_runbook(remediations=[{"action": ACTION, "steps": [{"type": "Scale"}]}])),
        {},
        "ActionUnresolved",
        Phase.BLOCKED,
    ),
}


@pytest.mark.parametrize(("arrange", "spec", "reason", "phase"), WORLDS.values(), ids=WORLDS.keys())
async def test_first_pass_when(arrange: Callable[[World], None], spec: dict[str, Any], reason: str, phase: str) -> None:
    world = World()
    arrange(world)
    world.report(**spec)
    outcome = await world.step()
    gate = world.status.gate
    assert gate is not None
    assert (reason in gate.reason, world.status.phase) == (True, phase), gate.reason
    assert isinstance(outcome, outcomes.Halt) == (phase in lifecycle.TERMINAL)
    assert world.workloads.effects == []


class TestPhase:
    @pytest.mark.parametrize("phase", sorted(lifecycle.TERMINAL))
    async def test_that_is_terminal_halts_and_reads_nothing(self, phase: str, world: World) -> None:
        world.knowledge.down = "must not be asked"
        incident = an_incident()
        finished = incident.model_copy(update={"status": incident.status.model_copy(update={"phase": phase})})
        outcome = await world.runner.advance(finished)
        assert (type(outcome), outcome.status) == (outcomes.Halt, finished.status)
        assert world.agent.asked == []

    @pytest.mark.parametrize("field", ["abort", "alert_resolved"])
    @pytest.mark.parametrize("phase", [Phase.PENDING, Phase.PLANNING, Phase.STRESSING])
    async def test_before_the_gate_is_aborted_at_once(self, phase: str, field: str, world: World) -> None:
        world.incidents.put(world.incident.model_copy(update={"status": world.status.model_copy(update={"phase": phase})}))
        world.change(**{field: True})
        assert isinstance(await world.step(), outcomes.Halt)
        assert world.status.phase == Phase.ABORTED
        assert world.agent.asked == []

    @pytest.mark.parametrize("field", ["abort", "alert_resolved"])
    async def test_awaiting_approval_is_aborted_in_spite_of_an_approval(self, field: str, contradicted: World) -> None:
        await contradicted.step()
        contradicted.decide("APPROVE")
        contradicted.change(**{field: True})
        await contradicted.steps()
        assert contradicted.status.phase == Phase.ABORTED
        assert contradicted.workloads.effects == []

    async def test_gated_and_held_is_aborted(self, world: World) -> None:
        world.rails.change(suspend=True)
        await world.step()
        assert world.status.phase == Phase.GATED
        world.change(abort=True)
        await world.step()
        assert world.status.phase == Phase.ABORTED

    @pytest.mark.parametrize("stop", [{"abort": True}, {"alert_resolved": True}, {"mode": values.Mode.OBSERVE}])
    async def test_executing_is_stopped_while_nothing_was_done(self, stop: dict[str, Any], world: World) -> None:
        await world.step()
        world.change(**stop)
        await world.steps()
        assert world.status.phase == (Phase.OBSERVED if "mode" in stop else Phase.ABORTED)
        assert world.workloads.effects == []

    @pytest.mark.parametrize("stop", [{"abort": True}, {"alert_resolved": True}, {"mode": values.Mode.OBSERVE}])
    async def test_executing_is_finished_once_something_was_done(self, stop: dict[str, Any], world: World) -> None:
        await world.step()
        await world.step()
        world.change(**stop)
        await world.steps()
        assert world.status.phase == Phase.RESOLVED
        assert len(world.workloads.effects) == 1

    async def test_awaiting_approval_is_observed_once_the_mode_says_so(self, contradicted: World) -> None:
        await contradicted.step()
        contradicted.decide("APPROVE")
        contradicted.change(mode=values.Mode.OBSERVE)
        await contradicted.steps()
        assert contradicted.status.phase == Phase.OBSERVED
        assert contradicted.workloads.effects == []

    async def test_held_is_observed_once_the_mode_says_so(self, world: World) -> None:
        world.rails.change(suspend=True)
        await world.step()
        world.change(mode=values.Mode.OBSERVE)
        await world.steps()
        assert world.status.phase == Phase.OBSERVED

    async def test_awaiting_approval_waits_until_the_question_expires(self, contradicted: World) -> None:
        await contradicted.step()
        outcome = await contradicted.step()
        assert isinstance(outcome, outcomes.Wait)
        contradicted.clock.at = outcome.until
        assert isinstance(await contradicted.step(), outcomes.Halt)
        assert contradicted.status.phase == Phase.EXPIRED

    async def test_that_does_not_change_leaves_the_status_as_it_is(self, contradicted: World) -> None:
        await contradicted.step()
        before = contradicted.status
        contradicted.clock.advance(seconds=30)
        await contradicted.step()
        assert contradicted.status == before


class TestGate:
    async def test_keeps_every_finding_in_fixed_order(self, contradicted: World) -> None:
        contradicted.knowledge.put(a_policy())
        contradicted.change(severity=values.Severity.CRITICAL)
        contradicted.rails.change(protected_targets=({"name": SERVICE},))
        await contradicted.step()
        expected = [Check.TARGET_PROTECTED, Check.POLICY_FORBIDS_ACTION, Check.CONTRADICTIONS_REACHED, Check.SEVERITY_CRITICAL]
        assert findings(contradicted) == [one.value for one in expected]

    async def test_names_measured_value_and_threshold(self, contradicted: World) -> None:
        await contradicted.step()
        assert contradicted.status.gate is not None
        finding = contradicted.status.gate.findings[0]
        assert (finding.measured, finding.threshold) == ("2", "< 2")

    async def test_follows_a_stricter_threshold(self) -> None:
        world = World(contradictions=1)
        world.knowledge.put(CONTRADICTIONS[0])
        world.report()
        await world.step()
        assert findings(world) == ["ContradictionsReached"]

    async def test_records_the_loss_of_confidence(self, contradicted: World) -> None:
        await contradicted.step()
        gate = contradicted.status.gate
        assert gate is not None
        # 8 - 2 * 0.9, and 1.5 more for two contradictions.
        assert (gate.confidence, gate.confidence_delta) == ("8.0->4.7", -3.3)

    async def test_asks_two_people_where_the_namespace_wants_it(self, contradicted: World) -> None:
        contradicted.rails.change(approval={"two_person_rule": ("APPROVE",)})
        await contradicted.step()
        assert contradicted.status.approval is not None
        assert contradicted.status.approval.summary == "APPROVE needed by two people"

    async def test_asks_for_as_long_as_the_namespace_allows(self, contradicted: World) -> None:
        contradicted.rails.change(approval={"expires_after_seconds": 60})
        await contradicted.step()
        assert contradicted.status.gate is not None
        assert contradicted.status.gate.expires_at == "2026-03-01T12:01:01Z"

    async def test_gives_the_same_digest_to_the_same_world(self) -> None:
        digests = set()
        for _ in range(2):
            world = World()
            world.knowledge.put(*CONTRADICTIONS)
            world.report()
            await world.step()
            assert world.status.gate is not None
            digests.add(world.status.gate.plan_digest)
        assert len(digests) == 1

    async def test_shows_an_extract_when_nothing_is_disputed(self, world: World) -> None:
        await world.step()
        assert world.status.compress is not None
        assert POOL in world.status.compress.extract

    async def test_decides_without_asking_the_agent_a_third_time(self, contradicted: World) -> None:
        await contradicted.step()
        contradicted.decide("APPROVE")
        await contradicted.steps()
        assert contradicted.agent.asked == ["plan", "stress"]


async def test_general_evidence_counts_for_every_service(world: World) -> None:
    world.knowledge.put(*(one.model_copy(update={"service": "*"}) for one in CONTRADICTIONS))
    await world.step()
    assert world.status.gate is not None
    assert world.status.gate.decision is verdicts.Decision.BLOCK_AND_ESCALATE


async def test_evidence_of_another_service_counts_for_nothing(world: World) -> None:
    world.knowledge.put(*(evidence(one.id, one.text, stance="contradicts", service="cart") for one in CONTRADICTIONS))
    await world.step()
    assert world.status.stress is not None
    assert world.status.stress.contradiction_count == 0
