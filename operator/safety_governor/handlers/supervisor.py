"""One task per incident under way. Waking one that sleeps is cheap; a finished one costs nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import structlog

Attend: TypeAlias = Callable[[str, str, asyncio.Event], Coroutine[Any, Any, None]]
"""Attends one incident until it is finished or gone; the event is set when it changed."""

_log = structlog.get_logger()


class Supervisor:
    """Starts, wakes and stops the tasks."""

    def __init__(self, attend: Attend) -> None:
        self._attend = attend
        self._under_way: dict[tuple[str, str], tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._stopped = False

    def wake(self, namespace: str, name: str) -> None:
        """Something about the incident changed. After the stop nobody is attended any more."""
        if self._stopped:
            return
        present = self._under_way.get((namespace, name))
        if present is not None:
            present[1].set()
            return
        woken = asyncio.Event()
        task = asyncio.create_task(self._attend(namespace, name, woken), name=f"incident {namespace}/{name}")
        self._under_way[namespace, name] = (task, woken)
        task.add_done_callback(lambda ended: self._ended(namespace, name, ended, woken))

    def wake_namespace(self, namespace: str) -> None:
        """Something about the namespace changed; incidents that were held may go on."""
        for (there, _), (_, woken) in self._under_way.items():
            if there == namespace:
                woken.set()

    async def stop(self) -> None:
        """End every task where it stands; whoever comes next goes on from the status."""
        self._stopped = True
        tasks = [task for task, _ in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, namespace: str, name: str, ended: asyncio.Task[None], woken: asyncio.Event) -> None:
        self._under_way.pop((namespace, name), None)
        if ended.cancelled():
            return
        error = ended.exception()
        if error is not None:
            _log.error("attending the incident ended in an error; it is attended again", incident=f"{namespace}/{name}", exc_info=error)
        if error is not None or woken.is_set():
            # It changed between the last look and the end of the task.
            asyncio.get_running_loop().call_later(5.0 if error else 0.0, self.wake, namespace, name)
