"""The connection to a cluster, and the few requests that everything else is made of.

Each of them has a timeout, and each answer is complete or an error.
"""

import contextlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import elasticsearch
from elasticsearch import AsyncElasticsearch
from elasticsearch.serializer import CompatibilityModeJsonSerializer, OrjsonSerializer

from safety_governor.adapters.elasticsearch import failures
from safety_governor.domain import elastic, errors

PREFERENCE = "safety-governor"
"""One copy of each shard is asked every time: copies count deleted documents differently, which changes scores."""

HIDDEN = ["search.text", "search.names", "search.spellings", "search.actions", "search.vector"]
"""What is indexed of a document and never read back."""


class _Json(OrjsonSerializer):
    """Most of what a client does besides waiting."""

    mimetype = CompatibilityModeJsonSerializer.mimetype


def connect(settings: elastic.Elasticsearch) -> AsyncElasticsearch:
    """A client, without asking anything yet. Raises ConfigurationError when a file that is named cannot be read."""
    options: dict[str, Any] = {
        "request_timeout": settings.request_timeout.total_seconds(),
        "max_retries": settings.retries,
        "retry_on_timeout": False,  # whoever waited once has no time left
        "retry_on_status": (429, 502, 503, 504),
        "serializers": {_Json.mimetype: _Json()},
    }
    if settings.cloud_id is not None:
        options["cloud_id"] = settings.cloud_id
    else:
        first = settings.addresses[0]
        options["hosts"] = [f"{one.scheme}://{one.host}:{one.port}{(one.path or '').rstrip('/')}" for one in settings.addresses]
        if first.username is not None:
            options["basic_auth"] = (first.username, first.password or "")
    key = _key(settings)
    if key is not None:
        options.pop("basic_auth", None)
        options["api_key"] = key
    if settings.ca_file is not None or settings.cloud_id is not None or any(one.scheme == "https" for one in settings.addresses):
        options["ssl_context"] = _trust(settings.ca_file)
    try:
        return AsyncElasticsearch(**options)
    except ValueError as error:
        raise errors.ConfigurationError(f"Elasticsearch cannot be used as it is configured: {error}") from error


class Cluster:
    """Requests whose failures are ours."""

    def __init__(self, client: AsyncElasticsearch, *, name: str) -> None:
        self.client = client
        self.name = name

    async def close(self) -> None:
        """Release the connections."""
        await self.client.close()

    async def search(self, index: str, body: Mapping[str, Any], **parameters: str) -> Mapping[str, Any]:
        """The complete answer to a search."""
        return await self._search(f"/{index}/_search", index, body, {"preference": PREFERENCE, **parameters})

    async def read_all(self, index: str, body: Mapping[str, Any], *, page: int = 1000) -> list[Mapping[str, Any]]:
        """Every hit of a sorted search, of one moment, however many there are."""
        first = await self.search(index, {**body, "size": page, "track_total_hits": True})
        if first["hits"]["total"]["value"] <= page:
            return list(first["hits"]["hits"])
        with failures.translated(self.name, index):
            moment = (await self.client.open_point_in_time(index=index, keep_alive="1m"))["id"]
        found: list[Mapping[str, Any]] = []
        try:
            while True:
                after = {"search_after": found[-1]["sort"]} if found else {}
                view = {"pit": {"id": moment, "keep_alive": "1m"}, "size": page, "track_total_hits": False}
                hits = (await self._search("/_search", index, {**body, **view, **after}, {}))["hits"]["hits"]
                found += hits
                if len(hits) < page:
                    return found
        finally:
            with contextlib.suppress(elasticsearch.ApiError, elasticsearch.TransportError):  # it ends by itself in a minute
                await self.client.close_point_in_time(id=moment)

    async def _search(self, path: str, index: str, body: Mapping[str, Any], parameters: Mapping[str, str]) -> Mapping[str, Any]:
        complete = {"allow_partial_search_results": "false", **parameters}
        with failures.translated(self.name, index):
            answer = await self.client.perform_request("POST", path, params=complete, headers=_JSON, body=dict(body))
        found: Mapping[str, Any] = answer.body
        if failure := failures.incomplete(found):
            raise failures.unavailable(self.name, failure)
        return found

    async def get_many(self, index: str, identifiers: Sequence[str], *, source: Sequence[str] | None = None) -> list[Mapping[str, Any]]:
        """Those of the documents with these _ids that exist, as they are this moment."""
        if not identifiers:
            return []
        wanted: dict[str, Any] = {"source_excludes": HIDDEN} if source is None else {"source_includes": list(source)}
        with failures.translated(self.name, index):
            answer = await self.client.mget(index=index, ids=list(identifiers), **wanted)
        broken = next((one for one in answer["docs"] if "error" in one), None)
        if broken is not None:
            kind = broken["error"].get("type", "")
            if kind == failures.CLOSED:
                raise failures.unavailable(self.name, failures.closed(index))
            missing = kind == "index_not_found_exception"
            what = f"has no index {index} (404)" if missing else f"could not read {broken.get('_id')} of {index} ({kind})"
            remedy = "run `safety-governor load`, or correct the name of the index" if missing else "look at the health of the cluster"
            raise failures.unavailable(self.name, failures.Failure(what=what, remedy=remedy))
        return [one for one in answer["docs"] if one.get("found")]


_JSON = {
    "accept": "application/vnd.elasticsearch+json; compatible-with=9",
    "content-type": "application/vnd.elasticsearch+json; compatible-with=9",
}


def _key(settings: elastic.Elasticsearch) -> str | None:
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    return None if settings.api_key_file is None else _read(settings.api_key_file, "the API key of Elasticsearch").strip()


def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Our own, as the client's takes any certificate of a known authority where an address has no name, and believes the system's as well."""
    if ca_file is None:
        return ssl.create_default_context()
    certificates = _read(ca_file, "the certificates of Elasticsearch")
    try:
        return ssl.create_default_context(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise errors.ConfigurationError(
            f"the certificates of Elasticsearch in {ca_file} are none (PEM is expected); put the file right and start again"
        ) from error


def _read(path: str, what: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigurationError(f"{what} cannot be read from {path} ({reason}); put the file right and start again") from error
