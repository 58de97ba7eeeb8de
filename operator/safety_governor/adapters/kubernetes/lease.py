"""The Lease that makes one operator the only one, and the fence that is asked before every effect.

Another holder is judged by our own clock: a Lease is free when its record has not changed for its whole duration while we
watched, so that machines with different clocks cannot both hold it. Time is the event loop's, which goes on while the
process is stopped.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from safety_governor.adapters.kubernetes.api import Api, NotFoundError
from safety_governor.domain import errors

RENEWALS = 4
"""So often is the Lease renewed within its duration, so that a lost request does not lose it."""
MARGIN = 5
"""An effect is only begun while a fifth of the duration is left."""

_log = structlog.get_logger()


class Lease:
    """One coordination.k8s.io Lease."""

    def __init__(self, api: Api, *, namespace: str, name: str, holder: str, duration: timedelta, now: Callable[[], datetime]) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._duration = duration.total_seconds()
        self._now = now
        self._ours_until = 0.0

    @property
    def holder(self) -> str:
        """The name under which this process holds the Lease."""
        return self._holder

    def holds(self) -> bool:
        """True while the Lease is certainly ours for long enough to make one request."""
        return asyncio.get_running_loop().time() + self._duration / MARGIN < self._ours_until

    async def acquire(self) -> None:
        """Return once the Lease is ours; until then say who has it."""
        seen: tuple[str, float] | None = None
        while True:
            pause = self._duration / RENEWALS / 2
            try:
                lease = await self._read()
                time = asyncio.get_running_loop().time()
                spec = lease["spec"] if lease else {}
                record = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
                if seen is None or seen[0] != record:
                    if lease and spec.get("holderIdentity") and (seen is None or seen[0].split()[0] != spec["holderIdentity"]):
                        _log.info("another operator is at work; standing by", holder=spec["holderIdentity"], mine=self._holder)
                    seen = (record, time)
                free = lease is None or not spec.get("holderIdentity") or spec["holderIdentity"] == self._holder
                if (free or time - seen[1] >= spec.get("leaseDurationSeconds", self._duration)) and await self._write(lease):
                    _log.info("this is the operator at work now", holder=self._holder)
                    return
            except errors.GovernorError as error:
                _log.warning("the Lease cannot be taken; trying again", error=str(error))
            await asyncio.sleep(pause)

    async def keep(self) -> None:
        """Renew until the Lease is lost; returns then, and the process must stop acting."""
        pause = self._duration / RENEWALS
        while True:
            await asyncio.sleep(pause)
            try:
                # A request that hangs must leave time for another one.
                async with asyncio.timeout(self._duration / RENEWALS):
                    lease = await self._read()
                    if lease is not None and lease["spec"].get("holderIdentity") != self._holder:
                        _log.error("another operator has taken the Lease", holder=lease["spec"].get("holderIdentity"))
                        self._ours_until = 0.0
                        return
                    await self._write(lease)
                pause = self._duration / RENEWALS
            except (errors.GovernorError, TimeoutError) as error:
                pause = self._duration / RENEWALS / 2
                _log.warning("the Lease cannot be renewed; trying again", error=str(error) or "no answer in time")
            if asyncio.get_running_loop().time() >= self._ours_until:
                _log.error("the Lease ran out before it could be renewed")
                return

    async def release(self) -> None:
        """Let the next operator begin at once. Best effort."""
        if not self.holds():
            return
        self._ours_until = 0.0
        try:
            lease = await self._read()
            if lease is not None and lease["spec"].get("holderIdentity") == self._holder:
                lease["spec"]["holderIdentity"] = ""
                await self._api.put(f"{self._path}/{self._name}", lease)
        except errors.GovernorError as error:
            _log.warning("the Lease could not be released; it runs out by itself", error=str(error))

    async def _read(self) -> dict[str, Any] | None:
        try:
            lease: dict[str, Any] = await self._api.get(f"{self._path}/{self._name}")
        except NotFoundError:
            return None
        return lease

    async def _write(self, lease: dict[str, Any] | None) -> bool:
        """Whether the Lease is ours now. Its time runs from before the request, as nobody knows how long that took."""
        began = asyncio.get_running_loop().time()
        stamp = f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}"
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": math.ceil(self._duration), "renewTime": stamp}
        try:
            if lease is None:
                metadata = {"name": self._name, "namespace": self._namespace}
                body = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": metadata,
                    "spec": {**spec, "acquireTime": stamp},
                }
                await self._api.post(self._path, body)
            else:
                kept = lease["spec"] if lease["spec"].get("holderIdentity") == self._holder else {"acquireTime": stamp}
                await self._api.put(f"{self._path}/{self._name}", {**lease, "spec": {**kept, **spec}})
        except errors.ConflictError:
            return False
        self._ours_until = began + self._duration
        return True
