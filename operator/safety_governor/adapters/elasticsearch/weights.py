"""How rare the words of runbooks are in the index, remembered for as long as the index stays as it is."""

from collections.abc import Mapping
from typing import Any

from safety_governor.adapters.elasticsearch import client, failures
from safety_governor.search import forms

_MOST = 200_000
_AT_ONCE = 4_000


class Weights:
    """Weights of words; those not known yet are asked for."""

    def __init__(self, cluster: client.Cluster, index: str) -> None:
        self._cluster = cluster
        self._index = index
        self._version: tuple[int, float] | None = None
        self._known: dict[str, float] = {}

    async def of(self, terms: frozenset[str], answer: Mapping[str, Any]) -> Mapping[str, float]:
        """Weights of at least these terms. `answer` is that of a search, which tells whether the index is as it was."""
        told = answer["aggregations"]["all"]
        version = (int(told["doc_count"]), float(told["newest"]["value"] or 0.0))
        if version != self._version or len(self._known) > _MOST:
            self._version, self._known = version, {}
        known = self._known  # another search may meet another version while we ask; what we fill is of this one
        missing = sorted(terms - known.keys())
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            names, texts = await self._frequencies(some)
            known.update({term: forms.weight(in_names=names.get(term, 0), in_texts=texts.get(term, 0), total=version[0]) for term in some})
        return known

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
