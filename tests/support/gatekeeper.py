"""A proxy between operator and API server that stops the operator at an exact request.

Crash tests need instants that no signal from outside can hit: right before the API server sees the N-th mutating request,
or right after it has answered and before the operator reads the answer. The proxy counts mutating requests about incidents
and workloads (the Lease and Events go through uncounted) and calls back at the instant; the call kills the operator.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

_UNCOUNTED = ("/leases", "/events", "/selfsubjectaccessreviews", "/selfsubjectreviews")
_NOT_FORWARDED = {"host", "content-length", "transfer-encoding", "connection"}


class Gatekeeper:
    """Forwards everything; calls `at` before or after forwarding the request with the given number, counted from one."""

    def __init__(self, *, upstream: str, ca_file: Path) -> None:
        self._upstream = upstream
        self._ssl = ssl.create_default_context(cafile=str(ca_file))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stop_at: tuple[int, bool] | None = None
        self._callback: Callable[[], None] = lambda: None
        self.seen = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def stop_at(self, number: int, *, after: bool, callback: Callable[[], None]) -> None:
        """Call back at the request with this number, before it is forwarded or after the API server has answered it."""
        self.seen = 0
        self._stop_at = (number, after)
        self._callback = callback

    def let_pass(self) -> None:
        """Stop nothing any more."""
        self._stop_at = None

    def kubeconfig(self, original: Path, copy: Path) -> Path:
        """The same identity, through here."""
        config = yaml.safe_load(original.read_text())
        for cluster in config["clusters"]:
            cluster["cluster"] = {"server": self.url}
        copy.write_text(yaml.safe_dump(config))
        copy.chmod(0o600)
        return copy

    async def _start(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._ssl, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        application = web.Application(client_max_size=8 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        address: Any = site._server.sockets[0].getsockname()  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{address[1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._forward(request)
        except (aiohttp.ClientError, ConnectionError):
            # Where there is no answer the connection ends; an exception would be made an answer of 500.
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        counted = _is_counted(request)
        self.seen += counted
        stops = counted and self._stop_at is not None and self.seen == self._stop_at[0]
        if stops and self._stop_at is not None and not self._stop_at[1]:
            await asyncio.to_thread(self._callback)
            raise ConnectionResetError
        async with await self._ask(request) as answer:
            if stops:
                await answer.read()
                await asyncio.to_thread(self._callback)
                raise ConnectionResetError
            return await pass_on(request, answer)

    async def _ask(self, request: web.Request) -> aiohttp.ClientResponse:
        return await self._session.request(
            request.method,
            self._upstream + request.raw_path,
            data=await request.read() or None,
            headers=_forwarded(request.headers),
            timeout=aiohttp.ClientTimeout(total=None),
        )


async def pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Piece by piece, as a watch comes."""
    response = web.StreamResponse(status=answer.status, headers=_forwarded(answer.headers))
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in _NOT_FORWARDED}


def _is_counted(request: web.Request) -> bool:
    """Whether it changes something that an incident is about; what is only tried in a dry run changes nothing."""
    if request.method not in ("POST", "PUT", "PATCH", "DELETE") or "dryRun" in request.query:
        return False
    return not request.path.endswith(_UNCOUNTED) and "/leases/" not in request.path and "/remediationpolicies/" not in request.path
