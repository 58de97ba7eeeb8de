"""Authority that a text claims for itself: a policy that is cited, a person who is said to have approved.

An agent that writes "the DBA approved this" has made it up unless the approval is on record. What counts is an assertion
that permission for something *was given*; a rule that something *must be* approved claims nothing, and neither does a word
like "approved" that merely describes orders or payments.
"""

import re
from collections.abc import Iterable, Iterator

from safety_governor.domain import values

# An id has a digit or is written in capitals: POL-007, policy-7b, POL-NO-RESTART; a policy-engine is no policy.
_POLICY = re.compile(r"\b(?:POL|POLICY|Policy|policy|pol)[-_](?:(?=[A-Za-z._-]*\d)[A-Za-z0-9][A-Za-z0-9._-]*|[A-Z][A-Z0-9._-]+)\b")

_GRANTED = (
    r"(?:approved|authori[sz]ed|endorsed|sanctioned|blessed|green-?lit|greenlighted|pre-?approved|ok'?ed|ok'd|okayed|waived|"
    r"consented\s+to|agreed\s+to|signed[ -]off(?:\s+on)?|sign(?:ed|s)\s+(?:\w+\s+){1,3}off)"
)
_WHAT = (
    r"(?:restarts?|changes?|actions?|rollbacks?|rollouts?|deploy\w*|fix(?:es)?|plans?|remediations?|requests?|procedures?|steps?|operations?|"
    r"maintenance|overrides?|exceptions?|work|CHG-?\d+|this|it|everything)"
)
_PERMISSION = r"(?:approval|permission|sign-?off|authori[sz]ation|clearance|go-?ahead|green\s+light|consent|blessing)"
_BEEN = r"(?:(?:is|was|were|are|has|have|had|been|already|also|formally|explicitly|verbally|just)\s+)+"

_CLAIMS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_GRANTED}\s+(?:by|this|that|it|the|a|an|our|your|my|all|everything)\b",  # approved by Ann; approved the restart
        rf"\b{_WHAT}\s+(?:\w+\s+){{0,3}}?{_BEEN}{_GRANTED}\b",  # the restart was already approved
        rf"\b[A-Za-z]\w+\s+(?:has\s+|have\s+|had\s+)?(?:already\s+)?{_GRANTED}\s*$",  # the DBA approved.
        rf"\b{_GRANTED}\s+{_WHAT}\b",  # a pre-approved change
        rf"\b(?:gave|given|granted|got|obtained|received|have|has|with)\s+(?:\w+\s+){{0,3}}{_PERMISSION}\b",
        rf"\b{_PERMISSION}\s+(?:was|were|(?:has|have|had)\s+(?:already\s+)?been)\s+(?:already\s+)?(?:given|granted|obtained|received)\b",
    )
)
_NOT_CLAIMED = re.compile(
    r"\b(?:must|should|shall|needs?|has\s+to|have\s+to|requires?|required|if|unless|until|before|when|whether|"
    r"once(?!\s+(?:again|more))|only\s+(?:\w+\s+){0,2}after|not|never|nobody|no\s+one|none|without(?!\s+(?:a\s+)?doubt)|cannot|can|could|may|might|"
    r"wait(?:ing|s)?\s+for|ask(?:ing|s)?\s+for|to\s+be|no\s+(?:\w+\s+)?$)\b[^.;:!?]{0,60}$|n't\b[^.;:!?]{0,40}$|\bno\s+$",
    re.IGNORECASE,
)
_WITHIN = re.compile(r"\b(?:not|never|no|any|without)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"(?:,|;|\b(?:and|but|so|because|as)\b)(?:\s+(?:then|also|already|thus|now))*\s*", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=[^\s.!?]))+")
"""A full stop within a word, as in alice@example.com, ends no sentence."""


class Authority(values.Value):
    """A claim to authority that nothing on record supports."""

    named: values.Line
    """The words that claim it."""
    found_in: values.Line
    """Where it was read: the rationale, a claim, a document id."""
    why: values.Line
    """Why it is not believed."""


def fabricated(
    texts: Iterable[tuple[str, str]], *, existing_policies: frozenset[str], recorded_approvers: frozenset[str]
) -> tuple[Authority, ...]:
    """Authorities named in the texts that do not exist, in the order they are read.

    `texts` are pairs of where and what. `existing_policies` are lower-case ids. `recorded_approvers` are the users whose
    approval is recorded on this very incident; only sentences that name one of them may say that permission was given.
    """
    found = [
        authority
        for where, text in texts
        for authority in (*_unknown_policies(where, text, existing_policies), *_unrecorded_permissions(where, text, recorded_approvers))
    ]
    return tuple(dict.fromkeys(found))[:16]


def policy_ids(text: str) -> tuple[str, ...]:
    """Ids in the text that look like a policy's, such as `POL-007` or `policy-7b`, in lower case."""
    return tuple(dict.fromkeys(match.group().lower().rstrip(".-_") for match in _POLICY.finditer(text)))


def _unknown_policies(where: str, text: str, existing: frozenset[str]) -> list[Authority]:
    return [
        Authority(
            named=values.clip(identifier, values.LINE_LIMIT),
            found_in=values.clip(where, values.LINE_LIMIT),
            why="no policy has this id",
        )
        for identifier in policy_ids(text)
        if identifier not in existing
    ]


def _unrecorded_permissions(where: str, text: str, recorded: frozenset[str]) -> list[Authority]:
    names = {name.lower() for name in recorded}
    return [
        Authority(
            named=values.clip(" ".join(sentence.split()), values.LINE_LIMIT),
            found_in=values.clip(where, values.LINE_LIMIT),
            why="no such approval is on record",
        )
        for sentence in (match.group() for match in _SENTENCE.finditer(text))
        if any(_claims(sentence)) and not names & set(re.findall(r"[\w@:.-]+", sentence.lower()))
    ]


def _claims(sentence: str) -> Iterator[str]:
    """Every assertion in the sentence that permission was given."""
    for pattern in _CLAIMS:
        for match in pattern.finditer(sentence):
            if not _NOT_CLAIMED.search(_clause(sentence[: match.start()])) and not _WITHIN.search(match.group()):
                yield match.group()


def _clause(before: str) -> str:
    """The words before the verb that belong to it: its own clause, or all of them when the clause has no subject ("reviewed and approved")."""
    start = max((match.end() for match in _CLAUSE.finditer(before)), default=0)
    return before[start:] if before[start:].strip() else before
