"""What both stores take for a question, against raw tantivy and the raw HTTP call, all in the same run.

Run it by hand: `PYTHONPATH=tests python tests/benchmarks/stores.py [DOCUMENTS]`, 2,000 if no number is given. Each question is
put to a store and to what it is compared with in turn, so that what else the machine does falls on both. "raw HTTP" repeats the very
requests that the store made for that question, over a kept connection, and reads the answers as JSON. Ratios are what to compare
between machines.
"""

import asyncio
import functools
import gc
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from typing import Any

import aiohttp
import orjson

from benchmarks.search import raw as raw_tantivy
from benchmarks.search import runbooks
from safety_governor.adapters.elasticsearch import ElasticsearchKnowledge
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.domain import documents
from support.elastic import ElasticIndices
from support.timing import milliseconds, percentiles
from testbed.elasticsearch import SharedElasticsearch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = 200
MEDIA_TYPE = "application/vnd.elasticsearch+json; compatible-with=9"

Ask = Callable[[], Awaitable[object]]
Question = Callable[[ElasticsearchKnowledge], Awaitable[object]]
Request = tuple[str, str, bytes]


class Wire:
    """The requests that a store makes for a question, and the same again without it."""

    def __init__(self, scout: ElasticsearchKnowledge, session: aiohttp.ClientSession) -> None:
        self._scout = scout
        self._session = session
        self._noted: list[Request] = []
        transport = scout._cluster.client.transport
        original = transport.perform_request

        async def noting(method: str, target: str, **others: Any) -> Any:
            body = others.get("body")
            self._noted.append((method, target, b"" if body is None else orjson.dumps(body)))
            return await original(method, target, **others)

        transport.perform_request = noting  # type: ignore[method-assign]

    async def requests_for(self, question: Question) -> list[Request]:
        self._noted.clear()
        await question(self._scout)
        return list(self._noted)

    async def repeat(self, requests: Sequence[Request]) -> None:
        headers = {"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE}
        for method, target, body in requests:
            async with self._session.request(method, target, data=body, headers=headers) as answer:
                orjson.loads(await answer.read())


def row(name: str, **columns: Sequence[float]) -> None:
    told = "  ".join(
        f"{who.replace('_', ' ')} {p50:.2f}/{p99:.2f}" for who, (p50, p99) in ((k, percentiles(v)) for k, v in columns.items())
    )
    print(f"{name:16} {told}")


async def overhead(name: str, wire: Wire, store: ElasticsearchKnowledge, questions: Sequence[Question]) -> None:
    """The store against its own requests, raw. A second store asks before both, to tell those requests."""
    ours: list[float] = []
    raw: list[float] = []
    requests: list[Request] = []
    first = [await milliseconds(functools.partial(question, store)) for question in questions]
    for question in questions:  # both stores know then what is kept between questions
        await wire.requests_for(question)
    for at, question in enumerate(questions):
        requests = await wire.requests_for(question)
        pair: list[tuple[list[float], Ask]] = [
            (ours, functools.partial(question, store)),
            (raw, functools.partial(wire.repeat, requests)),
        ]
        for times, ask in pair if at % 2 else reversed(pair):  # who comes second finds what the first has just warmed
            times.append(await milliseconds(ask))
    row(name, elasticsearch=ours, raw_HTTP=raw)
    ratio = statistics.median(ours) / statistics.median(raw)
    print(f"{'':16} ratio of medians {ratio:.2f}, {len(requests)} requests; asked for the first time {statistics.median(first):.2f} ms")


def log_line(at: int) -> documents.LogLine:
    moment, level = NOW - timedelta(seconds=at % 3000), ("error", "info")[at % 2]
    return documents.LogLine(id=f"l{at}", service="checkout", timestamp=moment, level=level, message=f"failed {at}")


async def over_elasticsearch(batch: Sequence[documents.Document], questions: Sequence[str]) -> None:
    with SharedElasticsearch() as server:
        async with ElasticIndices(server.url, request_timeout=60) as indices, aiohttp.ClientSession(server.url) as session:
            start = time.perf_counter()
            store = await indices.holding(batch)
            print(f"elasticsearch: load {time.perf_counter() - start:.1f} s; milliseconds p50/p99:")
            for index in indices.settings.indices.model_dump().values():
                await indices.client.indices.forcemerge(index=str(index), max_num_segments=1, ignore_unavailable=True)
            put = functools.partial(overhead, wire=Wire(indices.knowledge(), session), store=store)
            for name in ("search_runbooks", "search_evidence"):
                await put(name, questions=[methodcaller(name, one, service="checkout", limit=10) for one in questions])
            await put("find_runbook", questions=[methodcaller("find_runbook", f"r{at}") for at in range(QUESTIONS)])
            await put("fetch_policies", questions=[methodcaller("fetch_policies", service="checkout")] * QUESTIONS)
            hour = methodcaller("summarise_logs", service="checkout", until=NOW, window=timedelta(hours=1))
            await put("summarise_logs", questions=[hour] * QUESTIONS)


async def embedded(batch: Sequence[documents.Document], questions: Sequence[str]) -> None:
    store = EmbeddedKnowledge.in_memory()
    start = time.perf_counter()
    store.replace_documents(batch)
    print(f"embedded: load {time.perf_counter() - start:.1f} s", end=", ")
    start = time.perf_counter()
    await store.search_runbooks("first", service="checkout", limit=10)
    print(f"first search {time.perf_counter() - start:.1f} s; milliseconds p50/p99:")
    tantivy = raw_tantivy([one for one in batch if isinstance(one, documents.Runbook)])
    mine: list[float] = []
    theirs: list[float] = []
    for question in questions:
        mine.append(await milliseconds(functools.partial(store.search_runbooks, question, service="checkout", limit=10)))
        theirs.append(await milliseconds(functools.partial(tantivy, question)))
    row("search_runbooks", embedded=mine, raw_tantivy=theirs)
    print(f"{'':16} ratio of medians {statistics.median(mine) / statistics.median(theirs):.2f}")


async def main(count: int) -> None:
    chance = random.Random(7)
    held = runbooks(chance, count)
    evidence = [
        documents.Evidence(id=f"e{at}", stance=documents.Stance.SUPPORTS, text=one.body[:600]) for at, one in enumerate(held[: count // 4])
    ]
    policies = [documents.Policy(id=f"p{at}", blocked_actions=("restart",), severities=("*",), rule="No.") for at in range(50)]
    lines = [log_line(at) for at in range(min(count, 20_000))]
    questions = [" ".join(chance.sample(one.body.replace("#", "").split(), 15)) for one in chance.choices(held, k=QUESTIONS)]
    batch = [*held, *evidence, *policies, *lines]
    gc.freeze()  # whoever asks a store does not hold its documents as well, for every collection to look through
    print(f"{count} runbooks, {len(evidence)} evidence, {len(policies)} policies, {len(lines)} log lines")
    await over_elasticsearch(batch, questions)
    await embedded(batch, questions)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)))
