"""The audit trail on disk: real files, crashes, disks that are full, and two processes at once."""

import asyncio
import contextlib
import errno
import gc
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from safety_governor.adapters.audit import late, naming, reading
from safety_governor.adapters.audit.late import LateRecords
from safety_governor.adapters.audit.trail import AT_ONCE, Trail
from safety_governor.domain import errors, journal
from safety_governor.domain.audit import chain
from safety_governor.domain.audit.events import Event, Position, Stream
from safety_governor.domain.audit.proof import LISTED, Anchor, Fault
from support import trails
from support.fakes import NOON
from tools import tamper


def lines(folder: Path, stream: Stream = Stream.WORKFLOW_EVENTS) -> list[dict[str, object]]:
    return [dict(line.fields) for line in reading.lines_of(folder, stream, left_out=lambda _: None)]


def kinds(folder: Path, stream: Stream = Stream.WORKFLOW_EVENTS) -> list[object]:
    return [line["kind"] for line in lines(folder, stream)]


def _nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


class TestFiles:
    def test_are_chained_canonical_and_for_the_owner_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "audit"
        trails.write(folder, trails.an_event(1), trails.a_question(1), limit=1_000_000)
        path = folder / "workflow_events.jsonl"
        assert [stat.S_IMODE(one.stat().st_mode) for one in (path, folder)] == [0o600, 0o700]
        first, second = path.read_bytes().splitlines()
        assert json.loads(first)["prev"] == chain.GENESIS
        assert json.loads(second)["prev"] == json.loads(first)["hash"]
        assert chain.canonical(json.loads(second)) == second
        assert set(json.loads(second)) == {"v", "seq", "id", "stream", "kind", "at", "incident", "uid", "data", "prev", "hash"}
        assert kinds(folder, Stream.AGENT_RUNS) == ["FileBegun", "AgentAsked"]
        assert trails.verify(folder) == []

    def test_are_numbered_when_they_are_full_and_name_the_one_before(self, tmp_path: Path) -> None:
        trails.write(tmp_path, *(trails.an_event(number) for number in range(60)))
        paths = naming.files(tmp_path, Stream.WORKFLOW_EVENTS)
        assert [path.name for path in paths[:2]] == ["workflow_events.000001.jsonl", "workflow_events.000002.jsonl"]
        assert len(paths) > 4
        for number, (before, after) in enumerate(itertools.pairwise(paths), start=2):
            last, first = json.loads(before.read_bytes().splitlines()[-1]), json.loads(after.read_bytes().splitlines()[0])
            assert first["data"] == {"number": number, "previous": {"file": before.name, "seq": last["seq"], "hash": last["hash"]}}
            assert first["prev"] == last["hash"]
        assert trails.verify(tmp_path) == []

    def test_go_on_where_the_process_of_before_ended(self, tmp_path: Path) -> None:
        for number in range(40):
            trails.write(tmp_path, trails.an_event(number))
        assert [line["seq"] for line in lines(tmp_path)] == list(range(1, len(lines(tmp_path)) + 1))
        assert trails.verify(tmp_path) == []

    def test_hold_an_event_once_however_often_it_is_told(self, tmp_path: Path) -> None:
        for _ in range(3):
            trails.write(tmp_path, trails.an_event(1), trails.an_event(1), trails.an_event(2), one_by_one=False)
        assert kinds(tmp_path) == ["FileBegun", "Ended", "Ended"]

    def test_of_a_decision_name_where_the_other_streams_are(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.a_question(1), trails.a_decision(1), one_by_one=False)
        last = lines(tmp_path, Stream.AGENT_RUNS)[-1]
        assert lines(tmp_path)[-1]["heads"] == {"agent_runs": {"seq": 2, "hash": last["hash"]}}

    def test_never_hold_a_secret(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1, message="it says: password=hunter2hunter2 and Bearer abcdefghijklmnop"))
        content = (tmp_path / "workflow_events.jsonl").read_text()
        assert "hunter2" not in content
        assert "abcdefghijklmnop" not in content
        assert "password=[redacted]" in content

    @pytest.mark.parametrize("message", ["größer\n\u2028", "\0", "x" * 1000])
    def test_take_any_text(self, tmp_path: Path, message: str) -> None:
        trails.write(tmp_path, trails.an_event(1, message=message))
        assert len(lines(tmp_path)) == 2
        assert trails.verify(tmp_path) == []

    def test_say_of_an_event_that_has_no_form_that_it_has_none_and_go_on(self, tmp_path: Path) -> None:
        async def main(trail: Trail) -> None:
            odd = trails.an_event(1).model_copy(update={"data": _nested(3000)})
            assert await trail.append([trails.an_event(0), odd, trails.an_event(2)]) is not None
            await trail.settle()

        with capture_logs() as logged, contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            asyncio.run(main(trail))
        assert [line["id"] for line in lines(tmp_path)[1:]] == [trails.an_event(number).id for number in range(3)]
        assert "cannot be written as a line" in str(lines(tmp_path)[2]["data"])
        assert [one["id"] for one in logged if "cannot be written as a line" in one["event"]] == [trails.an_event(1).id]
        assert trails.verify(tmp_path) == []

    def test_go_on_by_the_right_number_although_the_folder_could_not_be_read_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As while the process has as many files open as it may."""

        async def main(trail: Trail) -> None:
            number = 0
            while not (tmp_path / "workflow_events.000001.jsonl").exists():
                number += 1
                await trail.append([trails.an_event(number)])
            with monkeypatch.context() as patched:
                patched.setattr(naming, "full_files", lambda *_: os.close(-1))
                assert await trail.append([trails.an_event(1000)]) is None
            for more in range(2 * number):
                assert await trail.append([trails.an_event(2000 + more)]) is not None

        with capture_logs(), contextlib.closing(Trail.open(tmp_path, now=lambda: NOON, limit=trails.SMALL)) as trail:
            asyncio.run(main(trail))
        assert len(naming.files(tmp_path, Stream.WORKFLOW_EVENTS)) >= 3
        assert trails.verify(tmp_path) == []

    def test_are_refused_to_a_second_process(self, tmp_path: Path) -> None:
        with (
            contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)),
            pytest.raises(errors.ConfigurationError, match="another process has it"),
        ):
            Trail.open(tmp_path, now=lambda: NOON, patience=timedelta(0))

    def test_that_are_something_else_are_not_touched(self, tmp_path: Path) -> None:
        (tmp_path / "workflow_events.jsonl").write_text("my diary\n")
        with pytest.raises(errors.ConfigurationError, match="it is some other file; it was not touched"):
            Trail.open(tmp_path, now=lambda: NOON)
        assert (tmp_path / "workflow_events.jsonl").read_text() == "my diary\n"

    @pytest.mark.parametrize("how", ["unlinked", "emptied", "cut"])
    def test_that_are_taken_away_while_in_use_leave_a_gap_that_is_found(self, tmp_path: Path, how: str) -> None:
        path = tmp_path / "workflow_events.jsonl"

        async def main(trail: Trail) -> None:
            await trail.append([trails.an_event(0), trails.an_event(1)])
            if how == "unlinked":
                path.unlink()
            else:
                os.truncate(path, 0 if how == "emptied" else path.read_bytes().rfind(b"\n", 0, -1) + 1)
            assert await trail.append([trails.an_event(2)]) is not None

        with capture_logs(), contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            asyncio.run(main(trail))
        assert trails.faults(tmp_path) == {Fault.REMOVED}


class TestTornLine:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
    @given(cut=st.integers(min_value=1), batch=st.integers(min_value=1, max_value=6))
    def test_is_cut_off_and_that_is_an_event(self, tmp_path_factory: pytest.TempPathFactory, cut: int, batch: int) -> None:
        """A crash anywhere in what was written last."""
        folder = tmp_path_factory.mktemp("torn")
        path = folder / "workflow_events.jsonl"
        trails.write(folder, trails.an_event(0), limit=1_000_000)
        durable = path.read_bytes()
        happened = [trails.an_event(number) for number in range(1, batch + 1)]
        trails.write(folder, *happened, limit=1_000_000, one_by_one=False)
        whole = path.read_bytes()
        torn = whole[: len(durable) + cut % (len(whole) - len(durable))]
        path.write_bytes(torn)
        with capture_logs():
            # Whoever goes on tells all of it again.
            trails.write(folder, *happened, limit=1_000_000, one_by_one=False)
        assert trails.faults(folder) <= {Fault.CLOCK_WENT_BACK}
        messages = [line["data"] for line in lines(folder) if line["kind"] == "Ended"]
        assert [one["message"] for one in messages if isinstance(one, dict)] == [f"number {number}" for number in range(batch + 1)]
        rest = torn[torn.rfind(b"\n") + 1 :]
        repairs = [line["data"] for line in lines(folder) if line["kind"] == "TornLineRepaired"]
        assert repairs == ([{"file": path.name, "bytes": len(rest), "digest": chain.sha256(rest)}] if rest else [])

    def test_of_the_journal_is_an_event_of_the_trail(self, tmp_path: Path) -> None:
        (tmp_path / "journal.jsonl").write_bytes(journal.to_line(trails.an_intent()) + b'{"at":"2026')

        async def main() -> None:
            records = LateRecords(folder=tmp_path / "audit", journal=tmp_path / "journal.jsonl", now=lambda: NOON)
            await records.open()
            await records.append([trails.a_decision(1)])
            records.close()

        with capture_logs():
            asyncio.run(main())
        assert kinds(tmp_path / "audit") == ["FileBegun", "TornLineRepaired", "Gated"]
        heads = lines(tmp_path / "audit")[-1]["heads"]
        assert isinstance(heads, dict)
        assert heads["journal"]["seq"] == 1


class TestFullDisk:
    """Decisions are shown, nothing is executed, and what is missing is written later."""

    def test_costs_no_decision_and_lets_nothing_be_done(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        async def main() -> None:
            records = LateRecords(folder=tmp_path / "audit", journal=tmp_path / "journal.jsonl", now=lambda: NOON)
            await records.open()
            assert await records.append([trails.a_decision(1)]) is not None
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", full)
                assert await records.append([trails.a_decision(2)]) is None
                records.note(trails.a_question(2))
                with pytest.raises(errors.JournalUnavailableError, match=r"nothing is executed until it can be\. Free space"):
                    await records.intend(trails.an_intent())
                assert records.backlog == 2
            await records.intend(trails.an_intent())
            assert records.backlog == 0
            records.close()

        with capture_logs():
            asyncio.run(main())
        assert kinds(tmp_path / "audit") == ["FileBegun", "Gated", "Gated"]
        assert kinds(tmp_path / "audit", Stream.AGENT_RUNS) == ["FileBegun", "AgentAsked"]
        assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 1
        found = list(reading.verify(tmp_path / "audit", journal=tmp_path / "journal.jsonl", anchors={}))
        assert all(one.is_proved for one in found)

    @pytest.mark.parametrize("hanging", ["trail", "journal"])
    def test_that_hangs_is_said_as_well_and_counts_once_it_answers(
        self, hanging: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(late, "WITHIN", 0.1)
        hung, files = threading.Event(), {"trail": "workflow_events.jsonl", "journal": "journal.jsonl"}

        def hangs(file: int) -> None:
            if Path(f"/proc/self/fd/{file}").readlink().name == files[hanging]:
                hung.wait(20)

        async def main() -> None:
            records = LateRecords(folder=tmp_path / "audit", journal=tmp_path / "journal.jsonl", now=lambda: NOON)
            await records.open()
            monkeypatch.setattr(os, "fsync", hangs)
            records.note(trails.a_decision(1))
            with pytest.raises(errors.JournalUnavailableError, match=r"has not answered within 0 s; nothing is executed"):
                await records.intend(trails.an_intent())
            hung.set()
            await records.intend(trails.an_intent())
            records.close()

        asyncio.run(main())
        assert kinds(tmp_path / "audit") == ["FileBegun", "Gated"]
        assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 1

    def test_costs_no_more_work_the_more_there_is_to_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise every decision would wait for all that waits to be worked out once more."""
        linked: list[object] = []

        def counted(*args: Any, **named: Any) -> Any:
            linked.append(args)
            return real(*args, **named)

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        async def main(trail: Trail) -> None:
            await trail.append([trails.an_event(0)])
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", full)
                patched.setattr(chain, "linked", counted)
                for number in range(1, 2001):
                    trail._keep([trails.an_event(number)])
                assert await trail.append([trails.an_event(2001)]) is None
            await trail.settle()

        real = chain.linked
        with capture_logs(), contextlib.closing(Trail.open(tmp_path, now=lambda: NOON, limit=10_000_000)) as trail:
            asyncio.run(main(trail))
        assert len(linked) == AT_ONCE
        assert [line["id"] for line in lines(tmp_path)[1:]] == [trails.an_event(number).id for number in range(2002)]
        assert trails.verify(tmp_path) == []

    def test_that_says_so_late_leaves_no_error_that_nobody_looked_at(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("safety_governor.adapters.audit.trail.SLOW", timedelta(seconds=0.05))
        hung, unseen = threading.Event(), []

        def full(*_: object) -> int:
            hung.wait(20)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        async def main(trail: Trail) -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, what: unseen.append(what["message"]))
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", full)
                assert await trail.append([trails.an_event(1)]) is None
                hung.set()
                with pytest.raises(errors.JournalUnavailableError):
                    await trail.settle()
            await trail.settle()
            gc.collect()

        with capture_logs(), contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            asyncio.run(main(trail))
        assert unseen == []

    def test_by_a_limit_on_files_leaves_a_whole_trail(self, tmp_path: Path) -> None:
        """A real limit of the operating system, in a process of its own; the line that had no room is written when there is room."""
        program = [sys.executable, "-c", _FILL, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        said = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True, timeout=60, env=environment).stdout
        refused, written = (int(one) for one in said.split()[-2:])
        assert refused == 1
        assert len(lines(tmp_path)) == written + 1
        assert trails.verify(tmp_path) == []

    def test_for_ever_is_told_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("safety_governor.adapters.audit.trail.BACKLOG", 3)
        with capture_logs(), contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", lambda *_: os.close(-1))
                asyncio.run(trail.append([trails.a_question(number) for number in range(5)]))
            asyncio.run(trail.settle())
        assert [(line["kind"], line["data"]) for line in lines(tmp_path) if line["kind"] == "EventsLost"] == [("EventsLost", {"count": 2})]

    def test_for_ever_drops_nothing_that_an_action_rests_on_while_there_is_something_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("safety_governor.adapters.audit.trail.BACKLOG", 3)

        async def main(trail: Trail) -> Position | None:
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", lambda *_: os.close(-1))
                assert await trail.append([trails.a_decision(1), *(trails.a_question(number) for number in range(9))]) is None
            await trail.settle()
            return await trail.append([trails.an_event(1)])

        with capture_logs() as logged, contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            last = asyncio.run(main(trail))
        assert [line["kind"] for line in lines(tmp_path)] == ["FileBegun", "Gated", "EventsLost", "Ended"]
        assert last is not None
        assert [(one["log_level"], one["lost"]) for one in logged if "questions and searches that had to" in one["event"]] == [("error", 6)]

    def test_that_cost_what_an_action_rests_on_lets_nothing_be_done_until_it_is_told_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("safety_governor.adapters.audit.trail.BACKLOG", 3)

        async def fail(trail: Trail) -> None:
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", lambda *_: os.close(-1))
                await trail.append([trails.an_event(number) for number in range(5)])
            assert await trail.append([trails.an_event(9)]) is None, "whoever is told a place is told that nothing is missing"
            with pytest.raises(errors.JournalUnavailableError, match="started anew, which tells them again"):
                await trail.settle()

        with capture_logs() as logged, contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            asyncio.run(fail(trail))
        assert [one["event"] for one in logged if "can be written again" in one["event"] and "is started anew" not in one["event"]] == []
        with contextlib.closing(Trail.open(tmp_path, now=lambda: NOON)) as trail:
            asyncio.run(trail.settle())
            assert asyncio.run(trail.append([trails.an_event(0), trails.an_event(1)])) is not None
        assert min(str(line["data"]) for line in lines(tmp_path) if line["kind"] == "Ended").count("number 0") == 1


_FILL = """
import asyncio, resource, sys
from pathlib import Path
from safety_governor.adapters.audit.trail import Trail
from support import trails
from support.fakes import NOON

async def main():
    trail, number, refused = Trail.open(Path(sys.argv[1]), now=lambda: NOON, limit=10_000_000), 0, 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 1_000_000))
    while not refused:
        number += 1
        refused += await trail.append([trails.an_event(number)]) is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    await trail.settle()
    trail.close()
    print(refused, number)

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""


class TestProof:
    @pytest.mark.parametrize("attempt", tamper.ATTEMPTS, ids=lambda one: one.name)
    def test_finds_tampering(self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, attempt: tamper.Attempt) -> None:
        folder = tmp_path / "audit"
        shutil.copytree(_kept(tmp_path_factory), folder)
        alone, anchored = tamper.tried(attempt, folder, _ANCHORS)
        assert attempt.fault in {one.fault for one in anchored}
        assert (attempt.fault in {one.fault for one in alone}) is not attempt.needs_anchors
        assert all(finding.file.endswith(".jsonl") and finding.message for finding in anchored)

    def test_finds_nothing_where_nothing_was_done(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = _kept(tmp_path_factory)
        assert trails.verify(folder, _ANCHORS) == []

    def test_of_a_clock_that_goes_back_is_a_warning(self, tmp_path: Path) -> None:
        trails.write(tmp_path, trails.an_event(1), trails.an_event(2, at=NOON - timedelta(hours=1)))
        found = next(reading.verify(tmp_path, anchors={}))
        assert [one.fault for one in found.findings] == [Fault.CLOCK_WENT_BACK]
        assert found.is_proved

    @pytest.mark.parametrize("kind", [["Ended"], {}, None, 7])
    def test_of_a_line_of_no_kind_is_a_finding(self, tmp_path: Path, kind: Any) -> None:
        last = trails.write(tmp_path, trails.an_event(1))
        path = tmp_path / "workflow_events.jsonl"
        ours = json.loads(path.read_bytes().splitlines()[-1])
        forged = {**{name: ours[name] for name in ours.keys() - {"seq", "prev", "hash"}}, "kind": kind}
        with path.open("ab") as file:
            file.write(chain.linked(forged, after=last)[0])
        assert trails.faults(tmp_path) == {Fault.UNKNOWN_FORM}

    def test_of_figures_that_came_a_moment_before_their_decision_finds_nothing(self, tmp_path: Path) -> None:
        """They are written first, and what comes in between may be a crash, or whoever verifies."""
        trails.write(tmp_path, trails.a_question(1), trails.some_figures(1), trails.an_event(1))
        (tmp_path / "workflow_events.jsonl").write_bytes(b"")
        assert trails.faults(tmp_path) == set()

    def test_is_not_lost_in_warnings_and_does_not_fail_for_them(self, tmp_path: Path) -> None:
        times = [NOON + timedelta(minutes=number % 2) for number in range(2 * LISTED + 60)]
        trails.write(tmp_path, *(trails.an_event(number, at=at) for number, at in enumerate(times)), limit=2**24, one_by_one=False)
        found = next(reading.verify(tmp_path, anchors={}))
        assert (found.is_proved, len(found.findings), found.unlisted, found.unlisted_warnings > 0) == (True, LISTED, 0, True)
        path = tmp_path / "workflow_events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"Resolved", b"Rejected")]))
        found = next(reading.verify(tmp_path, anchors={}))
        assert ([one.line for one in found.findings if one.fault is Fault.CHANGED], found.is_proved) == ([len(lines)], False)

    @pytest.mark.parametrize("witness", [trails.a_decision(1), trails.an_end_of_an_action(1), trails.an_event(1)], ids=lambda one: one.kind)
    def test_of_the_journal_begins_where_the_trail_last_noted_it(self, tmp_path: Path, witness: Event) -> None:
        trails.write(tmp_path, witness, journal=lambda: Position(seq=2, hash="sha256:" + "a" * 64))
        (tmp_path / "journal.jsonl").write_bytes(journal.to_line(trails.an_intent()))
        *_, found = reading.verify(tmp_path, anchors={})
        assert [one.fault for one in found.findings] == [Fault.CUT_OFF]
        assert "line number 2 of workflow_events noted line number 2" in found.findings[0].message

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
    @given(data=st.data())
    def test_finds_any_change_of_any_byte(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        folder = _kept(tmp_path_factory)
        anchors = _ANCHORS
        path = data.draw(st.sampled_from(naming.files(folder, Stream.WORKFLOW_EVENTS)))
        before = path.read_bytes()
        at = data.draw(st.integers(min_value=0, max_value=len(before) - 1))
        how = data.draw(st.sampled_from(["flip", "remove", "insert", "cut"]))
        byte = bytes([data.draw(st.integers(min_value=0, max_value=255).filter(lambda one: one != before[at]))])
        changed = {
            "flip": before[:at] + byte + before[at + 1 :],
            "remove": before[:at] + before[at + 1 :],
            "insert": before[:at] + byte + before[at:],
            "cut": before[:at],
        }[how]
        path.write_bytes(changed)
        try:
            found = [one for one in trails.verify(folder, anchors) if not one.is_warning]
        finally:
            path.write_bytes(before)
        assert found

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
    @given(data=st.data())
    def test_finds_any_other_order_of_lines(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        folder = _kept(tmp_path_factory)
        path = data.draw(st.sampled_from(naming.files(folder, Stream.WORKFLOW_EVENTS)))
        before = path.read_bytes()
        whole = before.splitlines(keepends=True)
        others = data.draw(st.lists(st.sampled_from(whole), max_size=len(whole) + 2).filter(lambda one: one != whole))
        path.write_bytes(b"".join(others))
        try:
            found = [one for one in trails.verify(folder, _ANCHORS) if not one.is_warning]
        finally:
            path.write_bytes(before)
        assert found


_ANCHORS: list[Anchor] = []
_FOLDERS: list[Path] = []


def _kept(factory: pytest.TempPathFactory) -> Path:
    """One trail for all examples; each puts back what it changes."""
    if not _FOLDERS:
        _FOLDERS.append(factory.mktemp("kept"))
        _ANCHORS.extend(tamper.prepare(_FOLDERS[0]))
    return _FOLDERS[0]


def test_memory_does_not_grow_with_the_trail(tmp_path: Path) -> None:
    happened = [trails.an_event(number, message=f"{number}: " + "so it went on " * 70) for number in range(4_000)]
    trails.write(tmp_path, *happened, limit=10_000_000, one_by_one=False)
    assert (tmp_path / "workflow_events.jsonl").stat().st_size > 5_000_000
    tracemalloc.start()
    found = next(reading.verify(tmp_path, anchors={}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.lines, found.is_proved) == (4_001, True)
    assert peak < 2_500_000
