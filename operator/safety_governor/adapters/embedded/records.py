"""Documents as rows of the store: the only module that knows the tables' columns and the JSON inside them.

A row that cannot be read back is not skipped: an answer without it would be incomplete, so the whole read fails.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import pydantic

from safety_governor.adapters.embedded import database
from safety_governor.domain import documents

T = TypeVar("T", bound=documents.Document)
Change = Literal["added", "changed", "unchanged"]

KINDS: tuple[type[documents.Document], ...] = (documents.Runbook, documents.Evidence, documents.Policy, documents.LogLine)
_SEARCHED = (documents.Runbook, documents.Evidence)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Which content a reader saw. Two equal generations hold the same runbooks and evidence."""

    identity: str
    """Drawn when the store was made: a file that was replaced is another store, whatever its numbers."""
    loads: int
    """How often documents were stored; zero means that nobody ever did."""
    text: int
    """Grows whenever runbooks or evidence change."""


def generation(connection: sqlite3.Connection) -> Generation:
    """The generation of the open transaction's view."""
    identity, loads, text = connection.execute("SELECT identity, loads, text_generation FROM store").fetchone()
    return Generation(identity=identity, loads=loads, text=text)


def fetch_all(connection: sqlite3.Connection, kind: type[T]) -> list[T]:
    """Every document of a kind, ordered by id."""
    rows = connection.execute("SELECT content FROM documents WHERE kind = ? ORDER BY id", (kind.__name__,))
    return [_read(kind, content) for (content,) in rows]


def fetch_concerning(connection: sqlite3.Connection, kind: type[T], service: str) -> list[T]:
    """Every document of a kind that concerns the service, ordered by id."""
    query = "SELECT content FROM documents WHERE kind = ? AND service IN (?, ?) ORDER BY id"
    rows = connection.execute(query, (kind.__name__, service, documents.ANY_SERVICE))
    return [_read(kind, content) for (content,) in rows]


def find(connection: sqlite3.Connection, kind: type[T], identifiers: Sequence[str]) -> dict[str, T]:
    """Those of the given ids that exist, in the order of the ids."""
    query = "SELECT id, content FROM documents WHERE kind = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY id"
    rows = connection.execute(query, (kind.__name__, json.dumps(list(identifiers))))
    return {name: _read(kind, content) for name, content in rows}


def log_lines(connection: sqlite3.Connection, *, service: str, since: datetime, until: datetime) -> Iterator[documents.LogLine]:
    """The log lines of exactly this service in the closed window, in the order they were written."""
    query = "SELECT content FROM documents WHERE kind = 'LogLine' AND service = ? AND at BETWEEN ? AND ? ORDER BY at, id"
    for (content,) in connection.execute(query, (service, _instant(since), _instant(until))):
        yield _read(documents.LogLine, content)


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many documents there are of each kind."""
    found = dict(connection.execute("SELECT kind, count(*) FROM documents GROUP BY kind").fetchall())
    return {kind.__name__: found.get(kind.__name__, 0) for kind in KINDS}


def replace(connection: sqlite3.Connection, batch: Sequence[documents.Document]) -> tuple[Change, ...]:
    """Store the documents, each in place of the one with its kind and id, and say of each what that changed."""
    changes: list[Change] = []
    searched = False
    for document in batch:
        change = _replace_one(connection, document)
        changes.append(change)
        searched |= change != "unchanged" and isinstance(document, _SEARCHED)
    connection.execute("UPDATE store SET loads = loads + 1, text_generation = text_generation + ?", (int(searched),))
    return tuple(changes)


def _replace_one(connection: sqlite3.Connection, document: documents.Document) -> Change:
    kind, content = type(document).__name__, _canonical(document)
    old = connection.execute("SELECT content FROM documents WHERE kind = ? AND id = ?", (kind, document.id)).fetchone()
    if old is not None and old[0] == content:
        return "unchanged"
    at = _instant(document.timestamp) if isinstance(document, documents.LogLine) else None
    row = (kind, document.id, document.service, at, content)
    connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", row)
    return "added" if old is None else "changed"


def _canonical(document: documents.Document) -> str:
    return json.dumps(document.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _read(kind: type[T], content: str) -> T:
    try:
        return kind.model_validate_json(content)
    except pydantic.ValidationError as error:
        what = f"holds a {kind.__name__} that cannot be read ({error.errors()[0]['msg']})"
        raise database.unavailable("file", what, "Load the documents again with this version.") from error


def _instant(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _TICK
