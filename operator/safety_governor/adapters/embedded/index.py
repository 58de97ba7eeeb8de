"""What is searched: runbooks and evidence of one generation of the store, ready to be asked from many threads.

An index never changes; when the store does, another one is built. It holds the documents it answers with, so an answer is
of one generation throughout.
"""

import math
from collections import Counter
from collections.abc import Sequence

from safety_governor.adapters.embedded import analysis, markdown, ranking, records
from safety_governor.adapters.embedded.fulltext import FullText, Row
from safety_governor.domain import documents

_CANDIDATES = 50
"""How many runbooks of each of two searches are compared closely."""
_DIGITS = 6
"""Scores are rounded, so that runbooks that fit equally are equal and their ids decide."""


class Index:
    """Runbooks and evidence, searchable."""

    def __init__(
        self, generation: records.Generation, *, runbooks: Sequence[documents.Runbook], evidence: Sequence[documents.Evidence]
    ) -> None:
        self._generation = generation
        self.runbooks = RunbookIndex(runbooks)
        self.evidence = EvidenceIndex(evidence)

    def holds(self, generation: records.Generation) -> bool:
        """Whether it was built from the same runbooks and evidence."""
        return (self._generation.identity, self._generation.text) == (generation.identity, generation.text)


class RunbookIndex:
    """Runbooks by the words of an incident: candidates from the full text, then a close comparison."""

    def __init__(self, held: Sequence[documents.Runbook]) -> None:
        self._held = held
        self._names = [tuple(ranking.Name.of(name) for name in (one.title, *one.tags)) for one in held]
        self._about = [tuple(analysis.terms(markdown.meaning(one.body))) for one in held]
        self._titles = Counter(term for names in self._names for term in {term for name in names for term in name.terms})
        self._text = FullText((self._row(at) for at in range(len(held))), fields=("name", "text"))
        self._weights: dict[str, float] = {}  # of words in names and meanings only, so questions cannot make it grow

    def search(self, query: str, *, service: str, limit: int) -> list[documents.Hit[documents.Runbook]]:
        """The runbooks of the service or of `*` that fit best, best first."""
        question = ranking.Question(query)
        text = {"text": question.terms}
        names = {"name": sorted({*question.terms, *question.compounds, *question.initials})}
        by_text = self._text.best(text, service=service, limit=max(limit, _CANDIDATES))
        by_name = self._text.best(names, service=service, limit=_CANDIDATES)
        unscored = [at for at in by_name if at not in by_text]
        body = by_text | self._text.scores(text, unscored)
        scored = [(at, self._fit(question, at, body.get(at, 0.0))) for at in (by_text | by_name)]
        best = sorted(scored, key=lambda pair: (-pair[1], self._held[pair[0]].id))[:limit]
        return [documents.Hit(document=self._held[at], score=score) for at, score in best]

    def _fit(self, question: ranking.Question, at: int, body: float) -> float:
        return round(ranking.fit(question, names=self._names[at], about=self._about[at], body=body, weight=self._weight), _DIGITS)

    def _weight(self, term: str) -> float:
        weight = self._weights.get(term)
        if weight is None:
            total = len(self._held)
            weight = (_rarity(self._titles[term], total) + _rarity(self._text.frequency("text", term), total)) / 2
            self._weights[term] = weight
        return weight

    def _row(self, at: int) -> Row:
        one = self._held[at]
        named = [term for name in self._names[at] for term in (*name.terms, *(alias for alias, _ in name.aliases))]
        words = [term for name in self._names[at] for term in name.terms]
        actions = " ".join(remediation.action for remediation in one.remediations)
        return Row(service=one.service, fields={"name": named, "text": words + analysis.terms("\n".join((actions, *one.claims, one.body)))})


class EvidenceIndex:
    """Evidence by the words of a claim or an action."""

    def __init__(self, held: Sequence[documents.Evidence]) -> None:
        # One full text for each stance besides that of all, so that what speaks against a claim is found however much speaks for it.
        self._shelves = {stance: _Shelf([one for one in held if one.stance is stance]) for stance in documents.Stance}
        self._all = _Shelf(held)

    def search(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> list[documents.Hit[documents.Evidence]]:
        """The evidence of the service or of `*` that shares most with the query, best first."""
        shelf = self._all if stance is None else self._shelves[stance]
        return shelf.search(query, service=service, limit=limit)


class _Shelf:
    """Some of the evidence, in full text."""

    def __init__(self, held: Sequence[documents.Evidence]) -> None:
        self._held = held
        self._text = FullText((_evidence_row(one) for one in held), fields=("text", "actions"))

    def search(self, query: str, *, service: str, limit: int) -> list[documents.Hit[documents.Evidence]]:
        terms = ranking.Question(query).terms
        found = self._text.best({"text": terms, "actions": terms}, service=service, limit=limit)
        rounded = ((at, round(score, _DIGITS)) for at, score in found.items())
        best = sorted(rounded, key=lambda pair: (-pair[1], self._held[pair[0]].id))
        return [documents.Hit(document=self._held[at], score=score) for at, score in best]


def _evidence_row(one: documents.Evidence) -> Row:
    return Row(service=one.service, fields={"text": analysis.terms(one.text), "actions": analysis.terms(" ".join(one.actions))})


def _rarity(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
