"""What of an event is published: documents for the indices `workflow_events`, `action_executions` and `incidents`.

Copies for searching and for dashboards, never read back for a decision. Like all index documents they are snake_case.

The types here are what a mapping of those indices has to take; a document has no other fields.
"""

import enum
from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, JsonValue

from safety_governor.domain import values
from safety_governor.domain.audit.events import Kind


class Index(enum.StrEnum):
    """A kind of record; what the index is called is for the store to say."""

    INCIDENTS = "incidents"
    WORKFLOW_EVENTS = "workflow_events"
    ACTION_EXECUTIONS = "action_executions"


class Record(values.Value):
    """One document for one index."""

    index: Index
    id: values.Line
    """The same for a repetition."""
    document: dict[str, JsonValue]
    version: int | None = None
    """Where a later state replaces an earlier one: the higher version wins. None: written once and never again."""


class WorkflowDocument(values.Value):
    """An event."""

    id: values.Line
    seq: int
    """Number of its line in the trail."""
    hash: values.Line
    """Hash of its line, by which a copy is held against the trail."""
    kind: values.Line
    at: AwareDatetime
    incident: values.Line
    namespace: values.Line
    uid: values.Line
    service: values.Line = ""
    severity: values.Line = ""
    decision: values.Line = ""
    reason: values.Text = ""
    phase: values.Line = ""
    plan_digest: values.Line = ""
    confidence_initial: float | None = None
    confidence_post: float | None = None
    confidence_delta: float | None = None
    data: str
    """All of its content, as JSON in one text: its form depends on the kind."""


class ActionDocument(values.Value):
    """What was about to be done, or what became of it; both have the action's key."""

    id: values.Line
    key: values.Line
    at: AwareDatetime
    incident: values.Line
    namespace: values.Line
    uid: values.Line
    type: values.Line
    target_kind: values.Line
    target_name: values.Line
    state: values.Line
    """Claimed, Done, Failed or Indeterminate."""
    outcome: values.Line = ""
    undoes: values.Line = ""
    message: values.Text = ""
    plan_digest: values.Line = ""


class IncidentDocument(values.Value):
    """An incident as of its last decision, or at its end."""

    uid: values.Line
    incident: values.Line
    namespace: values.Line
    service: values.Line
    severity: values.Line
    summary: values.LongText
    phase: values.Line
    decision: values.Line
    approver: values.Line = ""
    message: values.Text = ""
    updated_at: AwareDatetime


def records_of(line: Mapping[str, Any], *, data_text: str) -> tuple[Record, ...]:
    """The records of a line of workflow_events; none where no incident is concerned. `data_text` is its content as JSON."""
    data, kind = line["data"], line["kind"]
    if not line["uid"]:
        return ()
    where = {"incident": line["incident"], "namespace": str(line["incident"]).partition("/")[0], "uid": line["uid"]}
    event = WorkflowDocument.model_validate(
        {
            **{name: line[name] for name in ("id", "seq", "hash", "kind", "at")},
            **where,
            **{name: data[name] for name in _SHARED if name in data},
            "reason": values.clip(str(data.get("reason", "")), values.TEXT_LIMIT),
            "data": data_text,
        }
    )
    found = [Record(index=Index.WORKFLOW_EVENTS, id=line["id"], document=_plain(event))]
    if kind in (Kind.CLAIMED, Kind.ACTION_ENDED):
        action = ActionDocument.model_validate(
            {
                **where,
                **{name: data[name] for name in ("key", "type", "outcome", "undoes", "message", "planDigest") if name in data},
                "id": line["id"],
                "at": line["at"],
                "targetKind": data["target"].get("kind", "Deployment"),
                "targetName": data["target"]["name"],
                "state": data.get("state", "Claimed"),
            }
        )
        found.append(Record(index=Index.ACTION_EXECUTIONS, id=line["id"], document=_plain(action)))
    if kind in (Kind.GATED, Kind.ENDED):
        incident = IncidentDocument.model_validate(
            {
                **where,
                **{name: data.get(name, "") for name in ("service", "severity", "summary", "decision", "approver", "message")},
                "phase": data.get("phase", "Gated"),
                "updatedAt": line["at"],
            }
        )
        found.append(Record(index=Index.INCIDENTS, id=line["uid"], document=_plain(incident), version=line["seq"]))
    return tuple(found)


_SHARED = ("service", "severity", "decision", "phase", "planDigest", "confidenceInitial", "confidencePost", "confidenceDelta")


def _plain(document: values.Value) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = document.model_dump(mode="json", by_alias=False, exclude_none=True)
    return {name: value for name, value in plain.items() if value != ""}
