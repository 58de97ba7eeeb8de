"""What is known of the reliability of the model behind an agent. Null is unknown, never zero."""

import enum
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from safety_governor.domain import values

MODEL_NAME_LIMIT = 128

METRIC_LIMIT = 16
"""More figures than any service sends."""

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")]


class Service(enum.StrEnum):
    """The services that measure models."""

    CDCT = "cdct"
    """How well a model copes with shortened context."""
    DDFT = "ddft"
    """How well it keeps to facts under pressure."""
    EECT = "eect"
    """How well its stated confidence fits the evidence."""


class Status(enum.StrEnum):
    """What a service had to say about a model. Only `ok` comes with figures."""

    OK = "ok"
    EMPTY = "empty"
    """It answered, and nothing in the answer is a figure about this model."""
    UNAVAILABLE = "unavailable"
    """It did not answer, or not in a way that can be read."""
    UNKNOWN_MODEL = "unknown_model"
    """It does not know the model."""
    PENDING = "pending"
    """It has no results yet; asking has started a run there, so it is not asked again soon."""


class ScoreState(enum.StrEnum):
    """Whether a profile of the model was asked for, and whether it came."""

    NOT_ASKED = "NotAsked"
    """No model takes part or no service is configured, so no profile exists."""
    KNOWN = "Known"
    UNKNOWN = "Unknown"
    """Asked for and not answered, or answered without figures."""


class Spread(values.Value):
    """How far the rows of one figure lie apart."""

    lowest: float
    """The lowest that was measured."""
    highest: float
    """The highest that was measured."""
    rows: int = Field(ge=1)
    """How many rows have the figure."""


class Reading(values.Value):
    """One answer of one service about one model. What is not known has no number and a reason instead."""

    service: Service
    """Who was asked."""
    model: values.Line
    """About which model, as it was asked for."""
    status: Status
    """Whether there are figures, and why not."""
    reason: values.Text = ""
    """Why there are none; empty when there are."""
    metrics: Mapping[MetricName, float | None] = Field(default_factory=dict, max_length=METRIC_LIMIT)
    """The mean of each figure over the rows that have it; null when none has it."""
    spread: Mapping[MetricName, Spread] = Field(default_factory=dict, max_length=METRIC_LIMIT)
    """How far the rows of each known figure lie apart."""
    rows_used: int = Field(default=0, ge=0)
    """How many rows were counted."""
    rows_total: int = Field(default=0, ge=0)
    """How many rows came; the others were about other models or said nothing."""
    warnings: tuple[values.Line, ...] = Field(default=(), max_length=16)
    """What was left out of the figures, and why."""
    source: values.Line = ""
    """Where the answer comes from."""
    as_of: AwareDatetime
    """When it was asked for."""
    digest: str = Field(default="", max_length=71)
    """Of the answer as it came; empty when none came."""
    reached: bool = True
    """Whether the question can have had an effect at the service; false only when it certainly never got there."""

    @model_validator(mode="after")
    def _has_figures_or_a_reason(self) -> Self:
        known = [number for number in self.metrics.values() if number is not None]
        if not all(math.isfinite(number) for number in known):
            raise ValueError("a figure that is not finite is unknown")
        if (self.status is Status.OK) != bool(known):
            raise ValueError("there are figures exactly when the status is ok")
        if self.status is not Status.OK and not self.reason:
            raise ValueError("what is not known has a reason")
        return self

    def metric(self, name: str) -> float | None:
        """The figure of that name; None when it is unknown."""
        return self.metrics.get(name)


def unread(service: Service, model: str, status: Status, reason: str, *, source: str, as_of: datetime, digest: str = "") -> Reading:
    """A reading without figures."""
    return Reading(
        service=service,
        model=values.clip(model, values.LINE_LIMIT),
        status=status,
        reason=values.clip(reason, values.TEXT_LIMIT),
        source=values.clip(source, values.LINE_LIMIT),
        as_of=as_of,
        digest=digest,
    )


def unreached(reading: Reading) -> Reading:
    """The same, of a question that certainly never got to the service, so that it can have started no run."""
    return reading.model_copy(update={"reached": False})


def objection(model: str) -> str:
    """Why no service can be asked about a model of that name; empty when one can."""
    if not model.strip():
        return "no model is named"
    if len(model) > MODEL_NAME_LIMIT:
        return f"a model's name has at most {MODEL_NAME_LIMIT} characters"
    if not model.isprintable() or not model.strip("./\\ "):
        return "that is not the name of a model"
    return ""


class Origin(values.Value):
    """What one service answered when the profile was asked for, so that a figure can be traced."""

    service: Service
    """Who was asked."""
    status: Status
    """Whether there were figures."""
    reason: values.Line = ""
    """Why the figure that the governor uses is unknown; empty when it is known."""
    source: values.Line = ""
    """Where the answer came from."""
    as_of: datetime
    """When it was asked for; a kept answer is older than the plan."""
    rows_used: int = Field(default=0, ge=0)
    """How many rows were counted."""
    rows_total: int = Field(default=0, ge=0)
    """How many rows came."""
    digest: str = Field(default="", max_length=71)
    """Of the answer as it came."""


class Profile(values.Value):
    """Reliability figures of one model, each 0..1 and each possibly unknown."""

    state: ScoreState = ScoreState.NOT_ASKED
    model: values.Line = ""
    """Which model, as the agent's backend names it."""
    ecs: float | None = Field(default=None, ge=0.0, le=1.0)
    """EECT: how well stated confidence fits the evidence."""
    comprehension_integrity: float | None = Field(default=None, ge=0.0, le=1.0)
    """DDFT CI: how well understanding holds when context is cut; scales the penalty for contradictions."""
    u_curve_magnitude: float | None = Field(default=None, ge=0.0, le=1.0)
    """CDCT: how much a middling amount of context hurts; above 0.4 nothing is compressed."""
    origins: tuple[Origin, ...] = Field(default=(), max_length=3)
    """What each service answered, and why a figure is unknown."""


USED: Mapping[Service, tuple[str, str]] = {
    Service.EECT: ("ecs", "ecs"),
    Service.DDFT: ("ci", "comprehension_integrity"),
    Service.CDCT: ("u_curve_magnitude", "u_curve_magnitude"),
}
"""The one figure of each service that has an effect, by its name there and in the profile."""


def profile(model: str, readings: Mapping[Service, Reading]) -> Profile:
    """What the readings say, all in one; a service that is missing was not asked, so its figure is unknown as well."""
    figures = {field: readings[service].metric(name) for service, (name, field) in USED.items() if service in readings}
    known = any(figure is not None for figure in figures.values())
    return Profile.model_validate(
        {
            "state": ScoreState.KNOWN if known else ScoreState.UNKNOWN,
            "model": values.clip(model, values.LINE_LIMIT),
            **figures,
            "origins": tuple(_origin(readings[service]) for service in USED if service in readings),
        }
    )


def _origin(reading: Reading) -> Origin:
    name, _ = USED[reading.service]
    missing = reading.metric(name) is None
    why = reading.reason or f"{reading.service.upper()} does not say {name} of this model"
    return Origin(
        service=reading.service,
        status=reading.status,
        reason=values.clip(" ".join(why.split()), values.LINE_LIMIT) if missing else "",
        source=reading.source,
        as_of=reading.as_of,
        rows_used=reading.rows_used,
        rows_total=reading.rows_total,
        digest=reading.digest,
    )
