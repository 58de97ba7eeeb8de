"""The files of one stream: lines chained over all of them, the newest in `STREAM.jsonl`, the full ones numbered.

The first line of every file says which one it is and where the one before ended.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from pydantic import JsonValue

from safety_governor.adapters.audit import lines, naming
from safety_governor.domain.audit import chain, events, redaction
from safety_governor.domain.audit.events import Event, Position, Stream

REMEMBERED = 50_000
"""So many ids are remembered, so that an event that is told again is written once."""

BEGINNINGS = (b'{"at":',)

_log = structlog.get_logger()


class Chained:
    """One stream; used by one thread."""

    def __init__(self, folder: Path, stream: Stream, *, limit: int, patience: timedelta, on_repair: lines.OnRepair) -> None:
        self._folder = folder
        self._stream = stream
        self._limit = limit
        self._lines = lines.Lines(
            folder / naming.current(stream), name=f"the trail {stream}", beginnings=BEGINNINGS, patience=patience, on_repair=on_repair
        )
        self._last: Position | None = None
        self._known: OrderedDict[str, None] = OrderedDict()
        self._number = 1

    @property
    def last(self) -> Position | None:
        """The last durable line."""
        return self._last

    def open(self) -> None:
        """Go on where the files end. Raises OSError and UnusableError."""
        self._lines.open()
        self._learn()

    def close(self) -> None:
        """Let go of it."""
        self._lines.close()

    def append(self, happened: Sequence[Event], *, heads: Mapping[str, Position]) -> None:
        """Durable when it returns; what is there already is left out. Raises OSError and UnusableError; then nothing was written."""
        if not self._lines.ready():
            try:
                self._learn()
            except OSError:
                # Half of it may be known now; closed, it is learnt before anything is written.
                self._lines.close()
                raise
        news = [one for one in OrderedDict((event.id, event) for event in happened).values() if one.id not in self._known]
        if not news:
            return
        self._begin(news[0].at)
        written, last = [], self._last
        for event in news:
            line, last = _linked(event, heads, after=last)
            written.append(line)
        self._lines.append(b"".join(written))
        self._last = last
        for event in news:
            self._remember(event.id)
        if self._lines.size >= self._limit:
            self._rotate()

    def _begin(self, at: datetime) -> None:
        """The first line of a file, at the time of what comes first in it."""
        if self._lines.size:
            return
        name = naming.numbered(self._stream, self._number - 1)
        before = events.Before(seq=self._last.seq, hash=self._last.hash, file=name) if self._last else None
        content = events.FileBegun(number=self._number, previous=before)
        begun = events.happened(content, at=at, once=(self._stream, str(self._number), self._last.hash if self._last else ""))
        line, last = chain.linked(_fields(begun.model_copy(update={"stream": self._stream}), {}), after=self._last)
        self._lines.append(line)
        self._last = last

    def _rotate(self) -> None:
        """A full file gets its number; the next line begins a new one."""
        full = self._folder / naming.numbered(self._stream, self._number)
        try:
            if full.exists():
                _log.error("a trail cannot be rotated, as a file of that name is there already; it grows on", path=str(full))
                return
            self._lines.path.rename(full)
            lines.sync_folder(self._folder)
        except OSError as error:
            _log.error("a trail cannot be rotated; it grows on", path=str(full), error=str(error))
            return
        # It is opened anew, and begun, before the next line.
        self._lines.close()

    def _learn(self) -> None:
        """Where the chain goes on and what is there already, from the newest two files."""
        full = naming.full_files(self._folder, self._stream)
        self._number = (full[-1][0] if full else 0) + 1
        content = self._lines.all()
        last = lines.last_position(content)
        older = full[-1][1].read_bytes().split(b"\n")[:-1] if full and len(content) < REMEMBERED else []
        last = last or lines.last_position(older)
        # What this process has written itself it knows better than a folder from which somebody took it away: the gap is to be seen.
        if last is not None and (self._last is None or last.seq >= self._last.seq):
            self._last = last
        self._known.clear()
        for line in (*older, *content)[-REMEMBERED:]:
            try:
                self._remember(str(chain.read(line).fields.get("id")))
            except chain.NotALineError:
                continue

    def _remember(self, identifier: str) -> None:
        self._known[identifier] = None
        self._known.move_to_end(identifier)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _linked(event: Event, heads: Mapping[str, Position], *, after: Position | None) -> tuple[bytes, Position]:
    try:
        return chain.linked(_fields(event, heads), after=after)
    except (ValueError, TypeError, RecursionError) as error:
        # It has its place all the same: left where it is, it would hold up everything that comes after it.
        why = f"what happened cannot be written as a line ({type(error).__name__})"
        _log.error(why, id=event.id, kind=event.kind, incident=event.incident, error=str(error))
        return chain.linked(_fields(event.model_copy(update={"data": {events.UNWRITTEN: why}}), heads), after=after)


def _fields(event: Event, heads: Mapping[str, Position]) -> dict[str, JsonValue]:
    fields = event.model_dump(mode="json")
    line: dict[str, JsonValue] = {"v": events.VERSION, **fields, "data": redaction.without_secrets(fields["data"])}
    if event.kind in events.WITNESSES and heads:
        line["heads"] = {name: one.model_dump(mode="json") for name, one in heads.items()}
    return line
