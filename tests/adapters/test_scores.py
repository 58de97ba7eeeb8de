"""The score services over real HTTP: asked once and never polled, whatever they answer, and never waited for longer than allowed."""

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from safety_governor.adapters.scores import services as services_adapter
from safety_governor.adapters.scores.kept import KeptScores
from safety_governor.adapters.scores.services import ServiceScores
from safety_governor.adapters.scores.shelf import Shelf
from safety_governor.domain import scores
from safety_governor.domain.scores import Service, Status
from support.fakes import FakeClock
from support.http_double import HttpDouble
from support.ports import free_port
from support.score_services import ALL_ZERO, ScoreServices, cdct_row
from support.tls import certificate, server_context

MODEL = "gpt-5.4"
KEEP, KEEP_UNKNOWN = timedelta(hours=6), timedelta(minutes=30)


@pytest.fixture
def double() -> Iterator[ScoreServices]:
    with ScoreServices() as services:
        services.know(MODEL)
        services.configured |= {MODEL, "o3"}
        yield services


def source_of(double: ScoreServices, clock: FakeClock, *, timeout: float = 5.0) -> ServiceScores:
    return ServiceScores(double.addresses, timeout=timedelta(seconds=timeout), now=clock.now)


def kept_of(double: ScoreServices, clock: FakeClock, **changes: Any) -> KeptScores:
    return KeptScores(source_of(double, clock), now=clock.now, keep=KEEP, keep_unknown=KEEP_UNKNOWN, **changes)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(double: ScoreServices, clock: FakeClock) -> ServiceScores:
    return source_of(double, clock)


@pytest.fixture
def kept(double: ScoreServices, clock: FakeClock) -> KeptScores:
    return kept_of(double, clock)


class TestAsking:
    @pytest.mark.parametrize(("service", "name", "figure"), [("eect", "ecs", 0.83), ("ddft", "ci", 0.68), ("cdct", "cri", 0.935)])
    async def test_gives_the_figures(self, service: str, name: str, figure: float, source: ServiceScores, double: ScoreServices) -> None:
        reading = await source.read(service, MODEL)
        assert (reading.status, reading.metric(name), reading.source) == (Status.OK, figure, f"{double.url}/{service}")
        assert (double.asked, double.refused) == ([("GET", f"/{service}/score/gpt-5.4")], [])

    @pytest.mark.parametrize("model", ["meta/Llama-4", "a?b=c#d", "Phi 4", "100%", "modèle", "..a/../b"])
    async def test_names_the_model_in_one_segment(self, model: str, source: ServiceScores, double: ScoreServices) -> None:
        double.know(model)
        reading = await source.read("cdct", model)
        assert (reading.status, double.refused) == (Status.OK, [])

    async def test_model_that_is_not_known(self, source: ServiceScores) -> None:
        reading = await source.read("cdct", "nobody")
        assert reading.status is Status.UNKNOWN_MODEL
        assert "Model 'nobody' not found" in reading.reason

    async def test_model_without_results(self, source: ServiceScores, double: ScoreServices) -> None:
        reading = await source.read("eect", "o3")
        assert (reading.status, double.started[Service.EECT, "o3"]) == (Status.PENDING, 1)

    async def test_service_that_cannot_start_runs(self, source: ServiceScores, double: ScoreServices) -> None:
        double.on_vercel = True
        reading = await source.read("cdct", "o3")
        assert reading.status is Status.UNAVAILABLE
        assert "disabled on Vercel" in reading.reason

    async def test_rows_of_zeros(self, source: ServiceScores, double: ScoreServices) -> None:
        double.results[Service.CDCT, "grok-4"] = [{"model": "grok-4", **ALL_ZERO}] * 8
        assert (await source.read("cdct", "grok-4")).status is Status.EMPTY

    async def test_service_without_an_address_is_not_asked(self, double: ScoreServices, clock: FakeClock) -> None:
        source = ServiceScores({Service.EECT: double.addresses[Service.EECT]}, timeout=timedelta(seconds=5), now=clock.now)
        reading = await source.read("ddft", MODEL)
        assert (reading.status, double.asked) == (Status.UNAVAILABLE, [])
        assert "set DDFT_API_URL" in reading.reason

    async def test_service_that_does_not_exist(self, source: ServiceScores, double: ScoreServices) -> None:
        with pytest.raises(ValueError, match="abcd"):
            await source.read("abcd", MODEL)
        assert double.asked == []


TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "an error of its own": ({"status": 500, "body": b'{"CI": 0.5}'}, "DDFT answered 500"),
    "not now": ({"status": 503}, "DDFT answered 503"),
    "a redirect": ({"status": 307, "headers": {"Location": "/ddft/score/o3"}}, "redirects are not followed"),
    "a page": ({"body": b"<html>"}, "not JSON"),
    "too much": ({"body": b" " * (services_adapter.ANSWER_LIMIT + 1)}, "more than 1024 KiB"),
    "nothing": ({"status": None}, "broke off"),
    "half an answer": ({"body": b'{"CI": 0.68}', "hangs": True}, "did not answer within 0.3 s"),
    "compressed": ({"body": b"\x1f\x8b\x08\x00", "headers": {"Content-Encoding": "gzip"}}, "not JSON"),
}


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES.values(), ids=TROUBLES.keys())
async def test_service_that_answers(trouble: dict[str, Any], reason: str, double: ScoreServices, clock: FakeClock) -> None:
    double.trouble(**trouble)
    reading = await source_of(double, clock, timeout=0.3 if trouble.get("hangs") else 5.0).read("ddft", MODEL)
    assert (reading.status, dict(reading.metrics), len(double.asked)) == (Status.UNAVAILABLE, {}, 1)
    assert reason in reading.reason


async def test_service_that_is_not_there(clock: FakeClock) -> None:
    address = {Service.DDFT: f"http://127.0.0.1:{free_port()}"}
    reading = await ServiceScores(address, timeout=timedelta(seconds=5), now=clock.now).read("ddft", MODEL)
    assert (reading.status, reading.reason) == (Status.UNAVAILABLE, "DDFT could not be reached")


async def test_service_that_accepts_and_is_silent_is_waited_for_no_longer_than_allowed(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {Service.DDFT: f"http://127.0.0.1:{silent.getsockname()[1]}"}
        loop = asyncio.get_running_loop()
        begin = loop.time()
        reading = await ServiceScores(address, timeout=timedelta(seconds=0.2), now=clock.now).read("ddft", MODEL)
        assert (reading.status, reading.reason) == (Status.UNAVAILABLE, "DDFT did not answer within 0.2 s")
        assert 0.2 <= loop.time() - begin < 5


ANSWERS: dict[str, tuple[str, dict[str, Any] | None, Status, timedelta]] = {
    "figures": (MODEL, None, Status.OK, KEEP),
    "a run": ("o3", None, Status.PENDING, KEEP_UNKNOWN),
    "a model that is not known": ("nobody", None, Status.UNKNOWN_MODEL, KEEP_UNKNOWN),
    "an error": (MODEL, {"status": 502}, Status.UNAVAILABLE, KEEP_UNKNOWN),
    "no rows": (MODEL, {"body": b"[]"}, Status.EMPTY, KEEP_UNKNOWN),
}


class TestKept:
    """Every GET of a model without results starts a run, so none is sent that is not needed."""

    async def test_run_is_started_once_however_often_one_asks(self, kept: KeptScores, double: ScoreServices, clock: FakeClock) -> None:
        for _ in range(20):
            assert (await kept.read("cdct", "o3")).status is Status.PENDING
            clock.advance(minutes=1)
        assert double.started == {(Service.CDCT, "o3"): 1}

    async def test_run_is_started_once_however_many_ask_at_once(self, kept: KeptScores, double: ScoreServices) -> None:
        double.hold()
        asking = [asyncio.create_task(kept.read("eect", "o3")) for _ in range(50)]
        await asyncio.sleep(0)
        double.let_go()
        assert {one.status for one in await asyncio.gather(*asking)} == {Status.PENDING}
        assert double.started == {(Service.EECT, "o3"): 1}

    async def test_whoever_stops_waiting_does_not_have_it_asked_again(self, kept: KeptScores, double: ScoreServices) -> None:
        double.hold()
        impatient = asyncio.create_task(kept.read("eect", "o3"))
        await asyncio.sleep(0)
        impatient.cancel()
        patient = asyncio.create_task(kept.read("eect", "o3"))
        await asyncio.sleep(0)
        double.let_go()
        assert (await patient).status is Status.PENDING
        assert impatient.cancelled()
        assert double.started == {(Service.EECT, "o3"): 1}

    @pytest.mark.parametrize(("model", "trouble", "status", "until"), ANSWERS.values(), ids=ANSWERS.keys())
    async def test_so_long_is_kept(
        self, model: str, trouble: dict[str, Any] | None, status: Status, until: timedelta, kept: KeptScores, double: ScoreServices
    ) -> None:
        clock = kept._now.__self__  # type: ignore[attr-defined]
        if trouble is not None:
            double.trouble(**trouble)
        assert (await kept.read("ddft", model)).status is status
        clock.at += until - timedelta(seconds=1)
        assert (await kept.read("ddft", model)).status is status
        assert len(double.asked) == 1
        clock.advance(seconds=2)
        await kept.read("ddft", model)
        assert len(double.asked) == 2

    async def test_services_and_models_are_kept_apart(self, kept: KeptScores, double: ScoreServices) -> None:
        double.results[Service.DDFT, "o3"] = {"CI": 0.1}
        read = [(await kept.read(service, model)).metric("ci") for model in (MODEL, "o3") for service in ("ddft", "cdct")]
        assert read == [0.68, 0.5, 0.1, None]

    async def test_new_results_are_seen_after_the_run(self, kept: KeptScores, double: ScoreServices, clock: FakeClock) -> None:
        await kept.read("cdct", "o3")
        double.results[Service.CDCT, "o3"] = [cdct_row("o3")]
        clock.advance(minutes=31)
        assert (await kept.read("cdct", "o3")).status is Status.OK
        assert double.started == {(Service.CDCT, "o3"): 1}

    @pytest.mark.parametrize("model", ["", "..", "x" * 500, "a\nb"])
    async def test_what_is_no_name_is_asked_of_nobody(self, model: str, kept: KeptScores, double: ScoreServices) -> None:
        reading = await kept.read("cdct", model)
        assert (reading.status, double.asked) == (Status.UNKNOWN_MODEL, [])

    async def test_no_more_than_a_limit_is_kept_and_the_oldest_goes_first(self, double: ScoreServices, clock: FakeClock) -> None:
        kept = kept_of(double, clock, limit=2)
        for model in ("a", "b", "c", "c", "b", "a"):
            await kept.read("cdct", model)
        assert [path.rsplit("/", 1)[1] for _, path in double.asked] == ["a", "b", "c", "a"]

    async def test_source_that_is_broken_is_unknown_and_left_alone(self, clock: FakeClock) -> None:
        calls: list[str] = []

        class Broken:
            async def read(self, service: str, model: str) -> scores.Reading:
                calls.append(service)
                raise KeyError(model)

        kept = KeptScores(Broken(), now=clock.now, keep=KEEP, keep_unknown=KEEP_UNKNOWN)
        readings = [await kept.read("ddft", MODEL) for _ in range(3)]
        assert {(one.status, one.reason) for one in readings} == {(Status.UNAVAILABLE, "DDFT could not be asked (KeyError)")}
        assert calls == ["ddft"]

    async def test_close_ends_what_is_still_asked(self, kept: KeptScores, double: ScoreServices) -> None:
        double.hold()
        asking = asyncio.create_task(kept.read("ddft", MODEL))
        await asyncio.sleep(0)
        await kept.aclose()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert kept._flights == {}


class TestShelf:
    """What one process was told, the next one knows."""

    @staticmethod
    def shelved(double: ScoreServices, clock: FakeClock, path: Path, complaints: list[str] | None = None) -> KeptScores:
        told = complaints if complaints is not None else []
        return kept_of(double, clock, shelf=Shelf(path, origins=double.addresses, complain=told.append))

    async def test_restart_starts_no_second_run(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        first = await self.shelved(double, clock, tmp_path / "new" / "scores.db").read("cdct", "o3")
        clock.advance(minutes=29)
        again = await self.shelved(double, clock, tmp_path / "new" / "scores.db").read("cdct", "o3")
        assert again == first
        assert double.started == {(Service.CDCT, "o3"): 1}

    async def test_figures_come_back_as_they_were(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        readings = [await self.shelved(double, clock, tmp_path / "scores.db").read("eect", MODEL) for _ in range(2)]
        assert readings[0] == readings[1]
        assert (readings[1].metric("ecs"), len(double.asked)) == (0.83, 1)

    async def test_age_counts_from_when_it_was_asked(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        await self.shelved(double, clock, tmp_path / "scores.db").read("cdct", "o3")
        clock.advance(minutes=20)
        process = self.shelved(double, clock, tmp_path / "scores.db")
        await process.read("cdct", "o3")
        clock.advance(minutes=11)
        await process.read("cdct", "o3")
        assert double.started == {(Service.CDCT, "o3"): 2}

    async def test_what_was_never_asked_is_not_kept(self, clock: FakeClock, tmp_path: Path) -> None:
        nowhere = {Service.DDFT: f"http://127.0.0.1:{free_port()}"}
        source = ServiceScores(nowhere, timeout=timedelta(seconds=5), now=clock.now)
        shelf = Shelf(tmp_path / "scores.db", origins=nowhere, complain=print)
        kept = KeptScores(source, now=clock.now, keep=KEEP, keep_unknown=KEEP_UNKNOWN, shelf=shelf)
        reading = await kept.read("ddft", MODEL)
        assert (reading.status, reading.reached, kept.span("ddft", MODEL)) == (Status.UNAVAILABLE, False, None)
        assert await shelf.find(Service.DDFT, MODEL) is None
        assert await kept.read("ddft", MODEL) is reading, "those who ask at the same time share one answer"
        clock.advance(seconds=6)
        assert await kept.read("ddft", MODEL) is not reading

    async def test_certificate_that_is_not_trusted_ends_it_before_the_question(self, clock: FakeClock, tmp_path: Path) -> None:
        with HttpDouble(tls=server_context(certificate(tmp_path))) as secured:
            source = ServiceScores({Service.CDCT: secured.origin}, timeout=timedelta(seconds=5), now=clock.now)
            reading = await source.read("cdct", MODEL)
        assert (reading.reached, "certificate is not trusted" in reading.reason) == (False, True)

    async def test_what_broke_off_is_kept(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        double.trouble(status=502)
        kept = self.shelved(double, clock, tmp_path / "scores.db")
        reading = await kept.read("cdct", MODEL)
        assert (reading.status, reading.reached) == (Status.UNAVAILABLE, True)
        assert kept.span("cdct", MODEL) == (clock.now(), clock.now() + KEEP_UNKNOWN)

    async def test_answer_of_another_address_does_not_count(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        await self.shelved(double, clock, tmp_path / "scores.db").read("ddft", MODEL)
        other = Shelf(tmp_path / "scores.db", origins={Service.DDFT: "http://elsewhere"}, complain=print)
        assert await other.find(Service.DDFT, MODEL) is None

    async def test_answer_of_another_version_does_not_count(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        await self.shelved(double, clock, tmp_path / "scores.db").read("ddft", MODEL)
        with contextlib.closing(sqlite3.connect(tmp_path / "scores.db")) as file, file:
            file.execute("UPDATE answers SET reading = '{\"model\": 1}'")
        assert (await self.shelved(double, clock, tmp_path / "scores.db").read("ddft", MODEL)).status is Status.OK
        assert len(double.asked) == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            "reading = replace(reading, '0.83', '8.3')",
            "reading = replace(reading, '\"ecs\"', '\"eiq\"')",
            "since = '2026-03-01T12:00:00'",
            "since = '2031-03-01T12:00:00+00:00'",
        ],
        ids=["a figure out of range", "a figure that it has not", "a time without a zone", "a time to come"],
    )
    async def test_answer_that_this_service_cannot_have_given_by_now_does_not_count(
        self, double: ScoreServices, clock: FakeClock, tmp_path: Path, wrong: str
    ) -> None:
        await self.shelved(double, clock, tmp_path / "scores.db").read("eect", MODEL)
        with contextlib.closing(sqlite3.connect(tmp_path / "scores.db")) as file, file:
            file.execute(f"UPDATE answers SET {wrong}")
        again = await self.shelved(double, clock, tmp_path / "scores.db").read("eect", MODEL)
        assert (again.metric("ecs"), len(double.asked)) == (0.83, 2)

    async def test_clock_that_goes_back_a_little_asks_nobody_anew(self, double: ScoreServices, clock: FakeClock, tmp_path: Path) -> None:
        await self.shelved(double, clock, tmp_path / "scores.db").read("cdct", "o3")
        clock.advance(minutes=-2)
        await self.shelved(double, clock, tmp_path / "scores.db").read("cdct", "o3")
        assert double.started == {(Service.CDCT, "o3"): 1}

    async def test_file_that_cannot_be_written_is_told_and_the_process_remembers(
        self, double: ScoreServices, clock: FakeClock, tmp_path: Path
    ) -> None:
        complaints: list[str] = []
        kept = self.shelved(double, clock, tmp_path, complaints)
        assert [(await kept.read("cdct", "o3")).status for _ in range(3)] == [Status.PENDING] * 3
        assert double.started == {(Service.CDCT, "o3"): 1}
        assert complaints
        assert all("cannot be kept in" in one for one in complaints)
