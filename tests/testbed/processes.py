"""Child processes that cannot outlive us, whatever ends us.

A test run can be killed at any moment, and a forgotten API server costs 300 MB until someone looks. So every child asks
the kernel for its own SIGKILL at the death of its parent. Two things follow:

- The request is made by a short Python launcher that then becomes the server by exec: a `preexec_fn` would run Python
  code in a fork of a process that has threads, which may deadlock.
- For the kernel "the parent" is the *thread* that started the child. All children are therefore started by one daemon
  thread that lives as long as this process, so that a worker thread may start servers and end.

Only processes started here are ever signalled, through their `Popen`, so never a stranger with a reused id.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path

_LAUNCHER = """
import ctypes, os, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent died first")
os.execv(sys.argv[2], sys.argv[2:])
"""

_TAIL_BYTES = 32_768

_Job = tuple[list[str], Path, Path, dict[str, str], "Future[subprocess.Popen[bytes]]"]


class ServerProcess:
    """A server with a log file; can be stopped, started again, and frozen."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, log: Path, cwd: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._argv = [str(part) for part in argv]
        self._cwd = cwd
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def start(self) -> None:
        """Start it; returns at once.

        Raises:
            RuntimeError: it is already running.
        """
        if self.is_running:
            raise RuntimeError(f"{self.name} is already running")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = _spawn(self._argv, self.log, self._cwd, self._env)
        self._paused = False

    @property
    def is_running(self) -> bool:
        """Whether the process exists; also true while it is frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_paused(self) -> bool:
        """Whether `pause` froze it."""
        return self._paused and self.is_running

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or if it never started."""
        return self._process.poll() if self._process is not None else None

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)
        self._paused = False

    def stop(self) -> None:
        """End it at once, frozen or not; harmless when it does not run.

        Never politely: an API server with open watches takes as long as it is given, and no data is lost, because what
        etcd has written belongs to the kernel.
        """
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines it logged, for a person to read."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # does nothing once the process has been reaped


def _spawn(argv: list[str], log: Path, cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    started: Future[subprocess.Popen[bytes]] = Future()
    _jobs(os.getpid()).put((argv, log, cwd, env, started))
    return started.result()


@cache
def _jobs(pid: int) -> "queue.SimpleQueue[_Job]":
    """The work queue of the one thread that starts children; a forked copy of us needs a thread of its own."""
    jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    threading.Thread(target=_serve, args=(jobs,), name=f"testbed-spawner-{pid}", daemon=True).start()
    return jobs


def _serve(jobs: "queue.SimpleQueue[_Job]") -> None:
    while True:
        argv, log, cwd, env, started = jobs.get()
        try:
            started.set_result(_popen(argv, log, cwd, env))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
            started.set_exception(error)
        del argv, log, cwd, env, started


def _popen(argv: list[str], log: Path, cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            process_group=0,  # Ctrl-C is for us; we then stop the servers in order
        )
