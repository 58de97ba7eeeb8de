"""What an audit trail records: events, one type of content per kind.

The id of an event follows from what happened, not from when it was written down, so that a repetition after a crash is
the same event.
"""

import enum
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, StringConstraints

from safety_governor.domain import approvals, authorities, checks, plans, values, verdicts, verification
from safety_governor.domain.adaptability import Adaptability

# By name, because a field is called like the module and would hide it.
from safety_governor.domain.facts import Facts
from safety_governor.domain.scores import Profile

VERSION = 1
"""Raised when a line means something else than before."""


class Stream(enum.StrEnum):
    """A trail of its own; its file is named like it."""

    WORKFLOW_EVENTS = "workflow_events"
    """What became of incidents: planned, stressed, gated, released, claimed, done, ended."""
    AGENT_RUNS = "agent_runs"
    """Every question to an agent."""
    RELIABILITY_METRICS = "reliability_metrics"
    """Confidence and scores of every decision."""
    TOOL_TRACE = "tool_trace"
    """Every search on behalf of an agent, with the documents that it showed."""
    JOURNAL = "journal"
    """Every action before it is taken, and how it ended. Its lines have a form of their own: `domain.journal`."""


class Kind(enum.StrEnum):
    """What an event is about."""

    FILE_BEGUN = "FileBegun"
    TORN_LINE_REPAIRED = "TornLineRepaired"
    EVENTS_LOST = "EventsLost"
    REPORTED = "Reported"
    PLANNED = "Planned"
    STRESSED = "Stressed"
    GATED = "Gated"
    APPROVAL_ASKED = "ApprovalAsked"
    APPROVAL_HONOURED = "ApprovalHonoured"
    APPROVAL_REFUSED = "ApprovalRefused"
    OVERRIDDEN = "Overridden"
    EXPIRED = "Expired"
    HELD = "Held"
    CLAIMED = "Claimed"
    TAKEN_BACK = "TakenBack"
    ACTION_ENDED = "ActionEnded"
    ENDED = "Ended"
    AGENT_ASKED = "AgentAsked"
    TOOL_CALLED = "ToolCalled"
    SCORED = "Scored"


WITNESSES = frozenset({Kind.GATED, Kind.ACTION_ENDED, Kind.ENDED})
"""Their lines name the last lines of the other streams: what led to a decision, what was done, and what an incident leaves behind."""

UNWRITTEN = "unwritten"
"""The one field of data that had no form as a line: why."""

Names = tuple[values.Line, ...]


class Position(values.Value):
    """The last line of a stream: its number and its hash, which stand for every line before."""

    seq: int = Field(ge=1)
    """Number of the line, counted from 1 over all files of the stream."""
    hash: values.Digest
    """Its hash."""


class Before(Position):
    """Where the file before ended."""

    file: values.Line
    """Its name since then."""


class FileBegun(values.Value):
    """The first line of every file."""

    number: int = Field(ge=1)
    """The files of a stream are numbered from 1; this one gets its number into its name when it is full."""
    previous: Before | None = None
    """Absent in the first file."""


class TornLineRepaired(values.Value):
    """A crash had torn the last line of a file; what was left of it was cut off. Nothing rested on it."""

    file: values.Line
    """In which file."""
    bytes: int = Field(ge=1)
    """How much was cut off."""
    digest: values.Digest
    """Of what was cut off."""


class EventsLost(values.Value):
    """The trail could not be written for so long that events had to be dropped; the incidents themselves were not."""

    count: int = Field(ge=1)
    """How many."""


class Reported(values.Value):
    """An incident, as it was reported."""

    service: values.ServiceName
    severity: values.Severity
    summary: values.LongText
    symptoms: tuple[values.Text, ...] = Field(default=(), max_length=16)
    target: plans.Target
    mode: values.Mode
    requested_by: values.Line = ""
    source: values.Line = ""
    """What reported it."""


class Planned(values.Value):
    """What is proposed, and what became of it in the runbooks."""

    plan: plans.Plan


class CheckedClaim(values.Value):
    """A claim and the documents that are known about it."""

    claim: values.Text
    supporting: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    contradicting: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    unchecked: tuple[values.DocumentId, ...] = Field(default=(), max_length=64)
    """Cited and not believed."""


class Stressed(values.Value):
    """How the plan stood up to the evidence. An absent figure is unknown."""

    contradiction_count: int | None = None
    evidence_coverage: float | None = None
    claims: tuple[CheckedClaim, ...] = Field(default=(), max_length=17)
    """The claims, then the action itself."""
    ledger_digest: values.Digest | None = None
    """Of the whole ledger, excerpts included."""
    policies: int | None = None
    """How many policies concern the service."""
    policies_digest: values.Digest | None = None
    fabricated: tuple[authorities.Authority, ...] = Field(default=(), max_length=16)
    telemetry_known: bool = False
    unknowns: tuple[values.Text, ...] = Field(default=(), max_length=8)
    answer_problems: tuple[values.Text, ...] = Field(default=(), max_length=8)


class Gated(values.Value):
    """A decision, with all that it was made from."""

    attempt: int
    decision: verdicts.Decision
    required_approval: values.Release
    reason: values.Text
    """The names of the checks that block, or NoFindings."""
    findings: tuple[checks.Finding, ...] = Field(default=(), max_length=16)
    plan_digest: values.Digest
    input_digest: values.Digest
    """Of the facts."""
    facts: Facts | None = None
    """What was judged. Absent when it was lost: the operator ended between deciding and recording."""
    thresholds: checks.Thresholds | None = None
    """What it was judged by."""
    gate: values.Word
    """Version of the gate."""
    decided_at: AwareDatetime
    service: values.ServiceName
    severity: values.Severity
    summary: values.LongText = ""
    mode: values.Mode
    names: tuple[values.ActionName, ...] = Field(default=(), max_length=32)
    """The names that a policy may forbid: the action's and the types of its steps."""
    confidence_initial: float | None = None
    confidence_post: float | None = None
    confidence_delta: float | None = None
    parts: dict[values.Word, values.Digest] = Field(default_factory=dict, max_length=16)
    """Digests of the parts that the plan digest covers."""


class ApprovalAsked(values.Value):
    """People were asked."""

    required: values.Release
    plan_digest: values.Digest
    expires_at: values.Line
    two_persons: bool = False


class ApprovalHonoured(values.Value):
    """A person's word counted."""

    decision: approvals.Word
    approver: values.Line
    reason: values.Text = ""
    plan_digest: values.Digest | None = None


class ApprovalRefused(values.Value):
    """A person's word released nothing."""

    decision: approvals.Word
    approver: values.Line
    why: values.Text
    plan_digest: values.Digest


class Overridden(values.Value):
    """A person released what the gate had blocked, against its findings. Kept for good."""

    approver: values.Line
    reason: values.Text
    against: values.Text
    """The checks that had blocked."""
    plan_digest: values.Digest | None = None


class Expired(values.Value):
    """Nobody answered in time, which is a denial."""

    required: values.Release | None = None
    plan_digest: values.Digest | None = None


class Held(values.Value):
    """What was released is not begun, or not gone on with. Told when that begins, and when the reason changes."""

    why: values.Text
    until: values.Line = ""
    """Empty when that is for a person to decide."""
    plan_digest: values.Digest | None = None


class Claimed(values.Value):
    """An action is about to be taken. Nothing is touched before this is on record."""

    key: values.Digest
    type: values.ActionType
    target: plans.Target
    parameters: dict[values.Word, values.Line] = Field(default_factory=dict, max_length=16)
    undoes: values.Line = ""
    """Id of the step that it undoes."""
    plan_digest: values.Digest | None = None
    before: values.Digest
    """Digest of the target as it was."""
    holder: values.Line = ""
    """Which operator process."""
    claimed_at: AwareDatetime


class TakenBack(values.Value):
    """A claim was taken back; nothing was done. It may be claimed again."""

    key: values.Digest
    type: values.ActionType
    target: plans.Target
    why: values.Text


class ActionEnded(values.Value):
    """What became of an action."""

    key: values.Digest
    type: values.ActionType
    target: plans.Target
    state: values.Word
    """Done, Failed (nothing was changed) or Indeterminate."""
    outcome: verification.Outcome | None = None
    message: values.Text = ""


class Ended(values.Value):
    """An incident came to its end."""

    phase: values.Word
    """Deleted, where somebody deleted the incident before that."""
    reason: values.Line = ""
    message: values.Text = ""
    service: values.Line = ""
    severity: values.Severity | None = None
    summary: values.LongText = ""
    decision: verdicts.Decision | None = None
    """What the gate had decided."""
    approver: values.Line = ""
    """Who released or rejected it."""
    plan_digest: values.Digest | None = None
    actions: int = 0
    """How many actions were claimed for it."""


class AgentAsked(values.Value):
    """One question to an agent. What was said stands for itself only as digests; what was made of it is in workflow_events."""

    question: values.Word
    """plan or stress."""
    prompt: values.Digest
    answer: values.Digest | None = None
    """Absent when none came."""
    milliseconds: int = Field(ge=0)
    seen: tuple[values.DocumentId, ...] = Field(default=(), max_length=256)
    """Documents that recorded searches showed the agent in this run."""
    problem: values.Text = ""
    """Why no answer came, or what is wrong with it."""


class ToolCalled(values.Value):
    """One search on behalf of an agent."""

    tool: values.Word
    caller: values.Line
    """Who called: the agent's backend, or the owner of a token."""
    run: values.Line = ""
    """The agent's run, as the caller names it."""
    arguments: values.Digest
    """Digest of what was asked."""
    documents: tuple[values.DocumentId, ...] = Field(default=(), max_length=256)
    """Ids of the documents that were returned."""
    status: values.Line = ""
    """What the answer was: ok, empty (there is certainly nothing), unavailable (unknown), or why it was none."""
    milliseconds: int = Field(ge=0)
    problem: values.Text = ""
    """Why nothing was returned, where that is not certain."""


class Scored(values.Value):
    """The figures of one decision. They inform people and decide nothing."""

    plan_digest: values.Digest
    decision: verdicts.Decision
    confidence_initial: float | None = None
    confidence_post: float | None = None
    confidence_delta: float | None = None
    adaptability: Adaptability | None = None
    scores: Profile | None = None


CONTENTS: Mapping[Kind, type[values.Value]] = {
    Kind.FILE_BEGUN: FileBegun,
    Kind.TORN_LINE_REPAIRED: TornLineRepaired,
    Kind.EVENTS_LOST: EventsLost,
    Kind.REPORTED: Reported,
    Kind.PLANNED: Planned,
    Kind.STRESSED: Stressed,
    Kind.GATED: Gated,
    Kind.APPROVAL_ASKED: ApprovalAsked,
    Kind.APPROVAL_HONOURED: ApprovalHonoured,
    Kind.APPROVAL_REFUSED: ApprovalRefused,
    Kind.OVERRIDDEN: Overridden,
    Kind.EXPIRED: Expired,
    Kind.HELD: Held,
    Kind.CLAIMED: Claimed,
    Kind.TAKEN_BACK: TakenBack,
    Kind.ACTION_ENDED: ActionEnded,
    Kind.ENDED: Ended,
    Kind.AGENT_ASKED: AgentAsked,
    Kind.TOOL_CALLED: ToolCalled,
    Kind.SCORED: Scored,
}

_KINDS = {content: kind for kind, content in CONTENTS.items()}

_ELSEWHERE = {
    Kind.AGENT_ASKED: Stream.AGENT_RUNS,
    Kind.TOOL_CALLED: Stream.TOOL_TRACE,
    Kind.SCORED: Stream.RELIABILITY_METRICS,
}

EventId = Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{32}$")]


class Event(values.Value):
    """Something that happened, before it has a place in the chain."""

    id: EventId
    """The same for a repetition."""
    stream: Stream
    kind: Kind
    at: AwareDatetime
    """When it happened or was noticed."""
    incident: values.Line = ""
    """`namespace/name`; empty where no incident is concerned."""
    uid: values.Line = ""
    """The incident's uid."""
    data: dict[str, JsonValue]
    """Depends on the kind; see the schema of the kind."""


class Envelope(BaseModel):
    """A line of an audit trail, as JSON. Canonical (RFC 8785), so that a changed byte is found."""

    v: int = Field(description="Version of the form of the line.")
    seq: int = Field(ge=1, description="Number of the line, counted from 1 over all files of the stream.")
    id: EventId = Field(description="The same for a repetition of the same event.")
    stream: Stream = Field(description="Which trail.")
    kind: Kind = Field(description="What happened; decides the form of data.")
    at: AwareDatetime = Field(description="When it happened or was noticed.")
    incident: str = Field(description="namespace/name of the incident; empty where none is concerned.")
    uid: str = Field(description="uid of the incident.")
    data: dict[str, Any] = Field(description="The content; its form depends on the kind.")
    heads: dict[str, Position] | None = Field(
        default=None, description="On Gated, ActionEnded and Ended: the last lines of the other streams at that time."
    )
    prev: str = Field(description="Hash of the line before; 64 zeros in the very first.")
    hash: str = Field(description="sha256 of this line without its hash.")


def event_id(kind: Kind, *parts: str) -> str:
    """The id of what happened once for these parts: the incident's uid and what tells the event from others of its kind."""
    return hashlib.sha256("\0".join((kind.value, *parts)).encode()).hexdigest()[:32]


def happened(content: values.Value, *, at: AwareDatetime, incident: str = "", uid: str = "", once: tuple[str, ...]) -> Event:
    """An event of this content. `once` is what tells it from others of its kind of the same incident."""
    kind = _KINDS[type(content)]
    return Event(
        id=event_id(kind, uid, *once),
        stream=_ELSEWHERE.get(kind, Stream.WORKFLOW_EVENTS),
        kind=kind,
        at=at,
        incident=incident,
        uid=uid,
        data=content.model_dump(mode="json", exclude_none=True),
    )
