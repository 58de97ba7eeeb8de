"""Health endpoints over real HTTP on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from safety_governor.domain import errors
from safety_governor.handlers import health, metrics
from support.ports import free_port


@dataclass
class Process:
    """What is asked about."""

    healthy: bool = True
    ready: bool = True


@asynccontextmanager
async def served(process: Process, figures: Callable[[], bytes] = lambda: b"") -> AsyncIterator[str]:
    address = f"127.0.0.1:{free_port()}"
    async with health.serve(address, is_healthy=lambda: process.healthy, is_ready=lambda: process.ready, metrics=figures):
        yield f"http://{address}"


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("path", "process", "expected"),
    [
        ("/healthz", Process(healthy=True, ready=False), (200, "ok")),
        ("/healthz", Process(healthy=False, ready=True), (503, "not yet")),
        ("/readyz", Process(healthy=False, ready=True), (200, "ok")),
        ("/readyz", Process(healthy=True, ready=False), (503, "not yet")),
    ],
    ids=["healthy", "unhealthy", "ready", "not ready"],
)
async def test_endpoint_tells_what_it_is_asked(path: str, process: Process, expected: tuple[int, str]) -> None:
    async with served(process) as url:
        assert await get(url + path) == expected


async def test_answer_is_of_the_moment() -> None:
    process = Process(ready=False)
    async with served(process) as url:
        assert (await get(f"{url}/readyz"))[0] == 503
        process.ready = True
        assert (await get(f"{url}/readyz"))[0] == 200


async def test_metrics_tell_lease_guard_and_version() -> None:
    figures = metrics.Metrics()
    figures.set_leader(True)
    figures.set_guard_ready(False)
    async with served(Process(), figures.text) as url:
        status, text = await get(f"{url}/metrics")
    assert status == 200
    assert "governor_leader 1.0" in text
    assert "governor_approval_guard_ready 0.0" in text
    assert "governor_build_info{version=" in text


@pytest.mark.parametrize("path", ["/", "/healthz/../../etc/passwd", "/debug"])
async def test_nothing_else_is_served(path: str) -> None:
    async with served(Process()) as url:
        assert (await get(url + path))[0] == 404


async def test_nothing_can_be_written() -> None:
    async with served(Process()) as url, aiohttp.ClientSession() as session, session.post(f"{url}/healthz") as response:
        assert response.status == 405


async def test_nothing_answers_once_the_context_is_closed() -> None:
    async with served(Process()) as url:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{url}/healthz")


async def test_empty_address_serves_nothing() -> None:
    async with health.serve("", is_healthy=lambda: True, is_ready=lambda: True, metrics=lambda: b""):
        pass


@pytest.mark.parametrize("address", ["8080x", "127.0.0.1:http", "127.0.0.1:70000"])
async def test_address_that_is_none_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"health.*{address}"):
        async with health.serve(address, is_healthy=lambda: True, is_ready=lambda: True, metrics=lambda: b""):
            pass


async def test_address_that_is_taken_is_refused_in_a_sentence() -> None:
    async with served(Process()) as url:
        with pytest.raises(errors.ConfigurationError, match=r"health.*in use"):
            async with health.serve(url.removeprefix("http://"), is_healthy=lambda: True, is_ready=lambda: True, metrics=lambda: b""):
                pass


async def test_port_alone_is_served_on_loopback() -> None:
    port = free_port()
    async with health.serve(f":{port}", is_healthy=lambda: True, is_ready=lambda: True, metrics=lambda: b""):
        assert (await get(f"http://127.0.0.1:{port}/healthz"))[0] == 200
