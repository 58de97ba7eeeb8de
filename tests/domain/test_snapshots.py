"""What is recorded of a target before an action, and what counts as a change of it."""

from typing import Any

import pytest

from domain.actions.builders import JOB_TEMPLATE, NAME, a_body, a_pod, a_scene, a_template, a_workload
from safety_governor.domain import digests, snapshots, workloads


def test_snapshot_has_what_an_undo_goes_back_to() -> None:
    scene = a_scene(job_template=None)
    assert snapshots.take(scene, value="3", pods=[a_pod("a")]) == snapshots.Snapshot(
        uid="uid-1",
        resource_version="7",
        generation=3,
        template_hash=digests.digest(a_template()),
        replicas=3,
        value="3",
        pods=(snapshots.PodName(name=f"{NAME}-a", uid="uid-a"),),
    )


def test_snapshot_of_a_node_has_whether_it_is_cordoned_and_no_generation() -> None:
    taken = snapshots.take(a_scene(a_workload("Node", a_body("Node"), unschedulable=True)))
    assert (taken.unschedulable, taken.generation, taken.replicas, taken.template_hash) == (True, 0, None, "")


def test_snapshot_keeps_at_most_as_many_pods_as_may_be_evicted() -> None:
    with pytest.raises(ValueError, match="at most 64"):
        snapshots.take(a_scene(), pods=[a_pod(str(number)) for number in range(snapshots.POD_LIMIT + 1)])


DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": ({}, {}, ""),
    "the status": ({"resource_version": "8"}, {}, ""),
    "its pods": ({}, {"pods": ()}, ""),
    "another object of the same name": ({"uid": "uid-2"}, {}, "was replaced by another of the same name"),
    "the template": ({"template_hash": "other"}, {}, "was changed by somebody else"),
    "the replicas": ({"replicas": 4}, {}, "was changed by somebody else"),
    "the replicas, to none": ({"replicas": 0}, {}, "was changed by somebody else"),
    "a change that was undone": ({"generation": 5}, {}, "was changed by somebody else"),
    "the template of the Job": (
        {},
        {"job_template": JOB_TEMPLATE.model_copy(update={"digest": digests.digest("other")})},
        "is as it was, but the template of the Job was changed",
    ),
    "the template of the Job, which is gone": (
        {},
        {"job_template": None},
        "is as it was, but the template of the Job was changed",
    ),
    "everything": ({"uid": "uid-2", "generation": 9}, {"job_template": None}, "was replaced by another of the same name"),
}


@pytest.mark.parametrize(("target", "around", "told"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_difference_when_what_changed_is(target: dict[str, Any], around: dict[str, Any], told: str) -> None:
    before = snapshots.take(a_scene())
    assert snapshots.difference(before, snapshots.take(a_scene(a_workload(**target), **around))) == told


@pytest.mark.parametrize("unschedulable", [True, False])
def test_cordoning_a_node_is_a_change_of_it(unschedulable: bool) -> None:
    def node(cordoned: bool) -> workloads.Scene:
        return a_scene(a_workload("Node", a_body("Node"), unschedulable=cordoned))

    before = snapshots.take(node(unschedulable))
    assert snapshots.difference(before, snapshots.take(node(unschedulable))) == ""
    assert snapshots.difference(before, snapshots.take(node(not unschedulable))) == "was changed by somebody else"
