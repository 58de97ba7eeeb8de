"""Lines on disk that are only ever appended, each whole and durable or not at all.

A crash may tear the last one, which nobody relied on yet. One process writes a file, and one thread of it.
"""

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import structlog

from safety_governor.domain.audit import chain
from safety_governor.domain.audit.events import Position

_REMEDIES = {
    errno.ENOSPC: "Free space on its volume.",
    errno.EDQUOT: "Raise the quota of its volume, or free space there.",
    errno.EFBIG: "Raise the limit on the size of files, or move the journal away; a new one is begun.",
    errno.EACCES: "Check the rights on the file and on its folder.",
    errno.EROFS: "Its volume is read-only; check why.",
}
_log = structlog.get_logger()

OnRepair: TypeAlias = Callable[[Path, bytes], None]
"""Is told which file was repaired, and what was cut off."""


class UnusableError(Exception):
    """Why the file cannot be used, where the operating system had no objection."""


class InUseError(UnusableError):
    """Another process has the file."""


class Lines:
    """The lines of one file. All that is ever written goes through `append`.

    `beginnings` is how lines of such a file begin, so that some other file is not taken for one.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        beginnings: Sequence[bytes],
        patience: timedelta = timedelta(0),
        on_repair: OnRepair = lambda *_: None,
    ) -> None:
        self.path = path
        self._name = name
        self._beginnings = tuple(beginnings)
        self._on_repair = on_repair
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
            raise UnusableError("it is not a file")
        missing = [one for one in self.path.parents if not one.exists()]
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(self.path, patience=self._patience)
        try:
            self._recover()
            for folder in {self.path.parent, *(one.parent for one in missing)}:
                sync_folder(folder)
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
            raise UnusableError("another process may have it")
        return _content(self._lock)[: self._end].split(b"\n")[:-1]

    def ready(self) -> bool:
        """Whether the file is as it was left; if not, it is made ready all the same and has to be read again."""
        if self._lock is None or not _is_at(self.path, self._lock):
            if self._lock is not None:
                _log.error(f"{self._name} was taken away while it was in use; going on with what is there now", path=str(self.path))
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
            _log.error(f"{self._name} was changed by somebody else while it was in use", path=str(self.path))
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

    @property
    def size(self) -> int:
        """How long the file is."""
        return self._end

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
        if not self._is_ours(content):
            raise UnusableError("it is some other file; it was not touched")
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._cut(self._file, whole)
            self._on_repair(self.path, content[whole:])
            _log.warning(
                f"the last line of {self._name} was torn, as by a crash while it was written; it was cut off, and nothing rested on it",
                path=str(self.path),
                bytes=len(content) - whole,
            )
        os.fsync(self._file)
        self._end = whole

    def _is_ours(self, content: bytes) -> bool:
        """Whether any line begins like one of such a file, or all there is may be the torn beginning of the first."""
        *lines, rest = content.split(b"\n")
        if lines:
            return any(line.startswith(self._beginnings) for line in lines)
        # After a power failure a file may have grown without what was written: zeros.
        rest = rest.rstrip(b"\0")
        return rest.startswith(self._beginnings) or any(one.startswith(rest) for one in self._beginnings)

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
                raise InUseError("another process has it; wait until that has ended, or give each operator files of its own") from None
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


def private(path: str, flags: int) -> int:
    """Opens a file that, when it is new, is for the owner alone, as all that is told of incidents is."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def last_position(content: Sequence[bytes]) -> Position | None:
    """Where the chain goes on: after the last line that is intact. What stands behind it is not ours, and stays for whoever verifies."""
    for line in reversed(content):
        try:
            read = chain.read(line)
        except chain.NotALineError:
            continue
        if read.intact:
            return read.position
    return None


def reason(error: Exception) -> str:
    """What went wrong, in a phrase."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.strerror} ({error.filename})" if error.filename else error.strerror


def remedy(error: Exception, otherwise: str) -> str:
    """What to do about it, as a sentence."""
    return _REMEDIES.get(error.errno or 0, otherwise) if isinstance(error, OSError) else otherwise
