"""Whether an action helped, by what is seen of its target: progress, pods, logs, the alert, and time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actions.builders import NOON
from safety_governor.domain import rollouts, telemetry, verification, workloads
from safety_governor.domain.verification import Outcome

GOING_ON, COMPLETE, STUCK, OVERTAKEN = rollouts.Progress
SENTENCE = "3 of 3 replicas are new and available"


def after(**later: float) -> datetime:
    return NOON + timedelta(**later)


def a_pod(name: str = "new", *, born: float = 5, ready: float | None = 10, **changes: Any) -> workloads.Pod:
    """A pod that was born and became ready so many seconds after the action; it is well."""
    known = {
        "name": name,
        "uid": f"uid-{name}",
        "created_at": after(seconds=born),
        "ready": ready is not None,
        "ready_since": after(seconds=ready) if ready is not None else None,
    }
    return workloads.Pod.model_validate({**known, **changes})


def looping(name: str = "new", **changes: Any) -> workloads.Pod:
    return a_pod(name, ready=None, restarts=4, waiting="CrashLoopBackOff", **changes)


def restarted(name: str = "new", *, at: float, reason: str = "", **changes: Any) -> workloads.Pod:
    return a_pod(name, restarts=1, last_ended_at=after(seconds=at), last_ended_reason=reason, **changes)


def logs(error_ratio: float | None, *, lines: int = 1000) -> telemetry.Telemetry:
    known = {"service": "checkout", "since": NOON, "until": after(seconds=60), "lines": lines, "errors": 0}
    return telemetry.Telemetry.model_validate({**known, "error_ratio": error_ratio})


def judged(
    progress: rollouts.Progress = COMPLETE,
    *,
    seconds: float = 120,
    baseline: dict[str, Any] | None = None,
    watch: dict[str, Any] | None = None,
    **seen: Any,
) -> verification.Judged:
    """The judgement so many seconds after the action; without more it is well and was watched for long enough."""
    observed = verification.Observation(progress=progress, sentence=SENTENCE, **{"pods": (a_pod(),), **seen})
    return verification.judge(
        observed,
        verification.Baseline(**(baseline or {})),
        verification.Watch(**{"timeout_seconds": 600, "soak_seconds": 60, **(watch or {})}),
        since=NOON,
        now=after(seconds=seconds),
    )


TROUBLED = {"troubled": ("uid-old",)}
OLD: dict[str, Any] = {"born": -600, "ready": -590}
NO_SOAK = {"soak_seconds": 0}
FEW_ERRORS, MANY_ERRORS = {"error_ratio": 0.01}, {"error_ratio": 0.5}

TABLE: dict[str, tuple[dict[str, Any], Outcome | None, str]] = {
    # progress and time
    "the rollout is complete and was watched": ({}, Outcome.VERIFIED, f"{SENTENCE}; no restart in 60 s"),
    "the rollout goes on": ({"progress": GOING_ON}, None, SENTENCE),
    "the rollout goes on for nearly too long": ({"progress": GOING_ON, "seconds": 599}, None, SENTENCE),
    "the rollout goes on for too long": (
        {"progress": GOING_ON, "seconds": 600},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, after 10 minutes",
    ),
    "the rollout goes on for an odd time": (
        {"progress": GOING_ON, "seconds": 95, "watch": {"timeout_seconds": 95}},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, after 95 s",
    ),
    "the rollout is stuck": ({"progress": STUCK}, Outcome.REGRESSED, SENTENCE),
    "a new pod does not start": ({"progress": GOING_ON, "pods": (a_pod(ready=None, waiting="ImagePullBackOff"),)}, None, SENTENCE),
    "a new pod does not start for too long": (
        {"progress": GOING_ON, "pods": (a_pod(ready=None, waiting="ImagePullBackOff"),), "seconds": 600},
        Outcome.REGRESSED,
        "pod new does not start (ImagePullBackOff)",
    ),
    "an old pod does not start for too long": (
        {"progress": GOING_ON, "pods": (a_pod(born=-5, ready=None, waiting="ImagePullBackOff"),), "seconds": 600},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, after 10 minutes",
    ),
    "somebody else went on": ({"progress": OVERTAKEN}, Outcome.INCONCLUSIVE, SENTENCE),
    # the soak
    "it has just become ready": ({"seconds": 69}, None, f"{SENTENCE}; watched until 12:01:10"),
    "it was ready for long enough": ({"seconds": 70}, Outcome.VERIFIED, f"{SENTENCE}; no restart in 60 s"),
    "the last of two has just become ready": (
        {"pods": (a_pod("a"), a_pod("b", ready=100)), "seconds": 120},
        None,
        f"{SENTENCE}; watched until 12:02:40",
    ),
    "one that is leaving became ready late": (
        {"pods": (a_pod("a"), a_pod("b", ready=100, terminating=True)), "seconds": 120},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s",
    ),
    "old pods were ready long before": ({"pods": (a_pod("old", **OLD),), "seconds": 59}, None, f"{SENTENCE}; watched until 12:01:00"),
    "there are no pods to watch": ({"pods": (), "seconds": 60}, Outcome.VERIFIED, SENTENCE),
    "there is nothing to wait for": ({"watch": NO_SOAK, "seconds": 10}, Outcome.VERIFIED, SENTENCE),
    "its pods become ready again and again": (
        {"pods": (a_pod(ready=650),), "seconds": 659},
        None,
        f"{SENTENCE}; watched until 12:11:50",
    ),
    "its pods do not stop to become ready": (
        {"pods": (a_pod(ready=650),), "seconds": 660},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but the pods do not stay ready for 60 s",
    ),
    "it became ready in the last moment": (
        {"pods": (a_pod(ready=599),), "seconds": 659},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s",
    ),
    # pods
    "a new pod is crash-looping": (
        {"pods": (a_pod("a"), looping("b"))},
        Outcome.REGRESSED,
        "pod b is crash-looping after 4 restarts",
    ),
    "a new pod is crash-looping while the rollout goes on": (
        {"progress": GOING_ON, "pods": (looping(last_ended_reason="Error"),)},
        Outcome.REGRESSED,
        "pod new is crash-looping after 4 restarts (Error)",
    ),
    "an old pod is crash-looping on its way out": (
        {"progress": GOING_ON, "pods": (looping("old", born=-600),), "baseline": TROUBLED},
        None,
        SENTENCE,
    ),
    "an old pod began to crash-loop on its way out": ({"progress": GOING_ON, "pods": (looping("old", born=-600),)}, None, SENTENCE),
    "an old pod that stays is crash-looping as before": (
        {"pods": (looping("old", born=-600),), "baseline": TROUBLED},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but pod old is crash-looping after 4 restarts, as before",
    ),
    "an old pod that stays has begun to crash-loop": (
        {"pods": (looping("old", born=-600),)},
        Outcome.REGRESSED,
        "pod old is crash-looping after 4 restarts",
    ),
    "more pods than can be put on record were crash-looping before": (
        {"pods": (looping("old", born=-600),), "baseline": {"troubled": tuple(f"uid-{number}" for number in range(64))}},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but pod old is crash-looping after 4 restarts, as before",
    ),
    "of two that crash-loop one does so since": (
        {"pods": (looping("old", born=-600), looping("new")), "baseline": TROUBLED},
        Outcome.REGRESSED,
        "pod new is crash-looping after 4 restarts",
    ),
    "a pod was restarted before": ({"pods": (restarted("old", at=-1, **OLD),)}, Outcome.VERIFIED, f"{SENTENCE}; no restart in 60 s"),
    "a pod was restarted in that very moment": (
        {"pods": (restarted("old", at=0, **OLD),)},
        Outcome.REGRESSED,
        "pod old was restarted",
    ),
    "a pod was restarted since": ({"pods": (restarted(at=20),)}, Outcome.REGRESSED, "pod new was restarted"),
    "a pod ran out of memory since": (
        {"pods": (restarted(at=20, reason="OOMKilled"),)},
        Outcome.REGRESSED,
        "pod new was restarted (OOMKilled)",
    ),
    "a pod ran out of memory during the soak": (
        {"pods": (restarted(at=20, reason="OOMKilled"),), "seconds": 30},
        Outcome.REGRESSED,
        "pod new was restarted (OOMKilled)",
    ),
    "a pod that was in trouble was restarted since": (
        {"pods": (restarted("old", at=20, **OLD),), "baseline": TROUBLED},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but pod old was restarted, as before",
    ),
    "nobody knows when a pod was restarted": (
        {"pods": (a_pod(restarts=3),)},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s",
    ),
    "a pod that is leaving is crash-looping": (
        {"pods": (a_pod("a"), looping("b", terminating=True))},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s",
    ),
    # the live logs
    "errors are as few as before": (
        {"baseline": FEW_ERRORS, "telemetry": logs(0.02)},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s; errors 1% of the log before, 2% since",
    ),
    "errors grew by as much as they may": ({"baseline": FEW_ERRORS, "telemetry": logs(0.06)}, Outcome.VERIFIED, "errors 1%"),
    "errors grew by more": (
        {"baseline": FEW_ERRORS, "telemetry": logs(0.07)},
        Outcome.REGRESSED,
        f"{SENTENCE}, but errors 1% of the log before, 7% since",
    ),
    "errors have gone": ({"baseline": MANY_ERRORS, "telemetry": logs(0.0)}, Outcome.VERIFIED, "errors 50% of the log before, 0% since"),
    "errors are so many fewer that it is better": ({"baseline": MANY_ERRORS, "telemetry": logs(0.4)}, Outcome.VERIFIED, "40% since"),
    "errors are hardly fewer": (
        {"baseline": MANY_ERRORS, "telemetry": logs(0.41), "seconds": 670},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but it is no better: errors 50% of the log before, 41% since",
    ),
    "errors are as many as before": ({"baseline": MANY_ERRORS, "telemetry": logs(0.5)}, None, "it is no better"),
    "errors were few and are a few more": ({"baseline": {"error_ratio": 0.04}, "telemetry": logs(0.04)}, Outcome.VERIFIED, "4% since"),
    "the logs are silent": (
        {"baseline": FEW_ERRORS, "telemetry": logs(None, lines=0)},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s; the live logs say too little since (0 lines)",
    ),
    "the logs are silent where errors were to become fewer": (
        {"baseline": MANY_ERRORS, "telemetry": logs(None, lines=0)},
        None,
        f"{SENTENCE}, but the live logs say too little since (0 lines); the logs are read again",
    ),
    "the logs are silent for too long where errors were to become fewer": (
        {"baseline": MANY_ERRORS, "telemetry": logs(None, lines=0), "seconds": 670},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but the live logs say too little since (0 lines)",
    ),
    "the logs are silent and other steps follow": (
        {"baseline": MANY_ERRORS, "telemetry": logs(None, lines=0), "watch": {"must_help": False}},
        Outcome.VERIFIED,
        "(0 lines)",
    ),
    "errors are as many as before and other steps follow": (
        {"baseline": MANY_ERRORS, "telemetry": logs(0.5), "watch": {"must_help": False}},
        Outcome.VERIFIED,
        "50% since",
    ),
    "errors are more than before and other steps follow": (
        {"baseline": MANY_ERRORS, "telemetry": logs(0.6), "watch": {"must_help": False}},
        Outcome.REGRESSED,
        "60% since",
    ),
    "the logs are silent and are required": (
        {"baseline": FEW_ERRORS, "telemetry": logs(None, lines=0), "watch": {"require_telemetry": True}},
        None,
        f"{SENTENCE}, but the live logs say too little since (0 lines); the logs are read again",
    ),
    "the logs are silent for too long and are required": (
        {"baseline": FEW_ERRORS, "telemetry": logs(None, lines=0), "watch": {"require_telemetry": True}, "seconds": 670},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but the live logs say too little since (0 lines)",
    ),
    "the logs say too little for a ratio": ({"baseline": FEW_ERRORS, "telemetry": logs(1.0, lines=19)}, Outcome.VERIFIED, "(19 lines)"),
    "the logs say just enough for a ratio": ({"baseline": FEW_ERRORS, "telemetry": logs(1.0, lines=20)}, Outcome.REGRESSED, "100% since"),
    "the logs were unknown before": ({"telemetry": logs(0.9)}, Outcome.VERIFIED, f"{SENTENCE}; no restart in 60 s"),
    "the logs were unknown before and are required": (
        {"telemetry": logs(0.02), "watch": {"require_telemetry": True}},
        Outcome.VERIFIED,
        f"{SENTENCE}; no restart in 60 s; errors 2% of the log since",
    ),
    "the logs cannot be read": (
        {"baseline": FEW_ERRORS, "telemetry_problem": "down"},
        None,
        f"{SENTENCE}, but the live logs cannot be read: down; the logs are read again",
    ),
    "the logs cannot be read for nearly too long": ({"baseline": FEW_ERRORS, "telemetry_problem": "down", "seconds": 669}, None, "down"),
    "the logs cannot be read for too long": (
        {"baseline": FEW_ERRORS, "telemetry_problem": "down", "seconds": 670},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but the live logs cannot be read: down",
    ),
    "the logs cannot be read and nobody asks for them": ({"telemetry_problem": "down"}, Outcome.VERIFIED, SENTENCE),
    # the alert
    "the alert has resolved itself": ({"alert_resolved": True}, Outcome.VERIFIED, "; the alert has resolved itself"),
    "the alert is required and has resolved itself": (
        {"alert_resolved": True, "watch": {"require_alert_resolved": True}},
        Outcome.VERIFIED,
        "; the alert has resolved itself",
    ),
    "the alert is required and has not": (
        {"watch": {"require_alert_resolved": True}},
        None,
        f"{SENTENCE}; waiting for the alert to resolve itself",
    ),
    "the alert is required and has not for nearly too long": ({"watch": {"require_alert_resolved": True}, "seconds": 669}, None, "waiting"),
    "the alert is required and has not for too long": (
        {"watch": {"require_alert_resolved": True}, "seconds": 670},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}, but the alert has not resolved itself",
    ),
    "the alert is resolved and the rollout is stuck": ({"progress": STUCK, "alert_resolved": True}, Outcome.REGRESSED, SENTENCE),
    # somebody else
    "somebody else changed it and all is well": ({"meddled": True}, Outcome.VERIFIED, SENTENCE),
    "somebody else changed it and it is stuck": (
        {"meddled": True, "progress": STUCK},
        Outcome.INCONCLUSIVE,
        f"{SENTENCE}; somebody else has changed the target since, so it is not undone",
    ),
    "somebody else changed it and a pod is crash-looping": (
        {"meddled": True, "pods": (looping(),)},
        Outcome.INCONCLUSIVE,
        "pod new is crash-looping after 4 restarts; somebody else has changed the target since, so it is not undone",
    ),
}


@pytest.mark.parametrize(("seen", "outcome", "told"), TABLE.values(), ids=TABLE.keys())
def test_judgement_when(seen: dict[str, Any], outcome: Outcome | None, told: str) -> None:
    found = judged(**seen)
    assert found.outcome is outcome, found.message
    assert told in found.message


PAUSES: dict[str, tuple[dict[str, Any], float]] = {
    "soon, in the beginning": ({"progress": GOING_ON, "seconds": 0}, 0.5),
    "after a fifth of the time that has passed": ({"progress": GOING_ON, "seconds": 10}, 2),
    "after a few seconds at most": ({"progress": GOING_ON, "seconds": 500}, 5),
    "at the end of the soak": ({"seconds": 68}, 2),
    "and again during a long soak": ({"seconds": 20}, 5),
    "for the alert": ({"watch": {"require_alert_resolved": True}}, 5),
}


@pytest.mark.parametrize(("seen", "seconds"), PAUSES.values(), ids=PAUSES.keys())
def test_looks_again(seen: dict[str, Any], seconds: float) -> None:
    found = judged(**seen)
    assert found.outcome is None
    assert found.until - after(seconds=seen.get("seconds", 120)) == timedelta(seconds=seconds)


def test_is_watched_from_when_the_last_pod_became_ready() -> None:
    watch = verification.Watch(soak_seconds=60)
    pods = (a_pod("a", ready=10), a_pod("b", ready=30), a_pod("c", ready=None), a_pod("d", ready=99, terminating=True))
    seen = verification.Observation(progress=COMPLETE, sentence=SENTENCE)
    assert verification.soaked_at(seen.model_copy(update={"pods": pods}), watch, since=NOON) == after(seconds=90)
    assert verification.soaked_at(seen, watch, since=NOON) == after(seconds=60)


def test_is_watched_from_when_it_was_done_and_not_from_when_it_was_claimed() -> None:
    """A good undo that took its time must not be judged by the errors that it ended."""
    watch = verification.Watch(soak_seconds=60)
    seen = verification.Observation(progress=COMPLETE, sentence=SENTENCE, pods=(a_pod(ready=10),), effect_at=after(seconds=300))
    assert verification.took_effect_at(seen, since=NOON) == after(seconds=300)
    assert verification.soaked_at(seen, watch, since=NOON) == after(seconds=360)
    assert verification.took_effect_at(seen.model_copy(update={"effect_at": after(seconds=-5)}), since=NOON) == after(seconds=10)


PROGRESS = st.sampled_from(rollouts.Progress)
MAYBE_TIME = st.none() | st.integers(-600, 900)


@st.composite
def pods(draw: st.DrawFn) -> workloads.Pod:
    born, ready, ended = draw(st.integers(-600, 600)), draw(MAYBE_TIME), draw(MAYBE_TIME)
    return a_pod(
        draw(st.sampled_from(("old", "new", "other"))),
        born=born,
        ready=ready,
        terminating=draw(st.booleans()),
        restarts=draw(st.integers(0, 3)),
        waiting=draw(st.sampled_from(("", "", "CrashLoopBackOff", "ContainerCreating"))),
        last_ended_at=after(seconds=ended) if ended is not None else None,
    )


@st.composite
def looks(draw: st.DrawFn) -> dict[str, Any]:
    """Anything that can be seen, at any time, held against any baseline and watched in any way."""
    ratio = st.none() | st.floats(0, 1)
    lines = draw(st.integers(0, 100))
    return {
        "progress": draw(PROGRESS),
        "seconds": draw(st.integers(0, 1500)),
        "pods": tuple(draw(st.lists(pods(), max_size=3))),
        "telemetry": draw(st.none() | ratio.map(lambda one: logs(one, lines=lines))),
        "telemetry_problem": draw(st.sampled_from(("", "down"))),
        "alert_resolved": draw(st.booleans()),
        "meddled": draw(st.booleans()),
        "baseline": {"troubled": draw(st.sampled_from(((), ("uid-old",)))), "error_ratio": draw(ratio)},
        "watch": {
            "timeout_seconds": draw(st.integers(1, 600)),
            "soak_seconds": draw(st.integers(0, 600)),
            "require_alert_resolved": draw(st.booleans()),
            "require_telemetry": draw(st.booleans()),
            "must_help": draw(st.booleans()),
        },
    }


TROUBLES: dict[str, dict[str, Any]] = {
    "the rollout not being complete": {"progress": GOING_ON},
    "the rollout being stuck": {"progress": STUCK},
    "somebody else going on": {"progress": OVERTAKEN},
    "a crash-looping pod": {"pods": (looping("worse"),)},
    "a restarted pod": {"pods": (restarted("worse", at=1),)},
    "an old pod that is restarted": {"pods": (restarted("worse", at=1, **OLD),)},
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
@given(looks())
def test_nothing_is_verified_with(trouble: dict[str, Any], seen: dict[str, Any]) -> None:
    worse = {**seen, **trouble, "pods": (*seen["pods"], *trouble.get("pods", ()))}
    assert judged(**worse).outcome is not Outcome.VERIFIED


DEMANDS: dict[str, dict[str, Any]] = {
    "a longer soak": {"soak_seconds": 900},
    "a resolved alert": {"require_alert_resolved": True},
    "readable logs": {"require_telemetry": True},
    "everything": {"soak_seconds": 900, "require_alert_resolved": True, "require_telemetry": True},
}


@pytest.mark.parametrize("demand", DEMANDS.values(), ids=DEMANDS.keys())
@given(looks())
def test_nothing_is_verified_because_more_is_demanded(demand: dict[str, Any], seen: dict[str, Any]) -> None:
    stricter = {**seen, "watch": {**seen["watch"], **demand}}
    if judged(**stricter).outcome is Outcome.VERIFIED:
        assert judged(**seen).outcome is Outcome.VERIFIED


@given(looks(), st.floats(0, 1), st.floats(0, 1))
def test_nothing_is_verified_because_there_are_more_errors(seen: dict[str, Any], one: float, other: float) -> None:
    few, many = sorted((one, other))
    if judged(**{**seen, "telemetry": logs(many)}).outcome is Outcome.VERIFIED:
        assert judged(**{**seen, "telemetry": logs(few)}).outcome is Outcome.VERIFIED


@given(looks())
def test_nothing_that_somebody_else_has_changed_is_undone(seen: dict[str, Any]) -> None:
    assert judged(**{**seen, "meddled": True}).outcome is not Outcome.REGRESSED


@given(looks())
def test_every_watch_comes_to_an_end(seen: dict[str, Any]) -> None:
    """However long something goes on: at last there is an outcome."""
    watch = seen["watch"]
    assert judged(**{**seen, "seconds": 900 + 2 * watch["timeout_seconds"] + 2 * watch["soak_seconds"]}).outcome is not None


@given(looks())
def test_who_looks_again_looks_later_and_soon(seen: dict[str, Any]) -> None:
    found, now = judged(**seen), after(seconds=seen["seconds"])
    assert (found.until == now) == (found.outcome is not None)
    assert now <= found.until <= now + verification.LONGEST_LOOK_AWAY
