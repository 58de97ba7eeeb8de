"""What the knowledge store holds: runbooks, evidence, policies and log lines.

Documents are snake_case because the same shapes are index documents in Elasticsearch; they are written by people and
by loaders, never by an agent. Unknown fields are refused: a misspelt `blocked_action` would otherwise be a policy that
blocks nothing.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from safety_governor.domain import values

Moment = Annotated[datetime, AfterValidator(lambda moment: moment if moment.tzinfo else moment.replace(tzinfo=UTC))]
"""A time without a zone is UTC, as log shippers write it."""

ANY_SERVICE = "*"
"""The literal service of a document that holds for every service."""

Service = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$")]
Body = Annotated[str, StringConstraints(max_length=131_072)]
Action = Annotated[values.ActionName, StringConstraints(to_lower=True)]
Severity = Annotated[str, StringConstraints(pattern=r"^(?i:low|medium|high|critical|\*)$", to_lower=True)]


class Document(BaseModel):
    """One stored document, found again by its id."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: values.DocumentId
    """Unique within its kind; loading the same id again replaces the document."""

    service: Service = ANY_SERVICE
    """The service it is about, exactly, or `*` for all."""

    def concerns(self, service: str) -> bool:
        """Whether the document holds for this service."""
        return self.service in (service, ANY_SERVICE)


Found = TypeVar("Found", bound=Document, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Generic[Found]):
    """A document that a search found. `score` orders the hits of one search and means nothing beyond it."""

    document: Found
    score: float


class SearchMode(enum.StrEnum):
    """How a store looked for what it found."""

    TEXT = "text"
    """By words."""
    HYBRID = "hybrid"
    """By words and by meaning."""
    TEXT_INSTEAD = "text-instead-of-hybrid"
    """By words only, because meanings could not be compared this time."""


class Hits(tuple[Hit[Found], ...]):
    """The hits of one search, best first, of a store that can search in more than one way."""

    mode: SearchMode

    def __new__(cls, hits: Iterable[Hit[Found]], *, mode: SearchMode) -> Self:
        """These hits, looked for in this way."""
        made = super().__new__(cls, hits)
        made.mode = mode
        return made


def mode_of(hits: Sequence[Hit[Found]]) -> SearchMode:
    """How they were looked for; a store that knows only one way says nothing, and it is by words."""
    return hits.mode if isinstance(hits, Hits) else SearchMode.TEXT


class Trust(enum.StrEnum):
    """Whether a runbook may be used for plans."""

    TRUSTED = "trusted"
    PROPOSED = "proposed"
    """Written by an agent and not yet promoted by a person."""


class RunbookStep(BaseModel):
    """One typed step of a remediation, as its author wrote it; the target comes from the incident, never from here."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: values.ActionType
    parameters: dict[values.Word, values.Line] = Field(default_factory=dict, max_length=16)
    text: values.Text = ""
    """For people: what the step does, or, of a Manual step, what to do."""


class Remediation(BaseModel):
    """A named action of a runbook and the steps that carry it out, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    action: values.ActionName
    """The name by which an agent proposes it and a policy forbids it."""
    steps: tuple[RunbookStep, ...] = Field(min_length=1, max_length=16)


class Runbook(Document):
    """How a kind of incident is remedied."""

    title: values.Line
    recommended_action: values.ActionName
    """Which of `remediations` the author recommends."""
    remediations: tuple[Remediation, ...] = Field(min_length=1, max_length=16)
    """The recommended one and its alternatives."""
    claims: tuple[values.Text, ...] = Field(default=(), max_length=16)
    """What must be true for the recommended action to help; each is checked against evidence. Empty: taken from the body."""
    tags: tuple[values.Line, ...] = Field(default=(), max_length=32)
    """Alert names and keywords by which it should be found."""
    state: Trust = Trust.TRUSTED
    body: Body = ""
    """Markdown."""

    @model_validator(mode="after")
    def _recommends_what_it_contains(self) -> Self:
        names = [remediation.action for remediation in self.remediations]
        if len(set(names)) != len(names):
            raise ValueError(f"remediations name an action twice: {', '.join(names)}")
        if self.recommended_action not in names:
            raise ValueError(f"recommended_action {self.recommended_action!r} is none of the remediations: {', '.join(names)}")
        return self

    def remediation(self, action: str) -> Remediation | None:
        """The remediation of that name, if this runbook has it."""
        return next((one for one in self.remediations if one.action == action), None)


class Stance(enum.StrEnum):
    """What a piece of evidence says about remedying its service."""

    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    NEUTRAL = "neutral"


class Evidence(Document):
    """An observation of the past or present: a post-mortem, a change record, a measured fact."""

    stance: Stance
    text: Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
    actions: tuple[Action, ...] = Field(default=(), max_length=16)
    """The actions it speaks about by name; empty when it speaks about the service in general."""
    source: values.Line = ""
    """Where it was observed: a ticket, a dashboard, a person."""
    observed_at: Moment | None = None


class Policy(Document):
    """A rule of the organisation: these actions are not to be taken for this service at these severities."""

    blocked_actions: tuple[Action, ...] = Field(max_length=256)
    """Matched exactly, lower case; `*` means all; an empty list matches nothing."""
    severities: tuple[Severity, ...] = Field(max_length=5)
    """At which severities it holds; `*` means all; an empty list matches nothing."""
    rule: values.Text
    """The rule in words, shown to the person who decides."""
    release: values.Release = values.Release.APPROVE
    """What it takes to act against it: APPROVE, FORCE_OVERRIDE or Impossible."""

    @field_validator("release", mode="after")
    @classmethod
    def _demands_something(cls, release: values.Release) -> values.Release:
        if release is values.Release.NOT_NEEDED:
            raise ValueError("a policy that anybody may act against blocks nothing; use APPROVE, FORCE_OVERRIDE or Impossible")
        return release


class LogLine(Document):
    """One line of a service's live log."""

    timestamp: Moment
    level: values.Word = "info"
    message: values.Text = ""
    response: values.Word | None = None
    """An HTTP status code, as text."""
