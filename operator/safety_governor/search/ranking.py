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

import functools
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
        self.shares = _Shares(frozenset(self.terms), other_spellings=self.compounds | self.initials)
        """How much of a term is in the question, from 0 to 1."""


class _Shares(dict[str, float]):
    """Found out once for each term."""

    def __init__(self, terms: frozenset[str], *, other_spellings: frozenset[str]) -> None:
        super().__init__()
        self._terms = terms
        self._whole = terms | other_spellings
        self._beginnings = frozenset(term[:-cut] for term in terms for cut in range(1, _LONGEST_ENDING + 1))
        self._troubles = frozenset().union(*(analysis.kinds_of_trouble(term) for term in terms))

    def __missing__(self, term: str) -> float:
        share = self[term] = self._share(term)
        return share

    def _share(self, term: str) -> float:
        if term in self._whole:
            return 1.0
        beginnings, troubles = _relatives(term)
        if (term in self._beginnings and len(term) >= _SHORTEST_STEM) or not self._terms.isdisjoint(beginnings):
            return ENDING
        return 0.0 if self._troubles.isdisjoint(troubles) else RELATION


@functools.lru_cache(maxsize=65_536)
def _relatives(term: str) -> tuple[tuple[str, ...], frozenset[int]]:
    """The term without its ending, where enough is left, and its kinds of trouble."""
    longest = min(_LONGEST_ENDING, len(term) - _SHORTEST_STEM)
    return tuple(term[:-cut] for cut in range(1, longest + 1)), analysis.kinds_of_trouble(term)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A runbook's names and meaning with the weights of their words: all of the comparison that no question changes."""

    names: tuple["_WeighedName", ...]
    about: "_Pairs"

    @classmethod
    def of(cls, *, names: Iterable[Name], about: Sequence[str], weight: Weight) -> "Weighed":
        """For a runbook with these names and this meaning, in terms."""
        return cls(tuple(_WeighedName.of(name, weight) for name in names), _weighed_pairs(about, weight))


@dataclass(frozen=True, slots=True)
class _WeighedName:
    terms: dict[str, float]
    whole: float
    pairs: "_Pairs"
    aliases: dict[str, frozenset[str]]

    @classmethod
    def of(cls, name: Name, weight: Weight) -> "_WeighedName":
        terms = {term: weight(term) for term in name.terms}
        aliases: dict[str, frozenset[str]] = {}
        for alias, meant in name.aliases:
            aliases[alias] = aliases.get(alias, frozenset()).union(meant)
        return cls(terms, sum(terms.values()), _weighed_pairs(name.terms, weight), aliases)


_Pairs = dict[tuple[str, str], float]


def fit(question: Question, runbook: Weighed, *, body: float) -> float:
    """The score of the runbook, whose text has this BM25 score."""
    best = max((_fit_of_name(question, name) for name in runbook.names), default=0.0)
    return BODY * body + best + PHRASES * _shared_pairs(question, runbook.about)


def _fit_of_name(question: Question, name: _WeighedName) -> float:
    shares = question.shares
    if question.terms.keys().isdisjoint(name.aliases):
        named = sum([weight * shares[term] for term, weight in name.terms.items()])
    else:
        meant = frozenset().union(*(terms for alias, terms in name.aliases.items() if alias in question.terms))
        named = sum([weight if term in meant else weight * shares[term] for term, weight in name.terms.items()])
    return NAMED * named - UNNAMED * (name.whole - named) + PAIRS * _shared_pairs(question, name.pairs)


def _shared_pairs(question: Question, pairs: _Pairs) -> float:
    # In the order of the runbook, so that equal questions have equal sums.
    return 0.0 if question.pairs.isdisjoint(pairs) else sum([weight for pair, weight in pairs.items() if pair in question.pairs])


def _weighed_pairs(terms: Sequence[str], weight: Weight) -> _Pairs:
    return {(first, second): min(weight(first), weight(second)) for first, second in itertools.pairwise(terms)}


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
