"""How well a runbook answers a question: a pure comparison of a few words that name it with the words of the question.

    score = body + 2 * named - 0.5 * unnamed + 0.75 * pairs + 0.25 * phrases

body     BM25 of the question over title, tags and text, from the full-text index.
named    the weight of the words in the runbook's name that the question has. A word is there when it is in the question
         as such (1.0), written together or apart ("crash looping", "CrashLooping", 1.0), as the initials of consecutive
         words ("Pod Lifecycle Event Generator" and PLEG, 1.0), with a different ending ("fail", "failure", 0.7), or by a
         related word ("down", "unreachable", 0.5).
unnamed  the weight of the words in the name that the question lacks: what tells MemoryQuotaOvercommit from
         MemoryOvercommit for a question that does not speak of quotas.
pairs    the weight of neighbours in the name that are neighbours in the question.
phrases  the same for the section that says what the alert means.

The weight of a word is its rarity (the IDF of BM25), averaged over titles and texts; that of a pair is its lesser word's.
A runbook has several names if it has tags; the one that fits best counts. The figures were chosen round, in the middle
of a plateau: over alert texts, invented runbooks of other systems, bare alert names and runbooks whose meaning was cut out,
no figure matters much. Nothing in here may know a particular runbook.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from safety_governor.search import analysis

BODY, NAMED, UNNAMED, PAIRS, PHRASES = 1.0, 2.0, 0.5, 0.75, 0.25
ENDING, RELATION = 0.7, 0.5

MOST_TERMS = 256
"""More words than this of one question are not looked up: it is a log dump, and its beginning says what it is about."""
_SHORTEST_STEM = 4
_LONGEST_ENDING = 2
_INITIALS = range(3, 7)

Weight = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Name:
    """A title or a tag, in terms."""

    terms: tuple[str, ...]
    aliases: tuple[tuple[str, tuple[str, ...]], ...]
    """Other ways to write some of the terms that follow each other, and which: together, negated, by their initials."""

    @classmethod
    def of(cls, text: str) -> "Name":
        """The name that this text is."""
        terms = tuple(analysis.terms(text))
        return cls(terms, tuple(_aliases(terms)))


class Question:
    """The words of a question, prepared for many comparisons."""

    def __init__(self, text: str) -> None:
        sequence = analysis.terms(text)[: 4 * MOST_TERMS]
        self.terms = dict.fromkeys(list(dict.fromkeys(sequence))[:MOST_TERMS])
        self.pairs = frozenset(itertools.pairwise(sequence))
        self.compounds = frozenset(first + second for first, second in self.pairs)
        self.initials = frozenset(letters for letters, _ in _initials(analysis.words(text)[: 4 * MOST_TERMS]))
        self._beginnings = frozenset(term[:-cut] for term in self.terms for cut in range(1, _LONGEST_ENDING + 1))
        self._troubles = frozenset().union(*(analysis.kinds_of_trouble(term) for term in self.terms))
        self._known: dict[str, float] = {}

    def has(self, term: str) -> float:
        """How much of this term is in the question, from 0 to 1."""
        if term not in self._known:
            self._known[term] = self._share(term)
        return self._known[term]

    def _share(self, term: str) -> float:
        if term in self.terms or term in self.compounds or term in self.initials:
            return 1.0
        if len(term) >= _SHORTEST_STEM and self._has_with_another_ending(term):
            return ENDING
        return RELATION if self._troubles & analysis.kinds_of_trouble(term) else 0.0

    def _has_with_another_ending(self, term: str) -> bool:
        if term in self._beginnings:
            return True
        return any(term[:-cut] in self.terms for cut in range(1, min(_LONGEST_ENDING, len(term) - _SHORTEST_STEM) + 1))


def fit(question: Question, *, names: Iterable[Name], about: Sequence[str], body: float, weight: Weight) -> float:
    """The score of a runbook with these names, this meaning and this BM25 score."""
    best = max((_fit_of_name(question, name, weight) for name in names), default=0.0)
    return BODY * body + best + PHRASES * _shared_pairs(question, about, weight)


def _fit_of_name(question: Question, name: Name, weight: Weight) -> float:
    strength = {term: question.has(term) for term in name.terms}
    for alias, meant in name.aliases:
        if alias in question.terms:
            strength.update(dict.fromkeys(meant, 1.0))
    named = sum(weight(term) * share for term, share in strength.items())
    whole = sum(weight(term) for term in strength)
    return NAMED * named - UNNAMED * (whole - named) + PAIRS * _shared_pairs(question, name.terms, weight)


def _shared_pairs(question: Question, terms: Sequence[str], weight: Weight) -> float:
    pairs = dict.fromkeys(itertools.pairwise(terms))
    return sum(min(weight(first), weight(second)) for first, second in pairs if (first, second) in question.pairs)


def _aliases(terms: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for first, second in itertools.pairwise(terms):
        yield first + second, (first, second)
        if first == "not":
            yield "un" + second, (first, second)
            yield "non" + second, (first, second)
    yield from _initials(terms)


def _initials(words: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for length in _INITIALS:
        for start in range(len(words) - length + 1):
            part = tuple(words[start : start + length])
            yield "".join(word[0] for word in part), part
