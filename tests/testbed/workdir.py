"""The folder a control plane lives in, and the cleaning up after those that were killed.

A killed process cannot delete its folder (an etcd write-ahead log is 64 MB), so each temporary folder holds a lock for
as long as its owner lives, and the next control plane removes the folders whose lock is free.
"""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_PREFIX = "safety-governor-testbed-"
_LOCK = "owner.lock"
_SETTLED_SECONDS = 60.0
"""A younger folder may not have taken its lock yet."""


class Workdir:
    """A folder; a temporary one is removed at the end, a given one stays."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock: int | None = None
        if path is not None:
            self.path = path.resolve()
            self.path.mkdir(parents=True, exist_ok=True)
            return
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete the folder if it was temporary; harmless when repeated."""
        if self._lock is None:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = None


def write_private(path: Path, text: str) -> Path:
    """Write a file that only we may read; readers see the old text or the new one, never half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return partial.replace(path)


def _sweep(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            if time.time() - lock.stat().st_mtime < _SETTLED_SECONDS:
                continue
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # someone else's, or just removed
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)
