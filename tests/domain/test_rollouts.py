"""Rollouts as `kubectl rollout status` sees them, and the phases of an incident."""

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


UNDER_WAY = {Phase.PENDING, Phase.PLANNING, Phase.STRESSING, Phase.GATED, Phase.AWAITING_APPROVAL, Phase.EXECUTING, Phase.VERIFYING}


@pytest.mark.parametrize("phase", Phase)
def test_phase_is_either_under_way_or_final(phase: Phase) -> None:
    assert (phase in lifecycle.TERMINAL) != (phase in UNDER_WAY)


def test_cluster_may_have_been_touched_only_while_acting() -> None:
    assert frozenset({Phase.EXECUTING, Phase.VERIFYING}) == lifecycle.ACTING
    assert not lifecycle.ACTING & lifecycle.TERMINAL
