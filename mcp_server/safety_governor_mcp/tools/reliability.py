"""How reliable models are, as the services that measure them say. Null is unknown, never zero."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import Field

from safety_governor.domain import scores, values
from safety_governor.pipeline import ports
from safety_governor_mcp.results import Answer, Result, Status
from safety_governor_mcp.tools.answering import in_time

Model = Annotated[
    str,
    Field(
        min_length=1, max_length=scores.MODEL_NAME_LIMIT, description="The model exactly as the score services name it, such as gpt-5.4."
    ),
]


class Scored(Answer):
    """The figures of one service about one model."""

    model: str
    metrics: dict[str, float | None]
    """The mean of each figure over all rows that have it; null where none has it."""
    rows_used: int
    rows_total: int
    """How many rows came; the others were about other models or said nothing."""


class ServiceAnswer(Answer):
    """What one service had to say."""

    status: Status
    reason: str | None
    metrics: dict[str, float | None]


class Reliability(Answer):
    """What is known of a model, all in one. Null is unknown."""

    model: str
    ecs: float | None
    """EECT: how well stated confidence fits the evidence, 0 to 1. Confidence before the stress test becomes the mean of yours and ten times this."""
    comprehension_integrity: float | None
    """DDFT CI: how well understanding survives a cut context, 0 to 1. The lower it is, the more a contradiction costs."""
    u_curve_magnitude: float | None
    """CDCT: how much a half-shortened context hurts, 0 to 1. Above 0.4, or unknown, nothing is shortened for later readers."""
    services: dict[str, ServiceAnswer]
    """By service: ddft, cdct and eect."""


class ReliabilityTools:
    """The four tools that tell how far a model is to be trusted. `services` is None where none is configured."""

    def __init__(self, services: ports.Scores | None, *, now: Callable[[], datetime]) -> None:
        self._services = services
        self.source = "score services"
        self.now = now

    @in_time
    async def ddft_score(self, model: Model) -> Result[Scored]:
        """How well a model keeps to facts under pressure (DDFT): above all CI, comprehension integrity, 0 to 1, high is good.

        Goal: know how much your own reading can be trusted once context is cut. A null figure is unknown: do not read it as 0 or 1.
        "pending" and "unknown_model" mean that there are no figures; asking again soon changes nothing.
        """
        return self._told(await self._read(scores.Service.DDFT, model))

    @in_time
    async def cdct_score(self, model: Model) -> Result[Scored]:
        """How well a model copes with shortened context (CDCT): among others u_curve_magnitude, the harm of half a context.

        Goal: know whether to ask for full texts. A null figure is unknown: do not read it as 0. "pending" and "unknown_model" mean that
        there are no figures; asking again soon changes nothing.
        """
        return self._told(await self._read(scores.Service.CDCT, model))

    @in_time
    async def eect_score(self, model: Model) -> Result[Scored]:
        """How well a model's stated confidence fits the evidence, and how it stands up to false authority (EECT): above all ECS, 0 to 1.

        Goal: state a confidence that can be believed. A null figure is unknown: do not read it as 0 or 1. "pending" and "unknown_model"
        mean that there are no figures; asking again soon changes nothing.
        """
        return self._told(await self._read(scores.Service.EECT, model))

    @in_time
    async def reliability_profile(self, model: Model) -> Result[Reliability]:
        """Everything that is known of a model's reliability, from all three services at once.

        Goal: one call before you plan. The governor reads the same figures itself and applies them; nothing you say about them changes
        a decision. Null is unknown, and what is unknown is treated with caution, not as good.
        """
        services = list(scores.USED)
        readings = dict(zip(services, await asyncio.gather(*(self._read(one, model) for one in services)), strict=True))
        known = scores.profile(model, readings)
        data = Reliability(
            model=model,
            ecs=known.ecs,
            comprehension_integrity=known.comprehension_integrity,
            u_curve_magnitude=known.u_curve_magnitude,
            services={
                one.value: ServiceAnswer(status=Status(reading.status.value), reason=reading.reason or None, metrics=dict(reading.metrics))
                for one, reading in readings.items()
            },
        )
        if known.state is scores.ScoreState.KNOWN:
            return Result(status=Status.OK, data=data, source=self._sources(readings), as_of=self.now())
        reason = values.clip("; ".join(f"{one.value}: {reading.reason}" for one, reading in readings.items()), 2000)
        return Result(status=Status.UNAVAILABLE, reason=reason, source=self._sources(readings), as_of=self.now())

    async def _read(self, service: scores.Service, model: str) -> scores.Reading:
        if self._services is None:
            why = f"no address of {service.upper()} is known; set {service.upper()}_API_URL"
            return scores.unread(service, model, scores.Status.UNAVAILABLE, why, source=self.source, as_of=self.now())
        return await self._services.read(service.value, model)

    def _told(self, reading: scores.Reading) -> Result[Scored]:
        status = Status(reading.status.value)
        figures = Scored(model=reading.model, metrics=dict(reading.metrics), rows_used=reading.rows_used, rows_total=reading.rows_total)
        remarks = "; ".join(reading.warnings) or None
        return Result(
            status=status,
            reason=reading.reason or remarks,
            data=figures if status is Status.OK else None,
            source=reading.source or self.source,
            as_of=reading.as_of,
        )

    def _sources(self, readings: dict[scores.Service, scores.Reading]) -> str:
        return ", ".join(dict.fromkeys(one.source for one in readings.values() if one.source))[:300] or self.source
