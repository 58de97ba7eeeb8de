"""Which files the given paths mean, and their text: everything about files that is not about documents."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safety_governor.adapters.document_files.findings import FormatError

LARGEST = 1024 * 1024
"""Bytes; what is larger is a dump, not something a person wrote."""
YAML, JSON, JSON_LINES, MARKDOWN = (".yaml", ".yml"), (".json",), (".jsonl", ".ndjson"), (".md", ".markdown")
ENDINGS = YAML + JSON + JSON_LINES + MARKDOWN
_ABOUT_THE_FOLDER = frozenset({"readme", "changelog", "contributing", "license", "code_of_conduct", "_index"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that was named, or found in a folder that was."""

    path: Path
    shown: str
    identifier: str
    """The way from the given folder, without the ending."""
    skipped: str = ""
    problem: str = ""


def candidates(paths: Sequence[Path]) -> Iterator[Candidate]:
    """Every file that the paths mean, each once, in the order of the paths and sorted within a folder."""
    seen: set[Path] = set()
    for given in paths:
        for one in _in_folder(given) if given.is_dir() else [_named(given)]:
            real = Path(os.path.realpath(one.path))
            if real not in seen or one.problem:
                seen.add(real)
                yield one


def text_of(path: Path) -> str:
    """The text of the file, with plain line ends and without a byte order mark."""
    try:
        if path.stat().st_size > LARGEST:
            raise FormatError(f"is larger than {LARGEST // 1024} KiB; split it into several files")
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}") from error
    if b"\0" in content:
        raise FormatError("is not text: it holds a NUL byte", line=content.count(b"\n", 0, content.index(b"\0")) + 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError("is not text in UTF-8", line=content.count(b"\n", 0, error.start) + 1) from error
    if not text.strip():
        raise FormatError("is empty")
    return text.replace("\r\n", "\n")


def _named(given: Path) -> Candidate:
    shown, identifier = given.as_posix(), given.with_suffix("").name
    problem = ""
    if not os.path.lexists(given):
        problem = "does not exist"
    elif not given.is_file():
        problem = "is not a regular file" if given.exists() else "is a link to nothing"
    elif given.suffix.lower() not in ENDINGS:
        problem = f"has an unknown ending; expected one of {', '.join(ENDINGS)}"
    return Candidate(path=given, shown=shown, identifier=identifier, problem=problem)


def _in_folder(folder: Path) -> Iterator[Candidate]:
    unreadable: list[OSError] = []
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found.extend(Path(parent, name) for name in files if not name.startswith("."))
    for error in unreadable:
        yield Candidate(
            path=Path(error.filename), shown=Path(error.filename).as_posix(), identifier="", problem=f"cannot be read: {error.strerror}"
        )
    for path in sorted(found, key=lambda one: one.relative_to(folder).parts):
        identifier = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() not in ENDINGS:
            yield Candidate(path=path, shown=path.as_posix(), identifier=identifier, skipped="no document ending")
        elif path.suffix.lower() in MARKDOWN and path.stem.lower() in _ABOUT_THE_FOLDER:
            yield Candidate(path=path, shown=path.as_posix(), identifier=identifier, skipped="about the folder, not a runbook")
        else:
            yield Candidate(
                path=path, shown=path.as_posix(), identifier=identifier, problem="" if path.is_file() else "is not a regular file"
            )
