"""`safety-governor load PATH...`: files into the knowledge store, and a report that says exactly what happened.

One problem anywhere and nothing is loaded, unless the caller asked to keep going. It decides only that, and how
to say it; reading files and storing documents are handed in, so that this module knows no adapter.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from safety_governor.domain import documents, errors

_KINDS = {"Runbook": "runbooks", "Evidence": "evidence", "Policy": "policies", "LogLine": "log lines"}
_MOVED = "written anew"
"""What is said of log lines of which only the time has changed, as it counts from now."""
_CHANGES = ("added", "changed", _MOVED, "unchanged")
_WIDEST = 72
"""Longer paths do not push the column of results to the right."""


class Problem(Protocol):
    """One thing that is wrong in a file."""

    @property
    def line(self) -> int | None:
        """Counted from one; None when the file as a whole is meant."""

    @property
    def field(self) -> str:
        """The field that is meant; empty when none is."""

    @property
    def message(self) -> str:
        """What is wrong, and what was expected."""

    @property
    def manifest(self) -> str:
        """Its kind, if it is no document but a Kubernetes manifest."""


class File(Protocol):
    """What was found in one file."""

    @property
    def path(self) -> str:
        """As a person would name it."""

    @property
    def documents(self) -> Sequence[documents.Document]:
        """The good ones."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong."""

    @property
    def relative(self) -> Set[str]:
        """Ids of those log lines whose times count from now."""

    @property
    def skipped(self) -> str:
        """Why it was passed over; empty when it was read."""


class Report(Protocol):
    """What storing changed."""

    @property
    def changes(self) -> Sequence[str]:
        """added, changed or unchanged, for each document in its order."""


class Store(Protocol):
    """Where the documents go."""

    def replace_documents(self, batch: Sequence[documents.Document], *, progress: Callable[[int], None]) -> Report:
        """Store all of them; `progress` is told how many more are done. Raises PartlyStoredError when only some are stored."""

    def counts(self) -> Mapping[str, int]:
        """How many documents there are of each kind."""


Read = Callable[[Sequence[Path]], Sequence[File]]
"""Reads what the paths hold."""


def run(paths: Sequence[Path], *, read: Read, store: Store, where: str, console: Console, keep_going: bool = False) -> int:
    """Load what the paths hold and report it; the exit code is 0 when every file was loaded or skipped.

    `where` names the store for people.
    With `keep_going`, files without problems are loaded although others have some.
    """
    changes: Mapping[str, Sequence[str]] = {}
    try:
        files = read(paths)
        good = [file for file in files if file.documents and not file.problems]
        failed = any(file.problems for file in files)
        if keep_going or not failed:
            changes = _told_apart(good, _store(store, good, console)) if good else {}
        for line in _lines(files, changes):
            _print(console, line)
        _print(console, _conclusion(files, changes, failed=failed, kept=store.counts(), where=where))
    except errors.PartlyStoredError as error:
        _print(console, Text(f"✗ Not all was loaded. {error}", style="red"))
        return 1
    except errors.KnowledgeUnavailableError as error:
        _print(console, Text(f"✗ {'The documents were loaded.' if changes else 'Nothing was loaded.'} {error}", style="red"))
        return 1
    return 0 if changes and not failed else 1


def _store(store: Store, files: Sequence[File], console: Console) -> dict[str, Sequence[str]]:
    """Store all documents of the files at once; what that changed, by file."""
    batch = [document for file in files for document in file.documents]
    with Progress(
        TextColumn("Storing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=len(batch))
        changes = iter(store.replace_documents(batch, progress=lambda more: bar.advance(task, more)).changes)
    return {file.path: [next(changes) for _ in file.documents] for file in files}


def _told_apart(files: Sequence[File], changes: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The changes, with those that are only due to the time of this load named as that."""
    return {
        file.path: [
            _MOVED if change == "changed" and document.id in file.relative else change
            for document, change in zip(file.documents, changes[file.path], strict=True)
        ]
        for file in files
    }


def _lines(files: Sequence[File], changes: Mapping[str, Sequence[str]]) -> Iterable[Text]:
    width = min(max((len(file.path) for file in files), default=0), _WIDEST)
    for file in files:
        name = file.path.ljust(width)
        if file.skipped:
            yield Text(f"– {name}  skipped: {file.skipped}", style="dim")
        elif file.path in changes:
            yield Text.assemble(("✓", "green"), f" {name}  {_counted(file, changes[file.path])}")
        elif not file.problems:
            yield Text(f"– {name}  not loaded: other files have problems", style="yellow")
        for problem in file.problems:
            if not problem.manifest:
                yield Text.assemble(("✗", "red"), f" {_complaint(file, problem)}")
    if manifests := _manifests(files):
        yield Text.assemble(("✗", "red"), f" {manifests}")


def _manifests(files: Sequence[File]) -> str:
    """One sentence about all Kubernetes manifests; empty when there are none."""
    found = {file.path: sum(bool(one.manifest) for one in file.problems) for file in files}
    where = ", ".join(f"{path} ({number})" for path, number in found.items() if number)
    if not where:
        return ""
    kinds = Counter(one.manifest for file in files for one in file.problems if one.manifest)
    number = kinds.total()
    return (
        f"{number} Kubernetes {'manifest is no document' if number == 1 else 'manifests are no documents'} "
        f"({', '.join(f'{many} {kind}' for kind, many in sorted(kinds.items()))}); expected {', '.join(_KINDS)}. Load only the "
        f"folder that holds those; manifests go to the cluster with kubectl apply, incidents also to `safety-governor try`. In {where}"
    )


def _complaint(file: File, problem: Problem) -> str:
    place = file.path if problem.line is None else f"{file.path}:{problem.line}"
    return " ".join(part for part in (place, problem.field, problem.message) if part)


def _counted(file: File, changes: Sequence[str]) -> str:
    """Such as `2 runbooks added, 1 policies unchanged`."""
    counts = Counter((type(one).__name__, change) for one, change in zip(file.documents, changes, strict=True))
    parts = [(change, kind, counts[kind, change]) for change in _CHANGES for kind in _KINDS if counts[kind, change]]
    return ", ".join(f"{number} {_noun(kind, number)} {change}" for change, kind, number in parts)


def _noun(kind: str, number: int) -> str:
    if number != 1:
        return _KINDS[kind]
    return {"Runbook": "runbook", "Evidence": "evidence", "Policy": "policy", "LogLine": "log line"}[kind]


def _conclusion(files: Sequence[File], changes: Mapping[str, Sequence[str]], *, failed: bool, kept: Mapping[str, int], where: str) -> Text:
    held = ", ".join(f"{kept.get(kind, 0)} {_noun(kind, kept.get(kind, 0))}" for kind in _KINDS)
    said = _outcome(files, changes, failed=failed)
    return Text(f"{said} {where[:1].upper()}{where[1:]} now holds {held}.", style="red" if failed or not changes else "")


def _outcome(files: Sequence[File], changes: Mapping[str, Sequence[str]], *, failed: bool) -> str:
    wrong = sum(len(file.problems) for file in files)
    broken = sum(bool(file.problems) for file in files)
    found = f"{wrong} {'problem' if wrong == 1 else 'problems'} in {broken} {'file' if broken == 1 else 'files'}"
    if not changes:
        return f"Nothing was loaded: {found}." if failed else "Nothing was loaded: no document was found."
    if failed:
        return f"Loaded, except for {found}."
    counts = Counter(change for one in changes.values() for change in one)
    if moved := counts[_MOVED]:
        lines = f"{moved} {_noun('LogLine', moved)}, which {'is' if moved == 1 else 'are'} given as minutes ago"
        return (
            f"Loaded, with new times for {lines}." if counts["added"] or counts["changed"] else f"Nothing changed but the times of {lines}."
        )
    return "Nothing changed." if counts.keys() <= {"unchanged"} else "Loaded."


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)
