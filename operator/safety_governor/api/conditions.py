"""Conditions: what programs read to learn where an incident stands (`kubectl wait --for=condition=Gated`).

They follow the API conventions: adjectives and past participles, absent means unknown, a reason in CamelCase always.
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

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


class PolicyType(enum.StrEnum):
    """Every condition that a RemediationPolicy may have."""

    ACTIVE = "Active"
    """The summary: actions may be taken in the namespace now."""
    SUSPENDED = "Suspended"
    """The kill switch of a policy of the namespace is on."""
    FROZEN = "Frozen"
    """A freeze window is open, or cannot be read."""
    BREAKER_OPEN = "BreakerOpen"
    """The last actions in the namespace did not help."""
    STRICTEST = "Strictest"
    """What holds in the namespace, and which of its policies each field comes from."""


class State(enum.StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class _Observation(values.Value):
    """What conditions have in common, whatever they are about."""

    type: enum.StrEnum
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


class Condition(_Observation):
    """One observation about the incident."""

    type: Type
    """Which observation."""


class PolicyCondition(_Observation):
    """One observation about the guard-rails of the namespace."""

    type: PolicyType
    """Which observation."""


_Made = TypeVar("_Made", bound=_Observation)


def put(
    present: Sequence[Condition], kind: Type, state: State, *, reason: str, message: str = "", generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with this one set; its transition time changes only when its status does."""
    new = {"type": kind, "status": state, "reason": reason, "message": message, "observed_generation": generation}
    return _put(Condition, present, new, now)


def put_policy(
    present: Sequence[PolicyCondition], kind: PolicyType, state: State, *, reason: str, message: str = "", generation: int, now: datetime
) -> tuple[PolicyCondition, ...]:
    """The same for the conditions of a RemediationPolicy."""
    new = {"type": kind, "status": state, "reason": reason, "message": message, "observed_generation": generation}
    return _put(PolicyCondition, present, new, now)


def _put(made: type[_Made], present: Sequence[_Made], new: dict[str, Any], now: datetime) -> tuple[_Made, ...]:
    before = next((one for one in present if one.type is new["type"]), None)
    since = before.last_transition_time if before is not None and before.status is new["status"] else now.replace(microsecond=0)
    condition = made.model_validate({**new, "message": values.clip(new["message"], values.TEXT_LIMIT), "last_transition_time": since})
    order = list(type(condition.type))
    others = [one for one in present if one.type is not condition.type]
    return tuple(sorted((*others, condition), key=lambda one: order.index(one.type)))


def find(present: Sequence[Condition], kind: Type) -> Condition | None:
    """The condition of that type, if it has been set."""
    return next((one for one in present if one.type is kind), None)
