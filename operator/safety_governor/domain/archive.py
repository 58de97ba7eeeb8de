"""What is kept of incidents beyond the cluster, for searching and for dashboards: never read back for a decision.

Like documents these are snake_case, because they are index documents in Elasticsearch. The audit files are the truth; these are
copies of it, so a field that a reader needs may be added and none is relied upon.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from safety_governor.domain import documents, values

EntryId = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class Entry(BaseModel):
    """One record, written once under its id."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: EntryId
    """Of the incident its uid, of an event the event's id, of an action its key and what became of it."""
    at: documents.Moment
    """When it happened; of an incident, when it last changed."""
    namespace: values.Line = ""
    incident: values.Line = ""
    """Name of the incident."""
    uid: values.Line = ""
    """Uid of the incident; another incident of the same name is another incident."""
    service: values.Line = ""


class IncidentEntry(Entry):
    """How an incident stands. Written again whenever that changes; a newer version replaces an older one, never the reverse."""

    version: int = Field(ge=1)
    """Grows with every change; the generation of the record, not the resourceVersion."""
    severity: values.Word | None = None
    summary: values.LongText = ""
    symptoms: tuple[values.Text, ...] = Field(default=(), max_length=64)
    phase: values.Word | None = None
    decision: values.Word | None = None
    reasons: tuple[values.Line, ...] = Field(default=(), max_length=64)
    action: values.Line = ""
    """The proposed action."""
    runbook: values.Line = ""
    plan_digest: values.Line = ""
    confidence_initial: float | None = None
    confidence_final: float | None = None
    contradiction_count: int | None = None
    approver: values.Line = ""
    outcome: values.Word | None = None
    created_at: documents.Moment | None = None
    decided_at: documents.Moment | None = None
    ended_at: documents.Moment | None = None


class WorkflowEvent(Entry):
    """Something that happened to an incident: a decision of the gate, an approval, the end of a stage."""

    kind: values.Word
    """What kind of event it is."""
    phase: values.Word | None = None
    decision: values.Word | None = None
    reasons: tuple[values.Line, ...] = Field(default=(), max_length=64)
    """Which checks fired."""
    actor: values.Line = ""
    """The person or process that did it."""
    message: values.LongText = ""
    confidence_initial: float | None = None
    confidence_final: float | None = None
    contradiction_count: int | None = None
    gate_version: int | None = None
    input_digest: values.Line = ""
    chain: values.Line = ""
    """The hash of the line of the audit file that this is a copy of."""
    details: dict[values.Word, values.Text] = Field(default_factory=dict, max_length=64)
    """What else belongs to this kind of event."""


class ActionExecution(Entry):
    """An action was intended, or ended."""

    key: values.Line
    """The key of the action, the same at every try."""
    stage: values.Word
    """Intended or Ended."""
    type: values.Word
    """What is done."""
    target_kind: values.Word | None = None
    target_name: values.Line = ""
    undoes: bool = False
    identity: values.Line = ""
    """In whose name."""
    outcome: values.Word | None = None
    message: values.LongText = ""
    chain: values.Line = ""
    """The hash of the line of the audit file that this is a copy of."""
    details: dict[values.Word, values.Text] = Field(default_factory=dict, max_length=64)
