"""What a runbook claims: what must be true for its recommended action to help.

The claims of the runbook are held against the evidence whatever an agent claims: an agent that states fewer, vaguer or
wordier ones must not thereby have an easier test.
"""

import re

from safety_governor.domain import documents, relevance, values

MOST = 5
"""So many sentences of a runbook that states no claims are taken for them."""
LENGTH = 300

_SECTIONS = ("meaning", "symptoms", "impact", "assumptions", "when to use", "cause")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
# Bounded, because a body comes from outside and an unbounded look ahead over it takes quadratic time.
_MARKUP = re.compile(r"<[^<>]{1,300}>|[*_`>]|^\s*[-+]\s+|\[([^\[\]]{1,300})\]\([^()]{0,300}\)", re.MULTILINE)


def of(runbook: documents.Runbook) -> tuple[str, ...]:
    """The claims that its author wrote down; else the first sentences of what it says about its alert; else its title."""
    if runbook.claims:
        return runbook.claims
    found = _sentences(_section(runbook.body)) or [runbook.title]
    return tuple(dict.fromkeys(values.clip(one, LENGTH) for one in found[:MOST]))


def _section(body: str) -> str:
    """The text under the headings that say what the runbook assumes; all of it when it has none of them."""
    kept: list[str] = []
    inside = False
    for line in body.splitlines():
        heading = _HEADING.match(line)
        if heading:
            inside = heading.group(1).lower().startswith(_SECTIONS)
        elif inside:
            kept.append(line)
    return "\n".join(kept) if any(line.strip() for line in kept) else body


def _sentences(text: str) -> list[str]:
    outside_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    plain = _MARKUP.sub(lambda match: match.group(1) or "", outside_code)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", plain) if not part.lstrip().startswith("#"))
    return [sentence.strip() for part in paragraphs for sentence in _SENTENCE_END.split(part) if len(relevance.words(sentence)) >= 3]
