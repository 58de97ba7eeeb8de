"""Over HTTP: the tools at /mcp behind a token, a guard of Host and Origin and a limit of size; health and figures beside them.

Stateless, so that any number of copies can stand behind one address. Health is answered whatever the Host is, as the kubelet asks by the
address of the pod; it tells nothing.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastmcp import FastMCP
from fastmcp.server.auth import AuthProvider, MultiAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safety_governor.domain import errors, serving
from safety_governor_mcp import limits
from safety_governor_mcp.bodies import BodyLimit
from safety_governor_mcp.figures import Figures
from safety_governor_mcp.jwts import NamedJwts
from safety_governor_mcp.tokens import HashedTokens

PATH = "/mcp"


def tokens(settings: serving.Serving) -> HashedTokens | None:
    """The tokens of the file, if there is one. Raises ConfigurationError when it cannot be used."""
    if settings.tokens is None:
        return None
    found = HashedTokens(Path(settings.tokens))
    found.check()
    return found


def auth(settings: serving.Serving, hashed: HashedTokens | None) -> AuthProvider | None:
    """Who is let in; None: everybody who can reach the address. Raises ConfigurationError where that could be anybody at all."""
    known: list[HashedTokens | NamedJwts] = [] if hashed is None else [hashed]
    if settings.jwks_uri is not None:
        known.append(NamedJwts(jwks_uri=str(settings.jwks_uri), issuer=settings.jwt_issuer, audience=settings.jwt_audience))
    host, _ = host_and_port(settings.address)
    if not known and not _is_loopback(host):
        raise errors.ConfigurationError(
            f"without tokens the MCP server serves loopback only, and {settings.address} is not; set GOVERNOR_MCP__TOKENS to a file of tokens "
            "(`safety-governor mcp --new-token NAME` makes one) or GOVERNOR_MCP__JWKS_URI, or serve 127.0.0.1"
        )
    return MultiAuth(verifiers=known) if len(known) > 1 else next(iter(known), None)


def application(server: FastMCP, *, settings: serving.Serving, figures: Figures, is_ready: Callable[[], Awaitable[bool]]) -> ASGIApp:
    """The whole of what is served."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        if await is_ready():
            return PlainTextResponse("ok")
        return PlainTextResponse("not ready; the log of the server says why", status_code=503)

    async def metrics(_: Request) -> Response:
        return Response(figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    tools = server.http_app(
        path=PATH,
        stateless_http=True,
        json_response=True,
        middleware=[Middleware(BodyLimit, most=limits.BODY, within=limits.BODY_WITHIN)],
        host_origin_protection=True,
        allowed_hosts=_hosts(settings),
        allowed_origins=list(settings.allowed_origins),
    )
    beside = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
    paths = {route.path for route in beside.routes if isinstance(route, Route)}

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        # Not mounted: that would be a second round of routing for every call.
        if scope["type"] == "http":
            send = _explaining(send)
        asked = beside if scope["type"] == "http" and scope["path"] in paths else tools
        await asked(scope, receive, send)

    return whole


_REFUSALS = {
    401: "This server lets in who sends `Authorization: Bearer TOKEN` with a token that it knows; whoever runs it makes one with "
    "`safety-governor mcp --new-token NAME`.",
    403: "Web pages of this origin may not call this server; whoever runs it names those that may in GOVERNOR_MCP__ALLOWED_ORIGINS.",
    421: "This server is not called by this name; whoever runs it adds it to GOVERNOR_MCP__ALLOWED_HOSTS.",
}


def _explaining(send: Send) -> Send:
    """Says why in our words, as those of the library are about servers with logins, or none at all."""
    refused = False

    async def told(message: Message) -> None:
        nonlocal refused
        if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
            refused = True
            body = f"{_REFUSALS[message['status']]}\n".encode()
            kept = [header for header in message.get("headers", ()) if header[0].lower() not in (b"content-type", b"content-length")]
            own = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({**message, "headers": [*kept, *own]})
            await send({"type": "http.response.body", "body": body})
        elif not refused:
            await send(message)

    return told


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
