"""Records into Elasticsearch, each exactly once however often it is written.

Events are created under their id, so a second try finds the first; of an incident the newest version stays, whatever the order
in which versions arrive. Nothing waits for this: whoever calls keeps what was not taken and comes again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import elasticsearch
from elasticsearch import helpers

from safety_governor.adapters.elasticsearch import client, failures, mappings
from safety_governor.domain import elastic, errors
from safety_governor.domain.audit.documents import Index, Record

_AT_ONCE = 500
_THERE = 409
_PASSING = frozenset({429, 500, 502, 503, 504})


class Records:
    """Writes records; belongs to one event loop."""

    def __init__(self, cluster: client.Cluster, settings: elastic.Elasticsearch) -> None:
        self._cluster = cluster
        self._settings = settings

    @classmethod
    def connect(cls, settings: elastic.Elasticsearch) -> Self:
        """Without asking anything yet. Raises ConfigurationError."""
        return cls(client.Cluster(client.connect(settings), name=settings.name), settings)

    async def close(self) -> None:
        """Release the connections."""
        await self._cluster.close()

    async def write(self, records: Sequence[Record]) -> Mapping[str, str]:
        """Return when every record is there or was refused for good; of those by id why, as trying them again cannot help.

        Raises RecordsUnavailableError when that is not known; all of them can then be written again.
        """
        if not records:
            return {}
        try:
            # Each time: an index that somebody removed would come back by itself, with whatever mapping Elasticsearch guesses.
            for name in sorted({record.index for record in records}, key=str):
                await mappings.prepare(self._cluster, self._name(name), mappings.definition(name.value, self._settings))
            return await self._write(records)
        except errors.KnowledgeUnavailableError as error:
            raise errors.RecordsUnavailableError(f"Records wait to be written: {error}") from error
        except (elasticsearch.ApiError, elasticsearch.TransportError) as error:
            failure = failures.explained(error)
            raise errors.RecordsUnavailableError(
                f"Records wait to be written, as Elasticsearch at {self._cluster.name} {failure.what}: {failure.remedy}."
            ) from error

    async def _write(self, records: Sequence[Record]) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        passing = ""
        results = helpers.async_streaming_bulk(
            self._cluster.client, self._actions(records), chunk_size=_AT_ONCE, raise_on_error=False, max_retries=0
        )
        async for done, item in results:
            (told,) = item.values()
            status = int(told.get("status", 500))
            if done or status == _THERE:
                # It is there, or a newer version of it is.
                continue
            if status in _PASSING:
                passing = _reason(told)
            else:
                refused[str(told.get("_id"))] = _reason(told)
        if passing:
            raise errors.RecordsUnavailableError(
                f"Records wait to be written, as Elasticsearch at {self._cluster.name} did not take all of them ({passing}): they are written again."
            )
        return refused

    async def _actions(self, records: Sequence[Record]) -> AsyncIterator[dict[str, Any]]:
        for record in records:
            action: dict[str, Any] = {
                "_op_type": "create",
                "_index": self._name(record.index),
                "_id": record.id,
                "_source": dict(record.document),
            }
            if record.version is not None:
                action |= {"_op_type": "index", "version": record.version, "version_type": "external"}
            yield action

    def _name(self, key: Index) -> str:
        return str(getattr(self._settings.indices, key.value))


def _reason(told: Mapping[str, Any]) -> str:
    error = told.get("error", {})
    return str(error.get("reason", error) if isinstance(error, dict) else error)[:300]
