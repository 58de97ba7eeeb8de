"""The operator with its knowledge in a real Elasticsearch: it waits while it is not there, says for what, and goes on by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from safety_governor.domain import elastic
from support.elastic import connection, load_files
from support.operator_process import StartOperator
from support.shop import Shop
from testbed import wait_until

pytestmark = pytest.mark.timeout(300)

KNOWLEDGE = Path(__file__).parent / "knowledge"


@pytest.fixture
def settings(elasticsearch_url: str) -> Iterator[elastic.Elasticsearch]:
    found = connection(elasticsearch_url)
    yield found
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.delete(index=[str(name) for name in found.indices.model_dump().values()], ignore_unavailable=True)


def test_incident_waits_for_elasticsearch_and_goes_on_when_it_is_loaded(
    shop: Shop, start_operator: StartOperator, settings: elastic.Elasticsearch
) -> None:
    shop.deploy("payments")
    named = {f"elasticsearch__indices__{key}": str(name) for key, name in settings.indices.model_dump().items()}
    start_operator(elasticsearch__url=settings.url or "", elasticsearch__analyzer=settings.analyzer, **named)
    mark = shop.cluster.audit_mark()
    shop.report("slow")
    waiting = shop.wait_for("slow", lambda now: "has no index" in str(now.get("conditions")), "to say what it waits for")
    assert f"has no index {settings.indices.runbooks} (404), so what it holds is unknown, not empty" in str(waiting["conditions"])
    assert shop.restarts("payments", mark) == 0
    load_files(settings, KNOWLEDGE)
    status = shop.wait_for_phase("slow", "Resolved", timeout=90)
    assert status["gate"]["decision"] == "execute"
    assert shop.restarts("payments", mark) == 1

    # The audit trail is published there as well, in its own time.
    with Elasticsearch(settings.url or "") as client:
        names = settings.indices

        def published() -> bool:
            client.indices.refresh(index=[names.incidents, names.workflow_events, names.action_executions], ignore_unavailable=True)
            found = client.options(ignore_status=404).search(index=names.incidents, query={"term": {"phase": "Resolved"}})
            return len(found.get("hits", {}).get("hits", ())) == 1

        wait_until(published, 30, "the audit trail to be published")
        kinds = {hit["_source"]["kind"] for hit in client.search(index=names.workflow_events, size=50)["hits"]["hits"]}
        assert kinds == {"Reported", "Planned", "Stressed", "Gated", "Claimed", "ActionEnded", "Ended"}
        stages = sorted(hit["_source"]["stage"] for hit in client.search(index=names.action_executions)["hits"]["hits"])
        assert stages == ["Ended", "Intended"]
