"""Cordon and Uncordon: whether new pods go onto a node."""

from typing import Any

import pytest

from domain.actions.builders import (
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
from safety_governor.domain import actions, plans, requests, rollouts, values, workloads

CORDON, UNCORDON = a_step(ActionType.CORDON), a_step(ActionType.UNCORDON)


def a_node(*, cordoned: bool = False, **body: Any) -> workloads.Workload:
    found = a_body("Node", **body)
    return a_workload("Node", {**found, "spec": {"unschedulable": True} if cordoned else {}})


@pytest.mark.parametrize("kind", [ActionType.CORDON, ActionType.UNCORDON])
def test_takes_no_parameters(kind: values.ActionType) -> None:
    assert problems(kind) == ()
    assert problems(kind, drain="true") == ("parameter 'drain' is not known",)


REFUSED: dict[str, tuple[plans.Step, workloads.Scene, str]] = {
    "cordoned already": (CORDON, a_scene(a_node(cordoned=True)), f"Node/{NAME} is cordoned already, so nothing would change"),
    "not cordoned": (UNCORDON, a_scene(a_node()), f"Node/{NAME} is not cordoned, so nothing would change"),
    "the last that takes pods": (
        CORDON,
        a_scene(a_node(), other_nodes=0),
        f"Node/{NAME} is the last ready node that takes pods; without it none could start anywhere",
    ),
    "perhaps the last that takes pods": (
        CORDON,
        a_scene(a_node(), other_nodes=None),
        f"it is not known whether Node/{NAME} is the last node that takes pods",
    ),
}


@pytest.mark.parametrize(("step", "scene", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_for_a_node_that_is(step: plans.Step, scene: workloads.Scene, told: str) -> None:
    assert refusals(step, scene) == (told,)


def test_that_lets_pods_in_again_does_not_ask_how_many_nodes_there_are() -> None:
    assert refusals(UNCORDON, a_scene(a_node(cordoned=True), other_nodes=None)) == ()


@pytest.mark.parametrize(("step", "cordoned", "value"), [(CORDON, False, True), (UNCORDON, True, None)])
def test_asks_for_one_field_and_the_marks(step: plans.Step, cordoned: bool, value: bool | None) -> None:
    assert request(step, a_scene(a_node(cordoned=cordoned))) == requests.Patch(
        kind="Node",
        name=NAME,
        style=requests.PatchStyle.MERGE,
        body={"metadata": {"resourceVersion": "7", "annotations": MARKED}, "spec": {"unschedulable": value}},
    )


@pytest.mark.parametrize("step", [CORDON, UNCORDON])
def test_asks_for_nothing_once_its_key_is_on_the_node(step: plans.Step) -> None:
    assert request(step, a_scene(a_node(annotations=MARKED))) is None


PROGRESS = {
    "cordoned and it should be": (CORDON, True, rollouts.Progress.COMPLETE, "takes no new pods"),
    "cordoned and it should not be": (UNCORDON, True, rollouts.Progress.OVERTAKEN, "was turned back by somebody else"),
    "open and it should be": (UNCORDON, False, rollouts.Progress.COMPLETE, "takes new pods"),
    "open and it should not be": (CORDON, False, rollouts.Progress.OVERTAKEN, "was turned back by somebody else"),
}


@pytest.mark.parametrize(("step", "cordoned", "progress", "told"), PROGRESS.values(), ids=PROGRESS.keys())
def test_progress_when_the_node_is(step: plans.Step, cordoned: bool, progress: rollouts.Progress, told: str) -> None:
    assert actions.of(step.type).progress(step, a_scene(a_node(cordoned=cordoned))) == (progress, f"Node/{NAME} {told}")


def test_takes_nothing_down() -> None:
    assert refusals(CORDON, a_scene(a_node()), max_unavailable="0") == ()


@pytest.mark.parametrize("step", [CORDON, UNCORDON])
def test_and_its_undo_bring_back_what_was_before(step: plans.Step) -> None:
    target = Simulated("Node")
    target.body["spec"] = {"unschedulable": True} if step is UNCORDON else {}
    before = target.state
    undo = target.carry_out(step)
    assert target.state != before
    assert undo is not None
    redo = target.carry_out(undo)
    assert target.state == before
    assert redo is not None
    assert redo.type is step.type


def test_records_whether_it_was_cordoned() -> None:
    assert an_intent(UNCORDON, a_scene(a_node(cordoned=True))).before.unschedulable is True
    assert an_intent(CORDON, a_scene(a_node())).before.unschedulable is False
