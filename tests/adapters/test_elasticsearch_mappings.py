"""The files in mappings/ against the types of the documents, and against indices that are there already."""

import copy
import json
import types
import typing
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import pydantic
import pytest

from safety_governor.adapters.elasticsearch import contents, loading, mappings
from safety_governor.domain import archive, documents, elastic, errors
from support.elastic import ElasticIndices

pytestmark = pytest.mark.timeout(300)

KINDS: dict[str, type[pydantic.BaseModel]] = {
    "runbooks": documents.Runbook,
    "evidence": documents.Evidence,
    "policies": documents.Policy,
    "incidents": archive.IncidentEntry,
    "workflow_events": archive.WorkflowEvent,
    "action_executions": archive.ActionExecution,
}
FITTING: dict[type, frozenset[str]] = {
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "long"}),
    float: frozenset({"float", "double"}),
    str: frozenset({"keyword", "text"}),
    datetime: frozenset({"date", "date_nanos"}),
    dict: frozenset({"flattened"}),
}
PLAIN = elastic.Elasticsearch()


def bare(annotation: Any) -> Any:
    """The type of one value: without bounds, without None, without the tuple around it."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return bare(typing.get_args(annotation)[0])
    if origin is tuple:
        return bare(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return bare(next(one for one in typing.get_args(annotation) if one is not type(None)))
    return origin or annotation


def compare(path: str, kind: type[pydantic.BaseModel], properties: dict[str, Any]) -> list[str]:
    """In what a mapping does not hold what the type has."""
    ours = {name: field.annotation for name, field in kind.model_fields.items()}
    wrong = [f"{path}{name}" for name in sorted(ours.keys() ^ (properties.keys() - {"search"}))]
    for name in ours.keys() & properties.keys():
        found = bare(ours[name])
        if isinstance(found, type) and issubclass(found, pydantic.BaseModel):
            wrong += compare(f"{path}{name}.", found, properties[name].get("properties", {}))
        else:
            found = str if issubclass(found, Enum) else found
            wrong += [] if properties[name].get("type") in FITTING[found] else [f"{path}{name}: {properties[name]} for {found}"]
    return wrong


@pytest.mark.parametrize("name", KINDS)
def test_every_field_of_a_type_has_its_place_and_no_other(name: str) -> None:
    assert compare("", KINDS[name], mappings.definition(name, PLAIN)["mappings"]["properties"]) == []


@pytest.mark.parametrize("name", [*KINDS, mappings.LIVE_LOGS])
def test_every_index_has_the_one_analyzer(name: str) -> None:
    definition = mappings.definition(name, PLAIN)
    assert definition["settings"]["analysis"] == {"analyzer": {"governor_text": {"type": "english"}}}
    said = json.dumps(definition["mappings"])
    assert set(said.split('"analyzer": "')[1:]) == {
        part for part in said.split('"analyzer": "')[1:] if part.startswith(("governor_text", "whitespace"))
    }


@pytest.mark.parametrize("name", KINDS)
def test_no_field_is_taken_that_is_not_known(name: str) -> None:
    assert mappings.definition(name, PLAIN)["mappings"]["dynamic"] == "strict"


def test_every_file_is_used() -> None:
    assert {path.stem for path in mappings.folder().glob("*.json")} == {*KINDS, mappings.LIVE_LOGS}


def test_what_is_indexed_of_a_document_is_in_the_mapping() -> None:
    step = documents.RunbookStep.model_validate({"type": "Manual", "text": "x"})
    remedy = documents.Remediation(action="follow", steps=(step,))
    found: dict[str, documents.Document] = {
        "runbooks": documents.Runbook(id="r", title="Disk full", recommended_action="follow", remediations=(remedy,)),
        "evidence": documents.Evidence(id="e", stance=documents.Stance.SUPPORTS, text="x"),
        "policies": documents.Policy(id="p", blocked_actions=(), severities=(), rule="x"),
    }
    for name, document in found.items():
        known = mappings.definition(name, PLAIN)["mappings"]["properties"]
        body = contents.encoded(document)
        assert body.keys() <= known.keys()
        assert body["search"].keys() == known["search"]["properties"].keys()


async def test_indices_are_created_as_they_must_be(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        await indices.load([])
        for key in mappings.KNOWLEDGE:
            found = await indices.client.indices.get(index=str(getattr(indices.settings.indices, key)))
            (index,) = found.values()
            assert list(mappings.differences(index, mappings.definition(key, indices.settings))) == []


async def test_records_and_live_logs_are_taken_by_the_server_as_they_stand_in_the_files(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        for key in mappings.RECORDS:
            await indices.create_ours(key)
        template = mappings.template(indices.settings)
        await indices.client.indices.put_index_template(
            name=f"{indices.settings.indices.logs}-template", **{**template, "index_patterns": ["no-such-*"]}
        )
        await indices.client.indices.delete_index_template(name=f"{indices.settings.indices.logs}-template")


async def test_index_that_differs_is_refused_with_every_field(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        other = copy.deepcopy(mappings.definition("policies", indices.settings))
        properties = other["mappings"]["properties"]
        properties["rule"] = {"type": "keyword"}
        properties["owner"] = {"type": "keyword"}
        del properties["release"]
        other["mappings"]["dynamic"] = True
        name = await indices.create("policies", other)
        with pytest.raises(errors.KnowledgeUnavailableError) as raised:
            await indices.load([documents.Policy(id="p", blocked_actions=(), severities=(), rule="x")])
        said = str(raised.value)
        assert f"has an index {name} that differs from what is needed (" in said
        for part in ("dynamic is true, must be strict", "field rule is keyword, must be text", "field release is missing"):
            assert part in said
        other["mappings"]["dynamic"] = "strict"
        assert "field owner is not known" in list(
            mappings.differences(other | _as_stored(other), mappings.definition("policies", indices.settings))
        )
        assert (await indices.client.count(index=name))["count"] == 0


async def test_another_analyzer_is_another_index(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        await indices.load([])
        english = loading.Writing.connect(indices.settings.model_copy(update={"analyzer": "english"}))
        try:
            with pytest.raises(errors.KnowledgeUnavailableError, match="analyzer governor_text is standard, must be english"):
                await english.replace_documents([], progress=lambda _: None)
        finally:
            await english.close()


async def test_analyzer_that_the_cluster_lacks_is_said(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url, analyzer="klingon") as indices:
        with pytest.raises(errors.KnowledgeUnavailableError, match="has no analyzer klingon"):
            await indices.load([])


def _as_stored(definition: dict[str, Any]) -> dict[str, Any]:
    return {"settings": {"index": definition["settings"]}}
