"""A proxy between operator and API server that makes trouble at exact requests, and is the witness of what came when.

Trouble is asked for beforehand: which requests (`Asked`), what becomes of them, and how often. Everything else is passed on.

    trouble.refuse(act("payments"), 429, retry_after=3)      the first act is answered here and never forwarded
    trouble.lose_answer(status_write("slow"), times=2)       forwarded; the connection breaks before the answer is back
    held = trouble.hold(act("payments"))                     kept from the API server until held.release()
    trouble.cut(watch("incidents"))                           now, in the middle of the stream
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from support.gatekeeper import Gatekeeper, pass_on

Asked = Callable[[web.Request], bool]
"""Which requests are meant."""


def incident_read(name: str) -> Asked:
    """Reads of the incident itself."""
    return _asked("GET", f"/incidents/{name}")


def status_write(incident: str) -> Asked:
    """Writes of its status."""
    return _asked("PUT", f"/incidents/{incident}/status")


def deployment_read(name: str) -> Asked:
    """Reads of the Deployment."""
    return _asked("GET", f"/deployments/{name}")


def act(deployment: str) -> Asked:
    """Changes of the Deployment, not what is only tried in a dry run."""
    return _asked("PATCH", f"/deployments/{deployment}")


def dry_run(deployment: str) -> Asked:
    """What is only tried on the Deployment; the last thing that is asked before an act."""
    return lambda request: _is_about(request, "PATCH", f"/deployments/{deployment}") and "dryRun" in request.query


def lease_read(name: str) -> Asked:
    """Reads of the Lease."""
    return _asked("GET", f"/leases/{name}")


def listing(plural: str) -> Asked:
    """Lists of a kind."""
    return _asked("GET", f"/{plural}")


def watch(plural: str) -> Asked:
    """Watches of a kind."""
    return lambda request: _is_watch(request) and request.path.endswith(f"/{plural}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that came by."""

    request: web.Request
    at: float
    """When it came, on the clock of `time.monotonic`."""
    status: int | None
    """What it was answered; None when the answer was lost or there was none."""
    answered_at: float


class Held:
    """Requests, or their answers, that are kept back until they are released."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reached = threading.Event()
        self._released = asyncio.Event()

    def wait(self, timeout: float = 20) -> Self:
        """Wait until there is one."""
        assert self._reached.wait(timeout), f"no such request in {timeout:g} s"
        return self

    def release(self) -> None:
        """Let it and all that follow go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    async def stay(self) -> None:
        """What the proxy does with the request."""
        self._reached.set()
        await self._released.wait()


@dataclass(kw_only=True)
class _Trouble:
    """What becomes of some requests."""

    asked: Asked
    left: int
    refusal: Callable[[], web.Response] | None = None
    held_before: Held | None = None
    held_after: Held | None = None
    loses_answer: bool = False


class Troublemaker(Gatekeeper):
    """Passes on what it was not told to spoil."""

    def __init__(self, *, upstream: str, ca_file: Path) -> None:
        super().__init__(upstream=upstream, ca_file=ca_file)
        self._troubles: list[_Trouble] = []
        self._seen: list[Seen] = []
        self._watches: dict[aiohttp.ClientResponse, web.Request] = {}

    # What is asked for

    def refuse(self, asked: Asked, status: int, *, times: int = 1, retry_after: int | None = None, message: str = "made trouble") -> None:
        """Answer with an error, without forwarding."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": status}
        self._add(_Trouble(asked=asked, left=times, refusal=lambda: web.json_response(body, status=status, headers=headers)))

    def expire(self, asked: Asked, *, times: int = 1) -> None:
        """Begin the watch and tell in it that its resource version is too old, as the API server does."""
        gone = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410}
        line = json.dumps({"type": "ERROR", "object": gone}) + "\n"
        self._add(_Trouble(asked=asked, left=times, refusal=lambda: web.Response(text=line, content_type="application/json")))

    def lose_answer(self, asked: Asked, *, times: int = 1) -> None:
        """Forward, and break the connection when the API server has answered."""
        self._add(_Trouble(asked=asked, left=times, loses_answer=True))

    def hold(self, asked: Asked, *, times: int = 1) -> Held:
        """Keep the request from the API server."""
        held = Held(self._loop)
        self._add(_Trouble(asked=asked, left=times, held_before=held))
        return held

    def hold_answer(self, asked: Asked, *, times: int = 1) -> Held:
        """Forward, and keep the answer from the operator."""
        held = Held(self._loop)
        self._add(_Trouble(asked=asked, left=times, held_after=held))
        return held

    @property
    def planned(self) -> int:
        """How much of the trouble has not been made yet."""
        return sum(trouble.left for trouble in self._troubles)

    def make_peace(self) -> None:
        """Spoil nothing any more; what is held is released."""
        for trouble in self._troubles:
            trouble.left = 0
            for held in (trouble.held_before, trouble.held_after):
                if held is not None:
                    held.release()
        self._troubles.clear()

    def forget(self) -> None:
        """What came by until now."""
        self._seen.clear()

    def cut(self, asked: Asked) -> int:
        """Break those of these watches that are open now; how many there were."""

        async def cut() -> int:
            open_now = [answer for answer, request in self._watches.items() if asked(request)]
            for answer in open_now:
                answer.close()
            return len(open_now)

        return asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10)

    def seen_of(self, asked: Asked) -> list[Seen]:
        """What came by of these requests, in the order in which it was answered."""
        return [one for one in list(self._seen) if asked(one.request)]

    # What becomes of a request

    def _add(self, trouble: _Trouble) -> None:
        self._troubles.append(trouble)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        came, status = time.monotonic(), None
        await request.read()  # now, as whoever sent it may be gone when it is forwarded
        try:
            response = await self._treated(request, self._trouble_for(request))
            status = response.status
            return response
        finally:
            self._seen.append(Seen(request=request, at=came, status=status, answered_at=time.monotonic()))

    def _trouble_for(self, request: web.Request) -> _Trouble | None:
        for trouble in self._troubles:
            if trouble.left > 0 and trouble.asked(request):
                trouble.left -= 1
                return trouble
        return None

    async def _treated(self, request: web.Request, trouble: _Trouble | None) -> web.StreamResponse:
        if trouble is None:
            return await self._passed(request)
        if trouble.refusal is not None:
            return trouble.refusal()
        if trouble.held_before is not None:
            await trouble.held_before.stay()
            return await self._passed(request)
        async with await self._ask(request) as answer:
            body = await answer.read()
        if trouble.loses_answer:
            raise ConnectionResetError
        if trouble.held_after is not None:
            await trouble.held_after.stay()
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    async def _passed(self, request: web.Request) -> web.StreamResponse:
        async with await self._ask(request) as answer:
            if not _is_watch(request):
                return await pass_on(request, answer)
            self._watches[answer] = request
            try:
                return await pass_on(request, answer)
            finally:
                del self._watches[answer]


def _asked(method: str, end: str) -> Asked:
    return lambda request: _is_about(request, method, end) and not _is_watch(request) and "dryRun" not in request.query


def _is_about(request: web.Request, method: str, end: str) -> bool:
    return request.method == method and request.path.endswith(end)


def _is_watch(request: web.Request) -> bool:
    return request.query.get("watch") in ("1", "true")
