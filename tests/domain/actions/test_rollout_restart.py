"""RolloutRestart: every pod replaced by a new one from the same template."""

from typing import Any

import pytest

from domain.actions.builders import (
    INCIDENT,
    KEY,
    MARKED,
    NAME,
    ActionType,
    Simulated,
    a_body,
    a_scene,
    a_step,
    a_workload,
    an_intent,
    problems,
    refusals,
    request,
)
from safety_governor.domain import actions, marks, requests, rollouts, values

STEP = a_step(ActionType.ROLLOUT_RESTART)
RESTART = actions.of(ActionType.ROLLOUT_RESTART)


def test_takes_no_parameters() -> None:
    assert problems(ActionType.ROLLOUT_RESTART) == ()
    assert problems(ActionType.ROLLOUT_RESTART, timeout="5m") == ("parameter 'timeout' is not known",)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "paused": ({"paused": True}, "is paused, so nothing would roll out; resume it first (kubectl rollout resume)"),
    "only replaces pods that are deleted": (
        {"on_delete": True},
        "only replaces pods that somebody deletes (updateStrategy OnDelete), so nothing would roll out",
    ),
    "keeps every pod back": ({"kept_back": 3}, "keeps every pod at its earlier template (partition 3), so nothing would roll out"),
}


@pytest.mark.parametrize(("target", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_when_the_target(target: dict[str, Any], told: str) -> None:
    assert refusals(STEP, a_scene(a_workload("StatefulSet", **target))) == (f"StatefulSet/{NAME} {told}",)


def test_goes_ahead_where_only_some_pods_are_kept_back() -> None:
    assert refusals(STEP, a_scene(a_workload("StatefulSet", kept_back=2))) == ()


@pytest.mark.parametrize("kind", sorted(RESTART.kinds))
def test_asks_for_the_time_of_the_claim_on_the_template_and_the_marks_on_the_object(kind: str) -> None:
    assert request(STEP, a_scene(a_workload(kind))) == requests.Patch(
        kind=kind,
        name=NAME,
        style=requests.PatchStyle.MERGE,
        body={
            "metadata": {"resourceVersion": "7", "annotations": {marks.LAST_ACTION: KEY, marks.ACTED_FOR: INCIDENT}},
            "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-01T12:00:00Z"}}}},
        },
    )


def test_asks_for_nothing_once_its_key_is_on_the_target() -> None:
    assert request(STEP, a_scene(a_workload(body=a_body(annotations=MARKED)))) is None


def test_takes_down_what_the_own_rollout_of_the_target_takes_down() -> None:
    assert RESTART.takes_down(STEP, a_scene(a_workload(max_unavailable=2))) == 2


def test_is_as_far_as_the_rollout() -> None:
    scene = a_scene(a_workload(rollout=rollouts.Observed(generation=4, observed_generation=3)))
    assert RESTART.progress(STEP, scene) == (rollouts.Progress.GOING_ON, "the controller has not seen the change yet")


def test_is_undone_by_going_back_to_the_template_of_before() -> None:
    scene = a_scene()
    inverse = RESTART.inverse(STEP, an_intent(STEP, scene).before)
    assert inverse is not None
    assert (inverse.type, inverse.parameters) == (values.ActionType.ROLLOUT_UNDO, {"template": scene.target.template_hash})


@pytest.mark.parametrize("kind", sorted(RESTART.kinds))
def test_and_its_undo_bring_back_what_was_before(kind: str) -> None:
    target = Simulated(kind)
    before = target.state
    undo = target.carry_out(STEP)
    assert target.state != before
    assert undo is not None
    again = target.carry_out(undo)
    assert target.state == before
    assert again is not None
    target.carry_out(again)
    assert target.state["template"]["metadata"]["annotations"] == {marks.RESTARTED_AT: "2026-03-01T12:00:00Z"}


def test_that_is_carried_out_a_second_time_with_the_same_key_changes_nothing() -> None:
    target = Simulated()
    claimed = target.claim(STEP)
    target.carry_out(STEP, claimed)
    assert RESTART.request(STEP, target.scene, claimed) is None
