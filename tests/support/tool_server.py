"""A small MCP server with the three score tools, over real HTTP and with a bearer token. It says what a test wants to hear."""

import asyncio
import contextlib
import socket
import threading
from typing import Any

import fastmcp
import uvicorn
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

from safety_governor.domain.scores import Service

MODEL = "gpt-5.4"
TOKEN = "a-token-of-the-operator"
GOOD = {
    "status": "ok",
    "reason": None,
    "data": {"model": MODEL, "metrics": {"ci": 0.68, "hoc": 0.75, "fg": None}, "rows_used": 1, "rows_total": 2},
    "source": "http://ddft:8002",
    "as_of": "2026-03-01T11:00:00Z",
}


class ToolServer:
    """Answers every tool with `answer`; an exception is raised by the tool."""

    def __init__(self) -> None:
        self.answer: Any = GOOD
        self.asked: list[tuple[str, str]] = []
        self.silent = False
        server = fastmcp.FastMCP("scores", auth=StaticTokenVerifier({TOKEN: {"client_id": "operator", "scopes": []}}))
        for service in Service:
            self._add(server, f"{service}_score")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/mcp"
        app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1, ws="none")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def _add(self, server: fastmcp.FastMCP, name: str) -> None:
        async def tool(model: str) -> dict[str, Any]:
            self.asked.append((name, model))
            if self.silent:
                await asyncio.sleep(60)
            if isinstance(self.answer, Exception):
                raise self.answer
            found: dict[str, Any] = self.answer
            return found

        server.tool(tool, name=name)

    def __enter__(self) -> "ToolServer":
        self._thread.start()
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.url.split(":")[2].split("/")[0])), 1):
                return self
            threading.Event().wait(0.01)
        raise TimeoutError("the server does not listen")

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
