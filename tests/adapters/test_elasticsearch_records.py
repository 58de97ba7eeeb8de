"""Records in Elasticsearch: each exactly once, however often and in whatever order it is written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from safety_governor.adapters.elasticsearch import Record, Records
from safety_governor.domain import archive, elastic, errors
from support.elastic import ElasticIndices
from support.elastic_double import Answer, ElasticDouble, error
from support.ports import free_port

pytestmark = pytest.mark.timeout(300)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(identifier: str, **fields: Any) -> Record:
    return Record.of(archive.WorkflowEvent(id=identifier, at=NOON, incident="slow", kind="Gated", **fields))


def incident(version: int, phase: str) -> Record:
    return Record.of(archive.IncidentEntry(id="uid-1", at=NOON, incident="slow", version=version, phase=phase))


def action(identifier: str) -> Record:
    return Record.of(archive.ActionExecution(id=identifier, at=NOON, key="k", stage="Intended", type="RolloutRestart", details={"a": "b"}))


class Archive:
    def __init__(self, indices: ElasticIndices) -> None:
        self.indices = indices
        self.records = Records.connect(indices.settings)

    async def held(self, key: str) -> dict[str, dict[str, Any]]:
        name = str(getattr(self.indices.settings.indices, key))
        await self.indices.client.indices.refresh(index=name)
        hits = (await self.indices.client.search(index=name, size=1000))["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


async def test_events_and_actions_are_written_once_however_often(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        kept = Archive(indices)
        try:
            batch = [event("e1", decision="execute", details={"threshold": "2"}), event("e2"), action("a1")]
            first, second = await kept.records.write(batch), await kept.records.write([*batch, event("e3")])
            assert (first.new, first.already, first.refused) == (3, 0, ())
            assert (second.new, second.already, second.refused) == (1, 3, ())
            assert (await kept.held("workflow_events")).keys() == {"e1", "e2", "e3"}
            assert (await kept.held("action_executions"))["a1"]["details"] == {"a": "b"}
        finally:
            await kept.records.close()


async def test_second_event_of_an_id_never_replaces_the_first(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        kept = Archive(indices)
        try:
            await kept.records.write([event("e1", decision="execute")])
            await kept.records.write([event("e1", decision="block")])
            assert (await kept.held("workflow_events"))["e1"]["decision"] == "execute"
        finally:
            await kept.records.close()


async def test_newest_version_of_an_incident_stays(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        kept = Archive(indices)
        try:
            await kept.records.write([incident(1, "Planning"), incident(3, "Resolved")])
            late = await kept.records.write([incident(2, "Executing"), incident(3, "Resolved")])
            assert (late.new, late.already) == (0, 2)
            assert (await kept.held("incidents"))["uid-1"]["phase"] == "Resolved"
        finally:
            await kept.records.close()


async def test_record_that_the_index_never_takes_is_named_and_holds_nothing_up(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        kept = Archive(indices)
        try:
            foreign = Record(index="workflow_events", id="bad", document={"id": "bad", "colour": "red"})
            done = await kept.records.write([event("e1"), foreign, event("e2")])
            assert (done.new, [one.id for one, _ in done.refused]) == (2, ["bad"])
            assert "colour" in done.refused[0][1]
        finally:
            await kept.records.close()


async def test_index_that_differs_takes_no_record(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        kept = Archive(indices)
        try:
            name = await indices.create("workflow_events", {"mappings": {"properties": {"id": {"type": "text"}}}})
            with pytest.raises(errors.RecordsUnavailableError, match="field id is text, must be keyword"):
                await kept.records.write([event("e1")])
            assert (await indices.client.count(index=name))["count"] == 0
        finally:
            await kept.records.close()


async def test_nothing_to_write_asks_nobody() -> None:
    records = Records.connect(elastic.Elasticsearch(url=f"http://127.0.0.1:{free_port()}"))
    assert (await records.write([])).new == 0
    await records.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error(401, "security_exception"), "does not accept the credentials"),
        (error(403, "security_exception"), "does not allow this"),
        (error(429, "es_rejected_execution_exception"), "is overloaded"),
        (error(503, "no_shard_available_action_exception"), "no working shard"),
        (Answer(hangs=True), "did not answer in time"),
        (Answer(product=None), "is not Elasticsearch"),
    ],
)
async def test_records_wait_while_it_is_not_known_that_they_are_written(answer: Answer, said: str) -> None:
    with ElasticDouble(answer) as double:
        records = Records.connect(elastic.Elasticsearch.model_validate({"url": double.url, "request_timeout": 0.5, "retries": 0}))
        with pytest.raises(errors.RecordsUnavailableError, match=f"Records wait to be written: .*{said}"):
            await records.write([event("e1")])
        await records.close()


async def test_record_that_is_put_off_is_written_again_with_all_others(elasticsearch_url: str) -> None:
    settings = elastic.Elasticsearch(url="http://unused", analyzer="standard")
    async with ElasticIndices(elasticsearch_url) as indices:
        name = await indices.create_ours("workflow_events")
        present = (await indices.client.indices.get(index=name)).body[name]
    put_off = {"create": {"_id": "e2", "status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue is full"}}}
    items = {"took": 1, "errors": True, "items": [{"create": {"_id": "e1", "status": 201}}, put_off]}
    with ElasticDouble(Answer(body={name: present}), Answer(body=items)) as double:
        records = Records.connect(settings.model_copy(update={"url": double.url}))
        with pytest.raises(errors.RecordsUnavailableError, match="did not take all of them \\(queue is full\\)"):
            await records.write([event("e1"), event("e2")])
        await records.close()
