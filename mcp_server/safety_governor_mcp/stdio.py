"""Over standard input and output: also for who asks without saying hello, and goes away after the question.

`echo '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' | safety-governor mcp` is how people find out what there is. The protocol wants a
handshake first, so it is made for them; and answers are finished although the input has ended.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types
import structlog
from fastmcp import FastMCP
from fastmcp.server.context import reset_transport, set_transport
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from safety_governor_mcp import limits

_log = structlog.get_logger()

_HELLO = "safety-governor-hello"
_ENVELOPE = "io.modelcontextprotocol/"
"""Requests of the protocol without handshakes carry keys that begin so."""


class StdioServer(FastMCP[Any]):
    """The server, greeting for who does not."""

    def declare(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        """The input schema of every tool by its name: without it all tools would be listed, and looked through, before each call over HTTP."""
        self._mcp_server.get_tool_input_schema = schemas.get

    async def run_stdio_async(self, show_banner: bool = False, log_level: str | None = None, stateless: bool = False) -> None:  # noqa: FBT001, FBT002
        """Until the input has ended and everything is answered."""
        del show_banner, log_level, stateless
        transport = set_transport("stdio")
        try:
            async with self._lifespan_manager(), stdio_server() as (read, write), _polite(read, write) as (heard, said):
                await self._mcp_server.run(heard, said, self._mcp_server.create_initialization_options())
        finally:
            reset_transport(transport)


@asynccontextmanager
async def _polite(read: Any, write: Any) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ANN401 - streams of the SDK
    """The streams, with a handshake in front where there is none, and open until everything is answered."""
    hear, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    said, say = anyio.create_memory_object_stream[SessionMessage](0)
    manners = _Manners(write)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manners.listen, read, hear)
        tasks.start_soon(manners.speak, say)
        async with heard, said:
            yield heard, said


class _Manners:
    """What was asked, and what is answered yet."""

    def __init__(self, write: Any) -> None:  # noqa: ANN401
        self._write = write
        self._asked: set[str | int] = set()
        self._answered = anyio.Event()

    async def listen(self, read: Any, hear: Any) -> None:  # noqa: ANN401
        """Pass on what is asked, and stay until it is answered."""
        async with hear:
            is_met = False
            async for item in read:
                if isinstance(item, Exception):
                    await self._say_what_is_wrong(item)
                    continue
                request = item.message if isinstance(item, SessionMessage) and isinstance(item.message, mcp_types.JSONRPCRequest) else None
                if request is not None:
                    if not is_met and not _greets(request):
                        for one in _hello():
                            await hear.send(SessionMessage(one))
                    is_met = True
                    self._asked.add(request.id)
                await hear.send(item)
            with anyio.move_on_after(limits.PATIENCE.total_seconds()):
                while self._asked:
                    self._answered = anyio.Event()
                    await self._answered.wait()

    async def _say_what_is_wrong(self, error: Exception) -> None:
        _log.warning("a line on standard input is no message", error=type(error).__name__)
        problem = mcp_types.ErrorData(
            code=mcp_types.PARSE_ERROR, message="this line is not a JSON-RPC 2.0 message; send one JSON object a line"
        )
        await self._write.send(SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=None, error=problem)))

    async def speak(self, say: Any) -> None:  # noqa: ANN401
        """Pass on what is answered, but for the handshake that nobody asked for."""
        async with say, self._write:
            async for item in say:
                identifier = getattr(item.message, "id", None)
                if identifier == _HELLO:
                    continue
                await self._write.send(item)
                self._asked.discard(identifier)
                self._answered.set()


def _greets(message: mcp_types.JSONRPCRequest) -> bool:
    meta = (message.params or {}).get("_meta")
    return message.method == "initialize" or (isinstance(meta, dict) and any(str(key).startswith(_ENVELOPE) for key in meta))


def _hello() -> list[mcp_types.JSONRPCRequest | mcp_types.JSONRPCNotification]:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "nobody", "version": "0"}}
    return [
        mcp_types.JSONRPCRequest(jsonrpc="2.0", id=_HELLO, method="initialize", params=params),
        mcp_types.JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"),
    ]
