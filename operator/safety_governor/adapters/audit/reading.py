"""A folder of trails as it lies there, read a line at a time by whoever looks into it. Nothing is locked and nothing is written."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from safety_governor.adapters.audit import naming
from safety_governor.domain import errors
from safety_governor.domain.audit import chain, proof
from safety_governor.domain.audit.events import Kind, Stream

LONGEST = 16 * 1024 * 1024
"""No line of ours is longer; of some other file the first so many bytes are enough to say so."""

_ON_ITS_WAY = 0.05

ORDER = (Stream.WORKFLOW_EVENTS, Stream.AGENT_RUNS, Stream.RELIABILITY_METRICS, Stream.TOOL_TRACE)

_AFTER_DECISIONS = (Stream.RELIABILITY_METRICS, Stream.AGENT_RUNS)
"""Whatever stands there is about incidents, and every file of them was begun together with that of workflow_events."""

LeftOut: TypeAlias = Callable[[Path], None]
"""Is told the file of every line that is not as it was written, so that whoever shows the others can say how many are missing."""


def verify(folder: Path, *, journal: Path | None = None, anchors: Mapping[str, Sequence[proof.Anchor]]) -> Iterator[proof.Verified]:
    """Every stream of the folder against its chain and against what was noted elsewhere. Raises ConfigurationError.

    Without a `journal` that of the folder is taken; where there is none and the trail notes none, it is left out. Where there is
    no trail and nothing notes one, it is a NoTrailError: nothing can be said about nothing.
    """
    _check(folder)
    noted = {name: list(found) for name, found in anchors.items()}
    path = journal or folder / naming.current(Stream.JOURNAL)
    witnesses = _witnesses(folder, path)
    if not witnesses and not any(noted.values()):
        _check_trail(folder)
    for stream in ORDER:
        found = _verified(stream, folder, noted.get(stream, []), witnesses if stream is Stream.WORKFLOW_EVENTS else ())
        for name, anchor in found.heads.items():
            noted.setdefault(name, []).append(anchor)
        yield found
    if path.exists() or noted.get(Stream.JOURNAL):
        verifier = proof.Verifier(Stream.JOURNAL, noted.get(Stream.JOURNAL, []))
        if path.exists():
            verifier.begin(path.name, number=None)
            for line in _lines(path):
                verifier.take(line)
        elif journal is None:
            verifier.no_journal()
        else:
            verifier.no_files()
        yield verifier.finish()


def _witnesses(folder: Path, journal: Path) -> list[str]:
    """What can only be there when there were decisions, and so a workflow_events, too."""
    found = [naming.current(stream) for stream in _AFTER_DECISIONS for path in naming.files(folder, stream)[:1] if _has_events(path)]
    return [*found, *([journal.name] if journal.exists() and _has_events(journal) else [])]


def _has_events(path: Path) -> bool:
    return any(line.fields.get("kind") != Kind.FILE_BEGUN for line in unchanged(path, left_out=lambda _: None))


def _verified(stream: Stream, folder: Path, anchors: Sequence[proof.Anchor], witnesses: Sequence[str]) -> proof.Verified:
    verifier = proof.Verifier(stream, anchors)
    with contextlib.ExitStack() as stack:
        # Opened before the others are listed: it may get its number meanwhile, and must be read once.
        current = stack.enter_context(_opened(folder / naming.current(stream)))
        full = naming.full_files(folder, stream)
        if not full and current is None:
            verifier.no_files(witnesses)
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
    if not verifier.has_events:
        # What the other files say is on its way to them a moment before the incident that it is about is to its own; into the journal
        # nothing gets before.
        early = {naming.current(one) for one in _AFTER_DECISIONS}
        verifier.no_events([name for name in witnesses if name not in early])
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


def lines_of(folder: Path, stream: Stream, *, left_out: LeftOut) -> Iterator[chain.Line]:
    """Every line of a stream that is as it was written, oldest first. Raises ConfigurationError, NoTrailError where no stream has a file."""
    _check(folder)
    _check_trail(folder)
    for path in naming.files(folder, stream):
        yield from unchanged(path, left_out=left_out)


def unchanged(path: Path, *, left_out: LeftOut) -> Iterator[chain.Line]:
    """Every line of a file that is as it was written; what is wrong with the others is for whoever verifies."""
    for raw in _lines(path):
        line = _unchanged(raw.removesuffix(b"\n"))
        if line is None:
            left_out(path)
        else:
            yield line


def _unchanged(raw: bytes) -> chain.Line | None:
    try:
        line = chain.read(raw)
    except chain.NotALineError:
        return None
    return line if line.intact or line.reformatted else None


def trails_below(folder: Path) -> list[Path]:
    """Its folders that hold a trail, by name: one program has a folder for each of its processes. Raises ConfigurationError."""
    _check(folder)
    return sorted(path for path in folder.iterdir() if path.is_dir() and holds_trail(path))


def holds_trail(folder: Path) -> bool:
    """Whether there is a file of any stream. Raises ConfigurationError when that cannot be seen."""
    try:
        return any(naming.files(folder, stream) for stream in ORDER)
    except OSError as error:
        raise errors.ConfigurationError(f"{folder} cannot be read: {error.strerror}; check the rights on it") from error


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            yield from _patiently(stream)
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be read: {error.strerror}; check the path and the rights on it") from error


def _check(folder: Path) -> None:
    try:
        with os.scandir(folder):
            return
    except FileNotFoundError as error:
        raise errors.NoTrailError(f"there is no trail here: there is no folder {folder}; check the path") from error
    except NotADirectoryError as error:
        raise errors.NoTrailError(f"there is no trail here: {folder} is not a folder; name the folder that the trail is in") from error
    except OSError as error:
        raise errors.ConfigurationError(f"{folder} cannot be read: {error.strerror}; check the rights on it") from error


def _check_trail(folder: Path) -> None:
    if holds_trail(folder):
        return
    below = [path.name for path in trails_below(folder)]
    if below:
        more = f" and {len(below) - 10} more" if len(below) > 10 else ""
        raise errors.NoTrailError(
            f"there is no trail here: {folder} holds none itself, but its folders {', '.join(below[:10])}{more} do; name one of them"
        )
    raise errors.NoTrailError(f"there is no trail here: {folder} has no file of one; if there was a trail, all of it was removed or moved")


class Follower:
    """The lines of all streams of a folder as they are written, over the change from a full file to a new one."""

    def __init__(self, folder: Path, *, left_out: LeftOut) -> None:
        _check(folder)
        _check_trail(folder)
        self._folder = folder
        self._left_out = left_out
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
                line = _unchanged(raw)
                if line is None:
                    self._left_out(self._folder / naming.current(stream))
                else:
                    found.append(line)
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
