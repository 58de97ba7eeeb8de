"""What of an event is published: entries for the indices `workflow_events`, `action_executions` and `incidents` (`domain.archive`)."""

import enum
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from safety_governor.domain import archive, values
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


_LAST = 2**52
"""More than the microseconds since 1970 for a century to come; a version stays below what a JSON number holds exactly."""


def records_of(line: Mapping[str, Any]) -> tuple[Record, ...]:
    """The records of a line of workflow_events; none where no incident is concerned."""
    data, kind = line["data"], line["kind"]
    if not line["uid"]:
        return ()
    namespace, _, name = str(line["incident"]).partition("/")
    where = {"at": line["at"], "namespace": namespace, "incident": name, "uid": line["uid"], "service": data.get("service", "")}
    found = [_record(Index.WORKFLOW_EVENTS, _event(line, data, where))]
    if kind in (Kind.CLAIMED, Kind.ACTION_ENDED):
        found.append(_record(Index.ACTION_EXECUTIONS, _action(line, data, where)))
    if kind in (Kind.GATED, Kind.ENDED):
        found.append(_record(Index.INCIDENTS, _incident(line, data, where)))
    return tuple(found)


def _event(line: Mapping[str, Any], data: Mapping[str, Any], where: Mapping[str, Any]) -> archive.WorkflowEvent:
    version = str(data.get("gate", ""))
    return archive.WorkflowEvent(
        **where,
        id=line["id"],
        kind=line["kind"],
        phase=data.get("phase"),
        decision=data.get("decision"),
        reasons=_reasons(data),
        actor=data.get("approver") or data.get("holder") or data.get("requestedBy") or "",
        message=str(data.get("message") or data.get("why") or data.get("summary") or ""),
        confidence_initial=data.get("confidenceInitial"),
        confidence_final=data.get("confidencePost"),
        contradiction_count=data.get("contradictionCount"),
        gate_version=int(version) if version.isdigit() else None,
        input_digest=data.get("inputDigest", ""),
        chain=line["hash"],
        details={name: values.clip(_text(value), values.TEXT_LIMIT) for name, value in list(data.items())[:64]},
    )


def _action(line: Mapping[str, Any], data: Mapping[str, Any], where: Mapping[str, Any]) -> archive.ActionExecution:
    ended = line["kind"] == Kind.ACTION_ENDED
    return archive.ActionExecution(
        **where,
        id=line["id"],
        key=data["key"],
        stage="Ended" if ended else "Intended",
        type=data["type"],
        target_kind=data["target"].get("kind", "Deployment"),
        target_name=data["target"]["name"],
        undoes=bool(data.get("undoes")),
        identity=data.get("holder", ""),
        outcome=(data.get("outcome") or data["state"]) if ended else None,
        message=data.get("message", ""),
        chain=line["hash"],
    )


def _incident(line: Mapping[str, Any], data: Mapping[str, Any], where: Mapping[str, Any]) -> archive.IncidentEntry:
    ended = line["kind"] == Kind.ENDED
    return archive.IncidentEntry(
        **where,
        id=line["uid"],
        version=_version(line["at"], ended=ended),
        severity=data.get("severity"),
        summary=data.get("summary", ""),
        phase=data.get("phase", "Gated"),
        decision=data.get("decision"),
        reasons=() if ended else _reasons(data),
        plan_digest=data.get("planDigest", ""),
        confidence_initial=data.get("confidenceInitial"),
        confidence_final=data.get("confidencePost"),
        approver=data.get("approver", ""),
        decided_at=data.get("decidedAt"),
        ended_at=line["at"] if ended else None,
    )


def _version(at: str, *, ended: bool) -> int:
    """By when it happened, as lines are numbered anew in a new trail; an end replaces everything, whatever the clock said before."""
    return int(datetime.fromisoformat(at).timestamp() * 1_000_000) + (_LAST if ended else 0)


def _record(index: Index, entry: archive.Entry) -> Record:
    version = entry.version if isinstance(entry, archive.IncidentEntry) else None
    return Record(index=index, id=entry.id, document=entry.model_dump(mode="json", exclude_none=True), version=version)


def _reasons(data: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(one for one in str(data.get("reason", "")).split(",") if one)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
