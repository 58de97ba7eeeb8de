"""What a trail says in sum: only what was done counts as done, and nothing counts twice."""

import itertools
from typing import Any

from safety_governor.domain.audit import figures

PLAN = {"plan": {"resolution": "Resolved", "steps": [{"type": "RolloutRestart"}]}}
EXECUTE = {"decision": "execute", "planDigest": "new", "facts": {"targetExists": True}}
CLAIM = {"key": "k", "planDigest": "new"}
DONE = {"key": "k", "state": "Done", "outcome": "Verified"}

_ids = itertools.count()


def line(kind: str, data: dict[str, Any], *, id: str = "") -> dict[str, Any]:  # noqa: A002 - as in a line
    return {
        "kind": kind,
        "id": id or f"id-{next(_ids)}",
        "uid": "u1",
        "incident": "shop/a",
        "at": "2026-03-01T12:00:00+00:00",
        "data": data,
    }


def summary(*lines: dict[str, Any]) -> figures.Summary:
    tally = figures.Tally()
    for one in (line("Planned", PLAN), *lines):
        tally.take(one)
    return tally.summary()


def ended(phase: str) -> dict[str, Any]:
    return line("Ended", {"phase": phase})


def test_action_that_was_done_counts() -> None:
    naive = summary(line("Gated", EXECUTE), line("Claimed", CLAIM), line("ActionEnded", DONE), ended("Resolved")).naive
    assert (naive.executed, naive.executed_with_the_gate, naive.not_executed) == (1, 1, {})


def test_action_that_was_refused_was_not_executed() -> None:
    refused = line("ActionEnded", {"key": "k", "state": "Failed"})
    naive = summary(line("Gated", EXECUTE), line("Claimed", CLAIM), refused, ended("Failed")).naive
    assert (naive.executed, naive.executed_with_the_gate, naive.not_executed) == (1, 0, {"Failed": 1})


def test_action_that_was_taken_back_was_not_executed() -> None:
    naive = summary(line("Gated", EXECUTE), line("Claimed", CLAIM), ended("Aborted")).naive
    assert (naive.executed, naive.executed_with_the_gate, naive.not_executed) == (1, 0, {"Aborted": 1})


def test_action_that_may_have_been_done_counts_as_done() -> None:
    unknown = line("ActionEnded", {"key": "k", "state": "Indeterminate", "outcome": "Inconclusive"})
    assert summary(line("Gated", EXECUTE), line("Claimed", CLAIM), unknown).naive.executed_with_the_gate == 1


def test_undo_is_no_execution_and_is_counted_by_itself() -> None:
    undo = line("Claimed", {"key": "u", "planDigest": "new", "undoes": "step-1"})
    found = summary(line("Gated", EXECUTE), undo, line("ActionEnded", {**DONE, "key": "u"}))
    assert (found.naive.executed_with_the_gate, found.actions) == (0, {"undo Verified": 1})


def test_target_that_comes_back_can_be_acted_on() -> None:
    absent = line("Gated", {"decision": "block_and_escalate", "facts": {"targetExists": False}})
    assert summary(absent, ended("Rejected")).naive.executed == 0
    naive = summary(absent, line("Gated", EXECUTE), line("Claimed", CLAIM), line("ActionEnded", DONE), ended("Resolved")).naive
    assert (naive.executed, naive.executed_with_the_gate) == (1, 1)
    assert summary(line("Gated", EXECUTE), absent).naive.executed == 0, "the newest look counts"


def test_release_of_another_plan_released_nothing_of_this_one() -> None:
    done = (line("Gated", EXECUTE), line("Claimed", CLAIM), line("ActionEnded", DONE))

    def word(digest: str, said: str = "APPROVE") -> dict[str, Any]:
        return line("ApprovalHonoured", {"decision": said, "planDigest": digest})

    assert summary(word("old"), *done).naive.executed_after_people == 0
    assert summary(word("new"), *done).naive.executed_after_people == 1
    assert summary(word("new", "REJECT"), *done).naive.executed_after_people == 0


def test_event_that_has_no_content_says_nothing() -> None:
    unwritten = {"unwritten": "what happened cannot be written as a line (ValueError)"}
    found = summary(*(line(kind, unwritten) for kind in ("Gated", "ActionEnded", "ApprovalHonoured", "Ended")))
    assert (found.decisions, found.actions, found.approvals, found.outcomes) == ({}, {}, {}, {})
    assert found.naive.executed_with_the_gate == 0


def test_event_that_is_told_again_counts_once() -> None:
    twice = [line("Gated", EXECUTE, id="same"), line("Ended", {"phase": "Resolved"}, id="too")] * 2
    found = summary(*twice)
    assert (found.decisions, found.outcomes) == ({"execute": 1}, {"Resolved": 1})
