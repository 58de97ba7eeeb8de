"""One incident's lines of several trails in one order.

The order in which lines stand in a trail is the truth about it; their times are not always: some are noted later, some only in
whole seconds.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from safety_governor.domain.audit.events import Kind, Stream

Found = tuple[str, Mapping[str, Any]]
"""The stream of a line, and the line."""


class Timing(enum.StrEnum):
    """What the time of a line means."""

    EXACT = ""
    NOTED = "noted"
    AFTER = "after"


MEANINGS = {
    Timing.NOTED: "it was written down then, and happened before the lines below it",
    Timing.AFTER: "it was written down after the claim above it; the journal itself says only in which second the claim was made",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A line in its place."""

    stream: str
    fields: Mapping[str, Any]
    at: datetime
    timing: Timing


def in_order(found: Sequence[Found]) -> list[Placed]:
    """What happened, in the order in which it happened: incidents of the same name one after the other."""
    by_uid: dict[str, list[Found]] = {}
    for stream, fields in found:
        by_uid.setdefault(str(fields.get("uid")), []).append((stream, fields))
    groups = sorted(by_uid.values(), key=lambda lines: min(time_of(fields) for _, fields in lines))
    return [placed for lines in groups for placed in _of_one(lines)]


def time_of(fields: Mapping[str, Any]) -> datetime:
    """The time that a line says; the beginning of time where it says none."""
    try:
        at = datetime.fromisoformat(str(fields.get("at")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _of_one(lines: Sequence[Found]) -> Iterator[Placed]:
    workflow = [fields for stream, fields in lines if stream == Stream.WORKFLOW_EVENTS]
    latest = _latest(workflow, before=min(time_of(fields) for _, fields in lines))
    claims = {
        str(fields["data"].get("key")): (time_of(fields), place)
        for fields, place in zip(workflow, latest, strict=True)
        if fields.get("kind") == Kind.CLAIMED and isinstance(fields.get("data"), Mapping)
    }
    placed = [(place, _exactly(Stream.WORKFLOW_EVENTS, fields, place)) for fields, place in zip(workflow, latest, strict=True)]
    for stream, fields in lines:
        if stream == Stream.WORKFLOW_EVENTS:
            continue
        at, place = claims.get(str(fields.get("key")), (None, time_of(fields)))
        placed.append((place, Placed(stream, fields, at, Timing.AFTER) if at else Placed(stream, fields, place, Timing.EXACT)))
    # Stable, and workflow_events are first: of the same time, those come before what the other trails say.
    yield from (one for _, one in sorted(placed, key=lambda one: one[0]))


def _latest(workflow: Sequence[Mapping[str, Any]], *, before: datetime) -> list[datetime]:
    """When each happened at the latest: not after what stands behind it. A report is older than all that was done about it."""
    found, bound = [], datetime.max.replace(tzinfo=UTC)
    for fields in reversed(workflow):
        bound = min(bound, before if fields.get("kind") == Kind.REPORTED else time_of(fields))
        found.append(bound)
    return found[::-1]


def _exactly(stream: Stream, fields: Mapping[str, Any], latest: datetime) -> Placed:
    at = time_of(fields)
    return Placed(stream.value, fields, at, Timing.EXACT if at <= latest else Timing.NOTED)
