"""What of a trail has not been published yet: the trail itself, and a file that says how far it was."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from safety_governor.adapters.audit import lines, naming
from safety_governor.domain import errors
from safety_governor.domain.audit import chain
from safety_governor.domain.audit.documents import Record
from safety_governor.domain.audit.events import Stream

CURSOR = "published.json"
SET_ASIDE = "set_aside.jsonl"

_log = structlog.get_logger()


class Outbox:
    """Reads workflow_events behind a durable cursor. One task uses it."""

    def __init__(self, folder: Path, *, stream: Stream = Stream.WORKFLOW_EVENTS) -> None:
        self._folder = folder
        self._stream = stream
        self._published: int | None = None
        self._reader: _Reader | None = None
        self._read: list[Mapping[str, Any]] = []

    async def next(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The oldest lines that are not published."""
        return await asyncio.to_thread(self._guarded, lambda: self._next(limit))

    async def done(self, seq: int) -> None:
        """Durable when it returns."""
        await asyncio.to_thread(self._guarded, lambda: self._done(seq))

    async def set_aside(self, record: Record, why: str) -> None:
        """Durable when it returns."""
        await asyncio.to_thread(self._guarded, lambda: self._set_aside(record, why))

    async def backlog(self) -> int:
        """From the number of the last line; without reading what is in between."""
        return await asyncio.to_thread(self._guarded, self._backlog)

    def close(self) -> None:
        """Let go of the files."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _guarded(self, work: Any) -> Any:  # noqa: ANN401
        try:
            return work()
        except OSError as error:
            # What was read may stand anywhere; it begins anew at the cursor.
            self.close()
            self._read = []
            advice = lines.remedy(error, "Check the volume that it is on.")
            raise errors.JournalUnavailableError(
                f"the audit trail in {self._folder} cannot be read for publishing: {lines.reason(error)}; nothing is lost. {advice}"
            ) from error

    def _next(self, limit: int) -> list[Mapping[str, Any]]:
        if self._published is None:
            self._published = self._load()
        if self._reader is None:
            self._reader, self._read = _Reader(self._folder, self._stream, after=self._published), []
        while len(self._read) < limit:
            raw = self._reader.next()
            if raw is None:
                break
            try:
                line = chain.read(raw)
            except chain.NotALineError:
                continue
            if line.seq > self._published and line.fields.get("stream") == self._stream:
                self._read.append(line.fields)
        return self._read[:limit]

    def _done(self, seq: int) -> None:
        path = self._folder / CURSOR
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(json.dumps({"v": 1, "stream": self._stream, "seq": seq}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        lines.sync_folder(self._folder)
        self._published = seq
        self._read = [line for line in self._read if int(line["seq"]) > seq]

    def _load(self) -> int:
        path = self._folder / CURSOR
        try:
            seq = json.loads(path.read_bytes())["seq"]
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            seq = None
        last = self._last()
        if not isinstance(seq, int) or seq < 0 or seq > last:
            # The same ids again change nothing; leaving something out would.
            _log.warning(
                "how far the audit trail was published cannot be told; all of it is published again", path=str(path), seq=seq, last=last
            )
            return 0
        return seq

    def _set_aside(self, record: Record, why: str) -> None:
        path = self._folder / SET_ASIDE
        with path.open("ab") as file:
            file.write(json.dumps({"index": record.index, "id": record.id, "why": why, "document": record.document}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _backlog(self) -> int:
        if self._published is None:
            self._published = self._load()
        return max(self._last() - self._published, 0)

    def _last(self) -> int:
        for path in reversed(naming.files(self._folder, self._stream)):
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1024 * 1024, 0))
                position = lines.last_position(file.read().split(b"\n"))
            if position is not None:
                return position.seq
        return 0


class _Reader:
    """Whole lines, over all files, from the one on in which the first wanted line is."""

    def __init__(self, folder: Path, stream: Stream, *, after: int) -> None:
        self._folder = folder
        self._stream = stream
        self._after = after
        self._file: BinaryIO | None = None
        self._number = 0

    def next(self) -> bytes | None:
        """The next line without its end; None while there is none."""
        while True:
            if self._file is None and not self._open(self._first()):
                return None
            assert self._file is not None  # noqa: S101 - it has just been opened
            if (line := self._whole_line()) is not None:
                return line
            # A full file goes on in the next one. What was written to it before it got its number is read first.
            following = self._number + 1
            if following not in self._numbered():
                return None
            if (line := self._whole_line()) is not None:
                return line
            if not self._open(following):
                return None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _whole_line(self) -> bytes | None:
        assert self._file is not None  # noqa: S101
        at = self._file.tell()
        line = self._file.readline()
        if line.endswith(b"\n"):
            return line[:-1]
        self._file.seek(at)
        return None

    def _open(self, number: int) -> bool:
        path = self._numbered().get(number)
        if path is None:
            return False
        file = path.open("rb")
        # It may have got its number between the look and the opening, and another file its name.
        now = self._numbered().get(number)
        if now is None or not os.path.samestat(now.stat(), os.fstat(file.fileno())):
            file.close()
            return False
        self.close()
        self._file, self._number = file, number
        return True

    def _first(self) -> int:
        """The last file that begins at or before the first wanted line."""
        first = 0
        for number, path in sorted(self._numbered().items()):
            begins = _first_seq(path)
            if not first or (begins is not None and begins <= self._after + 1):
                first = number
        return first

    def _numbered(self) -> dict[int, Path]:
        """All files by their numbers; the one being written has the next."""
        full = naming.full_files(self._folder, self._stream)
        current = self._folder / naming.current(self._stream)
        found = dict(full)
        if current.exists():
            found[(full[-1][0] if full else 0) + 1] = current
        return found


def _first_seq(path: Path) -> int | None:
    with path.open("rb") as file:
        line = file.readline()
    try:
        return chain.read(line.removesuffix(b"\n")).seq
    except chain.NotALineError:
        return None
