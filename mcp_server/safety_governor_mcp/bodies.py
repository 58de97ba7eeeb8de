"""The body of a request, read before anything is done with it."""

import asyncio
from datetime import timedelta

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses a request that is larger, or takes longer to come, than any question can; before anybody looks who asks."""

    def __init__(self, app: ASGIApp, *, most: int, within: timedelta) -> None:
        self._app = app
        self._most = most
        self._within = within.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            async with asyncio.timeout(self._within):
                body = await self._read(receive) if declared.isdigit() and int(declared) <= self._most else None
        except TimeoutError:
            refusal = PlainTextResponse(
                f"a request has to come within {self._within:.0f} s", status_code=408, headers={"Connection": "close"}
            )
            await refusal(scope, receive, send)
            return
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
