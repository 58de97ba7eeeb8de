"""Following a trail while it is written: every line once, over the change from a full file to the next."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from safety_governor.adapters.audit import reading
from safety_governor.adapters.audit.trail import Trail
from safety_governor.domain import errors
from support import trails
from support.fakes import NOON


def test_every_line_is_seen_once_over_all_files(tmp_path: Path) -> None:
    trails.write(tmp_path, trails.an_event(0))
    follower = reading.Follower(tmp_path, left_out=lambda _: None)
    follower.skip()
    seen: list[str] = []

    async def main(trail: Trail) -> None:
        for number in range(1, 60):
            await trail.append([trails.an_event(number)])
            seen.extend(line.fields["data"]["message"] for line in follower.read() if line.fields["kind"] == "Ended")

    with contextlib.closing(Trail.open(tmp_path, now=lambda: NOON, limit=trails.SMALL)) as trail:
        asyncio.run(main(trail))
    follower.close()
    assert seen == [f"number {number}" for number in range(1, 60)]


def test_line_that_is_half_written_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    trails.write(tmp_path, trails.an_event(0))
    path = tmp_path / "workflow_events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    follower = reading.Follower(tmp_path, left_out=lambda _: None)
    follower.skip()
    assert follower.read() == []
    with path.open("ab") as file:
        file.write(whole[-40:])
    assert [line.fields["kind"] for line in follower.read()] == ["Ended"]
    follower.close()


def test_of_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="there is no folder"):
        reading.Follower(tmp_path / "nowhere", left_out=lambda _: None)
