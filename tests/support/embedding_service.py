"""A service of embeddings over real HTTP that knows a few meanings: one number of a vector for each.

It refuses what a careful one refuses, and can be told to fail.
"""

import json
import re
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MEANINGS = (("full", "exhausted", "space", "disk", "storage"), ("slow", "latency", "sluggish"), ("certificate", "tls", "expired"))
DIMENSIONS = len(MEANINGS) + 1


class EmbeddingService:
    """Listens on loopback while it is entered."""

    def __init__(self, *, key: str = "") -> None:
        self.key = key
        self.asked: list[dict[str, Any]] = []
        self.troubles: deque[tuple[int, Any]] = deque()
        """Status and body that are answered instead of vectors."""
        self.hangs = False
        self._over = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/embeddings"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """Status and body."""
        asked = json.loads(body)
        self.asked.append(asked)
        if self.hangs:
            self._over.wait(60)
        if self.troubles:
            return self.troubles.popleft()
        if path != "/v1/embeddings" or set(asked) != {"model", "input"}:
            return 404, {"error": {"message": "unknown"}}
        if self.key and authorization != f"Bearer {self.key}":
            return 401, {"error": {"message": "Incorrect API key provided"}}
        if not asked["input"] or not all(asked["input"]):
            return 400, {"error": {"message": "input cannot be an empty string"}}
        vectors = [{"object": "embedding", "index": at, "embedding": vector(text)} for at, text in enumerate(asked["input"])]
        return 200, {"object": "list", "data": vectors[::-1], "model": asked["model"]}


def vector(text: str) -> list[float]:
    """What the text means to the service."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return [float(len(words & set(meaning))) for meaning in MEANINGS] + [0.1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: EmbeddingService) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.server.service.answer(self.path, self.headers.get("Authorization", ""), body)
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called in the library
        """Nothing is logged."""
