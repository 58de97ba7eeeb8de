"""A folder of trails as it lies there, read a line at a time by whoever looks into it. Nothing is locked and nothing is written."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from safety_governor.adapters.audit import naming
from safety_governor.domain import errors
from safety_governor.domain.audit import chain, proof
from safety_governor.domain.audit.events import Stream

LONGEST = 16 * 1024 * 1024
"""No line of ours is longer; of some other file the first so many bytes are enough to say so."""

_ON_ITS_WAY = 0.05

ORDER = (Stream.WORKFLOW_EVENTS, Stream.AGENT_RUNS, Stream.RELIABILITY_METRICS, Stream.TOOL_TRACE)


def verify(folder: Path, *, journal: Path | None = None, anchors: Mapping[str, Sequence[proof.Anchor]]) -> Iterator[proof.Verified]:
    """Every stream of the folder against its chain and against what was noted elsewhere. Raises ConfigurationError.

    Without a `journal` that of the folder is taken; where there is none, it is left out, as it may be elsewhere.
    """
    _check(folder)
    noted = {name: list(found) for name, found in anchors.items()}
    for stream in ORDER:
        found = _verified(stream, folder, noted.get(stream, []))
        for name, anchor in found.heads.items():
            noted.setdefault(name, []).append(anchor)
        yield found
    path = journal or folder / naming.current(Stream.JOURNAL)
    if path.exists() or (journal is not None and noted.get(Stream.JOURNAL)):
        verifier = proof.Verifier(Stream.JOURNAL, noted.get(Stream.JOURNAL, []))
        if path.exists():
            verifier.begin(path.name, number=None)
            for line in _lines(path):
                verifier.take(line)
        else:
            verifier.no_files()
        yield verifier.finish()


def _verified(stream: Stream, folder: Path, anchors: Sequence[proof.Anchor]) -> proof.Verified:
    verifier = proof.Verifier(stream, anchors)
    with contextlib.ExitStack() as stack:
        # Opened before the others are listed: it may get its number meanwhile, and must be read once.
        current = stack.enter_context(_opened(folder / naming.current(stream)))
        full = naming.full_files(folder, stream)
        if not full and current is None:
            verifier.no_files()
            return verifier.finish()
        expected = 1
        for number, path in full:
            for missing in range(expected, min(number, expected + 100)):
                verifier.missing_file(naming.numbered(stream, missing), missing)
            expected = number + 1
            verifier.begin(path.name, number=number)
            _take(verifier, path, number)
        if current is not None and not any(os.path.samestat(path.stat(), os.fstat(current.fileno())) for _, path in full):
            verifier.begin(naming.current(stream), number=None)
            for line in _patiently(current):
                verifier.take(line)
    return verifier.finish()


def _take(verifier: proof.Verifier, path: Path, number: int) -> None:
    empty = True
    for line in _lines(path):
        empty = False
        verifier.take(line)
    if empty:
        verifier.empty_file(naming.numbered(verifier.stream, number))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be read: {error.strerror}; check the path and the rights on it") from error
    with file:
        yield file


def _patiently(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that may be written just now: the end of the last one may be on its way."""
    while line := file.readline(LONGEST):
        if not line.endswith(b"\n") and len(line) < LONGEST:
            threading.Event().wait(_ON_ITS_WAY)
            line += file.readline(LONGEST)
        yield line


def lines_of(folder: Path, stream: Stream) -> Iterator[chain.Line]:
    """Every line of a stream that can be read, oldest first. Raises ConfigurationError."""
    _check(folder)
    for path in naming.files(folder, stream):
        yield from readable(path)


def readable(path: Path) -> Iterator[chain.Line]:
    """Every line of a file that can be read; what else stands there is for whoever verifies."""
    for line in _lines(path):
        try:
            yield chain.read(line.removesuffix(b"\n"))
        except chain.NotALineError:
            continue


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while line := stream.readline(LONGEST):
                yield line
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be read: {error.strerror}; check the path and the rights on it") from error


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise errors.ConfigurationError(
            f"there is no audit trail at {folder}: it is not a folder; give the folder as an argument or set GOVERNOR_AUDIT"
        )


class Follower:
    """The lines of all streams of a folder as they are written, over the change from a full file to a new one."""

    def __init__(self, folder: Path) -> None:
        _check(folder)
        self._folder = folder
        self._open: dict[Stream, tuple[BinaryIO, bytes]] = {}

    def skip(self) -> None:
        """Begin behind what is there."""
        for stream in ORDER:
            path = self._folder / naming.current(stream)
            if path.exists():
                file = path.open("rb")
                # Whoever begins in the middle of a line reads from its beginning.
                content = file.read()
                self._open[stream] = (file, content[content.rfind(b"\n") + 1 :])

    def read(self) -> list[chain.Line]:
        """What has come since."""
        found = []
        for stream in ORDER:
            for raw in self._raw(stream):
                try:
                    found.append(chain.read(raw))
                except chain.NotALineError:
                    continue
        return found

    def close(self) -> None:
        """Let go of the files."""
        for file, _ in self._open.values():
            file.close()
        self._open.clear()

    def _raw(self, stream: Stream) -> Iterator[bytes]:
        path = self._folder / naming.current(stream)
        # Asked before the rest is read: what is written between the two is read next time.
        replaced = stream in self._open and not _is_same(self._open[stream][0], path)
        if stream in self._open:
            file, begun = self._open[stream]
            *whole, rest = (begun + file.read()).split(b"\n")
            self._open[stream] = (file, rest)
            yield from whole
        if (replaced or stream not in self._open) and path.exists():
            if stream in self._open:
                self._open[stream][0].close()
            self._open[stream] = (path.open("rb"), b"")
            yield from self._raw(stream)


def _is_same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return True
