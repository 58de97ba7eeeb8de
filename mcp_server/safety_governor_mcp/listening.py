"""The HTTP server itself: so many connections, none that only waits, and an end in order."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from safety_governor.domain import errors
from safety_governor_mcp import limits


async def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Until it is told to stop. Raises ConfigurationError when nothing can be served there."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Impatient,
        limit_concurrency=limits.CONNECTIONS,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    try:
        await _Server(config).serve()
    except SystemExit as error:
        # That is how it says that the address cannot be had.
        raise errors.ConfigurationError(
            f"the MCP server cannot be served at {host}:{port}; is something else there? Set GOVERNOR_MCP__ADDRESS"
        ) from error


_Protocol: Any = AutoHTTPProtocol
"""One of two classes, as is installed."""


class _Impatient(_Protocol):  # type: ignore[misc]
    """Closes connections on which no request comes; uvicorn itself waits for the headers of one for ever."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Look at it again and again."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to look at any more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(limits.BODY_WITHIN.total_seconds(), self._look, self.cycle)

    def _look(self, before: object) -> None:
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered and self.cycle is before:
            self.transport.close()
        else:
            self._look_later()


class _Server(uvicorn.Server):
    """Ends in order when it is told to: uvicorn itself kills the process in the end by the signal that it got."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Told to stop, it stops, and nothing else."""
        loop = asyncio.get_running_loop()
        told = (signal.SIGINT, signal.SIGTERM)
        for one in told:
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in told:
                loop.remove_signal_handler(one)
