"""Scale: a certain number of replicas."""

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
from safety_governor.domain import actions, marks, plans, requests

SCALE = actions.of(ActionType.SCALE)


def to(replicas: int) -> plans.Step:
    return a_step(ActionType.SCALE, replicas=str(replicas))


PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "a number": ({"replicas": "5"}, ""),
    "zero": ({"replicas": "0"}, ""),
    "nothing": ({}, "parameter 'replicas' is missing"),
    "a word": ({"replicas": "five"}, "parameter 'replicas': Input should be a valid integer, unable to parse string as an integer"),
    "half a pod": ({"replicas": "2.5"}, "parameter 'replicas': Input should be a valid integer, unable to parse string as an integer"),
    "less than nothing": ({"replicas": "-1"}, "parameter 'replicas': Input should be greater than or equal to 0"),
    "a slip of the keyboard": ({"replicas": "10001"}, "parameter 'replicas': Input should be less than or equal to 10000"),
    "one too many": ({"replicas": "5", "by": "2"}, "parameter 'by' is not known"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.SCALE, **parameters) == ((told,) if told else ())


AUTOSCALER = "HorizontalPodAutoscaler/checkout"
REFUSED: dict[str, tuple[int, dict[str, Any], tuple[str, ...]]] = {
    "somebody else decides": (
        5,
        {"autoscaler": AUTOSCALER},
        (f"{AUTOSCALER} decides on the replicas of Deployment/{NAME} and would undo the change; change its limits instead",),
    ),
    "it is not known who decides": (
        5,
        {"autoscaler": None},
        (f"it is not known whether an autoscaler decides on the replicas of Deployment/{NAME}",),
    ),
    "it has so many already": (3, {}, (f"Deployment/{NAME} has 3 replicas already, so nothing would change",)),
    "both": (
        3,
        {"autoscaler": None},
        (f"it is not known whether an autoscaler decides on the replicas of Deployment/{NAME}",),
    ),
}


@pytest.mark.parametrize(("replicas", "around", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_when(replicas: int, around: dict[str, Any], told: tuple[str, ...]) -> None:
    assert refusals(to(replicas), a_scene(**around)) == told


@pytest.mark.parametrize(("replicas", "down"), [(0, 3), (1, 2), (3, 0), (9, 0)])
def test_takes_down_the_replicas_that_go_away(replicas: int, down: int) -> None:
    assert SCALE.takes_down(to(replicas), a_scene()) == down


def test_is_refused_when_more_go_away_than_may_be_unavailable() -> None:
    told = "it may make 2 of 3 pods unavailable at once, and the RemediationPolicy allows 1"
    assert refusals(to(1), a_scene(), max_unavailable="50%") == (told,)
    assert refusals(to(2), a_scene(), max_unavailable="50%") == ()


@pytest.mark.parametrize("kind", sorted(SCALE.kinds))
def test_writes_number_and_marks_together(kind: str) -> None:
    assert request(to(5), a_scene(a_workload(kind))) == requests.Patch(
        kind=kind,
        name=NAME,
        style=requests.PatchStyle.MERGE,
        body={
            "metadata": {"resourceVersion": "7", "annotations": {marks.LAST_ACTION: KEY, marks.ACTED_FOR: INCIDENT}},
            "spec": {"replicas": 5},
        },
    )


def test_asks_for_nothing_once_its_key_is_on_the_target_whatever_its_replicas_are() -> None:
    assert request(to(5), a_scene(a_workload(body=a_body(annotations=MARKED, replicas=4)))) is None


def test_is_undone_by_the_number_of_before() -> None:
    inverse = SCALE.inverse(to(5), an_intent(to(5), a_scene()).before)
    assert inverse is not None
    assert (inverse.type, inverse.parameters) == (ActionType.SCALE, {"replicas": "3"})


def test_of_a_number_that_is_not_known_cannot_be_undone() -> None:
    before = an_intent(to(5), a_scene()).before.model_copy(update={"replicas": None})
    assert SCALE.inverse(to(5), before) is None


@pytest.mark.parametrize("kind", sorted(SCALE.kinds))
def test_and_its_undo_bring_back_what_was_before(kind: str) -> None:
    target = Simulated(kind)
    before = target.state
    undo = target.carry_out(to(5))
    assert target.state["replicas"] == 5
    assert undo is not None
    redo = target.carry_out(undo)
    assert target.state == before
    assert redo is not None
    target.carry_out(redo)
    assert target.state["replicas"] == 5
