"""The evidence ledger: per claim, which documents speak for it, which against it, and which citations were not believed.

Every count that the gate looks at comes from here. An agent contributes citations, which are verified one by one; the
governor's own sweep contributes the rest.
"""

import enum
from collections.abc import Mapping, Sequence

from pydantic import Field

from safety_governor.domain import digests, documents, relevance, values

EXCERPT_LIMIT = 160
CITATION_LIMIT = 16


class FoundBy(enum.StrEnum):
    """Who brought a document into the ledger."""

    AGENT = "Agent"
    SWEEP = "Sweep"
    """The governor's own search."""


class Distrust(enum.StrEnum):
    """Why a cited document does not count."""

    DOES_NOT_EXIST = "DoesNotExist"
    OTHER_SERVICE = "OtherService"
    STANCE_DISAGREES = "StanceDisagrees"
    """It is stored as saying something else than it was cited for."""
    NOT_SEEN = "NotSeen"
    """No recorded search of this run returned it to the agent."""
    OFF_TOPIC = "OffTopic"
    """It shares too few words with the claim."""


class Citation(values.Value):
    """A verified document, for or against a claim."""

    document: values.DocumentId
    """Its id in the evidence store."""
    found_by: FoundBy
    digest: values.Digest
    """Of its content when it was read."""
    excerpt: values.Line = ""
    """How it begins."""


class Doubt(values.Value):
    """A citation that was not believed."""

    document: values.DocumentId
    """Its id, as it was cited."""
    cited_for: documents.Stance
    """What it was said to say about the claim."""
    why: Distrust


class Entry(values.Value):
    """What is known about one claim."""

    claim: values.Text
    """In the words of the plan."""
    from_runbook: bool = False
    """Whether the runbook states it; what only the agent claims can speak against the plan and never for it."""
    supporting: tuple[Citation, ...] = Field(default=(), max_length=CITATION_LIMIT)
    """Verified documents that speak for it."""
    contradicting: tuple[Citation, ...] = Field(default=(), max_length=CITATION_LIMIT)
    """Verified documents that speak against it."""
    unchecked: tuple[Doubt, ...] = Field(default=(), max_length=CITATION_LIMIT)
    """Citations of the agent that could not be verified; they count for nothing."""


class Ledger(values.Value):
    """All claims of a plan, and the action itself, against the evidence."""

    claims: tuple[Entry, ...] = Field(default=(), max_length=16)
    """In the order of the plan."""
    action: Entry | None = None
    """Evidence about the action by name or words, whatever the claims say."""

    @property
    def contradiction_count(self) -> int:
        """Claims with at least one verified contradicting document; the action counts where its contradiction is not under a claim already.

        That is, where a document speaks against the action that is not all there is against some claim. So one more document
        against a claim, whoever cites it, never lowers the count.
        """
        contradicted = [{citation.document for citation in entry.contradicting} for entry in self.claims if entry.contradicting]
        against_action = {citation.document for citation in self.action.contradicting} if self.action else set()
        beyond = any({document} not in contradicted for document in against_action)
        return len(contradicted) + int(beyond)

    @property
    def coverage(self) -> float:
        """Claims with any verified document / claims, of all claims or of the runbook's own, whichever is less; 0 without any."""
        own = [entry for entry in self.claims if entry.from_runbook]
        return min(_covered(self.claims), _covered(own)) if own else _covered(self.claims)

    @property
    def supporting_count(self) -> int:
        """How many different documents support the action or a claim of the runbook, or any claim where there is no runbook."""
        own = [entry for entry in self.claims if entry.from_runbook] or self.claims
        counted = (*own, *((self.action,) if self.action else ()))
        return len({citation.document for entry in counted for citation in entry.supporting})

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The claims, then the action."""
        return (*self.claims, *((self.action,) if self.action else ()))


def _covered(entries: Sequence[Entry]) -> float:
    if not entries:
        return 0.0
    return round(sum(bool(entry.supporting or entry.contradicting) for entry in entries) / len(entries), 4)


class Cited(values.Value):
    """What an agent cites for one claim: document ids, for and against."""

    supporting: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    contradicting: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)


def enter(
    claim: str,
    *,
    service: str,
    cited: Cited,
    known: Mapping[str, documents.Evidence],
    seen: frozenset[str],
    swept: Sequence[documents.Evidence],
    action: str | None = None,
    from_runbook: bool = False,
) -> Entry:
    """Judge every citation and every document of our own sweep for one claim.

    `known` are the cited documents that exist, `seen` the ids that a recorded search returned to the agent, `swept` what
    our own search brought. A citation counts when it exists, concerns the service, is stored with the stance it was cited
    for, was seen, and has to do with the claim. A document against the claim counts even if the agent has not cited it.
    """
    doubts: dict[str, Doubt] = {}
    found: dict[documents.Stance, dict[str, Citation]] = {documents.Stance.SUPPORTS: {}, documents.Stance.CONTRADICTS: {}}

    def admit(document: documents.Evidence, by: FoundBy) -> None:
        excerpt = values.clip(" ".join(document.text.split()), EXCERPT_LIMIT)
        found[document.stance].setdefault(
            document.id, Citation(document=document.id, found_by=by, digest=digests.digest(document), excerpt=excerpt)
        )

    for stance, identifiers in ((documents.Stance.SUPPORTS, cited.supporting), (documents.Stance.CONTRADICTS, cited.contradicting)):
        for identifier in identifiers:
            document = known.get(identifier)
            why = _distrust(claim, document, service=service, stance=stance, seen=seen, identifier=identifier, action=action)
            if why is None and document is not None:
                admit(document, FoundBy.AGENT)
            elif why is not None:
                doubts.setdefault(identifier, Doubt(document=identifier, cited_for=stance, why=why))
    for document in swept:
        if document.stance in found and document.concerns(service) and relevance.concerns(claim, document, action=action):
            admit(document, FoundBy.SWEEP)
    return Entry(
        claim=claim,
        from_runbook=from_runbook,
        supporting=_ordered(found[documents.Stance.SUPPORTS]),
        contradicting=_ordered(found[documents.Stance.CONTRADICTS]),
        unchecked=tuple(doubts[identifier] for identifier in sorted(doubts))[:CITATION_LIMIT],
    )


def _ordered(citations: dict[str, Citation]) -> tuple[Citation, ...]:
    return tuple(citations[identifier] for identifier in sorted(citations))[:CITATION_LIMIT]


def _distrust(
    claim: str,
    document: documents.Evidence | None,
    *,
    service: str,
    stance: documents.Stance,
    seen: frozenset[str],
    identifier: str,
    action: str | None,
) -> Distrust | None:
    if document is None:
        return Distrust.DOES_NOT_EXIST
    if not document.concerns(service):
        return Distrust.OTHER_SERVICE
    if document.stance is not stance:
        return Distrust.STANCE_DISAGREES
    if identifier not in seen:
        return Distrust.NOT_SEEN
    if not relevance.concerns(claim, document, action=action):
        return Distrust.OFF_TOPIC
    return None
