"""What the trail is told of incidents: before it is on record, once, with what was judged, and never in a decision's way."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from safety_governor.api import v1alpha1
from safety_governor.domain import checks, documents, errors, policies, verdicts
from safety_governor.domain.audit import chain, events, figures, replay
from safety_governor.domain.audit.events import Kind, Position, Stream
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import agent_runs, attendant, auditing
from safety_governor.pipeline.stages import plan, stress
from support.builders import CONTRADICTIONS, NAME, NAMESPACE, World, an_incident
from support.fakes import NOON, in_fake_time


class FakeTrail:
    """Keeps each event once; `down` while nothing can be written."""

    def __init__(self, world: World) -> None:
        self.kept: dict[str, events.Event] = {}
        self.waiting: list[events.Event] = []
        self.down = False
        self.heard: list[str] = []
        """Ids of all that it was told, also of what it had already."""
        self.written_when: list[int] = []
        self._world = world

    async def append(self, happened: Sequence[events.Event]) -> Position | None:
        self.waiting += happened
        self.heard += [one.id for one in happened]
        if self.down:
            return None
        self.written_when.append(len(self._world.incidents.writes))
        for one in self.waiting:
            self.kept.setdefault(one.id, one)
        self.waiting.clear()
        return Position(seq=len(self.kept), hash=chain.sha256(str(len(self.kept)).encode()))

    def holds(self, position: Position) -> bool:
        return position.seq <= len(self.kept)

    def note(self, event: events.Event) -> None:
        self.kept.setdefault(event.id, event)

    def of(self, *kinds: Kind) -> list[events.Event]:
        return [one for one in self.kept.values() if one.kind in kinds]

    @property
    def kinds(self) -> list[str]:
        return [one.kind.value for one in self.kept.values() if one.stream is Stream.WORKFLOW_EVENTS]


@pytest.fixture
def trail(world: World) -> FakeTrail:
    return FakeTrail(world)


def attend(world: World, trail: FakeTrail, *, seconds: float = 3600, at: dict[float, Any] | None = None) -> None:
    """As a fresh process does."""
    judgements = auditing.Judgements()
    agent = agent_runs.RecordedAgent(world.agent, trail=trail, clock=world.clock)
    world.stages.gate._on_judged = judgements.remember  # type: ignore[attr-defined]
    assert isinstance(world.stages.plan, plan.Plan)
    assert isinstance(world.stages.stress, stress.Stress)
    world.stages.plan._agent = agent
    world.stages.stress._agent = agent
    chronicler = auditing.Chronicler(trail, clock=world.clock, judgements=judgements)
    at_work = attendant.Attendant(
        incidents=world.incidents,
        runner=world.runner,
        clock=world.clock,
        past=world.past,
        chronicler=chronicler,
    )

    async def main() -> None:
        for incident in await world.incidents.list_all():
            await chronicler.catch_up(incident)
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        for moment, happens in (at or {}).items():
            loop.call_at((world.clock.now() - NOON).total_seconds() + moment, happens)
            loop.call_at((world.clock.now() - NOON).total_seconds() + moment, woken.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(at_work.attend(NAMESPACE, NAME, woken), timeout=seconds)

    in_fake_time(world.clock, main())


def test_clean_incident_is_told_in_order_and_anchored_in_the_writes_that_there_are_anyway(world: World, trail: FakeTrail) -> None:
    attend(world, trail)
    assert world.status.phase == Phase.RESOLVED
    assert trail.kinds == ["Reported", "Planned", "Stressed", "Gated", "Claimed", "ActionEnded", "Ended"]
    # As many writes as without a trail, each told of before it was made.
    assert len(world.incidents.writes) == 2
    assert trail.written_when == [0, 1]
    assert [one.audit.seq for one in world.incidents.writes if one.audit] == sorted(
        {one.audit.seq for one in world.incidents.writes if one.audit}
    )
    assert world.status.audit is not None
    assert {one.uid for one in trail.kept.values()} == {world.incident.metadata.uid}


def test_agent_runs_and_scores_are_told_in_streams_of_their_own(world: World, trail: FakeTrail) -> None:
    attend(world, trail)
    runs = [(one.incident, one.data["question"]) for one in trail.of(Kind.AGENT_ASKED)]
    assert runs == [(f"{NAMESPACE}/{NAME}", "plan"), (f"{NAMESPACE}/{NAME}", "stress")]
    (scored,) = trail.of(Kind.SCORED)
    assert (scored.stream, scored.data["confidencePost"]) == (
        Stream.RELIABILITY_METRICS,
        world.status.gate and world.status.gate.confidence_post,
    )


def test_answer_that_cannot_be_used_is_recorded_with_what_is_wrong(world: World, trail: FakeTrail) -> None:
    world.agent.plan = "let me think"
    attend(world, trail)
    assert "not JSON" in str(trail.of(Kind.AGENT_ASKED)[0].data["problem"])


def test_blocked_and_approved_incident_is_told_with_the_question_and_the_answer(contradicted: World) -> None:
    trail = FakeTrail(contradicted)
    attend(contradicted, trail, at={60: lambda: contradicted.decide("APPROVE")})
    assert trail.kinds == [
        *("Reported", "Planned", "Stressed", "Gated", "ApprovalAsked"),
        *("ApprovalHonoured", "Claimed", "ActionEnded", "Ended"),
    ]
    assert trail.of(Kind.APPROVAL_HONOURED)[0].data["approver"] == "bob"


def test_override_and_expiry_have_events_of_their_own(world: World, trail: FakeTrail) -> None:
    world.report(severity="critical")
    attend(world, trail, at={60: lambda: world.decide("APPROVE"), 120: lambda: world.decide("FORCE_OVERRIDE")})
    (refused,), (overridden,) = trail.of(Kind.APPROVAL_REFUSED), trail.of(Kind.OVERRIDDEN)
    assert "FORCE_OVERRIDE" in str(refused.data["why"])
    assert overridden.data["against"] == "SeverityCritical"

    other = World()
    other.report(severity="critical")
    trail = FakeTrail(other)
    attend(other, trail)
    assert trail.kinds[-2:] == ["Expired", "Ended"]


def test_process_that_starts_anew_tells_nothing_twice_and_what_was_left_out(contradicted: World) -> None:
    trail = FakeTrail(contradicted)
    attend(contradicted, trail, seconds=30)
    told = list(trail.kinds)
    contradicted.start()
    trail.kept.popitem()
    attend(contradicted, trail, seconds=120, at={60: lambda: contradicted.decide("REJECT")})
    assert sorted(trail.kinds) == sorted([*told, "ApprovalHonoured", "Ended"])


def test_however_often_a_process_starts_nothing_is_told_that_the_status_says_is_told(contradicted: World) -> None:
    """A trail remembers only so many ids; an incident may wait for longer than that."""
    trail = FakeTrail(contradicted)
    for _ in range(3):
        attend(contradicted, trail, seconds=30)
        contradicted.start()
    attend(contradicted, trail, seconds=120, at={60: lambda: contradicted.decide("REJECT")})
    assert trail.kinds[-1] == "Ended"
    assert len(trail.heard) == len(set(trail.heard))


def test_trail_that_cannot_be_written_holds_no_decision_up_and_hears_of_it_later(contradicted: World) -> None:
    trail = FakeTrail(contradicted)
    trail.down = True
    attend(contradicted, trail, seconds=30)
    assert contradicted.status.phase == Phase.AWAITING_APPROVAL
    assert contradicted.status.audit is None
    trail.down, trail.heard = False, []
    attend(contradicted, trail, seconds=120, at={60: lambda: contradicted.decide("APPROVE")})
    assert trail.kinds[:5] == ["Reported", "Planned", "Stressed", "Gated", "ApprovalAsked"]
    assert contradicted.status.audit is not None


class TestWhatNoStatusTellsAnyMore:
    def test_deletion_of_an_incident_that_waits_is_its_end(self, contradicted: World) -> None:
        trail = FakeTrail(contradicted)
        attend(contradicted, trail, at={30: contradicted.incidents.stored.clear})
        assert trail.kinds == ["Reported", "Planned", "Stressed", "Gated", "ApprovalAsked", "Ended"]
        (ended,) = trail.of(Kind.ENDED)
        assert (ended.data["phase"], ended.data["message"]) == ("Deleted", "somebody deleted the incident, which was AwaitingApproval")

    def test_deletion_in_the_middle_of_an_action_says_that_its_end_is_not_known(self, world: World, trail: FakeTrail) -> None:
        world.workloads.slow = True
        attend(world, trail, at={30: world.incidents.stored.clear})
        assert trail.kinds[-3:] == ["Claimed", "ActionEnded", "Ended"]
        assert trail.of(Kind.ACTION_ENDED)[0].data["state"] == "Indeterminate"
        naive = summary(trail).naive
        assert (naive.executed, naive.executed_with_the_gate) == (1, 1), "it may have been done"

    def test_deletion_is_told_by_the_process_that_found_the_incident_as_well(self, contradicted: World) -> None:
        trail = FakeTrail(contradicted)
        attend(contradicted, trail, seconds=30)
        contradicted.start()
        attend(contradicted, trail, at={60: contradicted.incidents.stored.clear})
        assert trail.kinds[-1] == "Ended"

    def test_deletion_is_told_when_another_of_the_same_name_has_taken_its_place(self, contradicted: World) -> None:
        trail = FakeTrail(contradicted)
        first = contradicted.incident.metadata.uid

        def replace() -> None:
            reported = an_incident()
            another = reported.metadata.model_copy(update={"uid": "another"})
            contradicted.incidents.put(reported.model_copy(update={"metadata": another}))

        attend(contradicted, trail, seconds=60, at={30: replace})
        assert [(one.uid, one.data["phase"]) for one in trail.of(Kind.ENDED)] == [(first, "Deleted")]
        assert [one.uid for one in trail.of(Kind.REPORTED)] == [first, "another"]

    def test_deletion_of_what_has_ended_is_no_second_end(self, world: World, trail: FakeTrail) -> None:
        attend(world, trail)
        world.incidents.stored.clear()
        attend(world, trail, seconds=60)
        assert trail.kinds.count("Ended") == 1

    def test_hold_is_told_once_for_each_reason(self, world: World, trail: FakeTrail) -> None:
        world.rails.change(suspend=True)
        attend(world, trail, at={1800: lambda: world.rails.change(suspend=False)})
        assert trail.kinds == ["Reported", "Planned", "Stressed", "Gated", "Held", "Claimed", "ActionEnded", "Ended"]
        assert "suspend" in str(trail.of(Kind.HELD)[0].data["why"])

    def test_claim_that_is_taken_back_is_told_and_may_be_made_again(self, world: World, trail: FakeTrail) -> None:
        world.journal.full = "no space left on device"

        def free() -> None:
            world.journal.full = ""
            world.rails.change(suspend=False)

        attend(world, trail, at={20: lambda: world.rails.change(suspend=True), 600: free})
        assert world.status.phase == Phase.RESOLVED
        kinds = [kind for kind in trail.kinds if kind in ("Held", "Claimed", "TakenBack", "ActionEnded", "Ended")]
        assert kinds == ["Claimed", "TakenBack", "Held", "Claimed", "ActionEnded", "Ended"]
        assert summary(trail).actions == {"Verified": 1}

    def test_hold_that_begins_again_is_told_again(self, world: World, trail: FakeTrail) -> None:
        world.rails.change(suspend=True)

        def go_on() -> None:
            world.rails.change(suspend=False)
            world.journal.full = "no space left on device"

        def free() -> None:
            world.rails.change(suspend=False)
            world.journal.full = ""

        attend(world, trail, at={600: go_on, 620: lambda: world.rails.change(suspend=True), 1200: free})
        kinds = [kind for kind in trail.kinds if kind in ("Held", "Claimed", "TakenBack", "ActionEnded")]
        assert kinds == ["Held", "Claimed", "TakenBack", "Held", "Claimed", "ActionEnded"]
        assert len({str(one.data["why"]) for one in trail.of(Kind.HELD)}) == 1

    def test_claim_whose_write_came_too_late_was_never_done(self, world: World, trail: FakeTrail) -> None:
        record = world.incidents.record_status

        async def gone(before: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
            if status.execution is not None:
                world.incidents.stored.clear()
                raise errors.ConflictError("it was deleted")
            return await record(before, status)

        world.incidents.record_status = gone  # type: ignore[method-assign,assignment]
        attend(world, trail)
        assert world.workloads.effects == []
        found = summary(trail)
        assert (found.actions, found.naive.executed_with_the_gate) == ({}, 0)
        assert trail.of(Kind.ACTION_ENDED) == []

    def test_claim_that_was_to_be_taken_back_and_goes_on_after_all_is_no_claim_that_was_taken_back(
        self, world: World, trail: FakeTrail
    ) -> None:
        world.journal.full = "no space left on device"
        record = world.incidents.record_status

        async def conflict(before: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
            if before.status.phase == Phase.EXECUTING and status.phase == Phase.GATED:
                world.incidents.record_status = record  # type: ignore[method-assign]
                world.rails.change(suspend=False)
                world.journal.full = ""
                raise errors.ConflictError("somebody has labelled it")
            return await record(before, status)

        world.incidents.record_status = conflict  # type: ignore[method-assign,assignment]
        attend(world, trail, at={20: lambda: world.rails.change(suspend=True)})
        assert (world.status.phase, trail.of(Kind.TAKEN_BACK)) == (Phase.RESOLVED, [])


def summary(trail: FakeTrail) -> figures.Summary:
    tally = figures.Tally()
    for one in trail.kept.values():
        tally.take(one.model_dump(mode="json"))
    return tally.summary()


class TestReplay:
    def decided(self, world: World) -> replay.Decided:
        trail = FakeTrail(world)
        attend(world, trail)
        (gated,) = trail.of(Kind.GATED)
        return replay.from_line(gated.model_dump(mode="json"))

    @pytest.mark.parametrize("documents", [(), CONTRADICTIONS], ids=["executed", "blocked"])
    def test_comes_to_the_recorded_decision(self, world: World, documents: tuple[documents.Document, ...]) -> None:
        world.knowledge.put(*documents)
        decided = self.decided(world)
        assert decided.is_exact
        found = replay.again(decided, None, None)
        assert (found.direction, found.because, found.is_reproduced) == (replay.Direction.SAME, (), True)

    def test_under_a_stricter_threshold_flips(self, world: World) -> None:
        world.knowledge.put(CONTRADICTIONS[0])
        decided = self.decided(world)
        assert decided.decision is verdicts.Decision.EXECUTE
        found = replay.again(decided, checks.Thresholds(contradictions=1), None)
        assert (found.direction, found.because) == (replay.Direction.STRICTER, ("+ContradictionsReached",))

    def test_under_other_policies_flips(self, world: World) -> None:
        decided = self.decided(world)
        forbidding = documents.Policy(
            id="pol-1",
            service="*",
            blocked_actions=(decided.names[0].lower(),),
            severities=("*",),
            rule="Not on weekends.",
        )
        found = replay.again(decided, None, lambda _: policies.PolicySet([forbidding]))
        assert (found.direction, found.because) == (replay.Direction.STRICTER, ("+PolicyForbidsAction",))

    def test_finds_a_record_that_is_not_what_was_decided(self, contradicted: World) -> None:
        decided = self.decided(contradicted).model_copy(update={"decision": verdicts.Decision.EXECUTE, "required_approval": "NotNeeded"})
        assert not replay.again(decided, None, None).is_reproduced

    def test_of_facts_that_were_lost_is_refused(self, world: World) -> None:
        trail = FakeTrail(world)
        attend(world, trail)
        (gated,) = trail.of(Kind.GATED)
        line = gated.model_dump(mode="json")
        del line["data"]["facts"]
        with pytest.raises(replay.NotReplayableError, match="replay the Incident itself"):
            replay.from_line(line)


def test_figures_hold_the_gate_against_an_agent_without_one() -> None:
    tally = figures.Tally()
    for number, word in enumerate(["", "APPROVE", "REJECT"]):
        world = World()
        world.report()
        if word:
            world.knowledge.put(*CONTRADICTIONS)
        trail = FakeTrail(world)
        attend(world, trail, at={60: lambda world=world, word=word: world.decide(word)} if word else None)
        for event in trail.kept.values():
            tally.take({**event.model_dump(mode="json"), "uid": f"uid-{number}"})
    found = tally.summary()
    assert (found.incidents, found.decisions) == (3, {"block_and_escalate": 2, "execute": 1})
    assert found.block_reasons == {"ContradictionsReached": 2}
    assert found.approvals == {"asked": 2, "APPROVE honoured": 1, "REJECT honoured": 1}
    assert found.seconds_to_answer == 60.0
    assert found.outcomes == {"Resolved": 2, "Rejected": 1}
    assert found.naive == figures.Naive(executed=3, executed_with_the_gate=2, executed_after_people=1, not_executed={"Rejected": 1})
