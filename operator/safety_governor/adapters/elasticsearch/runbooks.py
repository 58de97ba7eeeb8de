"""Runbooks by the words of an incident: candidates from Elasticsearch, then the close comparison that every store makes.

What a candidate looks like when compared is kept for exactly that version of the document, so that a search fetches and takes apart
only what it has not seen yet; what is found and how it scores always comes from the index.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safety_governor.adapters.elasticsearch import client, contents, queries, weights
from safety_governor.domain import documents
from safety_governor.search import forms, ranking

_KEPT = 2_048
"""Runbooks; those that were not found for the longest time are let go."""


_Version = tuple[str, int, int, str]
"""Where Elasticsearch put it and when, and the digest with which it was loaded: an index that was made anew counts from zero again."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    document: documents.Runbook
    form: forms.RunbookForm
    terms: frozenset[str]
    """Those whose weights the comparison needs."""

    @classmethod
    def of(cls, document: documents.Runbook) -> "_Prepared":
        form = forms.RunbookForm.of(document)
        return cls(document, form, form.named.union(form.about))


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
        weight = await self._weights.of(frozenset().union(*(one.terms for one in candidates.values())), answer)
        scored = [
            (candidates[hit["_id"]].document, _fit(question, candidates[hit["_id"]].form, hit, weight))
            for hit in hits
            if hit["_id"] in candidates  # else deleted since
        ]
        return forms.best_first(scored, limit)

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
            found[one["_id"]] = self._prepared[version] = _Prepared.of(document)
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return found


def _version(stored: Mapping[str, Any], digest: str) -> _Version:
    return stored["_id"], stored["_seq_no"], stored["_primary_term"], digest


def _fit(question: ranking.Question, form: forms.RunbookForm, hit: Mapping[str, Any], weight: Mapping[str, float]) -> float:
    matched = hit.get("matched_queries", {})
    body = float(matched.get("text", 0.0)) + float(matched.get("foreign", 0.0))
    return forms.rounded(ranking.fit(question, names=form.names, about=form.about, body=body, weight=weight.__getitem__))
