"""Searches by words and by meaning, against the real server and a service of embeddings; and what is said when there are no vectors."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from safety_governor.domain import documents, errors
from safety_governor.search import fusion
from support.elastic import ElasticIndices
from support.embedding_service import DIMENSIONS, EmbeddingService

pytestmark = pytest.mark.timeout(300)

MODE = documents.SearchMode


def a_runbook(identifier: str, title: str, *, service: str = "*") -> documents.Runbook:
    remedy = documents.Remediation(action="follow", steps=(documents.RunbookStep.model_validate({"type": "Manual", "text": "x"}),))
    return documents.Runbook(id=identifier, title=title, service=service, recommended_action="follow", remediations=(remedy,))


def evidence(identifier: str, text: str, stance: documents.Stance) -> documents.Evidence:
    return documents.Evidence(id=identifier, stance=stance, text=text)


BATCH = [
    a_runbook("storage", "Storage exhausted"),
    a_runbook("latency", "Sluggish answers"),
    a_runbook("other", "Storage exhausted", service="cart"),
    evidence("for", "Storage was exhausted", documents.Stance.SUPPORTS),
    evidence("against", "Storage was never exhausted", documents.Stance.CONTRADICTS),
]


@pytest.fixture
def service() -> Iterator[EmbeddingService]:
    with EmbeddingService(key="a-key") as running:
        yield running


@pytest_asyncio.fixture
async def indices(service: EmbeddingService, elasticsearch_url: str) -> AsyncIterator[ElasticIndices]:
    async with ElasticIndices(elasticsearch_url, embeddings=settings(service)) as made:
        yield made


def settings(service: EmbeddingService, **others: Any) -> dict[str, Any]:
    return {"url": service.url, "model": "small", "dimensions": DIMENSIONS, "api_key": "a-key", "timeout": 5, **others}


def ids(hits: documents.Hits[Any]) -> list[str]:
    return [hit.document.id for hit in hits]


async def test_runbook_is_found_by_what_it_means_and_the_answer_says_so(indices: ElasticIndices) -> None:
    store = await indices.holding(BATCH)
    hits = await store.search_runbooks("disk is full", service="checkout", limit=5)
    assert ids(hits)[0] == "storage"
    assert "other" not in ids(hits)
    assert documents.mode_of(hits) is MODE.HYBRID


async def test_evidence_of_the_wanted_stance_only_is_found_by_meaning(indices: ElasticIndices) -> None:
    store = await indices.holding(BATCH)
    hits = await store.search_evidence("disk full", service="checkout", limit=5, stance=documents.Stance.CONTRADICTS)
    assert ids(hits) == ["against"]


async def test_limit_holds_for_what_was_fused(indices: ElasticIndices) -> None:
    store = await indices.holding(BATCH)
    assert len(await store.search_runbooks("storage exhausted", service="checkout", limit=1)) == 1
    assert ids(await store.search_runbooks("storage exhausted", service="checkout", limit=0)) == []


@pytest.mark.parametrize(
    "trouble",
    [
        (500, {}),
        (429, {}),
        (200, b"not json"),
        (200, {"data": []}),
        (200, {"data": [{"index": 0, "embedding": [1.0]}]}),
        (200, {"data": [{"index": 0, "embedding": [0.0] * DIMENSIONS}]}),
        (302, {}),
    ],
    ids=str,
)
async def test_without_vectors_the_answer_is_that_of_the_words_and_says_so(
    trouble: tuple[int, Any], indices: ElasticIndices, service: EmbeddingService
) -> None:
    store = await indices.holding(BATCH)
    service.troubles.append(trouble)
    hits = await store.search_runbooks("storage is exhausted", service="checkout", limit=5)
    assert ids(hits) == ["storage"]
    assert documents.mode_of(hits) is MODE.TEXT_INSTEAD


async def test_service_that_hangs_does_not_hold_the_answer_up(service: EmbeddingService, elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        await indices.load(BATCH)
        service.hangs = True
        indices.settings = indices.settings.model_validate({**indices.settings.model_dump(), "embeddings": settings(service, timeout=0.2)})
        hits = await indices.knowledge().search_runbooks("storage is exhausted", service="checkout", limit=5)
        assert (ids(hits), documents.mode_of(hits)) == (["storage"], MODE.TEXT_INSTEAD)


async def test_documents_are_not_loaded_without_their_vectors(indices: ElasticIndices, service: EmbeddingService) -> None:
    service.troubles.append((503, {}))
    with pytest.raises(errors.PartlyStoredError, match="the embedding service answered 503, and documents are not stored without"):
        await indices.load(BATCH)
    assert set(await indices.load(BATCH)) == {"added"}


async def test_loading_again_asks_for_no_vector_twice(indices: ElasticIndices, service: EmbeddingService) -> None:
    await indices.load(BATCH)
    before = len(service.asked)
    assert set(await indices.load(BATCH)) == {"unchanged"}
    assert len(service.asked) == before


async def test_vectors_can_be_added_to_indices_that_were_made_without(service: EmbeddingService, elasticsearch_url: str) -> None:
    async with ElasticIndices(elasticsearch_url) as indices:
        store = await indices.holding(BATCH)
        hits = await store.search_runbooks("disk is full", service="checkout", limit=5)
        assert (ids(hits), documents.mode_of(hits)) == ([], MODE.TEXT)
        indices.settings = indices.settings.model_validate({**indices.settings.model_dump(), "embeddings": settings(service)})
        assert set(await indices.load(BATCH)) == {"changed"}
        assert ids(await indices.knowledge().search_runbooks("disk is full", service="checkout", limit=5))[0] == "storage"
        plain = indices.settings.model_copy(update={"embeddings": None})
        indices.settings = plain  # whoever does without them again keeps the index
        assert set(await indices.load(BATCH)) == {"changed"}


def test_fusion_counts_ranks_and_breaks_ties_by_id() -> None:
    a, b, c = (a_runbook(name, name) for name in "abc")
    assert [(hit.document.id, hit.score) for hit in fusion.fused([[a, b], [c, b]], limit=5)] == [
        ("b", round(2 / 62, 6)),
        ("a", round(1 / 61, 6)),
        ("c", round(1 / 61, 6)),
    ]
    assert [hit.document.id for hit in fusion.fused([[b, a], []], limit=1)] == ["b"]
