"""Rollouts as `kubectl rollout status` sees them, and the phases of an incident."""

from datetime import UTC, datetime, timedelta

import pytest

from safety_governor.domain import lifecycle, rollouts

GOING_ON, COMPLETE, STUCK = rollouts.Progress.GOING_ON, rollouts.Progress.COMPLETE, rollouts.Progress.STUCK
Phase = lifecycle.Phase
DONE = {"generation": 2, "observed_generation": 2, "wanted": 3, "replicas": 3, "updated": 3, "available": 3}
DEADLINE: dict[str, int | str] = {"progressing_reason": "ProgressDeadlineExceeded"}

PROGRESS: dict[str, tuple[dict[str, int | str], rollouts.Progress, str]] = {
    "all replicas are new and available": ({}, COMPLETE, "3 of 3 replicas are new and available"),
    "the controller has not seen the change": ({"observed_generation": 1}, GOING_ON, "the controller has not seen the change yet"),
    "a deadline of an older generation means nothing": (
        {"observed_generation": 1, **DEADLINE},
        GOING_ON,
        "the controller has not seen the change yet",
    ),
    "the deadline is exceeded": (DEADLINE, STUCK, "the rollout exceeded its progress deadline"),
    "the Job has failed": ({"progressing_reason": "JobFailed"}, STUCK, "the Job has failed"),
    "another reason means nothing": ({"progressing_reason": "ReplicaSetUpdated"}, COMPLETE, "3 of 3 replicas are new and available"),
    "not all replicas are new": ({"updated": 1}, GOING_ON, "1 of 3 new replicas have been created"),
    "old replicas are left": ({"replicas": 5}, GOING_ON, "2 old replicas are still going away"),
    "not all new replicas are available": ({"available": 2}, GOING_ON, "2 of 3 new replicas are available"),
    "scaled to nothing": ({"wanted": 0, "replicas": 0, "updated": 0, "available": 0}, COMPLETE, "0 of 0 replicas are new and available"),
    "a controller that is ahead of what was read": ({"observed_generation": 3}, COMPLETE, "3 of 3 replicas are new and available"),
}


@pytest.mark.parametrize(("changes", "progress", "sentence"), PROGRESS.values(), ids=PROGRESS.keys())
def test_progress(changes: dict[str, int | str], progress: rollouts.Progress, sentence: str) -> None:
    assert rollouts.progress(rollouts.Observed.model_validate({**DONE, **changes})) == (progress, sentence)


def test_figures_that_the_api_leaves_out_are_zero_and_never_complete() -> None:
    assert rollouts.progress(rollouts.Observed(generation=1))[0] is GOING_ON
    assert rollouts.progress(rollouts.Observed(generation=1, observed_generation=1))[0] is GOING_ON


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("complained_at", "expected"),
    [(NOON - timedelta(seconds=1), COMPLETE), (NOON, STUCK), (NOON + timedelta(seconds=1), STUCK), (None, STUCK)],
    ids=["before", "in the same second", "since", "nobody knows when"],
)
def test_deadline_that_was_exceeded_before_is_nothing_that_an_action_has_done(
    complained_at: datetime | None, expected: rollouts.Progress
) -> None:
    seen = rollouts.Observed.model_validate({**DONE, **DEADLINE, "progressing_since": complained_at})
    assert rollouts.progress(rollouts.since(seen, NOON))[0] is expected


UNDER_WAY = {Phase.PENDING, Phase.PLANNING, Phase.STRESSING, Phase.GATED, Phase.AWAITING_APPROVAL, Phase.EXECUTING, Phase.VERIFYING}


@pytest.mark.parametrize("phase", Phase)
def test_phase_is_either_under_way_or_final(phase: Phase) -> None:
    assert (phase in lifecycle.TERMINAL) != (phase in UNDER_WAY)


def test_cluster_may_have_been_touched_only_while_acting() -> None:
    assert frozenset({Phase.EXECUTING, Phase.VERIFYING}) == lifecycle.ACTING
    assert not lifecycle.ACTING & lifecycle.TERMINAL
