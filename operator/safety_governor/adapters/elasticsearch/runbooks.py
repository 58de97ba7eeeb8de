"""Runbooks by the words of an incident: candidates from Elasticsearch, then the close comparison that every store makes.

What a candidate looks like when compared is kept for exactly that version of the document, so that a search fetches and takes apart
only what it has not seen yet; what is found and how it scores always comes from the index.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safety_governor.adapters.elasticsearch import client, contents, queries, weights
from safety_governor.domain import documents
from safety_governor.search import forms, ranking

_KEPT = 2_048
"""Runbooks; those that were not found for the longest time are let go."""


_Version = tuple[str, int, int, str]
"""Where Elasticsearch put it and when, and the digest with which it was loaded: an index that was made anew counts from zero again."""


@dataclass(slots=True)
class _Prepared:
    document: documents.Runbook
    form: forms.RunbookForm
    weights: Mapping[str, float] | None = None
    """Those of the words with which it was weighed; others of another state of the index."""
    weighed: ranking.Weighed | None = None


class RunbookSearch:
    """Searches over one index."""

    def __init__(self, cluster: client.Cluster, index: str) -> None:
        self._cluster = cluster
        self._index = index
        self._weights = weights.Weights(cluster, index)
        self._prepared: OrderedDict[_Version, _Prepared] = OrderedDict()

    async def search(self, query: str, *, service: str, limit: int) -> list[documents.Hit[documents.Runbook]]:
        """The runbooks of the service or of `*` that fit best, best first."""
        question = ranking.Question(query)
        if not question.terms or limit <= 0:
            return []
        body = queries.runbook_candidates(question, query, service=service, limit=limit)
        answer = await self._cluster.search(self._index, body, include_named_queries_score="true")
        hits = answer["hits"]["hits"]
        candidates = await self._candidates(hits)
        await self._weigh(candidates.values(), answer)
        scored = [
            (candidates[hit["_id"]].document, _fit(question, candidates[hit["_id"]], hit))
            for hit in hits
            if hit["_id"] in candidates  # else deleted since
        ]
        return forms.best_first(scored, limit)

    async def _weigh(self, candidates: Collection[_Prepared], answer: Mapping[str, Any]) -> None:
        known = self._weights.current(answer)
        unknown = [one.form.compared for one in candidates if one.weights is not known]
        if unknown:
            await self._weights.learn(frozenset().union(*unknown), known)
        # Looked at anew, as another search may have met another state of the index meanwhile.
        for one in candidates:
            if one.weights is not known:
                one.weights, one.weighed = known, one.form.weighed(known.__getitem__)

    async def _candidates(self, hits: Sequence[Mapping[str, Any]]) -> dict[str, _Prepared]:
        """By _id."""
        found: dict[str, _Prepared] = {}
        unknown: list[str] = []
        for hit in hits:
            version = _version(hit, (hit.get("fields", {}).get("search.digest") or [""])[0])
            known = self._prepared.get(version)
            if known is None:
                unknown.append(hit["_id"])
            else:
                self._prepared.move_to_end(version)
                found[hit["_id"]] = known
        for one in await self._cluster.get_many(self._index, unknown):
            document = contents.decoded(documents.Runbook, one["_source"], name=self._cluster.name, index=self._index)
            # The version of what was read just now: the document may have been replaced since it was found.
            version = _version(one, one["_source"].get("search", {}).get("digest", ""))
            found[one["_id"]] = self._prepared[version] = _Prepared(document, forms.RunbookForm.of(document))
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return found


def _version(stored: Mapping[str, Any], digest: str) -> _Version:
    return stored["_id"], stored["_seq_no"], stored["_primary_term"], digest


def _fit(question: ranking.Question, candidate: _Prepared, hit: Mapping[str, Any]) -> float:
    assert candidate.weighed is not None  # noqa: S101 - all candidates are weighed first
    matched = hit.get("matched_queries", {})
    body = float(matched.get("text", 0.0)) + float(matched.get("foreign", 0.0))
    return forms.rounded(ranking.fit(question, candidate.weighed, body=body))
