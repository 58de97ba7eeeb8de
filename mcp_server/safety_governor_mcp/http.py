"""Over HTTP: the tools at /mcp behind a token, a guard of Host and Origin and a limit of size; health and figures beside them.

Stateless, so that any number of copies can stand behind one address. Health is answered whatever the Host is, as the kubelet asks by the
address of the pod; it tells nothing.
"""

import asyncio
import contextlib
import ipaddress
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import AuthProvider, JWTVerifier, MultiAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safety_governor.domain import errors, serving
from safety_governor_mcp import limits
from safety_governor_mcp.figures import Figures
from safety_governor_mcp.tokens import HashedTokens

PATH = "/mcp"


def auth(settings: serving.Serving) -> AuthProvider | None:
    """Who is let in; None: everybody who can reach the address. Raises ConfigurationError where that could be anybody at all."""
    known: list[HashedTokens | JWTVerifier] = []
    if settings.tokens is not None:
        tokens = HashedTokens(Path(settings.tokens))
        tokens.check()
        known.append(tokens)
    if settings.jwks_uri is not None:
        known.append(JWTVerifier(jwks_uri=str(settings.jwks_uri), issuer=settings.jwt_issuer, audience=settings.jwt_audience))
    host, _ = host_and_port(settings.address)
    if not known and not _is_loopback(host):
        raise errors.ConfigurationError(
            f"without tokens the MCP server serves loopback only, and {settings.address} is not; set GOVERNOR_MCP__TOKENS to a file of tokens "
            "(`safety-governor mcp --new-token NAME` makes one) or GOVERNOR_MCP__JWKS_URI, or serve 127.0.0.1"
        )
    return MultiAuth(verifiers=known) if len(known) > 1 else next(iter(known), None)


def application(server: FastMCP, *, settings: serving.Serving, figures: Figures, is_ready: Callable[[], Awaitable[str]]) -> ASGIApp:
    """The whole of what is served. `is_ready` says why it is not; empty when it is."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        why = await is_ready()
        return PlainTextResponse(why or "ok", status_code=503 if why else 200)

    async def metrics(_: Request) -> Response:
        return Response(figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    tools = server.http_app(
        path=PATH,
        stateless_http=True,
        json_response=True,
        middleware=[Middleware(BodyLimit, most=limits.BODY)],
        host_origin_protection=True,
        allowed_hosts=_hosts(settings),
        allowed_origins=list(settings.allowed_origins),
    )
    beside = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
    paths = {route.path for route in beside.routes if isinstance(route, Route)}

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        # Not mounted: that would be a second round of routing for every call.
        asked = beside if scope["type"] == "http" and scope["path"] in paths else tools
        await asked(scope, receive, send)

    return whole


async def serve(app: ASGIApp, *, address: str) -> None:
    """Until it is told to stop. Raises ConfigurationError when nothing can be served there."""
    host, port = host_and_port(address)
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=5
    )
    server = _Server(config)
    try:
        await server.serve()
    except SystemExit as error:
        # That is how it says that the address cannot be had.
        raise errors.ConfigurationError(
            f"the MCP server cannot be served at {address}; is something else there? Set GOVERNOR_MCP__ADDRESS"
        ) from error


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


class BodyLimit:
    """Refuses a request that is larger than any question can be, before it is read to its end."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        body = await self._read(receive) if declared.isdigit() and int(declared) <= self._most else None
        if body is None:
            refusal = PlainTextResponse(f"a request may have {self._most} bytes", status_code=413)
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole of it; None when it is too much."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most:
                return None
            if not message.get("more_body"):
                return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def host_and_port(address: str) -> tuple[str, int]:
    """Raises ConfigurationError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise errors.ConfigurationError(f"{address!r} is not HOST:PORT; set GOVERNOR_MCP__ADDRESS to one, such as 127.0.0.1:8000")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(settings: serving.Serving) -> list[str]:
    """The names under which it may be called: a page in a browser that points a name of its own at us gets nothing."""
    host, _ = host_and_port(settings.address)
    own = ["localhost", "127.0.0.1", "::1"] if _is_loopback(host) else []
    allowed = [*own, *settings.allowed_hosts]
    if not allowed:
        raise errors.ConfigurationError(
            f"nobody could call the MCP server at {settings.address}: name the hosts under which it is called, such as "
            "GOVERNOR_MCP__ALLOWED_HOSTS='[\"mcp.governor-system\"]'"
        )
    return allowed
