"""The audit trail of a folder, all its streams. One process writes it, and one thread of that.

What cannot be written is kept in memory and written before anything else as soon as it can be; the incidents themselves say the same, and
a process that starts anew tells from them what is missing.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import structlog

from safety_governor.adapters.audit import lines
from safety_governor.adapters.audit.chained import Chained
from safety_governor.domain import errors
from safety_governor.domain.audit import chain, events
from safety_governor.domain.audit.events import Event, Position, Stream

PATIENCE = timedelta(seconds=3)
"""So long is waited for another process to let go of the folder: the operator of before may be about to end."""
FILE_LIMIT = 16 * 1024 * 1024
"""A file of this size is full."""
SLOW = timedelta(seconds=2)
"""After so long people are shown a decision although the disk has not taken it."""
BACKLOG = 50_000
"""So many events are kept while nothing can be written, and as many of those that no action rests on."""

_ASIDE = frozenset({Stream.TOOL_TRACE, Stream.AGENT_RUNS})
"""No action rests on them: what came of a question or a search is in the decision."""

AT_ONCE = 500
"""So many events are written at once: a try that fails costs no more than that, however much waits."""

_GAP = (
    "events about incidents had to be dropped while it could not be; nothing is executed until the operator is started anew, "
    "which tells them again from the incidents themselves"
)

WRITTEN = (Stream.TOOL_TRACE, Stream.AGENT_RUNS, Stream.RELIABILITY_METRICS, Stream.WORKFLOW_EVENTS)
"""In this order, so that a decision names where the others were with what belongs to it."""

Heads = Callable[[], Position | None]

_log = structlog.get_logger()


class Trail:
    """All streams of a folder."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime], limit: int, patience: timedelta, journal: Heads) -> None:
        self._folder = folder
        self._now = now
        self._journal = journal
        self._streams = {stream: Chained(folder, stream, limit=limit, patience=patience, on_repair=self.repaired) for stream in WRITTEN}
        self._waiting: deque[Event] = deque()
        self._aside: deque[Event] = deque()
        self._lost = 0
        self._has_gap = False
        self._lock = threading.Lock()
        self._failing = False
        self._closed = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        now: Callable[[], datetime],
        limit: int = FILE_LIMIT,
        patience: timedelta = PATIENCE,
        journal: Heads = lambda: None,
    ) -> Self:
        """The trail of that folder, begun when there is none. `journal` tells where the journal is, so that decisions name that, too.

        Blocks for up to `patience` while another process has it. Raises ConfigurationError when it cannot be used.
        """
        trail = cls(folder, now=now, limit=limit, patience=patience, journal=journal)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for stream in trail._streams.values():
                stream.open()
        except (OSError, lines.UnusableError) as error:
            trail.close()
            advice = lines.remedy(error, "Set GOVERNOR_AUDIT to a folder on a volume that outlives the process.")
            kind = errors.InUseError if isinstance(error, lines.InUseError) else errors.ConfigurationError
            raise kind(
                f"the audit trail in {folder} cannot be used: {lines.reason(error)}; without it nothing may be executed. {advice}"
            ) from error
        return trail

    async def append(self, happened: Sequence[Event]) -> Position | None:
        """Where workflow_events stands with these in it, durably; None when that takes too long or cannot be done now. Never raises."""
        self._keep(happened)
        try:
            written = asyncio.wrap_future(self._submit())
            # Why it fails after nobody waits for it any more was said by whoever wrote.
            written.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait_for(asyncio.shield(written), timeout=SLOW.total_seconds())
        except (TimeoutError, errors.JournalUnavailableError):
            return None
        return None if self._has_gap else self._streams[Stream.WORKFLOW_EVENTS].last

    def note(self, event: Event) -> None:
        """Written soon; nobody waits for it."""
        self._keep([event])
        if not self._closed:
            self._submit().add_done_callback(Future.exception)

    async def settle(self) -> None:
        """Everything that happened so far is durable when it returns. Raises JournalUnavailableError; then nothing may be done."""
        await asyncio.wrap_future(self._submit())
        if self._has_gap:
            raise errors.JournalUnavailableError(f"the audit trail in {self._folder} can be written, but {_GAP}")

    def repaired(self, path: Path, torn: bytes) -> None:
        """A torn last line of a file was cut off: that is an event itself."""
        content = events.TornLineRepaired(file=path.name, bytes=len(torn), digest=chain.sha256(torn))
        at = self._now()
        self._keep([events.happened(content, at=at, once=(path.name, content.digest, at.isoformat()))])

    def holds(self, position: Position) -> bool:
        """By number alone, but for the last line: `audit verify` holds every line that is noted elsewhere against the files."""
        last = self._streams[Stream.WORKFLOW_EVENTS].last
        return last is not None and (position.seq < last.seq or position == last)

    def durable(self) -> int:
        """The number of the last durable line of workflow_events; 0 when there is none."""
        last = self._streams[Stream.WORKFLOW_EVENTS].last
        return last.seq if last is not None else 0

    @property
    def backlog(self) -> int:
        """How many events wait to be written."""
        return len(self._waiting) + len(self._aside)

    def close(self) -> None:
        """Let another process have it. What is being written is finished first."""
        if not self._closed:
            if self._waiting:
                # One last try; why it fails was said, and the incidents tell it again to whoever starts next.
                self._submit().add_done_callback(Future.exception)
            self._closed = True
            self._writer.shutdown(wait=True)
        for stream in self._streams.values():
            stream.close()

    def _keep(self, happened: Sequence[Event]) -> None:
        with self._lock:
            self._aside.extend(one for one in happened if one.stream in _ASIDE)
            self._waiting.extend(one for one in happened if one.stream not in _ASIDE)
            for kept in (self._aside, self._waiting):
                while len(kept) > BACKLOG:
                    kept.popleft()
                    self._lost += 1
                    self._has_gap = self._has_gap or kept is self._waiting

    def _submit(self) -> "Future[None]":
        if self._closed:
            raise errors.JournalUnavailableError("the audit trail is closed, as the operator is ending; nothing is executed any more")
        return self._writer.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            waiting, lost = [*self._aside, *self._waiting], self._lost
        if lost:
            at = self._now()
            waiting.append(events.happened(events.EventsLost(count=lost), at=at, once=(str(lost), at.isoformat())))
        try:
            for start in range(0, len(waiting), AT_ONCE):
                self._write_some(waiting[start : start + AT_ONCE])
        except (OSError, lines.UnusableError) as error:
            advice = lines.remedy(error, "Check the volume that it is on.")
            sentence = (
                f"the audit trail in {self._folder} cannot be written: {lines.reason(error)}; "
                f"decisions are shown and nothing is executed until it can be. {advice}"
            )
            if not self._failing:
                _log.error(sentence, waiting=len(waiting))
            self._failing = True
            raise errors.JournalUnavailableError(sentence) from error
        if self._failing and self._has_gap:
            _log.error(f"the audit trail can be written again, but {_GAP}", lost=lost)
        elif self._failing and lost:
            sentence = (
                "the audit trail can be written again; questions and searches that had to be dropped meanwhile are missing in it for good"
            )
            _log.error(sentence, lost=lost)
        elif self._failing:
            _log.info("the audit trail can be written again; what was missing is in it now", events=len(waiting))
        self._failing = False
        with self._lock:
            self._lost -= lost

    def _write_some(self, waiting: Sequence[Event]) -> None:
        for stream in WRITTEN:
            happened = [one for one in waiting if one.stream is stream]
            if happened:
                self._streams[stream].append(happened, heads=self._heads())
        written = {one.id for one in waiting}
        with self._lock:
            for kept in (self._aside, self._waiting):
                while kept and kept[0].id in written:
                    kept.popleft()

    def _heads(self) -> dict[str, Position]:
        found = {stream.value: chained.last for stream, chained in self._streams.items() if stream is not Stream.WORKFLOW_EVENTS}
        found[Stream.JOURNAL.value] = self._journal()
        return {name: one for name, one in found.items() if one is not None}
