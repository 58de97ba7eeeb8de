"""The terms of a text, as the index knows them: split, lower case, without empty words, stemmed, spellings made one.

Alert names are how people name runbooks, so a word in CamelCase counts as its parts (`KubeCPUOvercommit` is kube, cpu,
overcommit). Any text is accepted and nothing in it is syntax: this is the only way from a question to the index.
"""

import re
import threading

import tantivy

from safety_governor.search import vocabulary

_LONGEST_WORD = 64
# Both begin with the capital and look back from it, so that the many places without one are passed over at once.
_CAMEL = re.compile(r"[A-Z](?:(?<=[a-z0-9].)|(?<=[A-Z].)(?=[a-z]))")
_PLURAL_ACRONYM = re.compile(r"([A-Z](?<!\w.)[A-Z]+)s\b")
_WORD = re.compile(r"[a-z0-9]+")


class _Analyser(threading.local):
    """One for each thread: a tantivy analyser must not be used by two at once."""

    def __init__(self) -> None:
        builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        builder = builder.filter(tantivy.Filter.remove_long(_LONGEST_WORD)).filter(tantivy.Filter.lowercase())
        builder = builder.filter(tantivy.Filter.ascii_fold()).filter(tantivy.Filter.custom_stopword(vocabulary.EMPTY.split()))
        self._analyser = builder.filter(tantivy.Filter.stemmer("english")).build()

    def stems(self, text: str) -> list[str]:
        return self._analyser.analyze(text)


_analyser = _Analyser()


def split(text: str) -> str:
    """The text with words in CamelCase taken apart; what is not valid Unicode becomes a question mark."""
    text = text.encode(errors="replace").decode()
    return _CAMEL.sub(r" \g<0>", _PLURAL_ACRONYM.sub(r"\1", text))


def terms(text: str) -> list[str]:
    """The terms of a text, in its order."""
    return [_SAME.get(stem, stem) for stem in _analyser.stems(split(text))]


def words(text: str) -> list[str]:
    """The plain words of a text with the empty ones among them, lower case: what initials are taken from."""
    return _WORD.findall(split(text).lower())


def kinds_of_trouble(term: str) -> frozenset[int]:
    """Which groups of related words a term belongs to; terms with one in common are related."""
    return _RELATED.get(term, frozenset())


def _same() -> dict[str, str]:
    groups = [list(dict.fromkeys(_analyser.stems(line))) for line in vocabulary.SAME]
    return {stem: group[0] for group in groups for stem in group}


def _related() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, line in enumerate(vocabulary.RELATED):
        for term in terms(line):
            groups.setdefault(term, set()).add(number)
    return {term: frozenset(numbers) for term, numbers in groups.items()}


_SAME = _same()
_RELATED = _related()
