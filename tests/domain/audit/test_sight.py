"""Which documents an agent has really been shown, from the record of its calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safety_governor.domain import digests
from safety_governor.domain.audit import events, sight

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_line(*documents: str, minute: float = 0, caller: str = "kibana", run: str = "run-1") -> dict[str, Any]:
    called = events.ToolCalled(
        tool="search_evidence", caller=caller, run=run, arguments=digests.digest({}), documents=documents, milliseconds=5
    )
    at = NOON + timedelta(minutes=minute)
    return events.happened(called, at=at, once=(str(minute), caller)).model_dump(mode="json")


LINES = (
    a_line("ev-1", "ev-2"),
    a_line("ev-3", minute=5, run="run-2"),
    a_line("ev-4", minute=5, caller="other"),
    a_line(minute=6),
    {"kind": "FileBegun", "at": NOON.isoformat(), "data": {}},
)

SEEN: dict[str, tuple[dict[str, Any], set[str]]] = {
    "in a run": ({"run": "run-1"}, {"ev-1", "ev-2"}),
    "in a run that there was not": ({"run": "run-9"}, set()),
    "ever": ({}, {"ev-1", "ev-2", "ev-3"}),
    "since a moment, that moment included": ({"since": NOON + timedelta(minutes=5)}, {"ev-3"}),
    "until a moment, that moment included": ({"until": NOON}, {"ev-1", "ev-2"}),
    "by somebody else who names the run": ({"run": "run-1", "caller": "other"}, {"ev-4"}),
    "by nobody": ({"caller": "nobody"}, set()),
}


@pytest.mark.parametrize(("asked", "expected"), SEEN.values(), ids=SEEN.keys())
def test_documents_seen(asked: dict[str, Any], expected: set[str]) -> None:
    assert sight.seen(LINES, **{"caller": "kibana", **asked}) == expected
