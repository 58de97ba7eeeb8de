"""`EmbeddedKnowledge`: the knowledge port over one local file.

It only orders the work: a transaction on the file, the index that belongs to what was read, the answer. Every blocking
step runs in a thread, so the event loop is never held. What is loaded by another process is seen by the next question,
because each question compares the generation in the file with the one its index was built from.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from safety_governor.adapters.embedded import database, index, records
from safety_governor.domain import documents, loglines, telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What one load changed. `changes` has one entry per document of the batch, in its order."""

    changes: tuple[records.Change, ...]

    @property
    def added(self) -> int:
        """How many documents are new."""
        return self.changes.count("added")

    @property
    def changed(self) -> int:
        """How many documents replaced a different one."""
        return self.changes.count("changed")

    @property
    def unchanged(self) -> int:
        """How many documents were there already, word for word."""
        return self.changes.count("unchanged")


class EmbeddedKnowledge:
    """Runbooks, evidence, policies and logs in one file; safe for many concurrent questions and several processes."""

    def __init__(self, source: database.Database, *, name: str) -> None:
        self._database = source
        self._name = name
        self._index: index.Index | None = None
        self._rebuilding = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """The store at that path.

        Without `create` nothing is touched: a file that is missing makes every question fail until somebody loads it.
        With `create` the file is made, but it stays unknown until the first load is complete.
        """
        source = database.FileDatabase(path)
        if create:
            source.create()
        return cls(source, name=str(path))

    @classmethod
    def in_memory(cls) -> Self:
        """A store of this process alone that certainly holds nothing yet."""
        return cls(database.MemoryDatabase(), name="in memory")

    def close(self) -> None:
        """Release what is held; the store must not be asked afterwards."""
        self._index = None
        self._database.close()

    def replace_documents(self, batch: Sequence[documents.Document], *, progress: Callable[[int], None] = lambda _: None) -> LoadReport:
        """Store the documents, all or none, each in place of the one with its kind and id. Blocks."""
        with self._database.writing() as connection:
            changes = records.replace(connection, batch)
        progress(len(batch))
        return LoadReport(changes=changes)

    def counts(self) -> dict[str, int]:
        """How many documents are stored of each kind. Blocks."""
        with self._database.reading() as connection:
            return records.counts(connection)

    def stored_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id for a loader, to whom a store before its first load is empty. Blocks."""
        with self._database.reading() as connection:
            return records.find(connection, documents.Runbook, [identifier]).get(identifier)

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> Sequence[documents.Hit[documents.Runbook]]:
        """Runbooks that fit the words of an incident, best first, whatever their state of trust."""
        return await asyncio.to_thread(lambda: self._current_index().runbooks.search(query, service=service, limit=limit))

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> Sequence[documents.Hit[documents.Evidence]]:
        """Evidence whose text has to do with the words of a claim or an action, best first."""
        return await asyncio.to_thread(lambda: self._current_index().evidence.search(query, service=service, limit=limit, stance=stance))

    async def find_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id, or None when there is certainly none."""
        return (await asyncio.to_thread(self._find, documents.Runbook, [identifier])).get(identifier)

    async def find_evidence(self, identifiers: Sequence[str]) -> dict[str, documents.Evidence]:
        """Those of the given ids that exist, by id."""
        return await asyncio.to_thread(self._find, documents.Evidence, identifiers)

    async def fetch_policies(self, *, service: str) -> Sequence[documents.Policy]:
        """Every policy that concerns the service, completely, ordered by id."""

        def read() -> list[documents.Policy]:
            with self._database.reading() as connection:
                self._generation(connection)
                return records.fetch_concerning(connection, documents.Policy, service)

        return await asyncio.to_thread(read)

    async def find_policies(self, identifiers: Sequence[str]) -> dict[str, documents.Policy]:
        """Those of the given ids that exist, for any service, by their own id (compared without regard to case)."""
        wanted = {identifier.casefold() for identifier in identifiers}

        def read() -> dict[str, documents.Policy]:
            with self._database.reading() as connection:
                self._generation(connection)
                return {one.id: one for one in records.fetch_all(connection, documents.Policy) if one.id.casefold() in wanted}

        return await asyncio.to_thread(read)

    async def summarise_logs(self, *, service: str, until: datetime, window: timedelta) -> telemetry.Telemetry:
        """Figures over the live logs of the service in the window that ends at `until`, both ends included."""
        since = until - window

        def read() -> telemetry.Telemetry:
            with self._database.reading() as connection:
                self._generation(connection)
                lines = records.log_lines(connection, service=service, since=since, until=until)
                return loglines.summarise(lines, service=service, since=since, until=until)

        return await asyncio.to_thread(read)

    def _find(self, kind: type[records.T], identifiers: Sequence[str]) -> dict[str, records.T]:
        with self._database.reading() as connection:
            self._generation(connection)
            return records.find(connection, kind, identifiers)

    def _generation(self, connection: sqlite3.Connection) -> records.Generation:
        found = records.generation(connection)
        if not found.loads:
            raise database.unavailable(self._name, "was never loaded", "Run `safety-governor load` with your runbooks and policies.")
        return found

    def _current_index(self) -> index.Index:
        with self._database.reading() as connection:
            found = self._generation(connection)
        current = self._index
        return current if current is not None and current.holds(found) else self._rebuilt_index()

    def _rebuilt_index(self) -> index.Index:
        with self._rebuilding:  # one question builds, the others wait and use what it built
            with self._database.reading() as connection:
                found = self._generation(connection)
                current = self._index
                if current is not None and current.holds(found):
                    return current
                runbooks = records.fetch_all(connection, documents.Runbook)
                evidence = records.fetch_all(connection, documents.Evidence)
            self._index = fresh = index.Index(found, runbooks=runbooks, evidence=evidence)
            return fresh
