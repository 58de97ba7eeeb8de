"""Trail and journal, from the moment on in which this process is the one at work: whoever stands by must not lock them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

from safety_governor.adapters.audit.journal import Journal
from safety_governor.adapters.audit.trail import FILE_LIMIT, Trail
from safety_governor.domain import errors, history
from safety_governor.domain.audit.events import Event, Position
from safety_governor.domain.journal import End, Intent

TRY_AGAIN = 5.0
"""Seconds until what could not be written is tried again."""
WITHIN = 10.0
"""Seconds that the disk may take; a volume that hangs says nothing, and the incident has to say what it waits for."""


class LateRecords:
    """Serves the ports Trail and Journal."""

    def __init__(self, *, folder: Path, journal: Path, now: Callable[[], datetime], limit: int = FILE_LIMIT) -> None:
        self._folder = folder
        self._path = journal
        self._now = now
        self._limit = limit
        self._trail: Trail | None = None
        self._journal: Journal | None = None

    async def open(self) -> None:
        """Raises ConfigurationError when one of them cannot be used."""
        if self._trail is None:
            self._trail = await asyncio.to_thread(Trail.open, self._folder, now=self._now, limit=self._limit, journal=self._last)
        if self._journal is None:
            self._journal = await asyncio.to_thread(Journal.open, self._path, on_repair=self._trail.repaired)

    def close(self) -> None:
        """Let go of both."""
        for one in (self._journal, self._trail):
            if one is not None:
                one.close()

    def past(self, *, since: datetime) -> Sequence[history.Past]:
        """What was done lately."""
        return self._at_work.past(since=since)

    async def intend(self, intent: Intent) -> None:
        """Durable when it returns, with all that the trail has to say up to here. Raises JournalUnavailableError."""
        assert self._trail is not None, "nothing is attended before the trail is open"  # noqa: S101
        async with _in_time():
            await self._trail.settle()
            await self._at_work.intend(intent)

    async def end(self, end: End) -> None:
        """How it ended. Raises JournalUnavailableError."""
        async with _in_time():
            await self._at_work.end(end)

    async def append(self, happened: Sequence[Event]) -> Position | None:
        """See Trail.append."""
        assert self._trail is not None, "nothing is attended before the trail is open"  # noqa: S101
        return await self._trail.append(happened)

    def holds(self, position: Position) -> bool:
        """See Trail.holds."""
        return self._trail is not None and self._trail.holds(position)

    def note(self, event: Event) -> None:
        """See Trail.note."""
        if self._trail is not None:
            self._trail.note(event)

    async def keep_settling(self) -> None:
        """Again and again write what could not be written, also while nothing new happens; returns only when it is cancelled."""
        while True:
            await asyncio.sleep(TRY_AGAIN)
            if self._trail is not None and self._trail.backlog:
                with contextlib.suppress(errors.JournalUnavailableError):
                    await self._trail.settle()

    @property
    def backlog(self) -> int:
        """How many events wait to be written."""
        return self._trail.backlog if self._trail is not None else 0

    def durable(self) -> int:
        """The number of the last line of workflow_events that is durable; 0 before the trail is open."""
        return self._trail.durable() if self._trail is not None else 0

    def _last(self) -> Position | None:
        return self._journal.last if self._journal is not None else None

    @property
    def _at_work(self) -> Journal:
        if self._journal is None:
            raise errors.JournalUnavailableError("the journal is not open yet; nothing is executed before it is")
        return self._journal


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """What is written late all the same is an intent without an action, which is what it would be after a crash."""
    try:
        async with asyncio.timeout(WITHIN):
            yield
    except TimeoutError as error:
        raise errors.JournalUnavailableError(
            f"the disk with the audit trail and the journal has not answered within {WITHIN:.0f} s; nothing is executed until it does. "
            "Check its volume"
        ) from error
