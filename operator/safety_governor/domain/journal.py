"""What the journal records: that an action is intended, before anything is touched, and how it ended.

An event is one line of JSON. Fields may be added to a line; whoever reads an older or a newer one takes what it knows.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import AwareDatetime, StringConstraints, ValidationError

from safety_governor.domain import history, plans, values, verification
from safety_governor.domain.audit import chain
from safety_governor.domain.audit.events import Position

VERSION = 1
"""Raised when a line means something else than before; a line of another version is reported, never guessed at."""

BEGINNINGS = (b'{"at":',)
"""How every line begins, so that some other file is not taken for a journal."""

IncidentKey = Annotated[str, StringConstraints(min_length=1, max_length=2 * values.NAME_LIMIT)]


class Intent(values.Value):
    """An action was claimed and is about to be taken."""

    key: values.Digest
    """The key of the action, the same at every try."""
    incident: IncidentKey
    """`namespace/name` of the incident that it is taken for."""
    uid: values.Line
    """The incident's uid; another incident of the same name is another incident."""
    namespace: values.Name
    """Namespace of the incident."""
    target: plans.Target
    """On what."""
    type: values.ActionType
    """What is done."""
    undoes: bool = False
    """Whether it undoes an earlier action."""
    claimed_at: AwareDatetime
    """When it was claimed."""

    @property
    def at(self) -> datetime:
        """When it was claimed: the journal has no clock of its own."""
        return self.claimed_at


class End(values.Value):
    """What became of an action."""

    key: values.Digest
    """The key of the action."""
    incident: IncidentKey
    """`namespace/name` of the incident that it was taken for."""
    outcome: verification.Outcome | None
    """Whether it helped; None when it was refused or taken back, so that nothing was done."""
    message: values.Text = ""
    """What happened, in a sentence."""
    at: AwareDatetime
    """When that was clear."""


Event: TypeAlias = Intent | End

_KINDS: dict[str, type[Intent] | type[End]] = {"ActionIntended": Intent, "ActionEnded": End}
_NAMES = {event: name for name, event in _KINDS.items()}


def linked(event: Event, *, after: Position | None) -> tuple[bytes, Position]:
    """The event as one line, its end included, chained to the line before; and its place in the chain."""
    fields = event.model_dump(mode="json")
    line = {"v": VERSION, "kind": _NAMES[type(event)], "at": fields.get("at", fields.get("claimedAt")), **fields}
    return chain.linked(line, after=after)


def to_line(event: Event) -> bytes:
    """The event as the first line of a journal."""
    return linked(event, after=None)[0]


def from_line(line: bytes) -> Event:
    """The event of a line. Raises ValueError with what is wrong with the line, in words that do not repeat it."""
    read = chain.read(line)
    if not (read.intact or read.reformatted):
        raise ValueError("it was changed after it was written")
    return _event(read.fields)


def doubtful(line: bytes) -> Intent | None:
    """What a line that was changed says of an action: that there was one is believed, how it ended is not."""
    try:
        found = _event(chain.read(line).fields)
    except ValueError:
        return None
    return found if isinstance(found, Intent) else None


def _event(fields: Mapping[str, Any]) -> Event:
    if fields.get("v") != VERSION:
        raise ValueError(f"this version of the operator reads lines of version {VERSION} only")
    kind = _KINDS.get(str(fields.get("kind")))
    if kind is None:
        raise ValueError("this version of the operator does not know its kind")
    try:
        return kind.model_validate(fields, extra="ignore")
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise ValueError(f"its field {values.clip(wrong, values.LINE_LIMIT)} is damaged") from None


def repeats(event: Event, newest: Event | None) -> bool:
    """Whether the event says nothing that the newest one of the same key has not said.

    An action that was taken back may be intended again, and an outcome may turn out to be another: both are news.
    """
    if isinstance(event, Intent):
        return isinstance(newest, Intent)
    return isinstance(newest, End) and newest.outcome is event.outcome


def past(events: Iterable[Event]) -> tuple[history.Past, ...]:
    """What the events, oldest first, tell of the past.

    An action without an end counts as inconclusive from when it was claimed: whoever is still about it has an incident that
    says so, and that is newer. What was refused or taken back is no part of the past.
    """
    intents: dict[str, Intent] = {}
    ends: dict[str, End] = {}
    for event in events:
        if isinstance(event, Intent):
            intents[event.key] = event
            ends.pop(event.key, None)
        else:
            ends[event.key] = event
    found = ((intent, ends.get(key)) for key, intent in intents.items())
    return tuple(_past(intent, end) for intent, end in found if end is None or end.outcome is not None)


def _past(intent: Intent, end: End | None) -> history.Past:
    return history.Past(
        key=intent.key,
        incident=intent.incident,
        namespace=intent.namespace,
        target=intent.target,
        undoes=intent.undoes,
        claimed_at=intent.claimed_at,
        ended_at=end.at if end is not None else intent.claimed_at,
        outcome=(end.outcome if end is not None else None) or verification.Outcome.INCONCLUSIVE,
    )
