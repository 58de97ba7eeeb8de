"""The indices as they must be: read from the files in mappings/, created where they are missing, compared where they are not."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import elasticsearch

from safety_governor.adapters.elasticsearch import client, failures
from safety_governor.domain import elastic

ANALYZER = "governor_text"
KNOWLEDGE = ("runbooks", "evidence", "policies")
RECORDS = ("incidents", "workflow_events", "action_executions")
LIVE_LOGS = "live-logs"
TEMPLATE = "safety-governor-live-logs"
"""How the template of live logs is called on the cluster."""

_PACKAGE = Path(__file__).parents[2]
_SHOWN = 12
_AWAITED = "documents_of_first_load"
_NO_VECTOR = "field search.vector is missing"
_COMPARED = ("analyzer", "dims", "ignore_above", "enabled")


def folder() -> Path:
    """Where the files are: in the package when it was installed, beside the sources in a checkout."""
    installed = _PACKAGE / "mappings"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "mappings"


@functools.cache
def _file(name: str) -> str:
    return (folder() / f"{name}.json").read_text(encoding="utf-8")


def definition(name: str, settings: elastic.Elasticsearch) -> dict[str, Any]:
    """The index of that file, with the analyzer and the vectors that are configured."""
    body = json.loads(_file(name))
    index: dict[str, Any] = body["template"] if name == LIVE_LOGS else body
    index["settings"]["analysis"]["analyzer"][ANALYZER] = {"type": settings.analyzer}
    if settings.embeddings is not None and name in ("runbooks", "evidence"):
        vector = {"type": "dense_vector", "dims": settings.embeddings.dimensions, "similarity": "cosine"}
        index["mappings"]["properties"]["search"]["properties"]["vector"] = vector
    return index


def template(settings: elastic.Elasticsearch) -> dict[str, Any]:
    """The index template of live logs."""
    body: dict[str, Any] = json.loads(_file(LIVE_LOGS))
    body["template"] = definition(LIVE_LOGS, settings)
    return body


async def prepare(
    cluster: client.Cluster, index: str, wanted: Mapping[str, Any], *, closed: bool = False, bringing: int | None = None
) -> bool:
    """Create the index if it is missing, and answer whether nobody can read it yet.

    `closed` creates it so that nobody can before `open_up`; `bringing` is how many documents it then will have. Raises
    KnowledgeUnavailableError when it is there and differs, and says in what, and when a load that broke off was to bring more.
    """
    with failures.translated(cluster.name, index):
        try:
            found = (await cluster.client.indices.get(index=index)).body
        except elasticsearch.NotFoundError:
            found = {}
        if not found:
            await _create(cluster, index, wanted, closed=closed, bringing=bringing or 0)
            return closed
    for name, present in found.items():
        different = list(differences(present, wanted))
        if different == [_NO_VECTOR]:  # configured since the index was made
            await _add_vector(cluster, name, wanted)
        elif different:
            shown = "; ".join(different[:_SHOWN]) + (f"; and {len(different) - _SHOWN} more" if len(different) > _SHOWN else "")
            what = f"has an index {name} that differs from what is needed ({shown})"
            remedy = "name another index, or move this one away and load again"
            raise failures.unavailable(cluster.name, failures.Failure(what=what, remedy=remedy))
    unread = [name for name, present in found.items() if _is_closed(present)]
    for name in unread if bringing is not None else ():
        await _complete(cluster, name, found[name], bringing=bringing or 0)
    return bool(unread)


async def _complete(cluster: client.Cluster, index: str, present: Mapping[str, Any], *, bringing: int) -> None:
    """See that a load that opens the index brings as much as the one that broke off: what is missing would be taken for what does not exist."""
    awaited = int(present.get("mappings", {}).get("_meta", {}).get(_AWAITED, 0))
    if bringing < awaited:
        what = f"has an index {index} whose first load broke off: that was to bring {awaited} of its documents, this one brings {bringing}"
        remedy = "load all of them at once, or delete the index if the others are not wanted any more"
        raise failures.unavailable(cluster.name, failures.Failure(what=what, remedy=remedy))
    if bringing > awaited:
        with failures.translated(cluster.name, index):
            await cluster.client.indices.put_mapping(index=index, meta={_AWAITED: bringing})


async def open_up(cluster: client.Cluster, index: str) -> None:
    """Let everybody read the index: all that it is to hold at first is there."""
    with failures.translated(cluster.name, index):
        await cluster.client.indices.refresh(index=index)
        await cluster.client.indices.put_settings(index=index, settings={"index.blocks.read": False})


def _is_closed(present: Mapping[str, Any]) -> bool:
    return str(present.get("settings", {}).get("index", {}).get("blocks", {}).get("read", "false")) == "true"


def differences(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """In what an index differs, field by field. A vector that is not needed is no difference."""
    here = present.get("settings", {}).get("index", {}).get("analysis", {}).get("analyzer", {}).get(ANALYZER, {}).get("type")
    needed = wanted["settings"]["analysis"]["analyzer"][ANALYZER]["type"]
    if here != needed:
        yield f"analyzer {ANALYZER} is {here or 'missing'}, must be {needed}"
    mapping = present.get("mappings", {})
    strict = str(wanted["mappings"]["dynamic"]).lower()
    if str(mapping.get("dynamic", "true")).lower() != strict:
        yield f"dynamic is {str(mapping.get('dynamic', 'true')).lower()}, must be {strict}"
    yield from _fields("", mapping.get("properties", {}), wanted["mappings"]["properties"], closed=strict == "strict")


def _fields(path: str, present: Mapping[str, Any], wanted: Mapping[str, Any], *, closed: bool) -> Iterator[str]:
    for name, needed in wanted.items():
        field, here = f"{path}{name}", present.get(name)
        if here is None:
            yield f"field {field} is missing"
            continue
        kind, must = here.get("type", "object"), needed.get("type", "object")
        if kind != must:
            yield f"field {field} is {kind}, must be {must}"
            continue
        for option in _COMPARED:
            if here.get(option) != needed.get(option):
                yield f"field {field} has {option} {here.get(option, 'unset')}, must be {needed.get(option, 'unset')}"
        yield from _fields(f"{field}.", here.get("properties", {}), needed.get("properties", {}), closed=closed)
        yield from _fields(f"{field}.", here.get("fields", {}), needed.get("fields", {}), closed=False)
    unknown = sorted(present.keys() - wanted.keys() - {"vector"}) if closed else []
    for name in unknown:
        yield f"field {path}{name} is not known"


async def _add_vector(cluster: client.Cluster, index: str, wanted: Mapping[str, Any]) -> None:
    vector = wanted["mappings"]["properties"]["search"]["properties"]["vector"]
    with failures.translated(cluster.name, index):
        await cluster.client.indices.put_mapping(index=index, properties={"search": {"properties": {"vector": vector}}})


async def _create(cluster: client.Cluster, index: str, wanted: Mapping[str, Any], *, closed: bool, bringing: int) -> None:
    settings = {**wanted["settings"], **({"index.blocks.read": True} if closed else {})}
    try:
        await cluster.client.indices.create(
            index=index,
            settings=settings,
            mappings={**wanted["mappings"], "_meta": {_AWAITED: bringing}},
            wait_for_active_shards=0 if closed else 1,
        )
    except elasticsearch.BadRequestError as error:
        if error.error != "resource_already_exists_exception":  # another process was faster
            raise
