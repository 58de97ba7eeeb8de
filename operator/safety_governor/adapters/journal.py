"""The journal on disk: what was intended, before the cluster is touched, and what became of it. No durable intent, no action.

Lines are only ever appended, each whole and durable or not at all; a crash may tear the last one, which nobody relied on yet.
One process writes a journal, and one thread of it, so that a disk that hangs holds up nothing but actions.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

import structlog

from safety_governor.domain import errors, history, journal

PATIENCE = timedelta(seconds=3)
"""So long is waited for another process to let go of the journal: the operator of before may be about to end."""
REMEMBERED = timedelta(hours=48)
"""A repetition within this time is recognised; no action is tried for longer."""

_REMEDIES = {
    errno.ENOSPC: "Free space on its volume.",
    errno.EDQUOT: "Raise the quota of its volume, or free space there.",
    errno.EFBIG: "Raise the limit on the size of files, or move the journal away; a new one is begun.",
    errno.EACCES: "Check the rights on the file and on its folder.",
    errno.EROFS: "Its volume is read-only; check why.",
}
_Result = TypeVar("_Result")
_log = structlog.get_logger()


class Journal:
    """Intents and ends of actions in a file."""

    def __init__(self, lines: "_Lines") -> None:
        self._lines = lines
        self._newest: dict[str, journal.Event] = {}
        self._closed = False
        # A thread of its own: others wait in the common ones, and fsync may take as long as a disk likes.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    @classmethod
    def open(cls, path: Path, *, patience: timedelta = PATIENCE) -> Self:
        """The journal of that path, begun when there is none. Blocks for up to `patience` while another process has it.

        Raises ConfigurationError when it cannot be used.
        """
        lines = _Lines(path, patience=patience)
        try:
            lines.open()
            opened = cls(lines)
            opened._learn()
        except (OSError, _UnusableError) as error:
            lines.close()
            remedy = _remedy(error, "Set GOVERNOR_JOURNAL to a file on a volume that outlives the process.")
            raise errors.ConfigurationError(
                f"the journal {path} cannot be used: {_reason(error)}; without it nothing may be executed. {remedy}"
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
        """The actions that ended from then on, as far as the journal knows. Reports and raises what `read` does."""
        return [one for one in journal.past(self._submit(self._reported).result()) if one.finished_at >= since]

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
            self._lines.append(journal.to_line(event))
        except (OSError, _UnusableError) as error:
            remedy = _remedy(error, "Check the volume that it is on.")
            raise errors.JournalUnavailableError(
                f"the journal {self._lines.path} cannot be written: {_reason(error)}; nothing is executed until it can be. {remedy}"
            ) from error
        self._remember(event)

    def _reported(self) -> list[journal.Event]:
        try:
            events, unread = self._events()
        except (OSError, _UnusableError) as error:
            remedy = _remedy(error, "Check the volume that it is on.")
            raise errors.JournalUnavailableError(
                f"the journal {self._lines.path} cannot be read: {_reason(error)}; what was done before is not known. {remedy}"
            ) from error
        for number, why in unread.items():
            _log.warning("a line of the journal cannot be read; it is left as it is", path=str(self._lines.path), line=number, why=why)
        return events

    def _events(self) -> tuple[list[journal.Event], dict[int, str]]:
        """What the lines say, and by their number why some say nothing."""
        events: list[journal.Event] = []
        unread: dict[int, str] = {}
        for number, line in enumerate(self._lines.all(), start=1):
            try:
                events.append(journal.from_line(line))
            except ValueError as error:
                unread[number] = str(error)
        return events, unread

    def _learn(self) -> None:
        self._newest.clear()
        for event in self._events()[0]:
            self._remember(event)

    def _remember(self, event: journal.Event) -> None:
        self._newest.pop(event.key, None)
        self._newest[event.key] = event
        # The oldest come first, so that only those are looked at that are forgotten now.
        while (oldest := next(iter(self._newest.values()))).at < event.at - REMEMBERED:
            del self._newest[oldest.key]


class _UnusableError(Exception):
    """Why the file cannot be used, where the operating system had no objection."""


class _Lines:
    """The lines of the file. All that is ever written goes through `append`."""

    def __init__(self, path: Path, *, patience: timedelta) -> None:
        self.path = path
        self._patience = patience.total_seconds()
        # The lock has a descriptor of its own, so that the file can be opened anew for writing without letting go of it.
        self._lock: int | None = None
        self._file: int | None = None
        self._end = 0
        # Whether something may stand beyond the end that was written and could not be taken back.
        self._failed = False

    def open(self) -> None:
        """Take the lock, and bring the file into a state in which a line can be appended."""
        if self.path.exists() and not self.path.is_file():
            raise _UnusableError("it is not a file")
        missing = [one for one in self.path.parents if not one.exists()]
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(self.path, patience=self._patience)
        try:
            self._recover()
            for folder in {self.path.parent, *(one.parent for one in missing)}:
                _sync_folder(folder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of everything."""
        self._drop()
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def all(self) -> list[bytes]:
        """Every line that is durable, without its end."""
        if self._lock is None:
            raise _UnusableError("another process may have it")
        return _content(self._lock)[: self._end].split(b"\n")[:-1]

    def ready(self) -> bool:
        """Whether the file is as it was left; if not, it is made ready all the same and has to be read again."""
        if self._lock is None or not _is_at(self.path, self._lock):
            if self._lock is not None:
                _log.error("the journal was taken away while it was in use; going on with what is there now", path=str(self.path))
            self.close()
            self.open()
            return False
        with self._fresh_after_failure():
            return self._is_as_left()

    def _is_as_left(self) -> bool:
        if self._file is None:
            self._file = _opened(self.path)
        if self._failed:
            # The lock was held all the time, so what stands beyond the end is our own, and nothing rests on it.
            if os.fstat(self._file).st_size > self._end:
                self._cut(self._file, self._end)
            self._failed = False
        if os.fstat(self._file).st_size != self._end:
            _log.error("the journal was changed by somebody else while it was in use", path=str(self.path))
            self._recover()
            return False
        return True

    def append(self, line: bytes) -> None:
        """Durable when it returns; when it raises, nothing was written, or it is cut off before the next line is."""
        assert self._file is not None, "it is made ready first"  # noqa: S101
        with self._fresh_after_failure():
            try:
                _write(self._file, line)
                os.fsync(self._file)
            except OSError:
                self._failed = True
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._end)
                raise
        self._end += len(line)

    @contextlib.contextmanager
    def _fresh_after_failure(self) -> Iterator[None]:
        """After a failed fsync the next one on the same descriptor may succeed although what was written is lost."""
        try:
            yield
        except OSError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _recover(self) -> None:
        """Cut off a torn last line, and make sure that what stands before it is durable."""
        self._failed = False
        if self._file is None:
            self._file = _opened(self.path)
        content = _content(self._file)
        if not _is_ours(content):
            raise _UnusableError("it is some other file; it was not touched")
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._cut(self._file, whole)
            _log.warning(
                "the last line of the journal was torn, as by a crash while it was written; it was cut off, and nothing rested on it",
                path=str(self.path),
                bytes=len(content) - whole,
            )
        os.fsync(self._file)
        self._end = whole

    @staticmethod
    def _cut(file: int, end: int) -> None:
        os.ftruncate(file, end)
        os.fsync(file)


def _locked(path: Path, *, patience: float) -> int:
    """A descriptor that holds the lock on the file that is at that path."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, file):
                return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(file)
                raise _UnusableError(
                    "another process has it; wait until that has ended, or give each operator a journal of its own"
                ) from None
        except OSError:
            os.close(file)
            raise
        os.close(file)
        pause.wait(0.05)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _is_at(path: Path, file: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file))


def _content(file: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as stream:
        stream.seek(0)
        return stream.read()


def _write(file: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _is_ours(content: bytes) -> bool:
    """Whether it is a journal: any line begins like one, or all there is may be the torn beginning of the first."""
    *lines, rest = content.split(b"\n")
    if lines:
        return any(line.startswith(journal.BEGINNING) for line in lines)
    # After a power failure a file may have grown without what was written: zeros.
    rest = rest.rstrip(b"\0")
    return rest.startswith(journal.BEGINNING) or journal.BEGINNING.startswith(rest)


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.strerror} ({error.filename})" if error.filename else error.strerror


def _remedy(error: Exception, otherwise: str) -> str:
    return _REMEDIES.get(error.errno or 0, otherwise) if isinstance(error, OSError) else otherwise
