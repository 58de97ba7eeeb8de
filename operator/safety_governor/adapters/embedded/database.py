"""The SQLite file behind the embedded store: connections, transactions, format, and what its failures mean.

It must not know what a document is. Every operation opens the file anew, so that a file that was deleted, replaced or
restored is noticed at the next question instead of being read through a stale handle. The rollback journal (not WAL) is
used on purpose: it needs no second file that readers must be able to write, so a store on a read-only volume works.
"""

import contextlib
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from safety_governor.domain import errors

APPLICATION_ID = 0x5347_4B53
"""Marks the file as ours ("SGKS"), so that a path to some other database is not written into."""
FORMAT = 1
"""Raised whenever the tables change; a store of another format is refused, never guessed at."""
PATIENCE = 5.0
"""Seconds to wait for a lock; a load of ten thousand documents holds it for well under one."""

_SCHEMA = """
CREATE TABLE documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, service TEXT NOT NULL, at INTEGER, content TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX documents_by_service ON documents (kind, service, at);
CREATE TABLE store (identity TEXT NOT NULL, loads INTEGER NOT NULL, text_generation INTEGER NOT NULL);
"""
UNKNOWN = "Until it can be read, runbooks, evidence and policies are unknown, not empty."


class Database(Protocol):
    """Transactions on the store, wherever it lives."""

    def reading(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """One consistent view."""

    def writing(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """All or nothing; one writer at a time."""

    def close(self) -> None:
        """Let go of what is held."""


class FileDatabase:
    """A store in a file, shared with other processes."""

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience

    def create(self) -> None:
        """Make the file and its folder if they are not there; an existing store is left as it is."""
        with _translated(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                # Evidence and logs may tell of customers: whoever else is to read them is let in by hand.
                self._path.touch(mode=0o600)
            with contextlib.closing(self._connect("rwc")) as connection, _transaction(connection, "BEGIN IMMEDIATE"):
                if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                    _lay_out(connection, loads=0)
                _refuse_foreign(connection, self._path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view."""
        with self._opened("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; waits for another writer."""
        with self._opened("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Nothing is held between operations."""

    @contextlib.contextmanager
    def _opened(self, begin: str) -> Iterator[sqlite3.Connection]:
        with _translated(self._path):
            # SQLite reports a missing file, a folder and missing rights alike; stat tells them apart.
            if not self._path.stat().st_size:
                raise _unavailable(self._path, "is an empty file", "Delete it and load the documents again.")
            with contextlib.closing(self._connect("rw")) as connection, _transaction(connection, begin):
                _refuse_foreign(connection, self._path)
                connection.execute("PRAGMA cache_spill = OFF")  # readers are kept out while a load is written, not while it is made
                yield connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        if self._path.is_dir():
            raise IsADirectoryError(self._path)
        return sqlite3.connect(f"file:{quote(str(self._path))}?mode={mode}", uri=True, timeout=self._patience, isolation_level=None)


class MemoryDatabase:
    """A store of this process alone; it counts as loaded from the start, with nothing in it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _lay_out(self._connection, loads=1)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view."""
        with _translated(Path(":memory:")), self._lock, _transaction(self._connection, "BEGIN"):
            yield self._connection

    writing = reading

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._connection.close()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the reason for rolling back says more than a failed rollback
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _lay_out(connection: sqlite3.Connection, *, loads: int) -> None:
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO store VALUES (?, ?, 0)", (uuid.uuid4().hex, loads))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _unavailable(path, "is a database of some other program", "Name another path; this file was not touched.")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != FORMAT:
        what = f"has format {found} and this version reads format {FORMAT}"
        raise _unavailable(path, what, "Use the version that wrote it, or load the documents into a new file.")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _unavailable(path, "does not exist", "Nothing was loaded yet, or the path is wrong: run `safety-governor load`.") from error
    except IsADirectoryError as error:
        raise _unavailable(path, "is a folder", "Name a file.") from error
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise _unavailable(path, f"cannot be reached ({error.strerror})", "Check the path and the rights on its folder.") from error
    except OSError as error:
        raise _unavailable(path, f"cannot be read ({error})", "Check the volume that it is on.") from error
    except sqlite3.Error as error:
        raise _unavailable(path, *_explained(error)) from error


def _explained(error: sqlite3.Error) -> tuple[str, str]:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "is locked by another process", "Wait for the running load to end, and try again."
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return f"is damaged ({error})", "Move the file away and load the documents again."
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return f"cannot be opened ({error})", "Check the rights on the file and on its folder."
    if name.startswith("SQLITE_FULL"):
        return "has no room to grow", "Free space on its volume; nothing of this load was stored."
    return f"did not answer ({error})", "Check the file; if it stays so, move it away and load the documents again."


def _unavailable(path: Path, what: str, remedy: str) -> errors.KnowledgeUnavailableError:
    return unavailable(str(path), what, remedy)


def unavailable(where: str, what: str, remedy: str) -> errors.KnowledgeUnavailableError:
    """The error for a store that cannot answer: what happened, what it means and what to do."""
    return errors.KnowledgeUnavailableError(f"The knowledge store {where} {what}. {UNKNOWN} {remedy}")
