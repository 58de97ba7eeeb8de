"""The journal on disk: what was intended, before the cluster is touched, and what became of it. No durable intent, no action.

Lines are only ever appended, each whole and durable or not at all; a crash may tear the last one, which nobody relied on yet.
One process writes a journal, and one thread of it, so that a disk that hangs holds up nothing but actions.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

import structlog

from safety_governor.adapters.audit import lines
from safety_governor.domain import errors, history, journal
from safety_governor.domain.audit.events import Position

PATIENCE = timedelta(seconds=3)
"""So long is waited for another process to let go of the journal: the operator of before may be about to end."""
REMEMBERED = timedelta(hours=48)
"""A repetition within this time is recognised; no action is tried for longer."""

_Result = TypeVar("_Result")
_log = structlog.get_logger()


class Journal:
    """Intents and ends of actions in a file."""

    def __init__(self, kept: lines.Lines) -> None:
        self._lines = kept
        self._last: Position | None = None
        self._newest: dict[str, journal.Event] = {}
        self._closed = False
        # A thread of its own: others wait in the common ones, and fsync may take as long as a disk likes.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    @classmethod
    def open(cls, path: Path, *, patience: timedelta = PATIENCE, on_repair: lines.OnRepair = lambda *_: None) -> Self:
        """The journal of that path, begun when there is none. Blocks for up to `patience` while another process has it.

        Raises ConfigurationError when it cannot be used.
        """
        kept = lines.Lines(path, name="the journal", beginnings=journal.BEGINNINGS, patience=patience, on_repair=on_repair)
        try:
            kept.open()
            opened = cls(kept)
            opened._learn()
        except (OSError, lines.UnusableError) as error:
            kept.close()
            advice = lines.remedy(error, "Set GOVERNOR_JOURNAL to a file on a volume that outlives the process.")
            raise errors.ConfigurationError(
                f"the journal {path} cannot be used: {lines.reason(error)}; without it nothing may be executed. {advice}"
            ) from error
        return opened

    async def intend(self, intent: journal.Intent) -> None:
        """Durable when it returns; a repetition is written once. Raises JournalUnavailableError; then nothing may be done."""
        await asyncio.wrap_future(self._submit(lambda: self._record(intent)))

    async def end(self, end: journal.End) -> None:
        """Durable when it returns; a repetition is written once. Raises JournalUnavailableError."""
        await asyncio.wrap_future(self._submit(lambda: self._record(end)))

    def read(self, since: datetime) -> Sequence[journal.Event]:
        """The events from then on, in the order in which they were written. Lines that cannot be read are reported and left out.

        Raises JournalUnavailableError when the file cannot be read at all.
        """
        return [event for event in self._submit(self._reported).result() if event.at >= since]

    def past(self, *, since: datetime) -> Sequence[history.Past]:
        """The actions that ended from then on, as far as the journal knows. Reports and raises what `read` does.

        Of a line that was changed it is believed that there was an action: one that is forgotten would make room for another.
        """
        found = self._submit(lambda: self._reported(doubtful=True)).result()
        return [one for one in journal.past(found) if one.finished_at >= since]

    def close(self) -> None:
        """Let another process have it. What is being written is finished first."""
        self._closed = True
        self._writer.shutdown(wait=True)
        self._lines.close()

    def _submit(self, work: Callable[[], _Result]) -> "Future[_Result]":
        if self._closed:
            raise errors.JournalUnavailableError("the journal is closed, as the operator is ending; nothing is executed any more")
        return self._writer.submit(work)

    def _record(self, event: journal.Event) -> None:
        try:
            if not self._lines.ready():
                self._learn()
            if journal.repeats(event, self._newest.get(event.key)):
                return
            line, position = journal.linked(event, after=self._last)
            self._lines.append(line)
        except (OSError, lines.UnusableError) as error:
            advice = lines.remedy(error, "Check the volume that it is on.")
            raise errors.JournalUnavailableError(
                f"the journal {self._lines.path} cannot be written: {lines.reason(error)}; nothing is executed until it can be. {advice}"
            ) from error
        self._last = position
        self._remember(event)

    @property
    def last(self) -> Position | None:
        """The last line, as far as it is durable; None when there is none."""
        return self._last

    def _reported(self, *, doubtful: bool = False) -> list[journal.Event]:
        try:
            events, unread = self._events(doubtful=doubtful)
        except (OSError, lines.UnusableError) as error:
            advice = lines.remedy(error, "Check the volume that it is on.")
            raise errors.JournalUnavailableError(
                f"the journal {self._lines.path} cannot be read: {lines.reason(error)}; what was done before is not known. {advice}"
            ) from error
        for number, why in unread.items():
            _log.warning("a line of the journal cannot be read; it is left as it is", path=str(self._lines.path), line=number, why=why)
        return events

    def _events(self, *, doubtful: bool = False) -> tuple[list[journal.Event], dict[int, str]]:
        """What the lines say, and by their number why some say nothing."""
        events: list[journal.Event] = []
        unread: dict[int, str] = {}
        for number, line in enumerate(self._lines.all(), start=1):
            try:
                events.append(journal.from_line(line))
            except ValueError as error:
                unread[number] = str(error)
                intent = journal.doubtful(line) if doubtful else None
                if intent is not None:
                    events.append(intent)
        return events, unread

    def _learn(self) -> None:
        self._newest.clear()
        self._last = lines.last_position(self._lines.all())
        for event in self._events()[0]:
            self._remember(event)

    def _remember(self, event: journal.Event) -> None:
        self._newest.pop(event.key, None)
        self._newest[event.key] = event
        # The oldest come first, so that only those are looked at that are forgotten now.
        while (oldest := next(iter(self._newest.values()))).at < event.at - REMEMBERED:
            del self._newest[oldest.key]
