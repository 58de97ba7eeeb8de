"""The store dies at every read of plan, stress, gate and the stress after an approval.

Nothing is lost, the incident says for what it waits, and it goes on by itself when the store is back.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from safety_governor.api import conditions
from safety_governor.domain.lifecycle import Phase
from safety_governor.pipeline import attendant
from support.builders import CONTRADICTIONS, NAME, NAMESPACE, World
from support.fakes import NOON, in_fake_time

DOWN = "the store does not answer"
READS = 14
"""So many times is the store read between report and claim of the plain incident: for plan, evidence, policies and logs."""
READS_OF_PLAN = 2
READS_AGAIN = 13
"""The same after an approval: the plan is only resolved again."""

SHORT, LONG = 60.0, 600.0
"""Seconds, shorter and longer than patience lasts."""


class Mortal:
    """The store of a world, which dies at a given read. Counts all of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of = world.knowledge.of
        self.reads = 0
        self.dies_at = 0
        world.knowledge.of = self._read  # type: ignore[method-assign]

    def _read(self, kind: type[Any]) -> list[Any]:
        self.reads += 1
        if self.reads == self.dies_at:
            self._world.knowledge.down = DOWN
        return self._of(kind)

    def die_at(self, nth: int) -> None:
        """At the nth read from now on."""
        self.dies_at = self.reads + nth

    def revive(self) -> None:
        self._world.knowledge.down = ""


class Story:
    """An incident that is attended while things happen to it, and what it said at the times asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = Mortal(world)
        self.seen: list[tuple[str, str, str, str]] = []
        self._happens: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, happens: Callable[[], object]) -> None:
        self._happens.append((seconds, happens))

    def look(self) -> None:
        """Note phase, and whether and for what it waits."""
        stalled = conditions.find(self.world.status.conditions, conditions.Type.STALLED)
        assert stalled is not None
        self.seen.append((self.world.status.phase, stalled.status, stalled.reason, stalled.message))

    def play(self, *, seconds: float = 1700.0) -> None:
        world = self.world
        at_work = attendant.Attendant(incidents=world.incidents, runner=world.runner, clock=world.clock, past=world.past)

        async def main() -> None:
            # Nobody wakes it: whatever goes on goes on by itself. People do, by writing.
            loop = asyncio.get_running_loop()
            woken = asyncio.Event()
            for moment, happens in self._happens:
                loop.call_at(moment, happens)
                if happens == self.approve:
                    loop.call_at(moment, woken.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(at_work.attend(NAMESPACE, NAME, woken), timeout=seconds)

        in_fake_time(world.clock, main())

    def approve(self) -> None:
        self.world.decide("APPROVE")

    def assert_done_once(self) -> None:
        """And the agent was asked again only for the answer that was lost."""
        assert all(self.world.agent.asked.count(question) <= 2 for question in ("plan", "stress"))
        assert self.world.status.phase == Phase.RESOLVED
        assert len(self.world.workloads.effects) == 1
        stalled = conditions.find(self.world.status.conditions, conditions.Type.STALLED)
        assert stalled is not None
        assert stalled.status == "False"


@pytest.fixture
def story(world: World) -> Story:
    return Story(world)


@pytest.fixture
def approved(contradicted: World) -> Story:
    """Approved after ten seconds."""
    story = Story(contradicted)
    story.at(10, story.approve)
    return story


async def test_so_many_reads_there_are(world: World) -> None:
    store = Mortal(world)
    await world.step()
    assert (world.status.phase, store.reads) == (Phase.EXECUTING, READS)


async def test_so_many_reads_there_are_after_an_approval(contradicted: World) -> None:
    await contradicted.step()
    contradicted.decide("APPROVE")
    store = Mortal(contradicted)
    await contradicted.step()
    assert (contradicted.status.phase, store.reads) == (Phase.EXECUTING, READS_AGAIN)


@pytest.mark.parametrize("nth", range(1, READS + 1))
def test_store_that_dies_for_a_minute_at_read(nth: int, story: Story) -> None:
    story.store.die_at(nth)
    story.at(SHORT / 2, story.look)
    story.at(SHORT, story.store.revive)
    story.play()
    # Every later pass begins with the plan, which is resolved anew.
    assert story.seen == [(Phase.PLANNING, "True", "KnowledgeUnavailable", DOWN)]
    story.assert_done_once()


@pytest.mark.parametrize("nth", range(1, READS + 1))
def test_store_that_dies_for_long_at_read(nth: int, story: Story) -> None:
    story.store.die_at(nth)
    story.at(LONG / 2, story.look)
    story.at(LONG, story.store.revive)
    story.play()
    [(phase, stalled, reason, _)] = story.seen
    if nth <= READS_OF_PLAN:
        # Without a plan there is nothing to ask people about.
        assert (phase, stalled, reason) == (Phase.PLANNING, "True", "KnowledgeUnavailable")
    else:
        assert phase == Phase.AWAITING_APPROVAL
        assert story.world.clock.now() - NOON <= timedelta(seconds=LONG + 30)
    story.assert_done_once()


@pytest.mark.parametrize("nth", range(1, READS_AGAIN + 1))
def test_store_that_dies_for_a_minute_at_read_after_an_approval(nth: int, approved: Story) -> None:
    approved.at(9, lambda: approved.store.die_at(nth))
    approved.at(10 + SHORT / 2, approved.look)
    approved.at(10 + SHORT, approved.store.revive)
    approved.play()
    assert approved.seen == [(Phase.AWAITING_APPROVAL, "True", "KnowledgeUnavailable", DOWN)]
    assert approved.world.status.approval is not None
    assert approved.world.status.approval.refusals == ()
    approved.assert_done_once()


@pytest.mark.parametrize("nth", range(1, READS_AGAIN + 1))
def test_store_that_dies_for_long_after_an_approval_has_people_asked_about_what_is_true_now(nth: int, approved: Story) -> None:
    approved.at(9, lambda: approved.store.die_at(nth))
    approved.at(10 + LONG / 2, approved.look)
    approved.at(10 + LONG, approved.store.revive)
    approved.play(seconds=900)
    world = approved.world
    assert world.status.phase == Phase.AWAITING_APPROVAL
    assert world.workloads.effects == []
    assert world.status.stress is not None
    assert world.status.stress.ledger is not None
    assert world.status.approval is not None
    assert world.status.approval.refusals
    Story(world).approve()
    again = Story(world)
    again.play()
    again.assert_done_once()


def test_store_that_flickers_loses_nothing(world: World) -> None:
    world.knowledge.put(*CONTRADICTIONS[:1])
    story = Story(world)
    for number in range(20):
        story.at(5.0 * number, lambda: setattr(world.knowledge, "down", DOWN))
        story.at(5.0 * number + 2.5, story.store.revive)
    story.play()
    story.assert_done_once()
