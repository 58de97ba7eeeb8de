"""What of a trail has not been published yet: the trail itself, and a file that says how far it was.

The trail may be written, taken back, rotated or replaced while it is read, so only what is durable is read, and whenever the file is
not the one it was, reading begins anew where publishing was. Publishing again changes nothing, and leaving out would.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from safety_governor.adapters.audit import lines, naming
from safety_governor.domain import errors
from safety_governor.domain.audit import chain
from safety_governor.domain.audit.events import Stream

CURSOR = "published.json"
SET_ASIDE = "set_aside.jsonl"

_log = structlog.get_logger()


class Outbox:
    """Reads workflow_events behind a durable cursor. One task uses it."""

    def __init__(self, folder: Path, *, stream: Stream = Stream.WORKFLOW_EVENTS, durable: Callable[[], int | None] = lambda: None) -> None:
        """`durable` tells the number of the last line that will not be taken back; None: all that are there."""
        self._folder = folder
        self._stream = stream
        self._durable = durable
        self._published: int | None = None
        self._reader: _Reader | None = None
        self._read: list[Mapping[str, Any]] = []

    async def next(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The oldest lines that are not published."""
        return await asyncio.to_thread(self._guarded, lambda: self._next(limit))

    async def done(self, seq: int) -> None:
        """Durable when it returns."""
        await asyncio.to_thread(self._guarded, lambda: self._done(seq))

    async def set_aside(self, what: Mapping[str, Any], why: str) -> None:
        """Durable when it returns."""
        await asyncio.to_thread(self._guarded, lambda: self._set_aside(what, why))

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
        durable = self._durable()
        if self._reader is not None and self._reader.is_lost():
            self._begin_anew()
        if self._published is None:
            self._published = self._load()
        if self._reader is None:
            self._reader, self._read = _Reader(self._folder, self._stream, after=self._published), []
        self._reader.forget()
        while len(self._read) < limit and (line := self._reader.next()) is not None:
            if durable is not None and line.seq > durable:
                self._reader.back()
                break
            if line.seq > self._published and line.fields.get("stream") == self._stream:
                self._read.append(line.fields)
        if self._reader.met_a_break() and self._load() != self._published:
            self._begin_anew()
            return self._next(limit)
        return self._read[:limit]

    def _begin_anew(self) -> None:
        _log.warning("the audit trail is another one than it was; it is read again from where publishing is")
        self.close()
        self._published, self._read = None, []

    def _done(self, seq: int) -> None:
        path = self._folder / CURSOR
        new = path.with_suffix(".new")
        own = next((line["hash"] for line in self._read if line["seq"] == seq), "")
        with new.open("wb") as file:
            file.write(json.dumps({"v": 1, "stream": self._stream, "seq": seq, "hash": own}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        lines.sync_folder(self._folder)
        self._published = seq
        self._read = [line for line in self._read if int(line["seq"]) > seq]

    def _load(self) -> int:
        path = self._folder / CURSOR
        try:
            noted = json.loads(path.read_bytes())
            seq, own = noted["seq"], noted["hash"]
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            seq, own = None, None
        if not isinstance(seq, int) or not self._holds(seq, own):
            _log.warning("how far this audit trail was published cannot be told; all of it is published again", path=str(path), seq=seq)
            return 0
        return seq

    def _holds(self, seq: int, own: object) -> bool:
        """Whether that line is in the trail; in another one, which was put in its place, it has another hash."""
        reader = _Reader(self._folder, self._stream, after=seq - 1)
        try:
            while (line := reader.next()) is not None and line.seq <= seq:
                if (line.seq, line.hash) == (seq, own):
                    return True
            return False
        finally:
            reader.close()

    def _set_aside(self, what: Mapping[str, Any], why: str) -> None:
        with open(self._folder / SET_ASIDE, "a+b", opener=lines.private) as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    # A full disk or a crash tore the last line; this one is to stay readable.
                    file.write(b"\n")
            file.write(json.dumps({**what, "why": why}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _backlog(self) -> int:
        if self._published is None:
            self._published = self._load()
        durable = self._durable()
        return max((self._last() if durable is None else durable) - self._published, 0)

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
    """Whole lines that nobody has changed, over all files, from the one on in which the first wanted line is."""

    def __init__(self, folder: Path, stream: Stream, *, after: int) -> None:
        self._folder = folder
        self._stream = stream
        self._after = after
        self._file: BinaryIO | None = None
        self._number = 0
        self._at = 0
        """Where the last line begins."""
        self._before: str | None = None
        """The hash of the last line."""
        self._is_broken = False

    def met_a_break(self) -> bool:
        """Whether, since this was asked last, a line did not follow from the one before."""
        was_broken, self._is_broken = self._is_broken, False
        return was_broken

    def next(self) -> chain.Line | None:
        """The next line; None while there is none."""
        while (raw := self._next_whole()) is not None:
            try:
                line = chain.read(raw)
            except chain.NotALineError as error:
                _log.error("a line of the audit trail cannot be read and is not published; audit verify tells more", why=str(error))
                self._is_broken = True
                continue
            self._is_broken |= self._before not in (None, line.prev, line.hash)
            self._before = line.hash
            if line.intact:
                return line
            _log.error("a line of the audit trail was changed and is not published; audit verify tells more", seq=line.seq)
        return None

    def back(self) -> None:
        """Read the last line once more, as it will be then."""
        if self._file is not None:
            self._file.seek(self._at)
            self.forget()

    def forget(self) -> None:
        """Read from the disk what comes next: what was read ahead may have been taken back since."""
        if self._file is not None:
            at = self._file.tell()
            again = os.fdopen(os.dup(self._file.fileno()), "rb")
            self._file.close()
            self._file = again
            self._file.seek(at)

    def is_lost(self) -> bool:
        """Whether the file that is read is not, or not wholly, where it was."""
        if self._file is None:
            return False
        path, open_now = self._numbered().get(self._number), os.fstat(self._file.fileno())
        try:
            return path is None or not os.path.samestat(path.stat(), open_now) or open_now.st_size < self._file.tell()
        except FileNotFoundError:
            return True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _next_whole(self) -> bytes | None:
        while True:
            if self._file is None and not self._open(self._first()):
                return None
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

    def _whole_line(self) -> bytes | None:
        assert self._file is not None, "it was opened"  # noqa: S101
        self._at = self._file.tell()
        line = self._file.readline()
        if line.endswith(b"\n"):
            return line[:-1]
        if line:
            self.back()
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
