"""A service of embeddings over real HTTP that knows a few meanings: one number of a vector for each.

It refuses what a careful one refuses, and can be told to fail.
"""

import json
import re
from collections import deque
from typing import Any

from support.http_double import Asked, HttpDouble, Reply

MEANINGS = (("full", "exhausted", "space", "disk", "storage"), ("slow", "latency", "sluggish"), ("certificate", "tls", "expired"))
DIMENSIONS = len(MEANINGS) + 1


class EmbeddingService(HttpDouble):
    """Tells what texts mean."""

    def __init__(self, *, key: str = "") -> None:
        super().__init__()
        self.key = key
        self.asked: list[dict[str, Any]] = []
        self.troubles: deque[tuple[int, Any]] = deque()
        """Status and body that are answered instead of vectors."""
        self.hangs = False
        self.url = f"{self.origin}/v1/embeddings"

    def take(self, asked: Asked) -> Reply:
        status, said = self._answer(asked.target, asked.headers.get("authorization", ""), asked.body)
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        return Reply(status=status, headers={"Content-Type": "application/json"}, body=content, closes=False)

    def _answer(self, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """Status and body."""
        asked = json.loads(body)
        self.asked.append(asked)
        if self.hangs:
            self.wait_until_over()
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
