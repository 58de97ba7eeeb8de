"""Reading an audit log that is being written."""

from pathlib import Path

import pytest

from testbed.audit import read_events


@pytest.mark.parametrize(("since", "read"), [(0, [1, 2]), (8, [2]), (3, [2]), (11, []), (16, [])])
def test_events_that_were_being_written_at_the_mark_or_are_now_are_left_out(since: int, read: list[int], tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"n":1}\n{"n":2}\n{"n":')
    assert [event["n"] for event in read_events(log, since)] == read
