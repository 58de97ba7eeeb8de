"""One task per incident: woken and not doubled, attended again after an error, gone after the stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from safety_governor.handlers.supervisor import Supervisor
from support.fakes import FakeClock, in_fake_time


class Attending:
    """Keeps who was attended and when; what happens then is given by the test."""

    def __init__(self, then: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self.clock = FakeClock()
        self.begun: list[tuple[str, str]] = []
        self.at: list[float] = []
        self.cancelled = 0
        self._then = then

    async def __call__(self, namespace: str, name: str, woken: asyncio.Event) -> None:
        self.begun.append((namespace, name))
        self.at.append(asyncio.get_running_loop().time())
        try:
            await self._then(woken)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def run(self, main: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            tasks = Supervisor(self)
            await main(tasks)
            await tasks.stop()

        in_fake_time(self.clock, whole())


async def until_woken(woken: asyncio.Event) -> None:
    await woken.wait()


async def for_ever(_: asyncio.Event) -> None:
    await asyncio.Event().wait()


async def at_once(_: asyncio.Event) -> None:
    return


def test_incident_that_is_woken_twice_is_attended_by_one_task() -> None:
    attending = Attending(for_ever)

    async def main(tasks: Supervisor) -> None:
        for _ in range(3):
            tasks.wake("shop", "slow")
            await asyncio.sleep(1)

    attending.run(main)
    assert attending.begun == [("shop", "slow")]


def test_incidents_of_the_same_name_in_two_namespaces_have_a_task_each() -> None:
    attending = Attending(for_ever)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        tasks.wake("bank", "slow")
        await asyncio.sleep(1)

    attending.run(main)
    assert attending.begun == [("shop", "slow"), ("bank", "slow")]


def test_sleeping_task_is_woken() -> None:
    ended: list[bool] = []

    async def note(woken: asyncio.Event) -> None:
        await woken.wait()
        woken.clear()
        ended.append(True)

    attending = Attending(note)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        await asyncio.sleep(1)
        assert ended == []
        tasks.wake("shop", "slow")
        await asyncio.sleep(1)

    attending.run(main)
    assert (ended, len(attending.begun)) == ([True], 1)


def test_change_of_a_namespace_wakes_its_incidents_and_no_others() -> None:
    woken_ones: list[asyncio.Event] = []

    async def keep(woken: asyncio.Event) -> None:
        woken_ones.append(woken)
        await asyncio.Event().wait()

    attending = Attending(keep)

    async def main(tasks: Supervisor) -> None:
        for namespace, name in (("shop", "a"), ("bank", "b"), ("shop", "c")):
            tasks.wake(namespace, name)
        await asyncio.sleep(1)
        tasks.wake_namespace("shop")

    attending.run(main)
    assert [one.is_set() for one in woken_ones] == [True, False, True]


def test_change_between_the_last_look_and_the_end_is_not_lost() -> None:
    async def overtaken(woken: asyncio.Event) -> None:
        if len(attending.begun) == 1:
            woken.set()

    attending = Attending(overtaken)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        await asyncio.sleep(1)

    attending.run(main)
    assert attending.begun == [("shop", "slow")] * 2


def test_finished_incident_costs_nothing_more() -> None:
    attending = Attending(at_once)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        await asyncio.sleep(3600)

    attending.run(main)
    assert len(attending.begun) == 1


def test_finished_incident_that_changes_is_attended_again() -> None:
    attending = Attending(at_once)

    async def main(tasks: Supervisor) -> None:
        for _ in range(2):
            tasks.wake("shop", "slow")
            await asyncio.sleep(1)

    attending.run(main)
    assert len(attending.begun) == 2


def test_error_has_the_incident_attended_again_some_seconds_later() -> None:
    async def fail(_: asyncio.Event) -> None:
        if len(attending.begun) < 3:
            raise ValueError("not this time")

    attending = Attending(fail)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        await asyncio.sleep(60)

    attending.run(main)
    assert [round(moment) for moment in attending.at] == [0, 5, 10]


def test_error_of_one_incident_leaves_the_others_alone() -> None:
    async def fail_first(_: asyncio.Event) -> None:
        if len(attending.begun) == 1:
            raise ValueError("not this one")
        await asyncio.Event().wait()

    attending = Attending(fail_first)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "bad")
        tasks.wake("shop", "good")
        await asyncio.sleep(1)
        assert attending.cancelled == 0

    attending.run(main)
    assert attending.cancelled == 1


def test_stop_cancels_every_task_and_waits_for_it() -> None:
    attending = Attending(for_ever)

    async def main(tasks: Supervisor) -> None:
        for name in ("a", "b", "c"):
            tasks.wake("shop", name)
        await asyncio.sleep(1)
        await tasks.stop()
        assert attending.cancelled == 3

    attending.run(main)


def test_nothing_is_attended_after_the_stop() -> None:
    attending = Attending(at_once)

    async def main(tasks: Supervisor) -> None:
        await tasks.stop()
        tasks.wake("shop", "slow")
        await asyncio.sleep(1)

    attending.run(main)
    assert attending.begun == []


def test_error_shortly_before_the_stop_starts_nothing_after_it() -> None:
    async def fail(_: asyncio.Event) -> None:
        raise ValueError("not this time")

    attending = Attending(fail)

    async def main(tasks: Supervisor) -> None:
        tasks.wake("shop", "slow")
        await asyncio.sleep(1)
        await tasks.stop()
        await asyncio.sleep(60)

    attending.run(main)
    assert len(attending.begun) == 1
