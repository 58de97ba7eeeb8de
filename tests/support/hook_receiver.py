"""Automation outside of the cluster, as a strict double over real HTTP: it refuses what a careful receiver refuses."""

import hashlib
import hmac
import json
import re
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import rfc8785

from support.http_double import Asked, HttpDouble, Reply

TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What becomes of a valid request instead of an honest answer."""

    executes: bool
    """Whether it takes effect all the same."""
    reply: Reply


class _RefusedError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class HookReceiver(HttpDouble):
    """Does what it is asked, once for each key."""

    longest_body = 1024 * 1024

    def __init__(
        self, *secrets: str, now: Callable[[], datetime] = lambda: datetime.now(UTC), tls: ssl.SSLContext | None = None, path: str = "/hook"
    ) -> None:
        super().__init__(tls=tls)
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
        self._came = threading.Event()
        self.url = self.origin + path

    def fail(self, status: int, *, executes: bool = False, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Answer the next valid request so."""
        self._troubles.append(Trouble(executes=executes, reply=Reply(status=status, headers=headers or {}, body=body)))

    def ask_for_patience(self, retry_after: str, *, status: int = 429) -> None:
        """Refuse the next valid request for now."""
        self.fail(status, headers={"Retry-After": retry_after})

    def hang(self, *, executes: bool = True, status: int | None = None, body: bytes = b"") -> None:
        """Leave the next valid request without an answer, or, with a status, with the beginning of one."""
        self._troubles.append(Trouble(executes=executes, reply=Reply(status=status, body=body, hangs=True)))

    def drop(self, *, executes: bool = True) -> None:
        """Close the connection of the next valid request instead of answering."""
        self._troubles.append(Trouble(executes=executes, reply=Reply(status=None)))

    def wait_for_request(self, timeout: float) -> bool:
        """Whether anything came in by then; it is judged when this returns."""
        came = self._came.wait(timeout)
        with self._lock:
            return came

    def take(self, asked: Asked) -> Reply:
        """Judge, and execute or replay."""
        with self._lock:
            self.asked.append(asked)
            self._came.set()
            try:
                key = self._checked(asked)
            except _RefusedError as error:
                self.refused.append(str(error))
                return Reply(status=error.status, body=str(error).encode())
            trouble = self._troubles.popleft() if self._troubles else Trouble(executes=True, reply=Reply(body=b'{"accepted":true}'))
            if key in self.bodies:
                self.replays[key] += 1
            elif trouble.executes:
                self.effects[key] += 1
                self.bodies[key] = json.loads(asked.body)
            return trouble.reply

    def _checked(self, asked: Asked) -> str:
        key = asked.headers.get("idempotency-key", "")
        body = asked.body
        if (asked.method, asked.path) != ("POST", self._path):
            raise _RefusedError(404 if asked.method == "POST" else 405, f"{asked.method} {asked.target} is nothing here")
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
