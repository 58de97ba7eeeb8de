"""The journal on disk: real files, real processes that are killed, and disks that are full."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from safety_governor.adapters.audit import lines
from safety_governor.adapters.audit.journal import Journal
from safety_governor.domain import errors, history, journal, plans, values, verification
from safety_governor.domain.audit import chain
from support.fakes import NOON

PATIENT = timedelta(seconds=10)
TARGET = plans.Target(kind="Deployment", name="web")


def key(number: int) -> str:
    return f"sha256:{number:064x}"


def an_intent(number: int = 1, *, at: datetime = NOON, **more: Any) -> journal.Intent:
    plain: dict[str, Any] = {
        "key": key(number),
        "incident": "shop/slow",
        "uid": "11111111-2222",
        "namespace": "shop",
        "target": TARGET,
        "type": values.ActionType.ROLLOUT_RESTART,
        "claimed_at": at,
    }
    return journal.Intent(**{**plain, **more})


def an_end(
    number: int = 1, *, at: datetime = NOON, outcome: verification.Outcome | None = verification.Outcome.VERIFIED, message: str = "all good"
) -> journal.End:
    return journal.End(key=key(number), incident="shop/slow", outcome=outcome, message=message, at=at)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "governor" / "journal.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[Journal]:
    with contextlib.closing(Journal.open(path)) as found:
        yield found


def chained(*events: journal.Event) -> bytes:
    """A whole journal with these."""
    content, last = b"", None
    for event in events:
        line, last = journal.linked(event, after=last)
        content += line
    return content


def rewritten(event: journal.Event, **changes: Any) -> bytes:
    """The line of the event with other content, whose hash fits."""
    fields = {name: value for name, value in json.loads(journal.to_line(event)).items() if name not in ("seq", "prev", "hash")}
    return chain.linked({**fields, **changes}, after=None)[0]


def record(opened: Journal, *events: journal.Event) -> None:
    """One after the other."""

    async def write() -> None:
        for event in events:
            await (opened.intend(event) if isinstance(event, journal.Intent) else opened.end(event))

    asyncio.run(write())


def kept(path: Path) -> list[journal.Event]:
    """What somebody finds who opens the journal afterwards."""
    with contextlib.closing(Journal.open(path, patience=PATIENT)) as found:
        return list(found.read(NOON - timedelta(days=999)))


class TestLine:
    def test_of_an_intent_and_of_an_end_are_as_documented(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(undoes=True), an_end(message="größer\nals"), an_end(2, outcome=None, message=""))
        assert [chain.read(line).intact for line in path.read_bytes().splitlines()] == [True] * 3
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [one.pop("prev") for one in lines] == [chain.GENESIS, lines[0].pop("hash"), lines[1].pop("hash")]
        assert [one.pop("seq") for one in lines] == [1, 2, 3]
        del lines[2]["hash"]
        intended, verified, refused = lines
        noon = "2026-03-01T12:00:00Z"
        common = {"v": 1, "at": noon, "key": key(1), "incident": "shop/slow"}
        where = {"uid": "11111111-2222", "namespace": "shop", "target": {"kind": "Deployment", "name": "web"}}
        assert intended == {**common, "kind": "ActionIntended", **where, "type": "RolloutRestart", "undoes": True, "claimedAt": noon}
        assert verified == {**common, "kind": "ActionEnded", "outcome": "Verified", "message": "größer\nals"}
        assert refused == {**common, "kind": "ActionEnded", "key": key(2), "outcome": None, "message": ""}

    def test_may_have_fields_that_came_later(self) -> None:
        assert journal.from_line(rewritten(an_end(), previous="sha256:…")) == an_end()

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"v": 2}, "reads lines of version 1 only"),
            ({"v": None}, "reads lines of version 1 only"),
            ({"kind": "ActionDreamt"}, "does not know its kind"),
            ({"kind": ["ActionEnded"]}, "does not know its kind"),
            ({"key": "rm -rf"}, "its field key is damaged"),
            ({"at": "2026-03-01T12:00:00"}, "its field at is damaged"),
            ({"outcome": "Splendid"}, "its field outcome is damaged"),
        ],
    )
    def test_that_is_not_understood_is_never_guessed_at(self, change: dict[str, Any], why: str) -> None:
        with pytest.raises(ValueError, match=why):
            journal.from_line(rewritten(an_end(), **change))

    def test_that_was_changed_or_never_had_a_place_is_not_believed(self) -> None:
        line = journal.to_line(an_end())
        with pytest.raises(ValueError, match="changed after it was written"):
            journal.from_line(line.replace(b"Verified", b"Regressed"))
        placeless = {name: value for name, value in json.loads(line).items() if name not in ("seq", "prev", "hash")}
        with pytest.raises(ValueError, match="no place in a chain"):
            journal.from_line(json.dumps(placeless).encode())

    @given(st.binary())
    @example(b"[" * 100_000)
    @example(b"1" * 5_000)
    @example(b'{"v":1,"kind":"ActionEnded"}')
    def test_of_anything_is_an_event_or_an_objection(self, line: bytes) -> None:
        with pytest.raises(ValueError, match=r"it is not|no place|changed|damaged|version"):
            journal.from_line(line)

    @given(st.text(max_size=1024), st.text(min_size=1, max_size=253))
    def test_says_again_what_was_put_into_it(self, message: str, name: str) -> None:
        for event in (an_end(message=message), an_intent(target=plans.Target(name=name))):
            line = journal.to_line(event)
            assert (line.count(b"\n"), journal.from_line(line)) == (1, event)


class TestFile:
    def test_and_its_folder_are_for_the_owner_alone(self, opened: Journal, path: Path) -> None:
        del opened
        assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]

    def test_is_durable_before_anybody_relies_on_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[tuple[str, bytes]] = []
        really = os.fsync

        def fsync(file: int) -> None:
            name = str(Path(f"/proc/self/fd/{file}").readlink())
            synced.append((name, Path(name).read_bytes() if Path(name).is_file() else b""))
            really(file)

        monkeypatch.setattr(os, "fsync", fsync)
        opened = Journal.open(path)
        assert {name for name, _ in synced} == {str(one) for one in (path, *path.parents[:3])}
        record(opened, an_intent())
        assert synced[-1] == (str(path), journal.to_line(an_intent()))
        opened.close()

    @pytest.mark.parametrize("there", ["mkdir", "mkfifo", "ln -s /dev/full"])
    def test_that_is_none_is_refused(self, path: Path, there: str) -> None:
        path.parent.mkdir(parents=True)
        subprocess.run([*there.split(), path], check=True)
        with pytest.raises(
            errors.ConfigurationError, match=rf"the journal {path} cannot be used: it is not a file; .* nothing may be executed"
        ):
            Journal.open(path)

    @pytest.mark.parametrize("content", [b"alias ll=ls\n", b'{"name":', b"SQLite format 3\0" + b"\0" * 4096])
    def test_of_somebody_else_is_refused_and_left_as_it_is(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with pytest.raises(errors.ConfigurationError, match="cannot be used: it is some other file; it was not touched"):
            Journal.open(path)
        assert path.read_bytes() == content

    def test_below_another_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(errors.ConfigurationError, match=rf"cannot be used: .* \({tmp_path}/file"):
            Journal.open(tmp_path / "file" / "journal.jsonl")

    def test_that_somebody_took_away_is_begun_anew_with_everything_in_it(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1))
        path.rename(path.with_suffix(".old"))
        with capture_logs() as logged:
            record(opened, an_intent(1), an_intent(2))
        assert [one["log_level"] for one in logged] == ["error"]
        with pytest.raises(errors.ConfigurationError, match="another process has it"):
            Journal.open(path, patience=timedelta(0))
        opened.close()
        assert kept(path) == [an_intent(1), an_intent(2)]

    def test_that_gave_way_to_another_of_the_same_length_is_not_mixed_with_it(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1))
        foreign = b"x" * (path.stat().st_size - 1) + b"\n"
        path.unlink()
        path.write_bytes(foreign)
        for _ in range(2):
            with capture_logs(), pytest.raises(errors.JournalUnavailableError, match="it is some other file"):
                record(opened, an_intent(2))
        assert path.read_bytes() == foreign

    @pytest.mark.parametrize("content", [journal.to_line(an_intent(1)) + b"a note\n", journal.to_line(an_intent(1)) + b"a note", b""])
    def test_that_somebody_changed_is_read_again(self, opened: Journal, path: Path, content: bytes) -> None:
        record(opened, an_intent(1))
        path.write_bytes(content)
        with capture_logs() as logged:
            record(opened, an_intent(1), an_intent(2))
        assert logged[0]["event"] == "the journal was changed by somebody else while it was in use"
        opened.close()
        assert kept(path) == [an_intent(1), an_intent(2)]
        assert (b"a note" in path.read_bytes()) == content.endswith(b"\n")

    def test_that_was_closed_takes_nothing_more(self, opened: Journal) -> None:
        for act in (lambda: record(opened, an_intent()), lambda: opened.read(NOON)):
            opened.close()
            with pytest.raises(errors.JournalUnavailableError, match="the journal is closed"):
                act()


class TestRepetition:
    def test_is_written_once(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(), an_intent(), an_end(), an_end(at=NOON + timedelta(minutes=1)), an_intent(2), an_intent(2))
        opened.close()
        assert kept(path) == [an_intent(), an_end(), an_intent(2)]

    def test_is_recognised_after_a_restart(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent())
        opened.close()
        with contextlib.closing(Journal.open(path)) as again:
            record(again, an_intent())
        assert kept(path) == [an_intent()]

    def test_is_not_what_is_news(self, opened: Journal, path: Path) -> None:
        """An action that was taken back is intended once more; an outcome turns out to be another."""
        events: list[journal.Event] = [
            an_intent(),
            an_end(outcome=None),
            an_intent(),
            an_end(),
            an_end(outcome=verification.Outcome.REGRESSED),
        ]
        record(opened, *events)
        opened.close()
        assert kept(path) == events

    def test_is_remembered_for_two_days_and_no_longer(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1), an_intent(2, at=NOON + timedelta(hours=48)), an_intent(1))
        record(opened, an_intent(3, at=NOON + timedelta(hours=49)), an_intent(1))
        opened.close()
        assert [event.key for event in kept(path)] == [key(1), key(2), key(3), key(1)]


class TestDamage:
    def test_of_the_last_line_is_cut_off_and_reported(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1))
        opened.close()
        path.write_bytes(path.read_bytes() + journal.to_line(an_intent(2))[:-1])
        with capture_logs() as logged:
            again = Journal.open(path)
        assert [(one["log_level"], one["bytes"]) for one in logged] == [("warning", len(journal.to_line(an_intent(2))) - 1)]
        record(again, an_intent(2))
        again.close()
        assert kept(path) == [an_intent(1), an_intent(2)]

    @pytest.mark.parametrize("rest", [journal.to_line(an_intent())[:number] for number in (0, 1, 5, 40)] + [b"\0" * 100])
    def test_of_the_only_line_is_cut_off(self, path: Path, rest: bytes) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(rest)
        assert kept(path) == []
        assert path.read_bytes() == b""

    def test_of_another_line_is_reported_and_kept_with_all_the_others(self, opened: Journal, path: Path) -> None:
        record(opened, *(an_intent(number) for number in range(4)))
        opened.close()
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1] = lines[1].replace(b'"shop"', b'"sh\0p"')
        lines[2] = lines[2].replace(b'"shop"', b'"shed"')
        path.write_bytes(b"".join(lines))
        with capture_logs() as logged:
            assert kept(path) == [an_intent(0), an_intent(3)]
        assert [(one["log_level"], one["line"], one["why"]) for one in logged] == [
            ("warning", 2, "it is not JSON"),
            ("warning", 3, "it was changed after it was written"),
        ]
        assert path.read_bytes() == b"".join(lines)

    def test_of_an_intent_forgets_no_action_and_of_an_end_believes_no_outcome(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1), an_end(1), an_intent(2), an_end(2), an_intent(3), an_end(3))
        opened.close()
        lines = path.read_bytes().splitlines(keepends=True)
        lines[0] = lines[0].replace(b"11111111-2222", b"11111111-2223")
        lines[3] = lines[3].replace(b"Verified", b"Verdient")
        lines.insert(
            0, json.dumps({name: one for name, one in json.loads(lines[4]).items() if name not in ("seq", "hash")}).encode() + b"\n"
        )
        path.write_bytes(b"".join(lines))
        with contextlib.closing(Journal.open(path, patience=PATIENT)) as found, capture_logs():
            past = {one.key: one.outcome for one in found.past(since=NOON - timedelta(days=1))}
        inconclusive, verified = verification.Outcome.INCONCLUSIVE, verification.Outcome.VERIFIED
        assert past == {key(1): verified, key(2): inconclusive, key(3): verified}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(tail=st.binary(), cut=st.integers(min_value=0))
    @example(tail=b"\n\n", cut=0)
    @example(tail=b"\0" * 4096, cut=0)
    @example(tail=b'\n{"v":1', cut=0)
    @example(tail=b"\n", cut=len(chained(an_intent(9))) - 1)
    def test_never_costs_what_was_acknowledged(self, tmp_path: Path, tail: bytes, cut: int) -> None:
        """Whatever a crash leaves behind the lines that are durable, and whatever part of the last line it leaves."""
        path = tmp_path / "journal.jsonl"
        path.unlink(missing_ok=True)
        durable = [an_intent(number) for number in range(3)]
        unfinished = chained(*durable, an_intent(9)).splitlines(keepends=True)[-1]
        content = chained(*durable) + unfinished[: cut % len(unfinished)]
        path.write_bytes(content + tail)
        with capture_logs():
            with contextlib.closing(Journal.open(path)) as opened:
                record(opened, an_intent(10))
            # The unfinished line may be finished by accident: it is one that nobody relied on.
            assert [event for event in kept(path) if event != an_intent(9)] == [*durable, an_intent(10)]
        whole = (content + tail).rfind(b"\n") + 1
        assert path.read_bytes()[:whole] == (content + tail)[:whole]
        after = lines.last_position((content + tail)[:whole].split(b"\n"))
        assert path.read_bytes()[whole:] == journal.linked(an_intent(10), after=after)[0]


class TestPast:
    def test_is_what_was_intended_and_how_it_ended(self, opened: Journal) -> None:
        hour = timedelta(hours=1)
        record(opened, an_intent(1), an_end(1, at=NOON + hour, outcome=verification.Outcome.REGRESSED))
        record(opened, an_intent(2, at=NOON + hour, undoes=True), an_intent(3), an_end(3, outcome=None), an_intent(4, at=NOON - hour))
        record(opened, an_end(4, at=NOON - hour), an_end(5))
        common: dict[str, Any] = {"incident": "shop/slow", "namespace": "shop", "target": TARGET}
        assert opened.past(since=NOON) == [
            history.Past(key=key(1), claimed_at=NOON, ended_at=NOON + hour, outcome=verification.Outcome.REGRESSED, **common),
            history.Past(
                key=key(2),
                claimed_at=NOON + hour,
                ended_at=NOON + hour,
                outcome=verification.Outcome.INCONCLUSIVE,
                undoes=True,
                **common,
            ),
        ]
        assert [one.key for one in opened.read(NOON + hour)] == [key(1), key(2)]

    def test_of_an_action_that_was_begun_again_is_not_ended(self, opened: Journal) -> None:
        record(opened, *(an_intent(), an_end(outcome=None)))
        assert opened.past(since=NOON) == []
        record(opened, an_intent())
        assert [one.outcome for one in opened.past(since=NOON)] == [verification.Outcome.INCONCLUSIVE]


class TestFailure:
    """What could not be made durable was not written, and nothing is executed."""

    @pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
    def test_of_fsync_is_taken_back_and_tried_on_a_fresh_descriptor(
        self, opened: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        record(opened, an_intent(1))
        really, failed = os.fsync, list[int]()

        def fsync(file: int) -> None:
            if not failed:
                failed.append(file)
                raise OSError(number, os.strerror(number))
            really(file)

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(errors.JournalUnavailableError, match=rf"{os.strerror(number)}; nothing is executed until it can be\. "):
            record(opened, an_intent(2))
        assert path.read_bytes() == journal.to_line(an_intent(1))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(failed[0])
        record(opened, an_intent(2), an_intent(3))
        opened.close()
        assert kept(path) == [an_intent(1), an_intent(2), an_intent(3)]

    def test_to_take_back_is_made_good_before_the_next(self, opened: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        record(opened, an_intent(1))

        def broken(*_: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", broken)
            patched.setattr(os, "ftruncate", broken)
            for _ in range(2):
                with pytest.raises(errors.JournalUnavailableError, match="Input/output error"):
                    record(opened, an_intent(2))
        assert path.read_bytes() == chained(an_intent(1), an_intent(2))
        assert opened.read(NOON) == [an_intent(1)]
        record(opened, an_intent(3))
        opened.close()
        assert kept(path) == [an_intent(1), an_intent(3)]

    def test_of_the_folder_is_told_as_it_is(self, opened: Journal, path: Path) -> None:
        record(opened, an_intent(1))
        shutil.rmtree(path.parent)
        path.parent.write_text("")
        for _ in range(2):
            with capture_logs(), pytest.raises(errors.JournalUnavailableError, match=r"cannot be written: .*nothing is executed"):
                record(opened, an_intent(2))
        path.parent.unlink()
        record(opened, an_intent(2))
        opened.close()
        assert kept(path) == [an_intent(2)]

    async def test_of_a_cancelled_caller_leaves_whole_lines(self, opened: Journal, path: Path) -> None:
        tasks = [asyncio.create_task(opened.intend(an_intent(number))) for number in range(50)]
        await tasks[0]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        done = {key(number) for number, task in enumerate(tasks) if not task.cancelled()}
        opened.close()
        assert done <= {event.key for event in kept(path)}


FILL = """
import asyncio, os, resource, subprocess, sys
from pathlib import Path
from safety_governor.adapters.audit.journal import Journal
from safety_governor.domain import errors
from safety_governor.domain.journal import Intent

path, one = Path(sys.argv[1]), Intent.model_validate_json(sys.argv[2])
filler = path.parent / "filler"

def limit_files(much):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000 if much else 5_000, 1_000_000))

def fill_disk(much):
    filler.unlink(missing_ok=True)
    if not much:
        disk = os.statvfs(path.parent)
        filler.write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - 8192))

async def main(make_room):
    journal, number = Journal.open(path), 0
    make_room(False)
    try:
        while True:
            await journal.intend(one.model_copy(update={"key": f"sha256:{number:064x}"}))
            number += 1
    except errors.JournalUnavailableError as error:
        print(error)
    make_room(True)
    await journal.intend(one.model_copy(update={"key": f"sha256:{number:064x}"}))
    kept = [event.key for event in journal.read(one.at)]
    print(number, kept == [f"sha256:{one:064x}" for one in range(number + 1)], path.read_bytes().count(10) - number)
    journal.close()

if sys.argv[3] == "fill_disk":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path.parent], check=True)
asyncio.run(main(globals()[sys.argv[3]]))
"""

WRITE = """
import asyncio, sys
from pathlib import Path
from safety_governor.adapters.audit.journal import Journal
from safety_governor.domain.journal import Intent

one, turn = Intent.model_validate_json(sys.argv[2]), int(sys.argv[3])

async def main():
    journal = Journal.open(Path(sys.argv[1]))

    async def write(worker):
        for number in range(1_000_000):
            key = f"sha256:{number * 1000 + worker * 10 + turn:064x}"
            await journal.intend(one.model_copy(update={"key": key, "uid": "x" * ((number * 37) % 256)}))
            print(key, flush=True)

    await asyncio.gather(*(write(worker) for worker in range(8)))

asyncio.run(main())
"""


def program(text: str, path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", text, str(path), an_intent().model_dump_json(), *arguments]


class TestFullDisk:
    """The line that had no room is written, once, when there is room again."""

    def test_by_a_limit_on_files_loses_nothing(self, path: Path) -> None:
        said = subprocess.run(program(FILL, path, "limit_files"), stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
        assert "cannot be written: File too large; nothing is executed until it can be. Raise the limit" in said
        assert said.splitlines()[1].split()[1:] == ["True", "1"]
        assert len(kept(path)) == int(said.splitlines()[1].split()[0]) + 1 > 4

    def test_of_a_real_file_system_loses_nothing(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        alone = ["unshare", "--map-root-user", "--mount"]
        if shutil.which("unshare") is None or subprocess.run([*alone, "mount", "-t", "tmpfs", "x", path.parent], check=False).returncode:
            pytest.skip("this machine lets nobody mount a small file system")
        said = subprocess.run([*alone, *program(FILL, path, "fill_disk")], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
        assert "cannot be written: No space left on device; nothing is executed until it can be. Free space" in said
        assert said.splitlines()[1].split()[1:] == ["True", "1"]


class TestProcess:
    def test_that_is_killed_while_it_writes_loses_nothing_that_was_acknowledged(self, path: Path) -> None:
        acknowledged: list[str] = []
        for turn in range(3):
            with subprocess.Popen(program(WRITE, path, str(turn)), stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                acknowledged += [process.stdout.readline() for _ in range(100 + 57 * turn)]
                process.send_signal(signal.SIGKILL)
                acknowledged += process.stdout.readlines()
        assert len(acknowledged) > 400
        # What was being printed when the process was killed may be half a line.
        assert {line.strip() for line in acknowledged if line.endswith("\n")} <= {event.key for event in kept(path)}

    def test_that_comes_second_is_refused_until_the_first_has_ended(self, path: Path) -> None:
        with subprocess.Popen(program(WRITE, path, "0"), stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout is not None
            assert first.stdout.readline().startswith("sha256:")
            with pytest.raises(errors.ConfigurationError, match="another process has it; wait until that has ended"):
                Journal.open(path, patience=timedelta(milliseconds=60))
            first.kill()
            # It needs a moment to end, which is waited for.
            Journal.open(path, patience=PATIENT).close()
