"""What all doubles of outside services stand on: a real HTTP server on loopback, each connection in a thread of its own.

So tests in one process and operators in another can call it, and one request that hangs holds no other up.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

LONGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came in."""

    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What becomes of the connection."""

    status: int | None = 200
    """None: nothing is answered."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    """It stays open and silent afterwards, although more than `body` was promised."""
    closes: bool = True
    """It is closed afterwards."""


class HttpDouble:
    """Listens while it is entered. What it answers is decided by `take`, which is called by many threads."""

    longest_body = LONGEST_BODY

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._over = threading.Event()
        self._server = _Server(self, tls=tls)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.address = ("127.0.0.1", int(self._server.server_address[1]))
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self.address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def take(self, asked: Asked) -> Reply:
        """Judge what came in, and answer."""
        raise NotImplementedError

    def wait_until_over(self) -> None:
        """Return when the double is left."""
        self._over.wait(60)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, double: HttpDouble, *, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.double = double
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

    def _handle(self) -> None:
        length = self.headers.get("Content-Length", "" if self.command == "POST" else "0")
        if not length.isdigit() or int(length) > self.server.double.longest_body:
            self.close_connection = True
            self.send_error(411 if not length.isdigit() else 413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(method=self.command, target=self.path, headers=headers, body=self.rfile.read(int(length)))
        reply = self.server.double.take(asked)
        self.close_connection = reply.closes or reply.hangs or reply.status is None
        if reply.status is not None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) + reply.hangs))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
        if reply.hangs:
            self.wfile.flush()
            self.server.double.wait_until_over()

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _handle  # noqa: N815 - so they are called in the library

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called in the library
        """Nothing is logged."""
