"""What is said when Elasticsearch does not answer completely: one sentence, and never that there is nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from safety_governor.adapters.elasticsearch import ElasticsearchKnowledge
from safety_governor.domain import elastic, errors
from support.elastic_double import Answer, ElasticDouble, error
from support.ports import free_port

Question = Callable[[ElasticsearchKnowledge], Awaitable[Any]]

QUESTIONS: dict[str, Question] = {
    "search_runbooks": lambda store: store.search_runbooks("disk full", service="checkout", limit=3),
    "search_evidence": lambda store: store.search_evidence("disk full", service="checkout", limit=3),
    "find_runbook": lambda store: store.find_runbook("a"),
    "find_evidence": lambda store: store.find_evidence(["a"]),
    "fetch_policies": lambda store: store.fetch_policies(service="checkout"),
    "find_policies": lambda store: store.find_policies(["a"]),
    "summarise_logs": lambda store: store.summarise_logs(
        service="checkout", until=datetime(2026, 1, 1, tzinfo=UTC), window=timedelta(hours=1)
    ),
}

SENTENCES = {
    "key": (error(401, "security_exception"), "does not accept the credentials (401)", "GOVERNOR_ELASTICSEARCH__API_KEY"),
    "privilege": (error(403, "security_exception"), "does not allow this for", "privileges"),
    "index": (error(404, "index_not_found_exception"), "has no index", "safety-governor load"),
    "overload": (error(429, "es_rejected_execution_exception"), "is overloaded (429)", "asked again later"),
    "failure": (error(500, "null_pointer_exception"), "failed (500, null_pointer_exception)", "log of the cluster"),
    "gateway": (Answer(status=502, body=b"<html>", product=None), "failed (502", "log of the cluster"),
    "red": (error(503, "no_shard_available_action_exception"), "has no working shard for", "red"),
    "all shards": (error(503, "search_phase_execution_exception", "all shards failed"), "has no working shard for", "health"),
    "block": (error(403, "cluster_block_exception"), "has blocked", "lift the block"),
    "version": (error(400, "media_type_header_exception"), "is of another major version", "Elasticsearch 9"),
    "request": (
        error(400, "parsing_exception", "unknown query"),
        "refused the request (400, parsing_exception: unknown query)",
        "mappings/",
    ),
    "product": (Answer(body={"hits": {}}, product=None), "is not Elasticsearch", "GOVERNOR_ELASTICSEARCH__URL"),
    "another server": (Answer(status=501, body=b"<html>", product=None), "is not Elasticsearch (it answered 501)", "ELASTICSEARCH__URL"),
    "another page": (Answer(status=404, body=b"<html>", product=None), "is not Elasticsearch (it answered 404)", "ELASTICSEARCH__URL"),
    "door": (Answer(status=401, body=b"<html>", product=None), "does not accept the credentials (401)", "API_KEY"),
    "closed": (error(400, "index_closed_exception", "closed"), "has closed", "open it again"),
    "analyzer": (
        error(400, "illegal_argument_exception", "Unknown analyzer type [english] for [governor_text]"),
        "has no analyzer english",
        "GOVERNOR_ELASTICSEARCH__ANALYZER",
    ),
    "garbage": (Answer(body=b"not json"), "gave an answer that cannot be read", "between"),
    "time": (Answer(hangs=True), "did not answer in time", "REQUEST_TIMEOUT"),
}
PARTIAL = {
    "time": ({"timed_out": True, "_shards": {"failed": 0, "total": 1}, "hits": {"hits": [], "total": {"value": 0}}}, "the time was up"),
    "shards": (
        {"timed_out": False, "_shards": {"failed": 1, "total": 2}, "hits": {"hits": [], "total": {"value": 0}}},
        "1 of 2 shards failed",
    ),
}


@asynccontextmanager
async def store_at(url: str, **settings: Any) -> AsyncIterator[ElasticsearchKnowledge]:
    given = {"url": url, "request_timeout": 5, "retries": 0, **settings}
    store = ElasticsearchKnowledge.connect(elastic.Elasticsearch.model_validate(given))
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("failure", sorted(SENTENCES.keys() - {"time"}))
async def test_every_question_fails_with_one_sentence(failure: str, question: str) -> None:
    answer, what, remedy = SENTENCES[failure]
    with ElasticDouble(answer) as double:
        async with store_at(double.url) as store:
            with pytest.raises(errors.KnowledgeUnavailableError) as raised:
                await QUESTIONS[question](store)
    said = str(raised.value)
    assert said.startswith(f"Elasticsearch at {double.url} {what}")
    assert "is unknown, not empty: " in said
    assert remedy in said
    assert said.endswith(".")
    assert ". " not in said


@pytest.mark.parametrize("question", QUESTIONS)
async def test_what_takes_too_long_is_unknown(question: str) -> None:
    with ElasticDouble(Answer(hangs=True)) as double:
        async with store_at(double.url, request_timeout=0.2) as store:
            with pytest.raises(errors.KnowledgeUnavailableError, match="did not answer in time, so what it holds is unknown"):
                await QUESTIONS[question](store)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_nobody_there_is_unknown(question: str) -> None:
    async with store_at(f"http://127.0.0.1:{free_port()}") as store:
        with pytest.raises(errors.KnowledgeUnavailableError, match="cannot be reached, so what it holds is unknown"):
            await QUESTIONS[question](store)


@pytest.mark.parametrize("question", sorted(QUESTIONS.keys() - {"summarise_logs"}))
@pytest.mark.parametrize("why", PARTIAL)
async def test_an_answer_of_some_shards_is_none(why: str, question: str) -> None:
    body, said = PARTIAL[why]
    with ElasticDouble(Answer(body=body)) as double:
        async with store_at(double.url) as store:
            with pytest.raises(errors.KnowledgeUnavailableError, match=said):
                await QUESTIONS[question](store)


async def test_overload_is_asked_again_as_often_as_configured() -> None:
    with ElasticDouble(error(429, "es_rejected_execution_exception")) as double:
        async with store_at(double.url, retries=2) as store:
            with pytest.raises(errors.KnowledgeUnavailableError):
                await QUESTIONS["fetch_policies"](store)
    assert len(double.asked) == 3


async def test_what_comes_back_after_a_retry_is_an_answer() -> None:
    nothing = Answer(body={"timed_out": False, "_shards": {"failed": 0, "total": 1}, "hits": {"hits": [], "total": {"value": 0}}})
    with ElasticDouble(error(503, "x"), nothing) as double:
        async with store_at(double.url, retries=1) as store:
            assert await store.fetch_policies(service="checkout") == []


async def test_searches_ask_for_complete_answers_and_send_the_key() -> None:
    nothing = Answer(body={"timed_out": False, "_shards": {"failed": 0, "total": 1}, "hits": {"hits": [], "total": {"value": 0}}})
    with ElasticDouble(nothing) as double:
        async with store_at(double.url, api_key="a2V5") as store:
            await store.fetch_policies(service="checkout")
    (asked,) = double.asked
    assert "allow_partial_search_results=false" in asked.query
    assert asked.headers["authorization"] == "ApiKey a2V5"


async def test_key_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a2V5\n")
    with ElasticDouble(error(401, "security_exception")) as double:
        async with store_at(double.url, api_key_file=str(tmp_path / "key")) as store:
            with pytest.raises(errors.KnowledgeUnavailableError):
                await QUESTIONS["find_runbook"](store)
    assert double.asked[0].headers["authorization"] == "ApiKey a2V5"


async def test_password_of_an_address_is_sent_and_never_said() -> None:
    with ElasticDouble(error(401, "security_exception")) as double:
        async with store_at(double.url.replace("http://", "http://elastic:hunter2@")) as store:
            with pytest.raises(errors.KnowledgeUnavailableError) as raised:
                await QUESTIONS["find_runbook"](store)
    assert double.asked[0].headers["authorization"].startswith("Basic ")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("file", ["api_key_file", "ca_file"])
def test_file_that_is_not_there_stops_the_start(file: str, tmp_path: Path) -> None:
    settings = elastic.Elasticsearch.model_validate({"url": "https://127.0.0.1:1", file: str(tmp_path / "gone")})
    with pytest.raises(errors.ConfigurationError, match=f"cannot be read from {tmp_path / 'gone'}"):
        ElasticsearchKnowledge.connect(settings)
