"""The store on Elasticsearch where it differs from others: what is loaded how, what others wrote, and much of everything."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from safety_governor.adapters import document_files
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.domain import documents, errors
from safety_governor.pipeline import ports
from support.elastic import ElasticIndices

pytestmark = pytest.mark.timeout(300)

DATA = Path(__file__).parents[3] / "shared" / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "knowledge"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_runbook(identifier: str, title: str, *, body: str = "", service: str = "*") -> documents.Runbook:
    remedy = documents.Remediation(action="follow", steps=(documents.RunbookStep.model_validate({"type": "Manual", "text": "x"}),))
    return documents.Runbook(id=identifier, title=title, body=body, service=service, recommended_action="follow", remediations=(remedy,))


def policy(identifier: str, rule: str = "No.") -> documents.Policy:
    return documents.Policy(id=identifier, blocked_actions=("restart",), severities=("*",), rule=rule)


async def ids(store: ports.Knowledge, query: str, limit: int = 10) -> list[str]:
    return [hit.document.id for hit in await store.search_runbooks(query, service="checkout", limit=limit)]


async def test_load_says_what_it_changed_and_changes_nothing_twice(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        batch = [a_runbook("a", "Disk full"), policy("p"), policy("q")]
        assert await indices.load(batch) == ("added", "added", "added")
        before = await _sequence(indices.client, indices.settings.indices.policies)
        assert await indices.load(batch) == ("unchanged", "unchanged", "unchanged")
        assert await _sequence(indices.client, indices.settings.indices.policies) == before
        assert await indices.load([policy("p"), policy("q", "Never."), policy("q", "Never."), policy("r")]) == (
            "unchanged",
            "changed",
            "unchanged",
            "added",
        )
        assert (await indices.knowledge().find_policies(["Q"]))["q"].rule == "Never."


async def test_index_that_is_missing_is_unknown_and_not_empty(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        with pytest.raises(errors.KnowledgeUnavailableError, match=r"has no index .* run `safety-governor load`"):
            await ids(indices.knowledge(), "disk full")
        with pytest.raises(errors.KnowledgeUnavailableError, match="has no index"):
            await indices.knowledge().fetch_policies(service="checkout")


async def test_index_is_unknown_until_its_first_load_is_complete(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        too_old = documents.LogLine(id="old", service="checkout", timestamp=datetime(1901, 1, 1, tzinfo=UTC), message="x")
        batch = [policy("p"), a_runbook("a", "Disk full")]
        with pytest.raises(errors.PartlyStoredError):
            await indices.load([*batch, too_old])
        store = indices.knowledge()
        for ask in (store.fetch_policies(service="x"), ids(store, "disk full"), store.find_runbook("a"), store.find_evidence(["e"])):
            with pytest.raises(errors.KnowledgeUnavailableError, match=r"has not got all of .* yet, so what it holds is unknown"):
                await ask
        with pytest.raises(
            errors.KnowledgeUnavailableError, match=r"was to bring 1 of its documents, this one brings 0, .*: load all of them"
        ):
            await indices.load([a_runbook("a", "Disk full")])
        with pytest.raises(errors.KnowledgeUnavailableError, match="has not got all of"):
            await store.fetch_policies(service="x")
        await indices.load(batch)
        assert [one.id for one in await store.fetch_policies(service="x")] == ["p"]
        assert await store.find_evidence(["e"]) == {}


async def test_more_policies_than_one_answer_holds_are_read_completely(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([policy(f"P{number:05}") for number in range(10_500)])
        found = await store.fetch_policies(service="checkout")
        assert [one.id for one in found] == [f"P{number:05}" for number in range(10_500)]


async def test_runbook_that_is_replaced_is_found_by_its_new_words_only(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([a_runbook("a", "Disk full"), a_runbook("b", "Queue stuck")])
        assert await ids(store, "disk full") == ["a"]
        await indices.load([a_runbook("a", "Certificate expired")])
        assert await ids(store, "disk full") == []
        (hit,) = await store.search_runbooks("certificate expired", service="checkout", limit=5)
        assert hit.document.title == "Certificate expired"


async def test_weights_follow_what_is_loaded(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        first = [a_runbook("a", "Disk full"), a_runbook("b", "Queue stuck")]
        store = await indices.holding(first)
        alone = (await store.search_runbooks("disk full", service="checkout", limit=1))[0].score
        more = [a_runbook(f"m{number}", "Disk slow") for number in range(5)]
        await indices.load(more)
        embedded = EmbeddedKnowledge.in_memory()
        embedded.replace_documents([*first, *more])
        expected = (await embedded.search_runbooks("disk full", service="checkout", limit=1))[0].score
        assert (await store.search_runbooks("disk full", service="checkout", limit=1))[0].score == pytest.approx(expected, rel=1e-4)
        assert alone != pytest.approx(expected, rel=1e-2)


async def test_document_that_somebody_else_wrote_is_found_by_its_words(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([a_runbook("ours", "Queue stuck")])
        theirs = a_runbook("theirs", "Disk is full").model_dump(mode="json")
        await indices.client.index(index=indices.settings.indices.runbooks, document=theirs, refresh=True)
        assert await ids(store, "disk full") == ["theirs"]
        assert (await store.find_runbook("theirs")) == a_runbook("theirs", "Disk is full")


async def test_policy_that_names_no_service_concerns_all(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([])
        bare = {"id": "p", "blocked_actions": ["Restart"], "severities": ["*"], "rule": "x"}
        await indices.client.index(index=indices.settings.indices.policies, document=bare, refresh=True)
        (found,) = await store.fetch_policies(service="checkout")
        assert (found.id, found.service, found.blocked_actions) == ("p", "*", ("restart",))


async def test_document_that_cannot_be_read_makes_the_answer_unknown(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([policy("good")])
        broken = {"id": "bad", "service": "*", "blocked_actions": ["x"], "severities": ["sometimes"], "rule": "x"}
        await indices.client.index(index=indices.settings.indices.policies, document=broken, refresh=True)
        with pytest.raises(errors.KnowledgeUnavailableError, match=r"has a Policy bad in .* that cannot be read \(severities.0"):
            await store.fetch_policies(service="checkout")


async def test_document_that_the_index_refuses_is_named_and_the_others_are_stored(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        too_old = documents.LogLine(id="old", service="checkout", timestamp=datetime(1901, 1, 1, tzinfo=UTC), message="x")
        with pytest.raises(errors.PartlyStoredError, match=r"refused 1 documents for .* \(old: .*load again"):
            await indices.load([policy("p"), too_old])
        assert await indices.load([policy("p")]) == ("added",)  # nobody had seen it before
        assert "p" in await indices.knowledge().find_policies(["p"])


async def test_ids_that_no_document_can_have_are_not_there(elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding([policy("p")])
        assert await store.find_evidence(["", "\ud800", "x" * 4000, "\x00"]) == {}


async def test_examples_are_decided_alike_by_both_stores(elasticsearch_url: str) -> None:
    files = document_files.read([EXAMPLES], now=NOW, stored_runbook=lambda _: None)
    batch = [document for file in files for document in file.documents]
    embedded = EmbeddedKnowledge.in_memory()
    embedded.replace_documents(batch)
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding(batch)
        for service in ("checkout", "payments", "search-api", "catalog"):
            for query in ("workers hang and the queue grows", "restart frees memory", "the certificate of the acquirer"):
                for search in ("search_runbooks", "search_evidence"):
                    mine = [hit.document.id for hit in await getattr(store, search)(query, service=service, limit=5)]
                    theirs = [hit.document.id for hit in await getattr(embedded, search)(query, service=service, limit=5)]
                    assert mine == theirs


@pytest.mark.skipif(not DATA.is_dir(), reason="the runbooks and alert texts are not beside the repository")
async def test_real_alerts_find_their_real_runbooks_as_often_as_in_the_embedded_store(elasticsearch_url: str) -> None:
    with (DATA / "alert_runbook_pairs.tsv").open(encoding="utf-8") as file:
        pairs = [(row["query"], row["relevant_runbook"].removesuffix(".md")) for row in csv.DictReader(file, delimiter="\t")]
    batch = [one for file in document_files.read([DATA / "runbooks"], now=NOW, stored_runbook=lambda _: None) for one in file.documents]
    embedded = EmbeddedKnowledge.in_memory()
    embedded.replace_documents(batch)
    async with ElasticIndices(elasticsearch_url) as indices:
        ours, theirs = await _hits(await indices.holding(batch), pairs), await _hits(embedded, pairs)
    assert ours[0] == pytest.approx(theirs[0], abs=0.02)
    assert ours[1] == pytest.approx(theirs[1], abs=0.02)


async def _hits(store: ports.Knowledge, pairs: list[tuple[str, str]]) -> tuple[float, float]:
    ranks = []
    for query, wanted in pairs:
        found = await ids(store, query, 3)
        ranks.append(found.index(wanted) if wanted in found else 3)
    return sum(rank == 0 for rank in ranks) / len(ranks), sum(rank < 3 for rank in ranks) / len(ranks)


async def _sequence(client: AsyncElasticsearch, index: str) -> Any:
    return (await client.indices.stats(index=index))["indices"][index]["primaries"]["indexing"]["index_total"]
