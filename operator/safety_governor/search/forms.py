"""The form in which a document is searched: its terms, by what they are terms of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from safety_governor.domain import documents
from safety_governor.search import analysis, markdown, ranking

CANDIDATES = 50
"""How many runbooks that a search finds are compared closely."""
_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookForm:
    """A runbook as it is compared."""

    names: tuple[ranking.Name, ...]
    about: tuple[str, ...]
    """The terms of what it says the alert means."""

    @classmethod
    def of(cls, one: documents.Runbook) -> "RunbookForm":
        """The form of this runbook."""
        names = tuple(ranking.Name.of(name) for name in (one.title, *one.tags))
        return cls(names=names, about=tuple(analysis.terms(markdown.meaning(one.body))))

    @property
    def named(self) -> frozenset[str]:
        """The terms of its names."""
        return frozenset(term for name in self.names for term in name.terms)

    @property
    def compared(self) -> frozenset[str]:
        """The terms whose weights a comparison needs."""
        return self.named.union(self.about)

    def weighed(self, weight: ranking.Weight) -> ranking.Weighed:
        """Ready to be compared; `weight` is asked for every term of `compared`."""
        return ranking.Weighed.of(names=self.names, about=self.about, weight=weight)

    def text(self, one: documents.Runbook) -> tuple[str, ...]:
        """The terms of everything that the runbook of this form says, its names included: what its full text is."""
        actions = " ".join(remediation.action for remediation in one.remediations)
        said = analysis.terms("\n".join((actions, *one.claims, one.body)))
        return (*(term for name in self.names for term in name.terms), *said)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The terms of its names and the other ways to write them."""
        return tuple(term for name in self.names for term in (*name.terms, *(alias for alias, _ in name.aliases)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceForm:
    """Evidence as it is searched."""

    text: tuple[str, ...]
    actions: tuple[str, ...]

    @classmethod
    def of(cls, one: documents.Evidence) -> "EvidenceForm":
        """The form of this evidence."""
        return cls(text=tuple(analysis.terms(one.text)), actions=tuple(analysis.terms(" ".join(one.actions))))


def weight(*, in_names: int, in_texts: int, total: int) -> float:
    """The weight of a word that so many of all runbooks have in their names and in their texts."""
    return (_rarity(in_names, total) + _rarity(in_texts, total)) / 2


def rounded(score: float) -> float:
    """Scores are rounded, so that documents that fit equally are equal and their ids decide."""
    return round(score, _DIGITS)


def best_first(scored: Sequence[tuple[documents.Found, float]], limit: int) -> list[documents.Hit[documents.Found]]:
    """The best of these documents, best first, equal ones by id."""
    ordered = sorted(scored, key=lambda pair: (-pair[1], pair[0].id))[: max(limit, 0)]
    return [documents.Hit(document=document, score=score) for document, score in ordered]


def _rarity(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
