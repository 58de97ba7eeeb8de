"""How the files of a trail are called."""

import re
from pathlib import Path

from safety_governor.domain.audit.events import Stream

_NUMBERED = re.compile(r"^(?P<stream>[a-z_]+)\.(?P<number>\d{6,})\.jsonl$")


def current(stream: Stream) -> str:
    """The file that is written."""
    return f"{stream}.jsonl"


def numbered(stream: Stream, number: int) -> str:
    """A full one."""
    return f"{stream}.{number:06}.jsonl"


def full_files(folder: Path, stream: Stream) -> list[tuple[int, Path]]:
    """The full ones by their numbers, oldest first."""
    found = []
    for path in folder.iterdir():
        match = _NUMBERED.match(path.name)
        if match and match["stream"] == stream:
            found.append((int(match["number"]), path))
    return sorted(found)


def files(folder: Path, stream: Stream) -> list[Path]:
    """All of them, oldest first."""
    last = folder / current(stream)
    return [*(path for _, path in full_files(folder, stream)), *([last] if last.exists() else [])]
