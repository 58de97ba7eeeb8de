"""`safety-governor mcp` over HTTP, as a process of its own on loopback."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from safety_governor_mcp import tokens
from support.ports import free_port

START_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that answers."""

    base: str
    token: str
    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        """Where the tools are."""
        return f"{self.base}/mcp"

    @property
    def tokens_file(self) -> Path:
        """Whom it knows."""
        return self.folder / "tokens"

    def end(self) -> str:
        """Stop it as a kubelet does; what it has logged."""
        self.process.send_signal(signal.SIGTERM)
        _, logged = self.process.communicate(timeout=20)
        return logged


def command(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "safety_governor.cli.main", "mcp", *arguments]


@contextlib.contextmanager
def serving(store: Path, folder: Path, *, with_tokens: bool = True, **settings: str) -> Iterator[Served]:
    """Until the context ends. It knows a token of the name `agent`."""
    token, line = tokens.new("agent")
    (folder / "tokens").write_text(f"{line}\n")
    environment = {**os.environ, "GOVERNOR_STORE": str(store), "GOVERNOR_MCP_AUDIT": str(folder / "trail"), **settings}
    if with_tokens:
        environment["GOVERNOR_MCP__TOKENS"] = str(folder / "tokens")
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        command("--transport", "http", "--address", address), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    served = Served(base=f"http://{address}", token=token, folder=folder, process=process)
    try:
        _wait(served)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _wait(served: Served) -> None:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until:
        if served.process.poll() is not None:
            raise RuntimeError(f"the server has ended: {served.process.communicate()[1]}")
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{served.base}/healthz", timeout=1)
            return
    raise TimeoutError("the server does not answer")
