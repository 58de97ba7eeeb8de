"""PatchFields: one listed field, one value, by server-side apply that is never forced."""

from typing import Any

import pytest

from domain.actions.builders import (
    KEY,
    MEMORY,
    NAME,
    OTHER_KEY,
    ActionType,
    Simulated,
    a_body,
    a_scene,
    a_step,
    a_template,
    a_workload,
    an_intent,
    problems,
    refusals,
)
from safety_governor.domain import actions, errors, paths, plans, requests, rollouts, values, workloads
from support import patching

PATCH = actions.of(ActionType.PATCH_FIELDS)
MIN_READY = "spec.minReadySeconds"
GRACE = "spec.template.spec.terminationGracePeriodSeconds"
PASSWORD = "spec.template.spec.containers[name=app].env[name=PASSWORD].value"


def a_patch(path: str, value: str | None = None) -> plans.Step:
    return a_step(ActionType.PATCH_FIELDS, path=path, **({} if value is None else {"value": value}))


NOT_A_FIELD = "does not name a field; write it like spec.template.spec.containers[name=app].image"
PARAMETERS: dict[str, tuple[dict[str, str], str]] = {
    "a field and a number": ({"path": MIN_READY, "value": "5"}, ""),
    "a field of an element and an amount": ({"path": MEMORY, "value": "512Mi"}, ""),
    "a field that is to be taken back": ({"path": MIN_READY}, ""),
    "no field": ({"value": "5"}, "parameter 'path' is missing"),
    "half a path": ({"path": "spec.", "value": "5"}, f"parameter 'path': 'spec.' {NOT_A_FIELD}"),
    "a JSON pointer": ({"path": "/spec/minReadySeconds", "value": "5"}, f"parameter 'path': '/spec/minReadySeconds' {NOT_A_FIELD}"),
    "a whole element": (
        {"path": "spec.template.spec.containers[name=app]", "value": "5"},
        "parameter 'path': 'spec.template.spec.containers[name=app]' names no single field",
    ),
    "a label": ({"path": "metadata.labels.app", "value": "x"}, "parameter 'path': only fields of spec can be patched"),
    "all of spec": ({"path": "spec", "value": "x"}, "parameter 'path': only fields of spec can be patched"),
    "the replicas": (
        {"path": "spec.replicas", "value": "0"},
        "parameter 'path': replicas are changed by Scale, which asks who else decides on them and what goes away",
    ),
    "the replicas in disguise": (
        {"path": "spec[replicas]", "value": "0"},
        "parameter 'path': replicas are changed by Scale, which asks who else decides on them and what goes away",
    ),
    "an object": ({"path": MIN_READY, "value": '{"a": 1}'}, "parameter 'value': it takes a single value, not an object, a list or null"),
    "a list": ({"path": MIN_READY, "value": "[1]"}, "parameter 'value': it takes a single value, not an object, a list or null"),
    "null": ({"path": MIN_READY, "value": "null"}, "parameter 'value': it takes a single value, not an object, a list or null"),
    "another word for it": ({"path": MIN_READY, "to": "5"}, "parameter 'to' is not known"),
}


@pytest.mark.parametrize(("parameters", "told"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_takes_as_parameter(parameters: dict[str, str], told: str) -> None:
    assert problems(ActionType.PATCH_FIELDS, **parameters) == ((told,) if told else ())


def listed(*fields: str, kind: str = "Deployment") -> dict[str, Any]:
    return {"patchable": tuple({"kind": kind, "path": path} for path in fields)}


def a_target(**container: Any) -> workloads.Workload:
    return a_workload(body=a_body(template=a_template(**container)))


@pytest.mark.parametrize("rules", [{"patchable": None}, listed(), listed(MIN_READY, kind="StatefulSet"), listed("spec"), listed(GRACE)])
def test_of_a_field_that_is_not_listed_is_refused(rules: dict[str, Any]) -> None:
    told = f"{MIN_READY} of a Deployment is not among the patchable fields of the RemediationPolicy"
    assert refusals(a_patch(MIN_READY, "5"), a_scene(), **rules) == (told,)


def test_of_the_same_field_by_another_name_is_refused() -> None:
    """Exactly what the platform team has read and listed."""
    assert refusals(a_patch("spec[minReadySeconds]", "5"), a_scene(), **listed(MIN_READY)) != ()


REFUSED: dict[str, tuple[str, str, workloads.Workload, str]] = {
    "it is that value already": (
        MEMORY,
        "1Gi",
        a_target(resources={"limits": {"memory": "1Gi"}}),
        f"{MEMORY} of Deployment/{NAME} is 1Gi already, so nothing would change",
    ),
    "it is the same amount in another form": (
        MEMORY,
        "1024Mi",
        a_target(resources={"limits": {"memory": "1Gi"}}),
        f"{MEMORY} of Deployment/{NAME} is 1024Mi already, so nothing would change",
    ),
    "it is not a single value": (
        "spec.template.spec.containers",
        "x",
        a_target(),
        f"spec.template.spec.containers of Deployment/{NAME} is not a single value",
    ),
    "it could not be brought back": (
        "spec.template.spec.containers[name=app].image",
        "v2",
        a_target(image="x" * 255),
        f"spec.template.spec.containers[name=app].image of Deployment/{NAME} is too long to be put on record, so it could not be brought back",
    ),
}


@pytest.mark.parametrize(("path", "value", "target", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_when(path: str, value: str, target: workloads.Workload, told: str) -> None:
    assert refusals(a_patch(path, value), a_scene(target), **listed(path)) == (told,)


@pytest.mark.parametrize("path", [GRACE, "spec[template].spec.terminationGracePeriodSeconds"])
def test_of_a_field_of_the_template_is_a_rollout(path: str) -> None:
    paused = a_scene(a_workload(paused=True))
    told = f"Deployment/{NAME} is paused, so nothing would roll out; resume it first (kubectl rollout resume)"
    assert refusals(a_patch(path, "5"), paused, **listed(path)) == (told,)
    assert PATCH.takes_down(a_patch(path, "5"), a_scene(a_workload(max_unavailable=2))) == 2


@pytest.mark.parametrize("path", [MIN_READY, "spec.templateGeneration"])
def test_of_another_field_rolls_nothing_out(path: str) -> None:
    assert refusals(a_patch(path, "5"), a_scene(a_workload(paused=True)), **listed(path)) == ()
    assert PATCH.takes_down(a_patch(path, "5"), a_scene(a_workload(max_unavailable=2))) == 0


def asked(step: plans.Step, target: workloads.Workload | None = None) -> requests.Patch:
    scene = a_scene(target)
    found = PATCH.request(step, scene, an_intent(step, scene))
    assert isinstance(found, requests.Patch)
    return found


@pytest.mark.parametrize(("kind", "version"), [("Deployment", "apps/v1"), ("StatefulSet", "apps/v1"), ("Job", "batch/v1")])
def test_applies_the_field_and_its_own_mark_and_nothing_else(kind: str, version: str) -> None:
    found = asked(a_patch(MEMORY, "1Gi"), a_workload(kind))
    [mark] = found.body["metadata"]["annotations"]  # type: ignore[call-overload]
    assert mark.startswith("patch.safetygovernor.io/")
    assert found == requests.Patch(
        kind=kind,
        name=NAME,
        style=requests.PatchStyle.APPLY,
        manager=f"safety-governor-{mark.partition('/')[2]}",
        body={
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": NAME, "resourceVersion": "7", "annotations": {mark: KEY}},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}]}}},
        },
    )


def test_without_a_value_applies_nothing_but_the_mark() -> None:
    body = dict(asked(a_patch(MEMORY)).body)  # type: ignore[arg-type]
    assert sorted(body) == ["apiVersion", "kind", "metadata"]


def test_of_two_fields_has_two_managers_and_two_marks() -> None:
    """Else setting the second would take the first back."""
    first, second = asked(a_patch(MEMORY, "1Gi")), asked(a_patch(MIN_READY, "5"))
    assert first.manager != second.manager
    target = Simulated()
    target.carry_out(a_patch(MEMORY, "1Gi"))
    target.carry_out(a_patch(MIN_READY, "5"))
    assert paths.look_up(target.body, paths.parse(MEMORY)) == "1Gi"
    assert target.body["spec"]["minReadySeconds"] == 5


def test_asks_for_nothing_once_its_key_is_on_its_own_mark() -> None:
    step, target = a_patch(MEMORY, "1Gi"), Simulated()
    claimed = target.claim(step)
    target.carry_out(step, claimed)
    assert PATCH.request(step, target.scene, claimed) is None
    assert PATCH.request(a_patch(MIN_READY, "5"), target.scene, claimed) is not None


def test_is_not_forced_upon_whoever_owns_the_field() -> None:
    target = Simulated()
    target.body["metadata"]["owners"] = {"kubectl": [tuple(paths.parse(MIN_READY))]}
    target.body["spec"]["minReadySeconds"] = 3
    with pytest.raises(errors.ClusterRefusedError, match="conflict with 'kubectl'"):
        target.carry_out(a_patch(MIN_READY, "5"))


BEFORE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "was not there": ({}, MIN_READY, "5", ""),
    "was a number": ({"minReadySeconds": 3}, MIN_READY, "5", "3"),
    "was false": ({"paused": False}, "spec.paused", "true", "false"),
    "was zero": ({"minReadySeconds": 0}, MIN_READY, "5", "0"),
    "was a text": ({"serviceName": "db"}, "spec.serviceName", "other", '"db"'),
    "was a text that looks like a number": ({"serviceName": "3"}, "spec.serviceName", "other", '"3"'),
    "was a field of the template": ({}, GRACE, "5", "30"),
    "was a missing field of an element": ({}, MEMORY, "1Gi", ""),
    "was an entry whose name has dots": ({}, "spec.template.metadata.annotations[example.com/tier]", "gold", ""),
}


@pytest.mark.parametrize(("spec", "path", "value", "recorded"), BEFORE.values(), ids=BEFORE.keys())
def test_and_its_undo_bring_back_what(spec: dict[str, Any], path: str, value: str, recorded: str) -> None:
    target, parts = Simulated(**spec), paths.parse(path)
    before = paths.look_up(target.body, parts)
    assert target.snapshot(a_patch(path, value)).value == (recorded or None)
    undo = target.carry_out(a_patch(path, value))
    assert paths.look_up(target.body, parts) == paths.scalar(value)
    assert undo is not None
    assert undo.parameters == {"path": path, **({"value": recorded} if recorded else {})}
    redo = target.carry_out(undo)
    assert paths.look_up(target.body, parts) == before
    assert redo is not None
    target.carry_out(redo)
    assert paths.look_up(target.body, parts) == paths.scalar(value)


PROGRESS: dict[str, tuple[str, str | None, dict[str, Any], rollouts.Progress]] = {
    "it is as it was set": (MEMORY, "1Gi", {"memory": "1Gi"}, rollouts.Progress.COMPLETE),
    "the API server writes the amount in another form": (MEMORY, "1024Mi", {"memory": "1Gi"}, rollouts.Progress.COMPLETE),
    "it is another amount": (MEMORY, "1Gi", {"memory": "2Gi"}, rollouts.Progress.OVERTAKEN),
    "it is not there any more": (MEMORY, "1Gi", {}, rollouts.Progress.OVERTAKEN),
    "it was taken back": (MEMORY, None, {}, rollouts.Progress.COMPLETE),
    "it was taken back and somebody else keeps it": (MEMORY, None, {"memory": "2Gi"}, rollouts.Progress.OVERTAKEN),
}


@pytest.mark.parametrize(("path", "value", "limits", "progress"), PROGRESS.values(), ids=PROGRESS.keys())
def test_progress_when(path: str, value: str | None, limits: dict[str, Any], progress: rollouts.Progress) -> None:
    found, told = PATCH.progress(a_patch(path, value), a_scene(a_target(resources={"limits": limits})))
    assert found is progress
    assert ("somebody else" in told) == (progress is rollouts.Progress.OVERTAKEN)


def test_is_as_far_as_the_rollout_of_it() -> None:
    target = a_target(resources={"limits": {"memory": "1Gi"}})
    rolling = target.model_copy(update={"rollout": target.rollout.model_copy(update={"updated": 1})})
    assert PATCH.progress(a_patch(MEMORY, "1Gi"), a_scene(rolling))[0] is rollouts.Progress.GOING_ON


def test_is_recorded_even_when_the_field_has_become_something_else() -> None:
    """What somebody else has put there since must not break the look at it."""
    target = a_target(env=[{"name": "A", "value": "x" * 300} for _ in range(20)])
    taken = PATCH.snapshot(a_patch("spec.template.spec.containers", "x"), a_scene(target))
    assert taken.value is not None
    assert len(taken.value) == values.TEXT_LIMIT


DESCRIBED: dict[str, tuple[str, str | None, str]] = {
    "sets": (MIN_READY, "5", "sets spec.minReadySeconds of Deployment/x to 5"),
    "takes back": (MIN_READY, None, "takes back what was set at spec.minReadySeconds of Deployment/x"),
    "hides what may be a secret": (PASSWORD, "hunter2", f"sets {PASSWORD} of Deployment/x to (hidden)"),
}


@pytest.mark.parametrize(("path", "value", "told"), DESCRIBED.values(), ids=DESCRIBED.keys())
def test_is_described(path: str, value: str | None, told: str) -> None:
    assert PATCH.describe(a_patch(path, value), "Deployment/x") == told


def test_of_the_simulated_server_and_of_the_action_mean_the_same_elements() -> None:
    """The tests above rest on it."""
    body = patching.patched(a_body(), asked(a_patch(MEMORY, "1Gi")))
    assert [one["name"] for one in body["spec"]["template"]["spec"]["containers"]] == ["app"]
    assert OTHER_KEY not in str(body)
