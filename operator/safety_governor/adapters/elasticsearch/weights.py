"""How rare the words of runbooks are in the index, remembered for as long as the index stays as it is."""

from collections.abc import Mapping
from typing import Any

from safety_governor.adapters.elasticsearch import client, failures
from safety_governor.search import forms

_MOST = 200_000
_AT_ONCE = 4_000


class Known(dict[str, float]):
    """Weights by word, in one state of the index."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total
        """How many runbooks there are."""


class Weights:
    """Weights of words; those not known yet are asked for."""

    def __init__(self, cluster: client.Cluster, index: str) -> None:
        self._cluster = cluster
        self._index = index
        self._version: tuple[int, float] | None = None
        self._known = Known(0)

    def current(self, answer: Mapping[str, Any]) -> Known:
        """What is known; the same object for as long as the index is as it was, which the answer of a search tells."""
        told = answer["aggregations"]["all"]
        version = (int(told["doc_count"]), float(told["newest"]["value"] or 0.0))
        if version != self._version or len(self._known) > _MOST:
            self._version, self._known = version, Known(version[0])
        return self._known

    async def learn(self, terms: frozenset[str], known: Known) -> None:
        """Make sure that the weights of these terms are known."""
        missing = sorted(terms - known.keys())
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            names, texts = await self._frequencies(some)
            found = {term: forms.weight(in_names=names.get(term, 0), in_texts=texts.get(term, 0), total=known.total) for term in some}
            known.update(found)

    async def _frequencies(self, terms: list[str]) -> tuple[dict[str, int], dict[str, int]]:
        """In how many runbooks each term is, in names and in texts."""
        said = " ".join(terms)
        with failures.translated(self._cluster.name, self._index):
            answer = await self._cluster.client.termvectors(
                index=self._index,
                doc={"search": {"names": said, "text": said}},
                fields=["search.names", "search.text"],
                term_statistics=True,
                field_statistics=False,
                positions=False,
                offsets=False,
                payloads=False,
                preference=client.PREFERENCE,
            )
        names, texts = (
            {term: int(told.get("doc_freq", 0)) for term, told in answer["term_vectors"].get(field, {}).get("terms", {}).items()}
            for field in ("search.names", "search.text")
        )
        return names, texts
