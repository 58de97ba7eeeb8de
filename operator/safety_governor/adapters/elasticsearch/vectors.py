"""Vectors of texts, from a service that speaks as OpenAI's /v1/embeddings does."""

import asyncio
import math
from collections.abc import Sequence

import httpx
import pydantic

from safety_governor.domain import elastic

LONGEST = 8_000
"""Characters; what comes after them has no part in a vector. Services refuse texts that are longer than their models take."""
_ANSWER_LIMIT = 64 * 1024 * 1024


class VectorsUnavailableError(Exception):
    """There are no vectors; the text says why."""


class _Vector(pydantic.BaseModel):
    index: int
    embedding: list[float]


class _Answer(pydantic.BaseModel):
    data: list[_Vector]


class Vectors:
    """The service that was configured."""

    def __init__(self, settings: elastic.Embeddings) -> None:
        self._settings = settings
        key = settings.api_key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._client = httpx.AsyncClient(timeout=settings.timeout.total_seconds(), headers=headers, follow_redirects=False)

    @property
    def space(self) -> str:
        """Names the space that its vectors are in; those of two spaces cannot be compared."""
        return f"{self._settings.model}/{self._settings.dimensions}"

    async def of(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, in their order."""
        asked = {"model": self._settings.model, "input": [text.encode(errors="replace").decode()[:LONGEST] or " " for text in texts]}
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                answer = await self._client.post(self._settings.url, json=asked)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise VectorsUnavailableError(f"the embedding service did not answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise VectorsUnavailableError(f"the embedding service answered {answer.status_code}")
        if len(answer.content) > _ANSWER_LIMIT:
            raise VectorsUnavailableError("the embedding service answered more than can be read")
        return self._read(answer.content, len(texts))

    async def close(self) -> None:
        """Release the connections."""
        await self._client.aclose()

    def _read(self, content: bytes, count: int) -> list[list[float]]:
        try:
            found = {one.index: one.embedding for one in _Answer.model_validate_json(content).data}
        except pydantic.ValidationError as error:
            raise VectorsUnavailableError("the embedding service gave an answer that cannot be read") from error
        if sorted(found) != list(range(count)):
            raise VectorsUnavailableError(f"the embedding service gave {len(found)} vectors for {count} texts")
        for vector in found.values():
            if len(vector) != self._settings.dimensions:
                told = f"the embedding service gives vectors of {len(vector)} numbers, and {self._settings.dimensions} are configured"
                raise VectorsUnavailableError(told)
            if not all(map(math.isfinite, vector)) or not any(vector):
                raise VectorsUnavailableError("the embedding service gave a vector that has no direction")
        return [found[number] for number in range(count)]
