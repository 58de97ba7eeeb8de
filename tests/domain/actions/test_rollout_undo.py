"""RolloutUndo: back to an earlier template that the controller has kept."""

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
    a_revision,
    a_scene,
    a_step,
    a_template,
    a_workload,
    an_intent,
    problems,
    refusals,
    request,
)
from safety_governor.domain import actions, errors, marks, plans, requests, values, workloads

UNDO = actions.of(ActionType.ROLLOUT_UNDO)
TO_THE_ONE_BEFORE = a_step(ActionType.ROLLOUT_UNDO)
NOWHERE = a_revision(9).template_hash


def to_revision(number: int) -> plans.Step:
    return a_step(ActionType.ROLLOUT_UNDO, revision=str(number))


def to_template(digest: str) -> plans.Step:
    return a_step(ActionType.ROLLOUT_UNDO, template=digest)


PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "none": ({}, ""),
    "a number": ({"revision": "3"}, ""),
    "a digest": ({"template": NOWHERE}, ""),
    "no number": ({"revision": "three"}, "parameter 'revision': Input should be a valid integer, unable to parse string as an integer"),
    "nothing that was ever a revision": ({"revision": "0"}, "parameter 'revision': Input should be greater than or equal to 1"),
    "another word for it": ({"to": "3"}, "parameter 'to' is not known"),
    "no digest": ({"template": "v1"}, "parameter 'template': String should match pattern '^sha256:[a-f0-9]{64}$'"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.ROLLOUT_UNDO, **parameters) == ((told,) if told else ())


NO_REVISION = f"Deployment/{NAME} has no such earlier revision any more"
REFUSED: dict[str, tuple[plans.Step, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "there is no such number": (to_revision(5), {}, {}, (NO_REVISION,)),
    "there is no such template": (to_template(NOWHERE), {}, {}, (NO_REVISION,)),
    "there is only the present one": (TO_THE_ONE_BEFORE, {}, {"revisions": (a_revision(1, a_template()),)}, (NO_REVISION,)),
    "it is not known which there are": (TO_THE_ONE_BEFORE, {}, {"revisions": None}, (NO_REVISION,)),
    "it is there already": (to_revision(2), {}, {}, (f"Deployment/{NAME} is at revision 2 already, so nothing would change",)),
    "the target is paused": (
        TO_THE_ONE_BEFORE,
        {"paused": True},
        {},
        (f"Deployment/{NAME} is paused, so nothing would roll out; resume it first (kubectl rollout resume)",),
    ),
    "the target only replaces pods that are deleted": (
        TO_THE_ONE_BEFORE,
        {"on_delete": True},
        {},
        (f"Deployment/{NAME} only replaces pods that somebody deletes (updateStrategy OnDelete), so nothing would roll out",),
    ),
}


@pytest.mark.parametrize(("step", "target", "around", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_when(step: plans.Step, target: dict[str, Any], around: dict[str, Any], told: tuple[str, ...]) -> None:
    assert refusals(step, a_scene(a_workload(**target), **around)) == told


def test_replaces_the_whole_template_and_keeps_the_annotations_of_others() -> None:
    scene = a_scene(a_workload(body=a_body(annotations={"example.com/team": "shop"})))
    assert request(TO_THE_ONE_BEFORE, scene) == requests.Patch(
        kind="Deployment",
        name=NAME,
        style=requests.PatchStyle.JSON,
        body=[
            {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
            {
                "op": "add",
                "path": "/metadata/annotations",
                "value": {"example.com/team": "shop", marks.LAST_ACTION: KEY, marks.ACTED_FOR: INCIDENT},
            },
            {"op": "replace", "path": "/spec/template", "value": a_template("v0")},
        ],
    )


def test_writes_annotations_where_there_were_none() -> None:
    body = a_body()
    del body["metadata"]["annotations"]
    asked = request(TO_THE_ONE_BEFORE, a_scene(a_workload(body=a_body()).model_copy(update={"body": body})))
    assert isinstance(asked, requests.Patch)
    assert {"op": "add", "path": "/metadata/annotations", "value": MARKED} in asked.body


def chosen(step: plans.Step, scene: workloads.Scene) -> Any:
    asked = request(step, scene)
    assert isinstance(asked, requests.Patch)
    return next(one["value"] for one in asked.body if isinstance(one, dict) and one["path"] == "/spec/template")


FIVE = tuple(a_revision(number, a_template() if number == 5 else None) for number in (5, 4, 3, 2))


@pytest.mark.parametrize(("step", "number"), [(TO_THE_ONE_BEFORE, 4), (to_revision(3), 3), (to_template(a_revision(2).template_hash), 2)])
def test_chooses_of_several(step: plans.Step, number: int) -> None:
    assert chosen(step, a_scene(revisions=FIVE)) == a_revision(number).template


def test_takes_the_newest_that_is_different_when_the_present_one_has_not_been_kept_yet() -> None:
    assert chosen(TO_THE_ONE_BEFORE, a_scene(revisions=FIVE[1:])) == a_revision(4).template


def test_asks_for_nothing_once_its_key_is_on_the_target() -> None:
    assert request(TO_THE_ONE_BEFORE, a_scene(a_workload(body=a_body(annotations=MARKED)), revisions=())) is None


def test_that_has_nothing_to_go_back_to_any_more_is_refused_instead_of_taken_for_done() -> None:
    with pytest.raises(errors.ClusterRefusedError, match="has no such earlier revision any more, so there is nothing to go back to"):
        request(to_revision(1), a_scene(revisions=()))


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (TO_THE_ONE_BEFORE, "rolls Deployment/x back to the revision before the present one"),
        (to_revision(3), "rolls Deployment/x back to revision 3"),
        (to_template(NOWHERE), "rolls Deployment/x back to the template that it had before"),
    ],
)
def test_is_described(step: plans.Step, told: str) -> None:
    assert UNDO.describe(step, "Deployment/x") == told


def test_takes_down_what_the_own_rollout_of_the_target_takes_down() -> None:
    assert UNDO.takes_down(TO_THE_ONE_BEFORE, a_scene(a_workload(max_unavailable=2))) == 2


def test_is_undone_by_going_forward_to_the_template_of_before() -> None:
    scene = a_scene()
    inverse = UNDO.inverse(TO_THE_ONE_BEFORE, an_intent(TO_THE_ONE_BEFORE, scene).before)
    assert inverse is not None
    assert (inverse.type, inverse.parameters) == (values.ActionType.ROLLOUT_UNDO, {"template": scene.target.template_hash})


@pytest.mark.parametrize("kind", sorted(UNDO.kinds))
def test_and_its_undo_bring_back_what_was_before(kind: str) -> None:
    target = Simulated(kind, template=a_template("v1"))
    first = target.state
    target.body["spec"]["template"] = a_template("v2", env=[{"name": "A", "value": "b"}])
    target._keep()
    second = target.state
    undo = target.carry_out(TO_THE_ONE_BEFORE)
    assert target.state == first
    assert undo is not None
    redo = target.carry_out(undo)
    assert target.state == second
    assert redo is not None
    target.carry_out(redo)
    assert target.state == first
