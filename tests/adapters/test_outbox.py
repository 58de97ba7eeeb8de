"""Publishing: every line at least once, in order, through crashes, rotations and a store that fails in every way."""

import asyncio
import contextlib
import json
import stat
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from safety_governor.adapters.audit.outbox import CURSOR, SET_ASIDE, Outbox
from safety_governor.adapters.audit.trail import Trail
from safety_governor.domain import errors
from safety_governor.domain.audit.documents import Index, Record
from safety_governor.pipeline import publishing
from support import trails
from support.fakes import NOON, FakeClock, in_fake_time


class FakeRecords:
    """A store that keeps what is created once, and fails as it is told to."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Record] = {}
        self.repeated = 0
        self.calls = 0
        self.failures: list[Exception] = []
        self.poison: set[str | tuple[Index, str]] = set()

    async def write(self, records: Sequence[Record]) -> Mapping[tuple[Index, str], str]:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for one in records:
            at = (one.index, one.id)
            if {one.id, at} & self.poison:
                continue
            before = self.kept.get(at)
            if before is not None:
                self.repeated += 1
                if one.version is None:
                    assert before.document == one.document
                    continue
                if before.version is not None and before.version >= one.version:
                    continue
            self.kept[at] = one
        return {(one.index, one.id): "400 mapper_parsing_exception" for one in records if {one.id, (one.index, one.id)} & self.poison}

    def ids(self, index: Index = Index.WORKFLOW_EVENTS) -> list[str]:
        return [identifier for kind, identifier in self.kept if kind == index]


def publish_all(folder: Path, records: FakeRecords, *, batch: int = 7) -> list[int]:
    """Until nothing is left; how much was left after each batch."""
    left: list[int] = []

    async def main() -> None:
        outbox = Outbox(folder)
        publisher = publishing.Publisher(outbox=outbox, records=records, on_backlog=left.append, batch=batch)
        try:
            while await publisher.publish():
                pass
        finally:
            outbox.close()

    asyncio.run(main())
    return left


def test_every_event_is_published_once_over_all_files_and_processes(tmp_path: Path) -> None:
    records = FakeRecords()
    expected = []
    for start in (0, 40, 80):
        happened = [trails.an_event(number) for number in range(start, start + 40)]
        expected += [one.id for one in happened]
        trails.write(tmp_path, *happened)
        left = publish_all(tmp_path, records)
        assert left[-1] == 0
    assert records.ids() == expected
    assert records.repeated == 0
    assert len(records.ids(Index.INCIDENTS)) == 120


def test_what_is_written_while_it_is_published_is_published_as_well(tmp_path: Path) -> None:
    records = FakeRecords()

    async def main() -> None:
        trail, outbox = Trail.open(tmp_path, now=lambda: NOON, limit=trails.SMALL), Outbox(tmp_path)
        publisher = publishing.Publisher(outbox=outbox, records=records, batch=3)
        for number in range(60):
            await trail.append([trails.an_event(number)])
            await publisher.publish()
        while await publisher.publish():
            pass
        trail.close()
        outbox.close()

    asyncio.run(main())
    assert records.ids() == [trails.an_event(number).id for number in range(60)]


@pytest.mark.parametrize("crash", ["before the write", "between write and cursor"])
def test_crash_loses_nothing_and_repeats_under_the_same_ids(tmp_path: Path, crash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trails.write(tmp_path, *(trails.an_event(number) for number in range(30)))
    records = FakeRecords()
    with monkeypatch.context() as patched:
        if crash == "before the write":
            records.failures = [RuntimeError("killed")]
        else:

            async def killed(self: Outbox, seq: int) -> None:
                raise RuntimeError("killed")

            patched.setattr(Outbox, "done", killed)
        with pytest.raises(RuntimeError, match="killed"):
            publish_all(tmp_path, records)
    publish_all(tmp_path, records)
    assert sorted(records.ids()) == sorted(trails.an_event(number).id for number in range(30))
    assert (records.repeated > 0) == (crash == "between write and cursor")


def test_poison_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    happened = [trails.an_event(number) for number in range(10)]
    trails.write(tmp_path, *happened)
    records = FakeRecords()
    records.poison = {happened[4].id}
    with capture_logs() as logged:
        publish_all(tmp_path, records)
    assert records.ids() == [one.id for one in happened if one is not happened[4]]
    aside = (tmp_path / SET_ASIDE).read_text()
    assert aside.count("\n") == 1
    assert happened[4].id in aside
    assert [one["id"] for one in logged if "set aside" in one["event"]] == [happened[4].id]


def test_record_that_one_index_refuses_is_set_aside_for_that_one_alone(tmp_path: Path) -> None:
    action = trails.an_end_of_an_action(1)
    trails.write(tmp_path, action)
    records = FakeRecords()
    records.poison = {(Index.ACTION_EXECUTIONS, action.id)}
    with capture_logs():
        publish_all(tmp_path, records)
    assert records.ids() == [action.id]
    assert [json.loads(line)["index"] for line in (tmp_path / SET_ASIDE).read_text().splitlines()] == ["action_executions"]


def test_record_is_set_aside_once_however_often_its_batch_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = trails.an_event(1)
    trails.write(tmp_path, happened)
    records = FakeRecords()
    records.poison = {(Index.WORKFLOW_EVENTS, happened.id)}

    async def full(self: Outbox, seq: int) -> None:
        raise errors.JournalUnavailableError("no space left on device")

    async def main() -> None:
        outbox = Outbox(tmp_path)
        publisher = publishing.Publisher(outbox=outbox, records=records)
        with monkeypatch.context() as patched:
            patched.setattr(Outbox, "done", full)
            for _ in range(3):
                with pytest.raises(errors.JournalUnavailableError):
                    await publisher.publish()
        assert await publisher.publish()
        outbox.close()

    with capture_logs():
        asyncio.run(main())
    assert len((tmp_path / SET_ASIDE).read_text().splitlines()) == 1


def test_end_replaces_what_was_published_of_an_earlier_trail(tmp_path: Path) -> None:
    """After a volume was lost, lines are numbered anew; and whoever goes on may have a clock that is behind."""
    records = FakeRecords()
    trails.write(tmp_path / "lost", *(trails.a_decision(number) for number in range(1, 60)), limit=2**24)
    publish_all(tmp_path / "lost", records)
    trails.write(tmp_path / "new", trails.an_event(59, at=NOON - timedelta(hours=1)))
    publish_all(tmp_path / "new", records)
    assert records.kept[Index.INCIDENTS, "uid-59"].document["phase"] == "Resolved"


@pytest.mark.parametrize("cursor", [b"", b"{", b'{"seq":"x"}', b'{"seq":99999}', b'{"v":1,"seq":-4}'])
def test_cursor_that_makes_no_sense_publishes_all_again(tmp_path: Path, cursor: bytes) -> None:
    trails.write(tmp_path, *(trails.an_event(number) for number in range(10)))
    records = FakeRecords()
    publish_all(tmp_path, records)
    (tmp_path / CURSOR).write_bytes(cursor)
    with capture_logs():
        publish_all(tmp_path, records)
    assert len(records.ids()) == 10
    assert records.repeated > 0


def test_torn_end_is_left_until_it_is_whole(tmp_path: Path) -> None:
    trails.write(tmp_path, trails.an_event(1), trails.an_event(2), limit=1_000_000)
    path = tmp_path / "workflow_events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    records = FakeRecords()
    publish_all(tmp_path, records)
    assert records.ids() == [trails.an_event(1).id]
    path.write_bytes(whole)
    publish_all(tmp_path, records)
    assert records.ids() == [trails.an_event(1).id, trails.an_event(2).id]


def test_line_that_is_not_durable_yet_waits_and_may_be_taken_back(tmp_path: Path) -> None:
    """As when the disk takes a line and then says that it did not."""
    trails.write(tmp_path, trails.an_event(1), trails.an_event(2), limit=1_000_000)
    path = tmp_path / "workflow_events.jsonl"
    before = path.stat().st_size
    trails.write(tmp_path, trails.an_event(3), limit=1_000_000)
    records, durable = FakeRecords(), 3  # with the line that begins the file

    async def main() -> None:
        outbox = Outbox(tmp_path, durable=lambda: durable)
        publisher = publishing.Publisher(outbox=outbox, records=records)

        async def publish() -> None:
            while await publisher.publish():
                pass

        await publish()
        assert records.ids() == [trails.an_event(number).id for number in (1, 2)]
        assert await outbox.backlog() == 0
        with path.open("rb+") as file:
            file.truncate(before)
        await publish()
        nonlocal durable
        await asyncio.to_thread(trails.write, tmp_path, trails.an_event(4), trails.an_event(5), limit=1_000_000)
        durable = 5
        await publish()
        outbox.close()

    asyncio.run(main())
    assert records.ids() == [trails.an_event(number).id for number in (1, 2, 4, 5)]


def test_line_that_was_read_ahead_and_taken_back_is_not_published(tmp_path: Path) -> None:
    """A batch that is full ends before the line that is not durable; the file reader has that in its buffer all the same."""
    path = tmp_path / "workflow_events.jsonl"
    trails.write(tmp_path, trails.an_event(1), limit=1_000_000)
    before = path.stat().st_size
    trails.write(tmp_path, trails.an_event(2), limit=1_000_000)
    records, durable = FakeRecords(), 2  # with the line that begins the file

    async def main() -> None:
        outbox = Outbox(tmp_path, durable=lambda: durable)
        publisher = publishing.Publisher(outbox=outbox, records=records, batch=1)
        for _ in range(2):
            await publisher.publish()
        with path.open("rb+") as file:
            file.truncate(before)
        nonlocal durable
        await asyncio.to_thread(trails.write, tmp_path, trails.an_event(77777), trails.an_event(4), limit=1_000_000)
        durable = 4
        while await publisher.publish():
            pass
        outbox.close()

    asyncio.run(main())
    assert records.ids() == [trails.an_event(number).id for number in (1, 77777, 4)]


def test_what_is_set_aside_is_for_the_owner_alone_and_a_torn_line_before_it_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / SET_ASIDE

    async def main() -> None:
        with contextlib.closing(Outbox(tmp_path)) as outbox:
            await outbox.set_aside({"id": "first"}, "why")
            with path.open("ab") as file:
                file.write(b'{"id":"torn by a full di')
            await outbox.set_aside({"id": "second"}, "why")

    asyncio.run(main())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, _, second = path.read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in (first, second)] == ["first", "second"]


@pytest.mark.parametrize("change", ["shorter", "another file"])
def test_file_that_is_put_back_while_it_is_read_is_read_anew(tmp_path: Path, change: str) -> None:
    records = FakeRecords()
    path = tmp_path / "workflow_events.jsonl"

    async def main() -> None:
        outbox = Outbox(tmp_path)
        publisher = publishing.Publisher(outbox=outbox, records=records)
        await asyncio.to_thread(trails.write, tmp_path, trails.an_event(1), limit=1_000_000)
        begun = path.read_bytes()
        await asyncio.to_thread(trails.write, tmp_path, trails.an_event(2), trails.an_event(3), limit=1_000_000)
        await publisher.publish()
        if change == "another file":
            path.unlink()
        path.write_bytes(begun)
        with capture_logs() as logged:
            await asyncio.to_thread(trails.write, tmp_path, *(trails.an_event(number) for number in range(4, 9)), limit=1_000_000)
            while await publisher.publish():
                pass
        outbox.close()
        assert change == "shorter" or any("another one than it was" in one["event"] for one in logged)

    asyncio.run(main())
    # What now has the numbers of what was published is another trail; at the next start all of it is published.
    publish_all(tmp_path, records)
    assert set(records.ids()) == {trails.an_event(number).id for number in range(1, 9)}


@pytest.mark.parametrize("forged", [b'"seq":4', b'"seq":900000'])
def test_line_that_was_changed_is_not_published_and_hides_no_other(tmp_path: Path, forged: bytes) -> None:
    trails.write(tmp_path, *(trails.an_event(number) for number in range(1, 7)), limit=1_000_000)
    path = tmp_path / "workflow_events.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"seq":4', forged).replace(b"number 3", b"nothing")
    path.write_bytes(b"\n".join(lines))
    records = FakeRecords()
    with capture_logs() as logged:
        publish_all(tmp_path, records)
        trails.write(tmp_path, trails.an_event(7), limit=1_000_000)
        left = publish_all(tmp_path, records)
    assert records.ids() == [trails.an_event(number).id for number in (1, 2, 4, 5, 6, 7)]
    assert left[-1] == 0
    assert any("was changed and is not published" in one["event"] for one in logged)


def test_cursor_of_another_trail_publishes_all(tmp_path: Path) -> None:
    records = FakeRecords()
    trails.write(tmp_path, *(trails.an_event(number) for number in range(9)))
    publish_all(tmp_path, records)
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()
    trails.write(tmp_path, *(trails.an_event(number) for number in range(20, 40)))
    with capture_logs() as logged:
        publish_all(tmp_path, records)
    assert len(records.ids()) == 29
    assert any("cannot be told" in one["event"] for one in logged)


class MemoryOutbox:
    """The same contract without a disk, so that time can be told to pass."""

    def __init__(self, lines: int) -> None:
        self.lines: list[Mapping[str, object]] = [
            {
                "seq": number,
                "hash": f"h{number}",
                "id": f"{number:032x}",
                "kind": "Reported",
                "at": "2026-03-01T12:00:00Z",
                "incident": "shop/slow",
                "uid": "1",
                "data": {"service": "payments", "severity": "low"},
            }
            for number in range(1, lines + 1)
        ]
        self.published = 0
        self.aside: list[str] = []

    async def next(self, limit: int) -> Sequence[Mapping[str, object]]:
        return self.lines[self.published : self.published + limit]

    async def done(self, seq: int) -> None:
        self.published = seq

    async def set_aside(self, what: Mapping[str, Any], why: str) -> None:
        self.aside.append(what["id"] if "id" in what else what["line"]["id"])

    async def backlog(self) -> int:
        return len(self.lines) - self.published


def run(clock: FakeClock, outbox: MemoryOutbox, records: FakeRecords, *, seconds: float) -> list[int]:
    left: list[int] = []

    async def main() -> None:
        publisher = publishing.Publisher(outbox=outbox, records=records, on_backlog=left.append, batch=10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.keep_publishing(), timeout=seconds)

    with capture_logs():
        in_fake_time(clock, main())
    return left


def test_pauses_grow_while_the_store_does_not_answer_and_nothing_is_lost() -> None:
    outbox, records = MemoryOutbox(25), FakeRecords()
    records.failures = [errors.KnowledgeUnavailableError("down")] * 1000
    left = run(FakeClock(), outbox, records, seconds=600)
    # 1, 2, 4, 8, 16, 32, then once a minute.
    assert 14 <= records.calls <= 16
    assert set(left) == {25}
    records.failures = []
    left = run(FakeClock(), outbox, records, seconds=5)
    assert left[-1] == 0
    assert len(records.ids()) == 25


@pytest.mark.parametrize("error", [errors.ConfigurationError("401"), ZeroDivisionError("a bug")])
def test_refusal_of_everything_sets_nothing_aside(error: Exception) -> None:
    outbox, records = MemoryOutbox(25), FakeRecords()
    records.failures = [error] * 2
    run(FakeClock(), outbox, records, seconds=110)
    assert (records.calls, outbox.aside, outbox.published) == (2, [], 0)
    run(FakeClock(), outbox, records, seconds=110)
    assert (outbox.aside, outbox.published) == ([], 25)


@pytest.mark.parametrize("wrong", [{"kind": "Claimed", "data": {}}, {"at": "99999-13-01"}, {"kind": ["Gated"]}], ids=repr)
def test_line_without_a_form_is_set_aside_and_does_not_block(wrong: dict[str, object]) -> None:
    outbox, records = MemoryOutbox(5), FakeRecords()
    outbox.lines[2] = {**outbox.lines[2], **wrong}
    run(FakeClock(), outbox, records, seconds=3)
    assert (outbox.published, outbox.aside) == (5, [outbox.lines[2]["id"]])
    assert len(records.ids()) == 4


def test_line_without_a_form_is_set_aside_once_however_long_the_store_does_not_answer() -> None:
    outbox, records = MemoryOutbox(5), FakeRecords()
    outbox.lines[2] = {**outbox.lines[2], "data": {}, "kind": "Claimed"}
    records.failures = [errors.KnowledgeUnavailableError("down")] * 5
    run(FakeClock(), outbox, records, seconds=120)
    assert records.calls > 5
    assert outbox.aside == [outbox.lines[2]["id"]]


def test_later_state_of_an_incident_wins() -> None:
    outbox, records = MemoryOutbox(2), FakeRecords()
    known = {"service": "payments", "severity": "low", "summary": "slow", "decision": "execute"}
    outbox.lines[0] = {**outbox.lines[0], "kind": "Gated", "data": known}
    outbox.lines[1] = {**outbox.lines[1], "kind": "Ended", "data": {**known, "phase": "Resolved", "message": "all good"}}
    run(FakeClock(), outbox, records, seconds=3)
    (kept,) = (one for (index, _), one in records.kept.items() if index == Index.INCIDENTS)
    assert (kept.id, kept.document["phase"]) == ("1", "Resolved")
