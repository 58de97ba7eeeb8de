"""A real Elasticsearch that is killed while incidents are planned, tested, and tested again after an approval. Takes minutes: `make crashes`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch as Client

from support.elastic import connection, load_files
from support.operator_process import StartOperator
from support.shop import Shop
from testbed import wait_until
from testbed.elasticsearch import Elasticsearch

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]

LEDGER = {"service": "ledger", "summary": "The ledger queue does not drain, the consumer hangs"}
MANY = [f"slow-{number}" for number in range(4)]
KNOWLEDGE = Path(__file__).parent / "knowledge"


@pytest.fixture
def server() -> Iterator[Elasticsearch]:
    with Elasticsearch() as own:
        yield own


def test_nothing_is_lost_and_every_incident_says_what_it_waits_for_and_goes_on_by_itself(
    server: Elasticsearch, shop: Shop, start_operator: StartOperator
) -> None:
    settings = connection(server.url)
    load_files(settings, KNOWLEDGE)
    named = {f"elasticsearch__indices__{key}": str(name) for key, name in settings.indices.model_dump().items()}
    start_operator(elasticsearch__url=server.url, elasticsearch__analyzer=settings.analyzer, **named)
    for name in ("payments", "ledger"):
        shop.deploy(name)
    mark = shop.cluster.audit_mark()

    # Approved while it is away: what was approved is tested again first, so nothing is done.
    shop.report("stuck", **LEDGER)
    shop.wait_for_phase("stuck", "AwaitingApproval", timeout=60)
    server.stop()
    shop.decide("stuck", "APPROVE", user="bob")
    # Planned while it is away.
    shop.report("slow")
    for name in ("stuck", "slow"):
        waiting = shop.wait_for(name, _says_what_it_waits_for, "to say what it waits for", timeout=60)
        assert "unknown, not empty" in str(waiting["conditions"])
    assert (shop.restarts("ledger", mark), shop.restarts("payments", mark)) == (0, 0)
    server.start()
    for name in ("stuck", "slow"):
        shop.wait_for_phase(name, "Resolved", timeout=120)
    assert (shop.restarts("ledger", mark), shop.restarts("payments", mark)) == (1, 1)

    # Killed in the middle of many: some are planned, some are tested, some wait for their turn.
    for name in MANY:
        shop.report(name)
    wait_until(lambda: any(shop.status(name).get("phase") for name in MANY), 30, "the first to be attended")
    server.stop()
    server.start()
    for name in MANY:
        shop.wait_for_phase(name, "Resolved", timeout=240)
    assert shop.restarts("payments", mark) == 1 + len(MANY)

    # The trail was published meanwhile, each record once.
    with Client(server.url, request_timeout=30) as client:

        def ended() -> list[str]:
            client.indices.refresh(index=settings.indices.workflow_events)
            found = client.search(index=settings.indices.workflow_events, query={"term": {"kind": "Ended"}}, size=100)
            return sorted(hit["_source"]["incident"] for hit in found["hits"]["hits"])

        wait_until(lambda: len(ended()) >= 2 + len(MANY), 60, "the trail to be published")
        assert len(ended()) == len(set(ended())) == 2 + len(MANY)


def _says_what_it_waits_for(status: dict[str, list[dict[str, str]]]) -> bool:
    return any(one["type"] == "Stalled" and one["reason"] == "KnowledgeUnavailable" for one in status.get("conditions", []))
