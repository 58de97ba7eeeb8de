"""Several rankings of the same documents made one: reciprocal rank fusion.

Scores of different ways to search cannot be compared, ranks can. Done here because Elasticsearch asks for another licence.
"""

from collections.abc import Sequence

from safety_governor.domain import documents
from safety_governor.search import forms

_SMOOTHING = 60


def fused(rankings: Sequence[Sequence[documents.Found]], *, limit: int) -> list[documents.Hit[documents.Found]]:
    """The documents of all rankings, best first; each counts 1 / (60 + rank) in every ranking that has it."""
    held: dict[str, documents.Found] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, start=1):
            held.setdefault(document.id, document)
            scores[document.id] = scores.get(document.id, 0.0) + 1 / (_SMOOTHING + rank)
    return forms.best_first([(held[name], forms.rounded(score)) for name, score in scores.items()], limit)
