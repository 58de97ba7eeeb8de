"""Whether calls can be answered now. Anybody may ask, as often as they like, and learns nothing but that."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog

Doubt = Callable[[], Awaitable[str]]
"""Says why not; nothing when nothing is wrong."""

_log = structlog.get_logger()


class Readiness:
    """Looked at when somebody asks, once at a time, and not again within `good_for`. The reason is for the log."""

    def __init__(self, doubts: Sequence[Doubt], *, good_for: timedelta, now: Callable[[], float] = time.monotonic) -> None:
        self._doubts = doubts
        self._good_for = good_for.total_seconds()
        self._now = now
        self._lock = asyncio.Lock()
        self._looked: float | None = None
        self._why = ""

    async def is_ready(self) -> bool:
        """Never raises what the doubts do not."""
        async with self._lock:
            if self._looked is None or self._now() - self._looked >= self._good_for:
                why = "; ".join([one for doubt in self._doubts if (one := await doubt())])
                if why and why != self._why:
                    _log.error("not ready", why=why)
                elif self._why and not why:
                    _log.info("ready again")
                self._why, self._looked = why, self._now()
            return not self._why
