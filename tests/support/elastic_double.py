"""Elasticsearch when it fails, as a double over real HTTP: for what the real server cannot be made to answer.

It is strict about what a client must send, and, as the real one, it names its product; that is what a client checks first.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MEDIA_TYPE = "application/vnd.elasticsearch+json; compatible-with=9"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said to one request."""

    status: int = 200
    body: Any = field(default_factory=dict)
    product: str | None = "Elasticsearch"
    hangs: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def error(status: int, kind: str, reason: str = "as a test wants it") -> Answer:
    """An error as Elasticsearch words it."""
    cause = {"type": kind, "reason": reason}
    return Answer(status=status, body={"error": {"root_cause": [cause], **cause}, "status": status})


class ElasticDouble:
    """Listens on loopback while it is entered, and gives the answers it was told to, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[Asked] = []
        self._answers = deque(answers)
        self._over = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def take(self, asked: Asked) -> Answer:
        """Judge what came in, and answer."""
        self.asked.append(asked)
        if asked.headers.get("accept") != MEDIA_TYPE:
            return error(400, "media_type_header_exception", f"Invalid media-type value on header [Accept] {asked.headers.get('accept')}")
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]

    def wait_until_over(self) -> None:
        """Return when the double is left."""
        self._over.wait(60)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, double: ElasticDouble) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.double = double

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.double.take(Asked(method=self.command, path=path, query=query, headers=headers, body=body))
        if answer.hangs:
            self.server.double.wait_until_over()
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header(
            "Content-Type", MEDIA_TYPE if answer.product else "text/html" if isinstance(answer.body, bytes) else "application/json"
        )
        if answer.product:
            self.send_header("X-Elastic-Product", answer.product)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - so they are called in the library

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called in the library
        """Nothing is logged."""
