"""Paths to documents: finds the files, reads each by its ending, and joins what only makes sense across files.

One bad document never hides another: every file is read to its end, and every problem keeps its own place. Whether a file
with problems is loaded in part is not decided here: a file's good documents and its problems are both reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from safety_governor.adapters.document_files import discovery, markdown, notation, references, shapes
from safety_governor.adapters.document_files.findings import Entry, File, FormatError, Problem
from safety_governor.domain import documents


@dataclass(slots=True)
class _Draft:
    """A document on its way: where it stands, and its data as far as it is complete."""

    kind: str
    entry: Entry
    data: dict[str, Any]


@dataclass(slots=True)
class _Open:
    """A file on its way."""

    shown: str
    skipped: str = ""
    drafts: list[_Draft] = field(default_factory=list)
    found: list[documents.Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read(paths: Sequence[Path], *, now: datetime, stored_runbook: references.Stored) -> tuple[File, ...]:
    """What the files and folders hold, file by file, in the order of the paths and sorted within a folder.

    `now` is what `minutes_ago` counts from. `stored_runbook` finds runbooks of earlier loads, for references to them.
    """
    files = [_opened(candidate, now) for candidate in discovery.candidates(paths)]
    _refuse_duplicates(files)
    loaded = {str(draft.data.get("id")): draft.data for file in files for draft in file.drafts if draft.kind == "Runbook"}
    for file in files:
        for draft in file.drafts:
            _finish(file, draft, loaded, stored_runbook)
    return tuple(_closed(file) for file in files)


def _opened(candidate: discovery.Candidate, now: datetime) -> _Open:
    file = _Open(candidate.shown, skipped=candidate.skipped)
    if candidate.problem:
        file.problems.append(Problem(line=None, field="", message=candidate.problem))
    elif not candidate.skipped:
        try:
            entries = _entries(candidate)
        except FormatError as error:
            file.problems.append(error.problem)
        else:
            for position, entry in enumerate(entries):
                _draft(file, entry, now=now, origin=f"{candidate.identifier}#{position}")
    return file


def _entries(candidate: discovery.Candidate) -> list[Entry]:
    text = discovery.text_of(candidate.path)
    ending = candidate.path.suffix.lower()
    if ending in discovery.MARKDOWN:
        return [markdown.read_markdown(text, identifier=candidate.identifier)]
    readers = ((discovery.YAML, notation.read_yaml), (discovery.JSON, notation.read_json), (discovery.JSON_LINES, notation.read_json_lines))
    entries = next(read for endings, read in readers if ending in endings)(text)
    if not entries:
        raise FormatError("holds no document")
    return entries


def _draft(file: _Open, entry: Entry, *, now: datetime, origin: str) -> None:
    try:
        kind = shapes.kind_of(entry)
        file.drafts.append(_Draft(kind, entry, shapes.complete(kind, entry.data, now=now, origin=origin)))
    except FormatError as error:
        file.problems.append(_placed(error, entry))


def _placed(error: FormatError, entry: Entry) -> Problem:
    problem = error.problem
    line = problem.line if problem.line is not None else entry.line_of(_path(problem.field))
    return Problem(line=line, field=problem.field, message=problem.message, manifest=problem.manifest)


def _path(shown: str) -> tuple[str | int, ...]:
    parts = shown.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdecimal() else part for part in parts if part)


def _refuse_duplicates(files: Sequence[_Open]) -> None:
    first: dict[tuple[str, str], str] = {}
    for file in files:
        kept = []
        for draft in file.drafts:
            line = draft.entry.line_of(("id",))
            key = (draft.kind, _comparable(draft))
            if not key[1] or key not in first:
                first.setdefault(key, f"{file.shown}:{line}")
                kept.append(draft)
            else:
                message = f"{draft.data['id']!r} is the id of two {draft.kind} documents; the other is in {first[key]}"
                file.problems.append(Problem(line=line, field="id", message=message))
        file.drafts = kept


def _comparable(draft: _Draft) -> str:
    """The id as two documents may not share it; policies are found without regard to case."""
    identifier = draft.data.get("id")
    if not isinstance(identifier, str):
        return ""
    return identifier.casefold() if draft.kind == "Policy" else identifier


def _finish(file: _Open, draft: _Draft, loaded: dict[str, dict[str, Any]], stored: references.Stored) -> None:
    try:
        data = references.resolved(draft.data, loaded=loaded, stored=stored) if draft.kind == "Runbook" else draft.data
    except FormatError as error:
        file.problems.append(_placed(error, draft.entry))
        return
    outcome = shapes.validated(draft.kind, draft.entry, data)
    if isinstance(outcome, tuple):
        file.problems.extend(outcome)
    else:
        file.found.append(outcome)


def _closed(file: _Open) -> File:
    problems = sorted(file.problems, key=lambda one: (one.line or 0, one.field))
    # Those with an id of their own may have changed in more than their time.
    moving = (one for one in file.drafts if one.kind == "LogLine" and "minutes_ago" in one.entry.data and "id" not in one.entry.data)
    relative = frozenset(str(draft.data["id"]) for draft in moving)
    return File(path=file.shown, documents=tuple(file.found), problems=tuple(problems), relative=relative, skipped=file.skipped)
