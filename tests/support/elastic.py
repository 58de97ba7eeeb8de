"""Indices of a test's own on an Elasticsearch that others use as well."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from elasticsearch import AsyncElasticsearch

from safety_governor import bootstrap
from safety_governor.adapters.elasticsearch import ElasticsearchKnowledge, loading, mappings
from safety_governor.domain import documents, elastic
from safety_governor.settings import Settings
from testbed.elasticsearch import some_prefix


def connection(url: str, **settings: Any) -> elastic.Elasticsearch:
    """How a test reaches the server: with indices of its own, and the one analyzer that every distribution has."""
    prefix = some_prefix()
    indices = {name: prefix + name.replace("_", "-") for name in elastic.Indices.model_fields} | settings.pop("indices", {})
    return elastic.Elasticsearch.model_validate({"url": url, "analyzer": "standard", "indices": indices, **settings})


def load_files(settings: elastic.Elasticsearch, folder: Path) -> None:
    """What the command does with a folder."""
    store = bootstrap.open_for_loading(Settings(elasticsearch=settings))
    try:
        files = bootstrap.reader(store)([folder])
        store.replace_documents([document for file in files for document in file.documents])
    finally:
        store.close()


class ElasticIndices:
    """Indices that are removed when they are left."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.settings = connection(url, **settings)
        self.client = AsyncElasticsearch(url, request_timeout=60)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()
        names = [str(name) for name in self.settings.indices.model_dump().values() if "*" not in str(name)]
        await self.client.indices.delete(index=names, ignore_unavailable=True)
        await self.client.close()

    async def load(self, batch: Sequence[documents.Document]) -> tuple[str, ...]:
        """Store documents as the command does; what that changed."""
        writing = loading.Writing.connect(self.settings)
        try:
            return (await writing.replace_documents(batch, progress=lambda _: None)).changes
        finally:
            await writing.close()

    async def holding(self, batch: Sequence[documents.Document]) -> ElasticsearchKnowledge:
        """The store that holds exactly these documents."""
        await self.load(batch)
        return self.knowledge()

    def knowledge(self) -> ElasticsearchKnowledge:
        """The store over these indices."""
        store = ElasticsearchKnowledge.connect(self.settings)
        self._stack.push_async_callback(store.close)
        return store

    async def create(self, key: str, body: dict[str, Any]) -> str:
        """An index as somebody else made it; returns its name."""
        name = str(getattr(self.settings.indices, key))
        await self.client.indices.create(index=name, **body)
        return name

    async def create_ours(self, key: str) -> str:
        """An index as it must be."""
        return await self.create(key, mappings.definition(key, self.settings))
