"""Reliability figures through the tools of an MCP server: a small one of ours, over real HTTP."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from safety_governor.adapters.scores.tools import ANSWER_LIMIT, ToolScores
from safety_governor.domain.scores import Reading, Service, Status
from support.fakes import FakeClock
from support.ports import free_port
from support.tool_server import GOOD, MODEL, TOKEN, ToolServer


@pytest.fixture(scope="module")
def running() -> Iterator[ToolServer]:
    with ToolServer() as server:
        yield server


@pytest.fixture
def server(running: ToolServer) -> ToolServer:
    running.answer, running.silent = GOOD, False
    running.asked.clear()
    return running


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


async def read(server: ToolServer, token: Path, *, service: str = "ddft", seconds: float = 10.0) -> Reading:
    clock = FakeClock()
    return await ToolScores(server.url, timeout=timedelta(seconds=seconds), now=clock.now, token_file=token).read(service, MODEL)


async def test_figures_come_through(server: ToolServer, token: Path) -> None:
    reading = await read(server, token)
    assert (reading.status, reading.metric("ci"), reading.metric("hoc"), reading.metric("fg")) == (Status.OK, 0.68, 0.75, None)
    assert (reading.rows_used, reading.rows_total) == (1, 2)
    assert reading.source == f"ddft_score at {server.url}, from http://ddft:8002"
    assert reading.as_of.hour == 11
    assert server.asked == [("ddft_score", MODEL)]


@pytest.mark.parametrize("service", list(Service))
async def test_each_service_has_its_tool(service: Service, server: ToolServer, token: Path) -> None:
    await read(server, token, service=service)
    assert server.asked == [(f"{service}_score", MODEL)]


def data(**metrics: Any) -> dict[str, Any]:
    return {**GOOD, "data": {"model": MODEL, "metrics": metrics, "rows_used": 1, "rows_total": 1}}


ANSWERS: dict[str, tuple[Any, Status, str]] = {
    "unknown model": ({"status": "unknown_model", "reason": "nobody knows it", "data": None}, Status.UNKNOWN_MODEL, "nobody knows it"),
    "pending": ({"status": "pending", "reason": "a run was started"}, Status.PENDING, "a run was started"),
    "unavailable without a reason": ({"status": "unavailable"}, Status.UNAVAILABLE, "says unavailable and no more"),
    "unavailable with figures": ({**GOOD, "status": "unavailable", "reason": "down"}, Status.UNAVAILABLE, "down"),
    "a status that nobody knows": ({**GOOD, "status": "great"}, Status.UNAVAILABLE, "in a form that is not known"),
    "no status": ({"data": GOOD["data"]}, Status.UNAVAILABLE, "in a form that is not known"),
    "ok without data": ({"status": "ok"}, Status.UNAVAILABLE, "about another model"),
    "another model": ({**GOOD, "data": {"model": "o3", "metrics": {"ci": 0.9}}}, Status.UNAVAILABLE, "about another model"),
    "ok without figures": (data(), Status.EMPTY, "without any figure"),
    "figures out of range": (data(ci=6.8), Status.EMPTY, "ci is not within 0..1"),
    "figures that are none": (data(ci="0.68", hoc=True, fg=[1]), Status.EMPTY, "without any figure"),
    "a figure that DDFT has not": (data(ecs=0.9), Status.EMPTY, "without any figure"),
    "rows that are negative": (
        {**GOOD, "data": {"model": MODEL, "metrics": {"ci": 0.5}, "rows_used": -1}},
        Status.UNAVAILABLE,
        "not known",
    ),
    "a time without a zone": ({**GOOD, "as_of": "2026-03-01T12:00:00"}, Status.UNAVAILABLE, "in a form that is not known"),
    "figures beyond all numbers": (data(ci=10**400, hoc=2**60), Status.EMPTY, "ci is no finite number"),
    "too much": ({**GOOD, "reason": "x" * 2 * ANSWER_LIMIT}, Status.UNAVAILABLE, "could not be asked"),
    "an error of the tool": (RuntimeError("boom"), Status.UNAVAILABLE, "the MCP server refused ddft_score"),
}


@pytest.mark.parametrize(("answer", "status", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_answer_is(answer: Any, status: Status, reason: str, server: ToolServer, token: Path) -> None:
    server.answer = answer
    reading = await read(server, token)
    assert (reading.status, dict(reading.metrics)) == (status, {})
    assert reason in reading.reason
    assert reading.reached


async def test_server_that_is_silent_is_waited_for_no_longer_than_allowed(server: ToolServer, token: Path) -> None:
    server.silent = True
    loop = asyncio.get_running_loop()
    begin = loop.time()
    reading = await read(server, token, seconds=1.0)
    assert (reading.status, reading.reason) == (Status.UNAVAILABLE, "the MCP server did not answer within 1 s")
    assert loop.time() - begin < 10
    assert reading.reached, "it has heard the question, and may have started a run"


async def test_server_that_is_not_there(token: Path) -> None:
    source = ToolScores(f"http://127.0.0.1:{free_port()}/mcp", timeout=timedelta(seconds=5), now=FakeClock().now, token_file=token)
    reading = await source.read("ddft", MODEL)
    assert reading.status is Status.UNAVAILABLE
    assert "the MCP server could not be asked (ConnectError)" in reading.reason
    assert not reading.reached


def write(token: Path, text: str) -> Path:
    token.write_text(text)
    return token


async def test_token_that_is_wrong(server: ToolServer, token: Path) -> None:
    write(token, "another-token")
    reading = await read(server, token)
    assert (reading.status, server.asked) == (Status.UNAVAILABLE, [])
    assert "401" in reading.reason
    assert "another-token" not in reading.reason
    assert not reading.reached


async def test_token_that_cannot_be_read(server: ToolServer, tmp_path: Path) -> None:
    reading = await read(server, tmp_path / "absent")
    assert (reading.status, server.asked) == (Status.UNAVAILABLE, [])
    assert "its token cannot be read from" in reading.reason
    assert not reading.reached


async def test_token_is_read_anew(server: ToolServer, token: Path) -> None:
    write(token, "old")
    source = ToolScores(server.url, timeout=timedelta(seconds=10), now=FakeClock().now, token_file=token)
    assert (await source.read("ddft", MODEL)).status is Status.UNAVAILABLE
    write(token, TOKEN)
    assert (await source.read("ddft", MODEL)).status is Status.OK
