"""Elasticsearch when it fails, as a double over real HTTP: for what the real server cannot be made to answer.

It is strict about what a client must send, and, as the real one, it names its product; that is what a client checks first.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from support.http_double import Asked, HttpDouble, Reply

MEDIA_TYPE = "application/vnd.elasticsearch+json; compatible-with=9"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said to one request."""

    status: int = 200
    body: Any = field(default_factory=dict)
    product: str | None = "Elasticsearch"
    hangs: bool = False


def error(status: int, kind: str, reason: str = "as a test wants it") -> Answer:
    """An error as Elasticsearch words it."""
    cause = {"type": kind, "reason": reason}
    return Answer(status=status, body={"error": {"root_cause": [cause], **cause}, "status": status})


class ElasticDouble(HttpDouble):
    """Gives the answers it was told to, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self._answers = deque(answers)
        self.url = self.origin

    def take(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.headers.get("accept") != MEDIA_TYPE:
            reason = f"Invalid media-type value on header [Accept] {asked.headers.get('accept')}"
            return _reply(error(400, "media_type_header_exception", reason))
        return _reply(self._answers.popleft() if len(self._answers) > 1 else self._answers[0])


def _reply(answer: Answer) -> Reply:
    if answer.hangs:
        return Reply(status=None, hangs=True)
    is_raw = isinstance(answer.body, bytes)
    content = answer.body if is_raw else json.dumps(answer.body).encode()
    headers = {"Content-Type": MEDIA_TYPE if answer.product else "text/html" if is_raw else "application/json"}
    if answer.product:
        headers["X-Elastic-Product"] = answer.product
    return Reply(status=answer.status, headers=headers, body=content, closes=False)
