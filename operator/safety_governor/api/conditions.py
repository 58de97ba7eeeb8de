"""Conditions: what programs read to learn where an incident stands (`kubectl wait --for=condition=Gated`).

They follow the API conventions: adjectives and past participles, absent means unknown, a reason in CamelCase always.
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from safety_governor.domain import values


class Type(enum.StrEnum):
    """Every condition that an incident may have."""

    PLANNED = "Planned"
    STRESS_TESTED = "StressTested"
    GATED = "Gated"
    APPROVED = "Approved"
    EXECUTED = "Executed"
    VERIFIED = "Verified"
    LEARNED = "Learned"
    SUCCEEDED = "Succeeded"
    """The summary: Unknown while the incident is under way, True or False at its end."""
    RECONCILING = "Reconciling"
    """True while the governor has work to do of its own accord."""
    STALLED = "Stalled"
    """True when something outside keeps the incident from going on, and when a person is needed."""


class State(enum.StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(values.Value):
    """One observation about the incident."""

    type: Type
    """Which observation."""
    status: State
    """Whether it holds."""
    observed_generation: int = Field(default=0, ge=0)
    """metadata.generation for which it holds."""
    last_transition_time: datetime
    """When status last changed."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, as one CamelCase word for programs."""
    message: values.Text = ""
    """Why, as a sentence for people."""


def put(
    present: Sequence[Condition], kind: Type, state: State, *, reason: str, message: str = "", generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with this one set; its transition time changes only when its status does."""
    before = next((one for one in present if one.type is kind), None)
    since = before.last_transition_time if before is not None and before.status is state else now.replace(microsecond=0)
    new = Condition(
        type=kind,
        status=state,
        observed_generation=generation,
        last_transition_time=since,
        reason=reason,
        message=values.clip(message, values.TEXT_LIMIT),
    )
    others = [one for one in present if one.type is not kind]
    return tuple(sorted((*others, new), key=lambda one: list(Type).index(one.type)))


def find(present: Sequence[Condition], kind: Type) -> Condition | None:
    """The condition of that type, if it has been set."""
    return next((one for one in present if one.type is kind), None)
