"""What every store behind the `Knowledge` port must do, whichever product it is.

To put another store under the contract, add it to `STORES`: what makes, for as long as a test runs, a function that takes documents
and returns the store that holds exactly them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.domain import documents
from safety_governor.pipeline import ports
from support.elastic import ElasticIndices

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPECIAL = r"""+ - && || ! ( ) { } [ ] ^ " ~ * ? : \ / title:"x" AND NOT a~2 b^3 [1 TO *] IN ["""

Build = Callable[[Sequence[documents.Document]], Awaitable[ports.Knowledge]]
Make = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[Build]]


@asynccontextmanager
async def in_memory(_: Path, __: pytest.FixtureRequest) -> AsyncIterator[Build]:
    async def build(batch: Sequence[documents.Document]) -> ports.Knowledge:
        store = EmbeddedKnowledge.in_memory()
        store.replace_documents(batch)
        return store

    yield build


@asynccontextmanager
async def in_a_file(folder: Path, _: pytest.FixtureRequest) -> AsyncIterator[Build]:
    async def build(batch: Sequence[documents.Document]) -> ports.Knowledge:
        store = EmbeddedKnowledge.open(folder / "knowledge.db", create=True)
        store.replace_documents(batch)
        return store

    yield build


@asynccontextmanager
async def in_elasticsearch(_: Path, request: pytest.FixtureRequest) -> AsyncIterator[Build]:
    async with ElasticIndices(request.getfixturevalue("elasticsearch_url")) as indices:
        yield indices.holding


STORES: dict[str, Make] = {"embedded in memory": in_memory, "embedded in a file": in_a_file, "Elasticsearch": in_elasticsearch}

pytestmark = pytest.mark.timeout(300)  # the first one may have to wait until Elasticsearch has started


@pytest_asyncio.fixture(params=sorted(STORES))
async def holding(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Build]:
    async with STORES[str(request.param)](tmp_path, request) as build:
        yield build


def a_runbook(identifier: str, title: str, *, service: str = "*", body: str = "") -> documents.Runbook:
    step = {"type": "Manual", "text": "read it"}
    remediations = [{"action": "follow", "steps": [step]}]
    return documents.Runbook.model_validate(
        {"id": identifier, "title": title, "service": service, "body": body, "recommended_action": "follow", "remediations": remediations}
    )


def evidence(identifier: str, text: str, *, service: str = "*", actions: tuple[str, ...] = ()) -> documents.Evidence:
    return documents.Evidence(id=identifier, service=service, stance=documents.Stance.SUPPORTS, text=text, actions=actions)


def policy(identifier: str, *, service: str = "*") -> documents.Policy:
    return documents.Policy(id=identifier, service=service, blocked_actions=("restart",), severities=("*",), rule="No restarts.")


def line(identifier: str, message: str, *, at: datetime = NOON, level: str = "info", response: str | None = None) -> documents.LogLine:
    return documents.LogLine(id=identifier, service="checkout", timestamp=at, level=level, message=message, response=response)


async def found(knowledge: ports.Knowledge, query: str, *, service: str = "checkout", limit: int = 10) -> list[str]:
    return [hit.document.id for hit in await knowledge.search_runbooks(query, service=service, limit=limit)]


async def test_search_finds_documents_of_the_service_and_of_all_and_no_others(holding: Build) -> None:
    knowledge = await holding(
        [a_runbook("all", "Disk full"), a_runbook("own", "Disk full", service="checkout"), a_runbook("other", "Disk full", service="cart")]
    )
    assert sorted(await found(knowledge, "the disk is full")) == ["all", "own"]


async def test_search_puts_the_better_fit_first_with_scores_that_fall(holding: Build) -> None:
    knowledge = await holding([a_runbook("a", "Certificate expires"), a_runbook("b", "Disk full", body="Also a certificate.")])
    hits = await knowledge.search_runbooks("certificate expires soon", service="checkout", limit=10)
    assert [hit.document.id for hit in hits] == ["a", "b"]
    assert hits[0].score > hits[1].score


async def test_equal_fits_are_ordered_by_id(holding: Build) -> None:
    knowledge = await holding([a_runbook(name, "Disk full") for name in ("c", "a", "b")])
    assert await found(knowledge, "disk full") == ["a", "b", "c"]


async def test_search_gives_no_more_than_the_limit(holding: Build) -> None:
    knowledge = await holding([a_runbook(str(number), "Disk full") for number in range(9)])
    assert len(await found(knowledge, "disk full", limit=4)) == 4
    assert await found(knowledge, "disk full", limit=0) == []


@pytest.mark.parametrize("query", ["", "   ", SPECIAL, "the of and", "\x00\ud800", "ü" * 8192, "disk " * 1600], ids=repr)
async def test_no_query_text_is_an_error(holding: Build, query: str) -> None:
    knowledge = await holding([a_runbook("a", "Disk full"), evidence("e", "disk full")])
    await knowledge.search_runbooks(query, service="checkout", limit=5)
    await knowledge.search_evidence(query, service="checkout", limit=5)


async def test_query_syntax_is_only_text(holding: Build) -> None:
    knowledge = await holding([a_runbook("a", "Disk full"), a_runbook("b", "Queue stuck")])
    assert await found(knowledge, "disk AND NOT full -queue") == ["a", "b"]
    assert await found(knowledge, "*") == []


async def test_evidence_is_found_by_other_forms_of_its_words(holding: Build) -> None:
    knowledge = await holding([evidence("e1", "Restarting the pods fixed the leak."), evidence("e2", "The queue was drained.")])
    hits = await knowledge.search_evidence("a restart fixes leaks", service="checkout", limit=5)
    assert [hit.document.id for hit in hits] == ["e1"]


async def test_evidence_is_found_by_the_action_it_speaks_about(holding: Build) -> None:
    knowledge = await holding(
        [evidence("e1", "Made it worse.", actions=("scale-up-checkout",)), evidence("e2", "Nothing.", service="cart")]
    )
    hits = await knowledge.search_evidence("scale-up-checkout", service="checkout", limit=5)
    assert [hit.document.id for hit in hits] == ["e1"]


async def test_documents_are_found_by_their_exact_id(holding: Build) -> None:
    knowledge = await holding([a_runbook("a", "Disk full"), evidence("e1", "x"), evidence("e2", "y")])
    assert await knowledge.find_runbook("a") == a_runbook("a", "Disk full")
    assert await knowledge.find_runbook("A") is None
    assert await knowledge.find_evidence(["e2", "gone", "e2", "E1"]) == {"e2": evidence("e2", "y")}
    assert await knowledge.find_evidence([]) == {}


async def test_a_thousand_ids_are_looked_up_at_once(holding: Build) -> None:
    knowledge = await holding([evidence(f"e{number}", "x") for number in range(1200)])
    assert len(await knowledge.find_evidence([f"e{number}" for number in range(5000)])) == 1200


async def test_policies_of_the_service_and_of_all_come_completely_and_by_id(holding: Build) -> None:
    many = [policy(f"POL-{number:04}") for number in range(300)]
    knowledge = await holding([*many, policy("A", service="checkout"), policy("B", service="cart"), policy("C", service="checkout-v2")])
    assert [one.id for one in await knowledge.fetch_policies(service="checkout")] == ["A", *(one.id for one in many)]


async def test_policies_are_found_whatever_the_case_of_the_id(holding: Build) -> None:
    knowledge = await holding([policy("POL-007", service="cart"), policy("POL-008")])
    assert await knowledge.find_policies(["pol-007", "Pol-999"]) == {"POL-007": policy("POL-007", service="cart")}


async def test_a_window_without_lines_is_unknown(holding: Build) -> None:
    knowledge = await holding([line("l", "fine", at=NOON - 2 * HOUR)])
    summary = await knowledge.summarise_logs(service="checkout", until=NOON, window=HOUR)
    assert (summary.lines, summary.errors, summary.error_ratio, summary.top_errors) == (0, 0, None, ())


async def test_errors_are_counted_by_level_and_by_response(holding: Build) -> None:
    lines = [line("1", "ok"), line("2", "e", level="ERROR"), line("3", "f", level="fatal"), line("4", "c", level="critical")]
    lines += [line("5", "r", response="404"), line("6", "r", response="399"), line("7", "r", response="-"), line("8", "w", level="warning")]
    summary = await (await holding(lines)).summarise_logs(service="checkout", until=NOON, window=HOUR)
    assert (summary.lines, summary.errors, summary.error_ratio) == (8, 4, 0.5)


async def test_the_window_holds_both_its_ends(holding: Build) -> None:
    lines = [line("1", "at the end"), line("2", "at the start", at=NOON - HOUR)]
    lines += [
        line("3", "too late", at=NOON + timedelta(microseconds=1)),
        line("4", "too early", at=NOON - HOUR - timedelta(microseconds=1)),
    ]
    assert (await (await holding(lines)).summarise_logs(service="checkout", until=NOON, window=HOUR)).lines == 2


async def test_only_lines_of_the_service_itself_are_counted(holding: Build) -> None:
    knowledge = await holding([line("1", "own")])
    assert (await knowledge.summarise_logs(service="cart", until=NOON, window=HOUR)).lines == 0


async def test_errors_that_differ_in_numbers_and_ids_count_as_one(holding: Build) -> None:
    texts = [
        "timeout after 31 ms for 0x7fA0",
        "timeout after 7 ms for 0xBEEF",
        "no pod 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "façade broke",
    ]
    lines = [line(str(number), text, level="error") for number, text in enumerate(texts)]
    summary = await (await holding(lines)).summarise_logs(service="checkout", until=NOON, window=HOUR)
    assert [(one.message, one.count) for one in summary.top_errors] == [
        ("timeout after <n> ms for <n>", 2),
        ("façade broke", 1),
        ("no pod <n>", 1),
    ]


async def test_only_the_five_most_frequent_errors_are_named(holding: Build) -> None:
    lines = [line(f"{letter}{n}", f"error {letter}", level="error") for count, letter in enumerate("ghijkl", 1) for n in range(count)]
    summary = await (await holding(lines)).summarise_logs(service="checkout", until=NOON, window=HOUR)
    assert [one.count for one in summary.top_errors] == [6, 5, 4, 3, 2]
