"""The HTTP server against those who only hold on to it."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from safety_governor_mcp import limits, listening
from safety_governor_mcp.bodies import BodyLimit
from safety_governor_mcp.readiness import Readiness
from support.ports import free_port

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after a while if it is asked to."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.8)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[int]:
    port = free_port()
    serving = asyncio.create_task(listening.serve(app, host="127.0.0.1", port=port))
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            await asyncio.sleep(0.02)
        yield port
    finally:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(serving, 20)


async def ask(port: int, *parts: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "], ids=["nothing", "a line", "a header"])
async def test_connection_on_which_no_request_comes_is_closed(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_WITHIN", timedelta(seconds=0.2))
    async with served() as port:
        reader, writer = await ask(port, begun)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_connection_that_was_used_is_closed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_WITHIN", timedelta(seconds=0.2))
    async with served() as port:
        reader, writer = await ask(port, REQUEST, REQUEST[:20])
        assert (await asyncio.wait_for(reader.read(), 5)).count(b"200 OK") == 1
        writer.close()


async def test_answer_that_takes_long_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_WITHIN", timedelta(seconds=0.1))
    async with served() as port:
        reader, writer = await ask(port, SLOW)
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"ok")
        writer.close()


async def test_more_than_can_be_served_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 3)
    async with served() as port:
        held = [await ask(port, SLOW) for _ in range(2)]
        await asyncio.sleep(0.2)
        reader, writer = await ask(port, REQUEST)
        assert b"503" in await asyncio.wait_for(reader.readline(), 5)
        for kept, _ in held:
            assert (await asyncio.wait_for(kept.read(), 5)).endswith(b"ok")
        for one in (writer, *(kept for _, kept in held)):
            one.close()
            await one.wait_closed()


async def test_body_that_never_comes_is_not_waited_for() -> None:
    said: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        said.append(message)

    async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    scope: dict[str, Any] = {"type": "http", "headers": [(b"content-length", b"10")], "method": "POST", "path": "/mcp"}
    await BodyLimit(unreachable, most=100, within=timedelta(seconds=0.05))(scope, receive, send)
    assert said[0]["status"] == 408


class TestReadiness:
    async def test_is_looked_at_once_for_everybody_and_not_again_for_a_while(self) -> None:
        looked, time = 0, 0.0

        async def doubt() -> str:
            nonlocal looked
            looked += 1
            await asyncio.sleep(0)
            return "" if looked > 1 else "the store is away"

        ready = Readiness([doubt], good_for=timedelta(seconds=5), now=lambda: time)
        assert await asyncio.gather(*(ready.is_ready() for _ in range(50))) == [False] * 50
        assert looked == 1
        time = 4.9
        assert not await ready.is_ready()
        time = 5.1
        assert await ready.is_ready()
        assert looked == 2
