"""What was done before: the actions that were claimed, as the incidents and the audit record them.

An action that the API server refused has changed nothing and is no part of the past.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

from pydantic import StringConstraints

from safety_governor.domain import plans, values, verification

HOUR = timedelta(hours=1)
"""Budgets are counted over the last hour, whenever that began."""

CLUSTER_SCOPED = frozenset({"Node"})
"""Kinds that belong to no namespace: every namespace means the same one by a name."""

Lock: TypeAlias = tuple[str, str, str]
"""What one action at a time may be taken on: namespace, kind and name; the namespace of a Node is empty."""


class Past(values.Value):
    """One action that was claimed, and how it ended."""

    key: values.Digest
    """The key of the action."""
    incident: Annotated[str, StringConstraints(min_length=1, max_length=2 * values.NAME_LIMIT)]
    """`namespace/name` of the incident that it was taken for."""
    namespace: values.Name
    """Namespace of that incident."""
    target: plans.Target
    """On what it was taken."""
    undoes: bool = False
    """Whether it undid an earlier action."""
    claimed_at: datetime
    """When intent was recorded."""
    ended_at: datetime | None = None
    """When its outcome was clear."""
    outcome: verification.Outcome | None = None
    """Whether it helped; None while it is under way."""

    @property
    def lock(self) -> Lock:
        """What it was taken on."""
        return lock(self.namespace, self.target)

    @property
    def is_under_way(self) -> bool:
        """Whether its outcome is not clear yet."""
        return self.outcome is None

    @property
    def has_failed(self) -> bool:
        """Whether it ended and did not certainly help."""
        return self.outcome not in (None, verification.Outcome.VERIFIED)

    @property
    def finished_at(self) -> datetime:
        """When it ended; for one of which that is not on record, when it began."""
        return self.ended_at or self.claimed_at


def lock(namespace: str, target: plans.Target) -> Lock:
    """What an action on this target of this namespace would be taken on."""
    return ("" if target.kind in CLUSTER_SCOPED else namespace, target.kind, target.name)


def excludes(one: Lock, other: Lock) -> bool:
    """Whether no action may be taken on both at once. Nodes are taken one at a time: each may be the last that the other leaves."""
    return one == other or (one[1] == other[1] and one[1] in CLUSTER_SCOPED)


def as_of(past: Sequence[Past], now: datetime) -> tuple[Past, ...]:
    """The same past without a future: what a clock that runs ahead has put there counts as of now."""
    return tuple(_not_after(one, now) for one in past)


def _not_after(entry: Past, now: datetime) -> Past:
    if entry.finished_at <= now and entry.claimed_at <= now:
        return entry
    ended = entry.ended_at and min(entry.ended_at, now)
    return entry.model_copy(update={"claimed_at": min(entry.claimed_at, now), "ended_at": ended})


def last_hour(past: Sequence[Past], now: datetime) -> tuple[Past, ...]:
    """What was claimed within the last hour, oldest first. An action leaves the hour in the moment in which it is an hour old."""
    return tuple(sorted((one for one in past if one.claimed_at > now - HOUR), key=lambda one: (one.claimed_at, one.key)))


def finished(past: Sequence[Past]) -> tuple[Past, ...]:
    """What has ended, in the order in which it ended."""
    ended = (one for one in past if not one.is_under_way)
    return tuple(sorted(ended, key=lambda one: (one.finished_at, one.claimed_at, one.key)))
