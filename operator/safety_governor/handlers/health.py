"""/healthz and /readyz for the kubelet, /metrics for Prometheus.

Healthy is a process whose event loop turns and whose Lease, once won, is not lost. Ready is one that attends incidents or
stands by for whoever does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from safety_governor.domain import errors


@asynccontextmanager
async def serve(
    address: str, *, is_healthy: Callable[[], bool], is_ready: Callable[[], bool], metrics: Callable[[], bytes]
) -> AsyncIterator[None]:
    """Answer while the context is open. An empty address answers nothing.

    Raises ConfigurationError when nothing can be served there.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    application = web.Application()
    application.router.add_get("/healthz", _answering(is_healthy))
    application.router.add_get("/readyz", _answering(is_ready))
    application.router.add_get("/metrics", _telling(metrics))
    running = web.AppRunner(application, access_log=None)
    await running.setup()
    try:
        try:
            await web.TCPSite(running, host or "127.0.0.1", int(port)).start()
        except (OSError, OverflowError, ValueError) as error:
            raise errors.ConfigurationError(
                f"health endpoints cannot be served at {address}: {error}. Set GOVERNOR_HEALTH_ADDRESS to HOST:PORT, or to nothing to serve none"
            ) from error
        yield
    finally:
        await running.cleanup()


def _answering(question: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok") if question() else web.Response(status=503, text="not yet")

    return answer


def _telling(metrics: Callable[[], bytes]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return answer
