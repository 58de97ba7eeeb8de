"""The operator as its own process: as in a pod, with nothing but a kubeconfig, a store and its settings."""

import contextlib
import http.client
import os
import signal
import socket
from pathlib import Path

from demo.stage import UnexpectedError, environment
from testbed import wait_until
from testbed.processes import ServerProcess

_START_SECONDS = 60.0
_STOP_SECONDS = 25.0

SOAK = 2
"""Seconds for which everything must go well after an action; a minute, where nobody waits for it."""


class Governor:
    """`safety-governor operator`, from its start to its orderly end."""

    def __init__(self, program: Path, *, kubeconfig: Path, store: Path, log: Path) -> None:
        self._port = _free_port()
        self.log = log
        self.records = {"GOVERNOR_JOURNAL": str(log.with_name("journal.jsonl")), "GOVERNOR_AUDIT": str(log.with_name("audit"))}
        """Where it writes down what happens, as its settings."""
        own = {
            **self.records,
            "GOVERNOR_VERIFY_SOAK": f"PT{SOAK}S",
        }
        env = environment(KUBECONFIG=str(kubeconfig), GOVERNOR_STORE=str(store), GOVERNOR_HEALTH_ADDRESS=f"127.0.0.1:{self._port}", **own)
        self._process = ServerProcess("safety-governor operator", [program, "operator"], log=log, cwd=log.parent, env=env)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it says that it is ready.

        Raises:
            UnexpectedError: it ended instead, or is not ready in time.
        """
        self._process.start()
        try:
            wait_until(self._is_ready, _START_SECONDS, "the operator to be ready")
        except TimeoutError as error:
            raise UnexpectedError(f"{error}\n{self.last_words()}") from error

    def check(self) -> None:
        """Raises UnexpectedError when it does not run any more."""
        if not self._process.is_running:
            raise UnexpectedError(f"the operator ended with exit code {self._process.exit_code}:\n{self.last_words()}")

    def stop(self) -> int | None:
        """Ask it to end, as the kubelet does, and end it if it does not; its exit code."""
        if (pid := self._process.pid) is not None:
            os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not self._process.is_running, _STOP_SECONDS, "the operator to stop")
        self._process.stop()
        return self._process.exit_code

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        return self._process.log_tail(lines)

    def _is_ready(self) -> bool:
        self.check()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
