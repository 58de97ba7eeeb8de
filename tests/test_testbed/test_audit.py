"""Reading an audit log that is being written."""

from pathlib import Path

import pytest

from testbed.audit import read_events


@pytest.mark.parametrize(("since", "read"), [(0, [1, 2]), (8, [2]), (3, [2]), (11, []), (16, [])])
def test_events_that_were_being_written_at_the_mark_or_are_now_are_left_out(since: int, read: list[int], tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"n":1}\n{"n":2}\n{"n":')
    assert [event["n"] for event in read_events(log, since)] == read


def test_line_that_a_killed_server_tore_costs_none_of_the_next_server(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    whole = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestObject":{"kind":"Event","apiVersion":"v1"},"n":1}'
    log.write_bytes(whole + b"\n" + whole[:60] + whole + b"\n")
    assert [event["n"] for event in read_events(log)] == [1, 1]
    log.write_bytes(whole[:60] + b"\n")
    with pytest.raises(ValueError, match="line 1"):
        read_events(log)
