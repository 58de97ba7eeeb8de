"""Asks once for the reliability profile of the model behind the agent. What is not answered is unknown and holds nothing up."""

import asyncio

from safety_governor.domain import scores
from safety_governor.pipeline import ports


class Profiling:
    """Without a model or without anybody to ask there is no profile."""

    def __init__(self, port: ports.Scores | None = None, *, model: str = "") -> None:
        self._port = port
        self._model = model

    async def profile(self) -> scores.Profile | None:
        """All services at the same time, so that together they take no longer than the slowest; None when nobody is asked."""
        if self._port is None or not self._model:
            return None
        readings = await asyncio.gather(*(self._port.read(service, self._model) for service in scores.USED))
        return scores.profile(self._model, {one.service: one for one in readings})
