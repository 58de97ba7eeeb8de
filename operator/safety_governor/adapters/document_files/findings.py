"""What the reader has to say about files: the documents in them, or what is wrong and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from safety_governor.domain.documents import Document

Path = tuple[str | int, ...]
"""The way from the root of a document to a value in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file."""

    line: int | None
    """Counted from one; None when the file as a whole is meant."""
    field: str
    """Such as `remediations[0].steps[1].type`; empty when no field is meant."""
    message: str
    """What is wrong, and what was expected."""
    manifest: str = ""
    """Its kind, if it is no document but a Kubernetes manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """All that was found in one file."""

    path: str
    """As a person would name it: the given path, or the given folder and the way from there."""
    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    relative: frozenset[str] = frozenset()
    """Ids of those log lines whose times count from now: loaded again, they are other lines."""
    skipped: str = ""
    """Why the file was passed over; empty when it was read."""


class FormatError(Exception):
    """A file or a document in it that cannot be read at all."""

    def __init__(self, message: str, *, line: int | None = None, field: str = "", manifest: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(line=line, field=field, message=message, manifest=manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One document as it stands in a file: plain data, not validated, with the lines that it came from."""

    data: dict[str, object]
    lines: Mapping[Path, int] = field(default_factory=dict)
    """Lines of all values of the file, by their way from its root."""
    root: Path = ()
    """The way from the root of the file to this document."""
    first_line: int = 1

    def line_of(self, path: Path) -> int:
        """The line of the value, or of the closest thing around it that has one."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(self.root + path[:length])
            if line is not None:
                return line
        return self.first_line


def show(path: Path) -> str:
    """The way to a value, as people write it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
