"""Authority that a text claims for itself: a policy that is cited, a person who is said to have approved.

An agent that writes "the DBA approved this" has made it up unless the approval is on record. What counts is an assertion
that permission *was given*; a rule that something *must be* approved claims nothing and is left alone.
"""

import re
from collections.abc import Iterable

from safety_governor.domain import values

_NO_ID = r"(?:based|driven|related|compliant|making|makers?|level|aware|free|like|wide|as-code|relevant|controlled|enforced|holders?)\b"
_POLICY = re.compile(rf"\bpol(?:icy)?[-_](?!{_NO_ID})[A-Za-z0-9][A-Za-z0-9._-]*\b", re.IGNORECASE)
_GRANTED = (
    r"(?:approved|authori[sz]ed|signed[ -]off|sanctioned|green-?lit|greenlighted|pre-?approved|ok'd|ok'?ed|okayed|waived|"
    r"agreed\s+to|sign(?:ed|s)\s+(?:\w+\s+){1,3}off)"
)
_PERMISSION = r"(?:approval|permission|sign-?off|authori[sz]ation|clearance|go-?ahead|green\s+light)"
_GIVEN = re.compile(
    rf"\b{_GRANTED}\b|\b(?:gave|given|granted|got|obtained|received|have|has|with)\s+(?:\w+\s+){{0,3}}{_PERMISSION}\b|"
    rf"\b{_PERMISSION}\s+(?:was|were|(?:has|have|had)\s+(?:already\s+)?been)\s+(?:already\s+)?(?:given|granted|obtained|received)\b",
    re.IGNORECASE,
)
_NOT_CLAIMED = re.compile(
    r"\b(?:must|should|shall|needs?|need to|has to|have to|"
    r"requires?|required|if|unless|until|before|when|once(?!\s+(?:again|more))|only\s+(?:\w+\s+){0,2}after|"
    r"not|never|no|without|can|could|may|might|"
    r"wait(?:ing|s)? for|ask(?:ing|s)? for|to be|is it|was it)\b[^.;:!?]{0,60}$|n't\b[^.;:!?]{0,40}$",
    re.IGNORECASE,
)
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
    """Ids in the text that look like a policy's, such as `POL-007` or `policy-restarts`, in lower case."""
    return tuple(dict.fromkeys(match.group().lower().rstrip(".-_") for match in _POLICY.finditer(text)))


def _unknown_policies(where: str, text: str, existing: frozenset[str]) -> list[Authority]:
    return [
        Authority(
            named=values.clip(identifier, values.LINE_LIMIT), found_in=values.clip(where, values.LINE_LIMIT), why="no policy has this id"
        )
        for identifier in policy_ids(text)
        if identifier not in existing
    ]


def _unrecorded_permissions(where: str, text: str, recorded: frozenset[str]) -> list[Authority]:
    unsupported = []
    for sentence in (match.group() for match in _SENTENCE.finditer(text)):
        given = _GIVEN.search(sentence)
        if given is None or _NOT_CLAIMED.search(_clause(sentence[: given.start()])):
            continue
        spoken = frozenset(re.findall(r"[\w@:.-]+", sentence.lower()))
        if not spoken & {name.lower() for name in recorded}:
            named = values.clip(" ".join(sentence.split()), values.LINE_LIMIT)
            unsupported.append(Authority(named=named, found_in=values.clip(where, values.LINE_LIMIT), why="no such approval is on record"))
    return unsupported


def _clause(before: str) -> str:
    """The words before the verb that belong to it: its own clause, or all of them when the clause has no subject ("reviewed and approved")."""
    start = max((match.end() for match in _CLAUSE.finditer(before)), default=0)
    return before[start:] if before[start:].strip() else before
