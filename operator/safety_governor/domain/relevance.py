"""Whether a piece of text has to do with a claim, by the words they share.

A search engine's score orders hits but means nothing by itself, and differs between stores. What counts as evidence
for or against a claim must not: it is decided here, from the words alone. Contradiction needs less than support, because
missing one costs an outage and suspecting one too many costs a question to a person.
"""

import functools
import re

import snowballstemmer

from safety_governor.domain import documents

SUPPORT_SHARE = 0.5
"""The share of a claim's words that a document must contain to be taken as support."""
CONTRADICTION_SHARE = 0.3
"""The share of the words of claim or document, whichever is shorter, that both must contain to be taken as a contradiction."""
LEAST_SHARED = 2
"""One shared word is a coincidence."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_EMPTY = frozenset(
    """
    a about after again all also an and any are as at be because been before being both but by can could did do does done
    down during each else even ever every few for from further get gets had has have having he her here him his how however
    i if in into is it its itself just less let like made make makes many may me might more most much must my never no nor
    not now of off often on once one only or other our out over own per rather same she should since so some still such than
    that the their them then there these they this those through to too under until up upon us very was we were what when
    where whether which while who whom whose why will with within without would yet you your
    """.split()
)


@functools.lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    # A stemmer keeps its state between calls and must not be shared by threads; what it answers may be.
    stem: str = snowballstemmer.stemmer("english").stemWord(word)
    return stem


def words(text: str) -> frozenset[str]:
    """The stems of the words of a text that carry meaning; CamelCase counts as several words."""
    plain = (word.lower() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in plain if word not in _EMPTY)


def concerns(text: str, document: documents.Evidence, *, action: str | None = None) -> bool:
    """Whether the document speaks about the text closely enough to count for or against it.

    A document that names the action it speaks about counts for that action whatever its words.
    """
    if action is not None and action.lower() in document.actions:
        return True
    asked, told = words(text), words(document.text)
    if not asked:
        return False
    shared = len(asked & told)
    if document.stance is documents.Stance.CONTRADICTS:
        # Against the shorter of the two: a claim that is padded with words must not escape what speaks against it.
        return shared >= min(LEAST_SHARED, len(asked)) and shared >= CONTRADICTION_SHARE * min(len(asked), len(told))
    return shared >= min(LEAST_SHARED, len(asked)) and shared >= SUPPORT_SHARE * len(asked)
