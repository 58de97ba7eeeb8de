"""The operator as its own process, as it runs in production: started, killed and read from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed import wait_until


class OperatorProcess:
    """One run of `safety-governor operator`."""

    def __init__(self, *, kubeconfig: Path, store: Path, log: Path, **settings: str) -> None:
        self._log = log
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("GOVERNOR_", "KUBECONFIG"))},
            "KUBECONFIG": str(kubeconfig),
            **({} if "elasticsearch__url" in settings else {"GOVERNOR_STORE": str(store)}),
            "GOVERNOR_HEALTH_ADDRESS": "",
            # What is about the watch after a rollout says so; the others need not wait for it.
            "GOVERNOR_VERIFY_SOAK": "PT0S",
            "GOVERNOR_JOURNAL": str(log.with_suffix(".journal.jsonl")),
            "GOVERNOR_SCORES_FILE": str(log.with_suffix(".scores.db")),
            "GOVERNOR_AUDIT": str(log.with_suffix(".audit")),
            **{f"GOVERNOR_{name.upper()}": text for name, text in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    def start(self) -> None:
        """Start it and return at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "safety_governor.cli.main", "operator"], env=self._environment, stderr=log
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.wait(10)

    def wait(self, timeout: float) -> int:
        """Its exit code once it has ended."""
        assert self._process is not None
        return self._process.wait(timeout)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """All that it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def wait_until_said(self, text: str, *, timeout: float = 20) -> None:
        """Wait for a text in its log."""
        wait_until(lambda: text in self.said(), timeout, f"the operator to say {text!r}")


StartOperator = Callable[..., OperatorProcess]
"""Starts one more operator, with settings by the names of their environment variables."""
