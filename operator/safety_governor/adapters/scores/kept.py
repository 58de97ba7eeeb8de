"""Keeps what was read, and what could not be read. A GET of a model without results starts an expensive run at the service.

So nothing is ever asked again while an answer is kept, whatever it was, and nobody asks while somebody else is asking. Only what
certainly never got to the service is asked again soon.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from safety_governor.adapters.scores.shelf import Kept, Shelf
from safety_governor.domain import scores

LIMIT = 1024
"""So many answers are kept; the oldest goes first."""
AHEAD = timedelta(minutes=5)
"""What was put away further in the future was so by a clock that went wrong, and would never grow old."""
KEEP_UNREACHED = timedelta(seconds=5)
"""So long does it count that nobody was reached: enough for those who ask at the same time."""


class Source(Protocol):
    """Whoever really asks."""

    async def read(self, service: str, model: str) -> scores.Reading:
        """One question, once; what is not known is a reading that says why."""


class KeptScores:
    """A source that is asked once in a while. Figures are kept for `keep`, everything else that came of a question for `keep_unknown`.

    On a shelf they outlive the process, and other processes know them. What never got to the service is not kept there.
    """

    def __init__(
        self,
        source: Source,
        *,
        now: Callable[[], datetime],
        keep: timedelta,
        keep_unknown: timedelta,
        limit: int = LIMIT,
        shelf: Shelf | None = None,
    ) -> None:
        self._source = source
        self._now = now
        self._keep = keep
        self._keep_unknown = keep_unknown
        self._limit = limit
        self._shelf = shelf
        self._kept: dict[tuple[str, str], Kept] = {}
        self._flights: dict[tuple[str, str], asyncio.Task[scores.Reading]] = {}

    async def read(self, service: str, model: str) -> scores.Reading:
        """The kept answer, or a new one. Whoever stops waiting does not end the question: it has taken effect already."""
        asked = scores.Service(service)
        objection = scores.objection(model)
        if objection:
            return scores.unread(asked, model, scores.Status.UNKNOWN_MODEL, objection, source="", as_of=self._now())
        key = (asked.value, model)
        kept = self._kept.get(key)
        if kept is not None and self._is_fresh(kept):
            return kept.reading
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._ask(asked, model), name=f"scores {asked} {model}")
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    def span(self, service: str, model: str) -> tuple[datetime, datetime] | None:
        """Since when the answer that was read last is kept, and when it is asked for again; None when it is not kept."""
        kept = self._kept.get((service, model))
        return None if kept is None or not kept.reading.reached else (kept.since, kept.since + self._lasting(kept))

    async def aclose(self) -> None:
        """Stop waiting for what is still being asked."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _is_fresh(self, kept: Kept) -> bool:
        return -AHEAD <= self._now() - kept.since < self._lasting(kept)

    def _lasting(self, kept: Kept) -> timedelta:
        if not kept.reading.reached:
            return KEEP_UNREACHED
        return self._keep if kept.reading.status is scores.Status.OK else self._keep_unknown

    async def _ask(self, service: scores.Service, model: str) -> scores.Reading:
        kept = await self._shelf.find(service, model) if self._shelf is not None else None
        if kept is None or not self._is_fresh(kept):
            kept = Kept(await self._really_ask(service, model), self._now())
            if self._shelf is not None and kept.reading.reached:
                await self._shelf.put(service, model, kept)
        self._kept.pop((service.value, model), None)
        self._kept[service.value, model] = kept
        while len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]
        return kept.reading

    async def _really_ask(self, service: scores.Service, model: str) -> scores.Reading:
        try:
            return await self._source.read(service, model)
        except Exception as error:  # noqa: BLE001 - whatever it was, the question may have had its effect and is not repeated
            why = f"{service.upper()} could not be asked ({type(error).__name__})"
            return scores.unread(service, model, scores.Status.UNAVAILABLE, why, source="", as_of=self._now())
