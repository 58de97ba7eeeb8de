"""`safety-governor mcp --transport http` as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from safety_governor_mcp import tokens
from support.ports import free_port
from testbed import wait_until

HEADERS = {"Accept": "application/json, text/event-stream"}


class ToolProcess:
    """The server with one token, over the store of a file."""

    def __init__(self, store: Path, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.token, line = tokens.new("kibana")
        self.tokens = folder / "tokens"
        self.tokens.write_text(f"{line}\n")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {"mcp__address": f"127.0.0.1:{self.port}", "mcp__tokens": str(self.tokens), **settings}
        own = {"GOVERNOR_MCP_AUDIT": str(folder / "trail"), **({} if "elasticsearch__url" in settings else {"GOVERNOR_STORE": str(store)})}
        self._env = {**os.environ, **own, **{f"GOVERNOR_{name.upper()}": text for name, text in settings.items()}}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "safety_governor.cli.main", "mcp", "--transport", "http"]
        with (self.folder / "mcp.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)
        wait_until(self._listens, 60, "the tools to be served")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(20) == 0, self.log

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "mcp.log").read_text()

    def ask(self, body: Any, *, token: str | None = "", **headers: str) -> httpx.Response:
        """One request to the tools; with the token unless another, or none, is given."""
        given = self.token if token == "" else token
        sent = {**HEADERS, **({"Authorization": f"Bearer {given}"} if given else {}), **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}/mcp", content=content, headers={"Content-Type": "application/json", **sent}, timeout=30)

    def call(self, tool: str, *, token: str = "", headers: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        answer = self.ask(message, token=token, **(headers or {}))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["result"]["structuredContent"]
        return found

    def traced(self) -> list[dict[str, Any]]:
        """The calls in the trail."""
        lines = (self.folder / "trail" / "http" / "tool_trace.jsonl").read_text().splitlines()
        return [one["data"] for one in map(json.loads, lines) if one["kind"] == "ToolCalled"]
