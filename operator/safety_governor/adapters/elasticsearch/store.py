"""`ElasticsearchKnowledge`: the knowledge port over a cluster. It only says which question goes to which index."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from safety_governor.adapters.elasticsearch import client, contents, logs, queries, runbooks, vectors
from safety_governor.domain import documents, elastic, errors, telemetry
from safety_governor.search import forms, fusion, ranking

_IDS_AT_ONCE = 1_000
_LONGEST_ID = 128


class ElasticsearchKnowledge:
    """Runbooks, evidence, policies and logs in Elasticsearch; belongs to one event loop."""

    def __init__(self, cluster: client.Cluster, settings: elastic.Elasticsearch) -> None:
        self._cluster = cluster
        self._indices = settings.indices
        self._runbooks = runbooks.RunbookSearch(cluster, settings.indices.runbooks)
        self._logs = logs.Logs(cluster, settings.indices.logs, service_field=settings.log_service_field)
        self._vectors = None if settings.embeddings is None else vectors.Vectors(settings.embeddings)

    @classmethod
    def connect(cls, settings: elastic.Elasticsearch) -> Self:
        """Without asking anything yet. Raises ConfigurationError."""
        return cls(client.Cluster(client.connect(settings), name=settings.name), settings)

    async def close(self) -> None:
        """Release the connections; the store must not be asked afterwards."""
        await self._cluster.close()
        if self._vectors is not None:
            await self._vectors.close()

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> documents.Hits[documents.Runbook]:
        """Runbooks that fit the words of an incident, best first, whatever their state of trust."""
        wide = max(limit, forms.CANDIDATES) if self._vectors else limit
        by_words = await self._runbooks.search(query, service=service, limit=wide)
        return await self._with_meanings(documents.Runbook, by_words, query, service=service, limit=limit)

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> documents.Hits[documents.Evidence]:
        """Evidence whose text has to do with the words of a claim or an action, best first."""
        question = ranking.Question(query)
        by_words: list[documents.Hit[documents.Evidence]] = []
        if question.terms and limit > 0:
            wide = max(limit, forms.CANDIDATES) if self._vectors else limit
            body = queries.evidence(question, query, service=service, limit=wide, stance=stance)
            hits = (await self._cluster.search(self._indices.evidence, body))["hits"]["hits"]
            scored = [(self._read(documents.Evidence, hit), forms.rounded(hit["_score"])) for hit in hits]
            by_words = forms.best_first(scored, wide)
        only = None if stance is None else {"term": {"stance": stance.value}}
        return await self._with_meanings(documents.Evidence, by_words, query, service=service, limit=limit, only=only)

    async def find_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id, or None when there is certainly none."""
        return (await self._find(documents.Runbook, [identifier])).get(identifier)

    async def find_evidence(self, identifiers: Sequence[str]) -> dict[str, documents.Evidence]:
        """Those of the given ids that exist, by id."""
        return await self._find(documents.Evidence, identifiers)

    async def fetch_policies(self, *, service: str) -> list[documents.Policy]:
        """Every policy that concerns the service, completely, ordered by id."""
        hits = await self._cluster.read_all(self._indices.policies, queries.everything(queries.of_service(service)))
        return [self._read(documents.Policy, hit) for hit in hits]

    async def find_policies(self, identifiers: Sequence[str]) -> dict[str, documents.Policy]:
        """Those of the given ids that exist, for any service, by their own id (compared without regard to case)."""
        wanted = {identifier.casefold() for identifier in identifiers}
        hits = await self._cluster.read_all(self._indices.policies, queries.everything()) if wanted else []
        return {one.id: one for one in (self._read(documents.Policy, hit) for hit in hits) if one.id.casefold() in wanted}

    async def summarise_logs(self, *, service: str, until: datetime, window: timedelta) -> telemetry.Telemetry:
        """Figures over the live logs of the service in the window that ends at `until`, both ends included."""
        return await self._logs.summarise(service=service, since=until - window, until=until)

    async def _find(self, kind: type[contents.T], identifiers: Sequence[str]) -> dict[str, contents.T]:
        wanted = sorted(one for one in set(identifiers) if _can_be_an_id(one))
        found: dict[str, contents.T] = {}
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            hits = await self._cluster.read_all(self._index(kind), queries.with_ids(wanted[start : start + _IDS_AT_ONCE]))
            for hit in hits:
                document = self._read(kind, hit)
                found[document.id] = document
        return found

    async def _with_meanings(
        self,
        kind: type[contents.T],
        by_words: Sequence[documents.Hit[contents.T]],
        query: str,
        *,
        service: str,
        limit: int,
        only: Mapping[str, Any] | None = None,
    ) -> documents.Hits[contents.T]:
        """What was found by words, with what is found by meaning if that is configured and possible."""
        if self._vectors is None or limit <= 0 or not query.strip():
            return documents.Hits(by_words[: max(limit, 0)], mode=documents.SearchMode.TEXT)
        try:
            (vector,) = await self._vectors.of([query])
            body = queries.nearest(vector, service=service, limit=max(limit, forms.CANDIDATES), only=only)
            hits = (await self._cluster.search(self._index(kind), body))["hits"]["hits"]
        except (vectors.VectorsUnavailableError, errors.KnowledgeUnavailableError):
            # The words have been compared completely, so this is an answer; how it came about is said with it.
            return documents.Hits(by_words[:limit], mode=documents.SearchMode.TEXT_INSTEAD)
        by_meaning = sorted(((hit["_score"], self._read(kind, hit)) for hit in hits), key=lambda pair: (-pair[0], pair[1].id))
        rankings = [[hit.document for hit in by_words], [document for _, document in by_meaning]]
        return documents.Hits(fusion.fused(rankings, limit=limit), mode=documents.SearchMode.HYBRID)

    def _index(self, kind: type[documents.Document]) -> str:
        return {documents.Runbook: self._indices.runbooks, documents.Evidence: self._indices.evidence}[kind]

    def _read(self, kind: type[contents.T], hit: Mapping[str, Any]) -> contents.T:
        return contents.decoded(kind, hit["_source"], name=self._cluster.name, index=hit["_index"])


def _can_be_an_id(text: str) -> bool:
    """No document has another id, and some texts cannot even be sent."""
    return 0 < len(text) <= _LONGEST_ID and text.encode(errors="replace").decode() == text
