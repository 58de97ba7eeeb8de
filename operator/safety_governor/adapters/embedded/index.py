"""What is searched: runbooks and evidence of one generation of the store, ready to be asked from many threads.

An index never changes; when the store does, another one is built. It holds the documents it answers with, so an answer is
of one generation throughout.
"""

from collections import Counter
from collections.abc import Sequence

from safety_governor.adapters.embedded import records
from safety_governor.adapters.embedded.fulltext import FullText, Row
from safety_governor.domain import documents
from safety_governor.search import forms, ranking


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
        self._forms = [forms.RunbookForm.of(one) for one in held]
        self._titles = Counter(term for form in self._forms for term in form.named)
        self._text = FullText((self._row(at) for at in range(len(held))), fields=("name", "text"))
        self._weights: dict[str, float] = {}  # of words in names and meanings only, so questions cannot make it grow
        self._weighed: dict[int, ranking.Weighed] = {}

    def search(self, query: str, *, service: str, limit: int) -> list[documents.Hit[documents.Runbook]]:
        """The runbooks of the service or of `*` that fit best, best first."""
        question = ranking.Question(query)
        text = {"text": question.terms}
        names = {"name": sorted({*question.terms, *question.compounds, *question.initials})}
        by_text = self._text.best(text, service=service, limit=max(limit, forms.CANDIDATES))
        by_name = self._text.best(names, service=service, limit=forms.CANDIDATES)
        unscored = [at for at in by_name if at not in by_text]
        body = by_text | self._text.scores(text, unscored)
        scored = [(self._held[at], self._fit(question, at, body.get(at, 0.0))) for at in (by_text | by_name)]
        return forms.best_first(scored, limit)

    def _fit(self, question: ranking.Question, at: int, body: float) -> float:
        weighed = self._weighed.get(at)
        if weighed is None:
            weighed = self._weighed[at] = self._forms[at].weighed(self._weight)
        return forms.rounded(ranking.fit(question, weighed, body=body))

    def _weight(self, term: str) -> float:
        weight = self._weights.get(term)
        if weight is None:
            in_texts = self._text.frequency("text", term)
            weight = self._weights[term] = forms.weight(in_names=self._titles[term], in_texts=in_texts, total=len(self._held))
        return weight

    def _row(self, at: int) -> Row:
        form, one = self._forms[at], self._held[at]
        return Row(service=one.service, fields={"name": form.spellings, "text": form.text(one)})


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
        return forms.best_first([(self._held[at], forms.rounded(score)) for at, score in found.items()], limit)


def _evidence_row(one: documents.Evidence) -> Row:
    form = forms.EvidenceForm.of(one)
    return Row(service=one.service, fields={"text": form.text, "actions": form.actions})
