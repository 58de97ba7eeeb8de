"""Records into Elasticsearch, each exactly once however often it is written.

Events are created under their id, so a second try finds the first; of an incident the newest version stays, whatever the order
in which versions arrive. Nothing waits for this: whoever calls keeps what was not taken and comes again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import elasticsearch
from elasticsearch import helpers

from safety_governor.adapters.elasticsearch import client, failures, mappings
from safety_governor.domain import archive, elastic, errors

Key = Literal["incidents", "workflow_events", "action_executions"]

_AT_ONCE = 500
_THERE = 409
_PASSING = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One document for one of the indices of records."""

    index: Key
    id: str
    document: Mapping[str, Any]
    """Of an incident it has a `version` that grows."""

    @classmethod
    def of(cls, entry: archive.Entry) -> Self:
        """The record of an entry."""
        index: Key
        match entry:
            case archive.IncidentEntry():
                index = "incidents"
            case archive.WorkflowEvent():
                index = "workflow_events"
            case archive.ActionExecution():
                index = "action_executions"
            case _:
                raise TypeError(f"{type(entry).__name__} is no record")
        return cls(index=index, id=entry.id, document=entry.model_dump(mode="json", exclude_none=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of records that all were answered for."""

    new: int
    already: int
    """They were there, or a newer version was."""
    refused: tuple[tuple[Record, str], ...]
    """With the reason, those that Elasticsearch will never take as they are; trying them again cannot help."""


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

    async def write(self, records: Sequence[Record]) -> Written:
        """Return when every record is there or was refused for good.

        Raises RecordsUnavailableError when that is not known; all of them can then be written again.
        """
        if not records:
            return Written(new=0, already=0, refused=())
        try:
            # Each time: an index that somebody removed would come back by itself, with whatever mapping Elasticsearch guesses.
            for name in sorted({record.index for record in records}):
                await mappings.prepare(self._cluster, self._name(name), mappings.definition(name, self._settings))
            return await self._write(records)
        except errors.KnowledgeUnavailableError as error:
            raise errors.RecordsUnavailableError(f"Records wait to be written: {error}") from error
        except (elasticsearch.ApiError, elasticsearch.TransportError) as error:
            failure = failures.explained(error)
            raise errors.RecordsUnavailableError(
                f"Records wait to be written, as Elasticsearch at {self._cluster.name} {failure.what}: {failure.remedy}."
            ) from error

    async def _write(self, records: Sequence[Record]) -> Written:
        new = already = 0
        refused: list[tuple[Record, str]] = []
        # Answers come in the order of the records; ids alone do not tell them apart, as an event is in several indices under its own.
        asked = iter(records)
        passing = ""
        results = helpers.async_streaming_bulk(
            self._cluster.client, self._actions(records), chunk_size=_AT_ONCE, raise_on_error=False, max_retries=0
        )
        async for done, item in results:
            (told,), record = item.values(), next(asked)
            status = int(told.get("status", 500))
            if done:
                new += 1
            elif status == _THERE:
                already += 1
            elif status in _PASSING:
                passing = _reason(told)
            else:
                refused.append((record, _reason(told)))
        if passing:
            raise errors.RecordsUnavailableError(
                f"Records wait to be written, as Elasticsearch at {self._cluster.name} did not take all of them ({passing}): they are written again."
            )
        return Written(new=new, already=already, refused=tuple(refused))

    async def _actions(self, records: Sequence[Record]) -> AsyncIterator[dict[str, Any]]:
        for record in records:
            action: dict[str, Any] = {
                "_op_type": "create",
                "_index": self._name(record.index),
                "_id": record.id,
                "_source": dict(record.document),
            }
            if record.index == "incidents":
                action |= {"_op_type": "index", "version": int(record.document["version"]), "version_type": "external"}
            yield action

    def _name(self, key: Key) -> str:
        return str(getattr(self._settings.indices, key))


def _reason(told: Mapping[str, Any]) -> str:
    error = told.get("error", {})
    return str(error.get("reason", error) if isinstance(error, dict) else error)[:300]
