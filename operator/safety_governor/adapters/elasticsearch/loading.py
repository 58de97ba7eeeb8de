"""Documents into the indices: what is missing is created, what is there already is left alone.

A load into Elasticsearch is no transaction: when it breaks off, what was written stays, the error says so, and loading again
completes it. An index that is new cannot be read before its first load is complete: policies that are not there yet would be taken
for policies that do not exist.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import elasticsearch
from elasticsearch import helpers

from safety_governor.adapters.elasticsearch import client, contents, failures, mappings, vectors
from safety_governor.domain import documents, elastic, errors

Answer = TypeVar("Answer")
Change = Literal["added", "changed", "unchanged"]

_AT_ONCE = 500
_VECTORS_AT_ONCE = 32
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What one load changed. `changes` has one entry per document of the batch, in its order."""

    changes: tuple[Change, ...]


class Writing:
    """Stores documents."""

    def __init__(self, cluster: client.Cluster, settings: elastic.Elasticsearch) -> None:
        self._cluster = cluster
        self._settings = settings
        self._vectors = None if settings.embeddings is None else vectors.Vectors(settings.embeddings)

    @classmethod
    def connect(cls, settings: elastic.Elasticsearch) -> Self:
        """Without asking anything yet. Raises ConfigurationError."""
        return cls(client.Cluster(client.connect(settings), name=settings.name), settings)

    async def close(self) -> None:
        """Release the connections."""
        await self._cluster.close()
        if self._vectors is not None:
            await self._vectors.close()

    async def replace_documents(self, batch: Sequence[documents.Document], *, progress: Callable[[int], None]) -> LoadReport:
        """Store the documents, each in place of the one with its kind and id. `progress` is told how many more are done.

        Raises PartlyStoredError when it broke off after something was stored.
        """
        unread = await self._prepare(batch)
        changes: dict[int, Change] = {}
        by_kind: dict[str, list[tuple[int, documents.Document]]] = defaultdict(list)
        for at, document in enumerate(batch):
            by_kind[self._index(type(document))].append((at, document))
        stored = 0
        try:
            for index, numbered in by_kind.items():
                for start in range(0, len(numbered), _AT_ONCE):
                    some = numbered[start : start + _AT_ONCE]
                    changes |= await self._store(index, some, fresh=index in unread)
                    stored += len(some)
                    progress(len(some))
                await self._refresh(index)
            for index in unread:
                await mappings.open_up(self._cluster, index)
        except errors.KnowledgeUnavailableError as error:
            raise errors.PartlyStoredError(f"{error} Of {len(batch)} documents at least {stored} are stored; load again.") from error
        return LoadReport(changes=tuple(changes[at] for at in range(len(batch))))

    async def counts(self) -> dict[str, int]:
        """How many documents there are of each kind; of log lines those that were loaded."""
        kinds = (documents.Runbook, documents.Evidence, documents.Policy, documents.LogLine)
        return {kind.__name__: await self._count(kind) for kind in kinds}

    async def stored_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id for a loader, to whom a store before its first load is empty."""
        index = self._settings.indices.runbooks
        with failures.translated(self._cluster.name, index):
            if not await self._cluster.client.indices.exists(index=index):
                return None
        if await mappings.prepare(self._cluster, index, mappings.definition("runbooks", self._settings)):
            return None  # its first load broke off, and this one starts anew
        found = await self._cluster.get_many(index, [identifier])
        return contents.decoded(documents.Runbook, found[0]["_source"], name=self._cluster.name, index=index) if found else None

    async def _prepare(self, batch: Sequence[documents.Document]) -> list[str]:
        """The indices that nobody can read yet, runbooks last: without a runbook nothing is done."""
        unread = []
        bringing = Counter(index for index, _ in {(self._index(type(one)), one.id) for one in batch})
        for name in reversed(mappings.KNOWLEDGE):
            index = str(getattr(self._settings.indices, name))
            wanted = mappings.definition(name, self._settings)
            if await mappings.prepare(self._cluster, index, wanted, closed=True, bringing=bringing[index]):
                unread.append(index)
        if any(isinstance(document, documents.LogLine) for document in batch):
            await self._prepare_logs()
        return unread

    async def _prepare_logs(self) -> None:
        index = self._index(documents.LogLine)
        if not set(index).isdisjoint("*,"):
            what = f"is to take log lines into {index}, which is more than one index"
            raise failures.unavailable(
                self._cluster.name, failures.Failure(what=what, remedy="name one in GOVERNOR_ELASTICSEARCH__INDICES__LOGS")
            )
        with failures.translated(self._cluster.name, mappings.TEMPLATE):
            if not await self._cluster.client.indices.exists_index_template(name=mappings.TEMPLATE):
                body = mappings.template(self._settings)
                await self._cluster.client.indices.put_index_template(name=mappings.TEMPLATE, **body)
        await mappings.prepare(self._cluster, index, mappings.definition(mappings.LIVE_LOGS, self._settings))

    async def _store(self, index: str, numbered: Sequence[tuple[int, documents.Document]], *, fresh: bool) -> dict[int, Change]:
        space = "" if self._vectors is None else self._vectors.space
        known = {} if fresh else await self._digests(index, [document.id for _, document in numbered])
        changes: dict[int, Change] = {}
        newer: dict[str, tuple[documents.Document, dict[str, Any]]] = {}
        for at, document in numbered:
            body = contents.encoded(document, space=space)
            digest = body["search"]["digest"]
            changes[at] = "added" if document.id not in known else "unchanged" if known[document.id] == digest else "changed"
            known[document.id] = digest
            if changes[at] != "unchanged":
                newer[document.id] = (document, body)  # of two with one id the last one stays
        await self._add_vectors(list(newer.values()))
        await self._write(index, {name: body for name, (_, body) in newer.items()})
        return changes

    async def _digests(self, index: str, identifiers: Sequence[str]) -> dict[str, str]:
        found = await self._cluster.get_many(index, list(dict.fromkeys(identifiers)), source=["search.digest"])
        return {one["_id"]: one["_source"].get("search", {}).get("digest", "") for one in found}

    async def _add_vectors(self, fresh: Sequence[tuple[documents.Document, dict[str, Any]]]) -> None:
        said = [(contents.said(document), body) for document, body in fresh]
        spoken = [(text, body) for text, body in said if text]
        if self._vectors is None:
            return
        for start in range(0, len(spoken), _VECTORS_AT_ONCE):
            some = spoken[start : start + _VECTORS_AT_ONCE]
            try:
                found = await self._vectors.of([text for text, _ in some])
            except vectors.VectorsUnavailableError as error:
                # Stored without its vector a document would count as loaded and never be found by what it means.
                raise errors.KnowledgeUnavailableError(
                    f"{error}, and documents are not stored without their vectors: put it right."
                ) from error
            for (_, body), vector in zip(some, found, strict=True):
                body["search"]["vector"] = vector

    async def _write(self, index: str, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        refused: list[str] = []

        async def actions() -> AsyncIterator[dict[str, Any]]:
            for name, body in bodies.items():
                yield {"_op_type": "index", "_index": index, "_id": name, "_source": dict(body)}

        with failures.translated(self._cluster.name, index):
            results = helpers.async_streaming_bulk(
                self._cluster.client, actions(), chunk_size=_AT_ONCE, max_chunk_bytes=_MOST_BYTES, raise_on_error=False, max_retries=3
            )
            async for stored, item in results:
                if not stored:
                    refused.append(_refusal(item["index"]))
        if refused:
            what = f"refused {len(refused)} documents for {index} ({refused[0]})"
            raise failures.unavailable(self._cluster.name, failures.Failure(what=what, remedy="correct them and load again"))

    async def _refresh(self, index: str) -> None:
        with failures.translated(self._cluster.name, index):
            await self._cluster.client.indices.refresh(index=index)

    async def _count(self, kind: type[documents.Document]) -> int:
        index = self._index(kind)
        query = {"exists": {"field": "search.digest"}} if kind is documents.LogLine else {"match_all": {}}
        with failures.translated(self._cluster.name, index):
            try:
                return int((await self._cluster.client.count(index=index, query=query))["count"])
            except elasticsearch.NotFoundError:
                return 0

    def _index(self, kind: type[documents.Document]) -> str:
        indices = self._settings.indices
        return {
            documents.Runbook: indices.runbooks,
            documents.Evidence: indices.evidence,
            documents.Policy: indices.policies,
            documents.LogLine: indices.logs,
        }[kind]


class Loader:
    """`Writing` for callers that have no event loop. Every method blocks."""

    def __init__(self, settings: elastic.Elasticsearch) -> None:
        self._runner = asyncio.Runner()
        try:
            self._writing = self._run(self._connected(settings))
        except BaseException:
            self._runner.close()
            raise

    def close(self) -> None:
        """Release the connections."""
        try:
            self._run(self._writing.close())
        finally:
            self._runner.close()

    def replace_documents(self, batch: Sequence[documents.Document], *, progress: Callable[[int], None] = lambda _: None) -> LoadReport:
        """Store the documents, each in place of the one with its kind and id."""
        return self._run(self._writing.replace_documents(batch, progress=progress))

    def counts(self) -> dict[str, int]:
        """How many documents there are of each kind."""
        return self._run(self._writing.counts())

    def stored_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id, or None."""
        return self._run(self._writing.stored_runbook(identifier))

    @staticmethod
    async def _connected(settings: elastic.Elasticsearch) -> Writing:
        return Writing.connect(settings)

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)


def _refusal(item: Mapping[str, Any]) -> str:
    error = item.get("error", {})
    reason = error.get("reason", "") if isinstance(error, dict) else error
    return f"{item.get('_id')}: {str(reason)[:200]}"
