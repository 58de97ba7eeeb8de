"""Automation outside of the cluster, as a strict double over real HTTP: it refuses what a careful receiver refuses.

It runs in a thread of its own, so that tests in one process and operators in another can call it.
"""

import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import rfc8785

TOLERANCE = timedelta(minutes=5)
LONGEST_BODY = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What becomes of a valid request instead of an honest answer."""

    executes: bool
    """Whether it takes effect all the same."""
    status: int | None = None
    """What is answered; None: nothing."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    """The connection stays open and silent, after `body` if there is a status; else it is closed."""


class _RefusedError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class HookReceiver:
    """Listens on loopback while it is entered."""

    def __init__(
        self, *secrets: str, now: Callable[[], datetime] = lambda: datetime.now(UTC), tls: ssl.SSLContext | None = None, path: str = "/hook"
    ) -> None:
        self.secrets = list(secrets)
        """Every one of them is accepted, as during a rotation."""
        self.asked: list[Asked] = []
        """Everything that came in, valid or not."""
        self.effects: Counter[str] = Counter()
        """By key, how often something was really done."""
        self.replays: Counter[str] = Counter()
        """By key, how often a request came again and was only answered."""
        self.refused: list[str] = []
        """Why requests were refused."""
        self.bodies: dict[str, object] = {}
        """By key, what was asked for."""
        self._now = now
        self._path = path
        self._troubles: deque[Trouble] = deque()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(self, tls=tls)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._came = threading.Event()
        self.address = ("127.0.0.1", int(self._server.server_address[1]))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.address[1]}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fail(self, status: int, *, executes: bool = False, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Answer the next valid request so."""
        self._troubles.append(Trouble(executes=executes, status=status, headers=headers or {}, body=body))

    def ask_for_patience(self, retry_after: str, *, status: int = 429) -> None:
        """Refuse the next valid request for now."""
        self.fail(status, headers={"Retry-After": retry_after})

    def hang(self, *, executes: bool = True, status: int | None = None, body: bytes = b"") -> None:
        """Leave the next valid request without an answer, or, with a status, with the beginning of one."""
        self._troubles.append(Trouble(executes=executes, status=status, body=body, hangs=True))

    def drop(self, *, executes: bool = True) -> None:
        """Close the connection of the next valid request instead of answering."""
        self._troubles.append(Trouble(executes=executes))

    def wait_for_request(self, timeout: float) -> bool:
        """Whether anything came in by then; it is judged when this returns."""
        came = self._came.wait(timeout)
        with self._lock:
            return came

    def wait_until_over(self) -> None:
        """Return when the receiver is left."""
        self._over.wait(60)

    def take(self, asked: Asked) -> Trouble:
        """Judge, execute or replay; returns what is to be answered."""
        with self._lock:
            self.asked.append(asked)
            self._came.set()
            try:
                key = self._checked(asked)
            except _RefusedError as error:
                self.refused.append(str(error))
                return Trouble(executes=False, status=error.status, body=str(error).encode())
            trouble = self._troubles.popleft() if self._troubles else Trouble(executes=True, status=200, body=b'{"accepted":true}')
            if key in self.bodies:
                self.replays[key] += 1
            elif trouble.executes:
                self.effects[key] += 1
                self.bodies[key] = json.loads(asked.body)
            return trouble

    def _checked(self, asked: Asked) -> str:
        key = asked.headers.get("idempotency-key", "")
        body = asked.body
        if (asked.method, asked.path.partition("?")[0]) != ("POST", self._path):
            raise _RefusedError(404 if asked.method == "POST" else 405, f"{asked.method} {asked.path} is nothing here")
        if asked.headers.get("content-type") != "application/json":
            raise _RefusedError(415, "the body must be application/json")
        if not re.fullmatch(r"[A-Za-z0-9:_-]{1,255}", key):
            raise _RefusedError(400, "an Idempotency-Key without dots is needed")
        self._authenticate(asked.headers, key, body)
        try:
            content = json.loads(body)
        except ValueError:
            raise _RefusedError(400, "the body is not JSON") from None
        if not isinstance(content, dict) or rfc8785.dumps(content) != body:
            raise _RefusedError(400, "the body is no object in canonical form")
        if key in self.bodies and self.bodies[key] != content:
            raise _RefusedError(422, "the key was used for another request")
        return key

    def _authenticate(self, headers: Mapping[str, str], key: str, body: bytes) -> None:
        timestamp = headers.get("x-governor-timestamp", "")
        if not re.fullmatch(r"[0-9]{1,12}", timestamp):
            raise _RefusedError(401, "a timestamp in seconds is needed")
        if abs(self._now() - datetime.fromtimestamp(int(timestamp), UTC)) > TOLERANCE:
            raise _RefusedError(401, "the timestamp is too far off")
        signed = timestamp.encode() + b"." + key.encode() + b"." + body
        good = ["v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in self.secrets]
        given = headers.get("x-governor-signature", "")
        if not any(hmac.compare_digest(one.encode(), given.encode()) for one in good):
            raise _RefusedError(401, "the signature is wrong")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: HookReceiver, *, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver
        self._tls = tls

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        # In the thread of the connection: a client that breaks the handshake off must not stop the others.
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with contextlib.suppress(OSError), self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            self.send_error(411 if not length.isdigit() else 413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver.take(Asked(method=self.command, path=self.path, headers=headers, body=self.rfile.read(int(length))))
        self.close_connection = True
        if answer.status is not None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            # What hangs promises more than it sends.
            self.send_header("Content-Length", str(len(answer.body) + answer.hangs))
            self.end_headers()
            self.wfile.write(answer.body)
        if answer.hangs:
            self.server.receiver.wait_until_over()

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver.take(Asked(method=self.command, path=self.path, headers=headers, body=b""))
        self.send_error(answer.status or 405)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called in the library
        """Nothing is logged."""
