"""Which documents an agent has really been shown, from the record of its calls."""

from datetime import timedelta
from typing import Any

import pytest

from safety_governor.domain import digests
from safety_governor_mcp import trace
from support.fakes import NOON


def a_call(*documents: str, minute: float = 0, **changes: Any) -> trace.Call:
    known = {
        "tool": "search_evidence",
        "caller": "kibana",
        "run": "run-1",
        "arguments": digests.digest({}),
        "at": NOON + timedelta(minutes=minute),
        "milliseconds": 5,
        "documents": documents,
    }
    return trace.Call(**{**known, **changes})


CALLS = (a_call("ev-1", "ev-2"), a_call("ev-3", minute=5, run="run-2"), a_call("ev-4", minute=5, caller="other"), a_call(minute=6))

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
    assert trace.seen(CALLS, **{"caller": "kibana", **asked}) == expected
