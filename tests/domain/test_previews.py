"""What a person is shown who decides: the same step on the same version looks the same at any time, and tells no secret."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from domain.actions.builders import (
    EXAMPLES,
    MEMORY,
    NAME,
    NOON,
    OTHER_KEY,
    ActionType,
    a_body,
    a_pod,
    a_revision,
    a_scene,
    a_scene_for,
    a_step,
    a_template,
    a_workload,
    an_example,
)
from safety_governor.domain import actions, changes, plans, previews, requests, values, verification, workloads
from support import patching


def previewed(step: plans.Step, scene: workloads.Scene, **mutations: Any) -> changes.Preview:
    """The preview as the gate makes it, with the API server's answer to the dry run."""
    action = actions.of(step.type)
    request = action.request(step, scene, previews.intent(action.snapshot(step, scene), verification.Watch()))
    result: dict[str, Any] = {}
    if isinstance(request, requests.Patch):
        result = patching.patched(scene.target.body, request)
        result["metadata"] |= {"managedFields": [{"manager": "x"}], **mutations}
        result["metadata"].pop("owners", None)
    return previews.of(step, scene, request, result)


def told(preview: changes.Preview) -> dict[str, tuple[str, str]]:
    return {one.path: (one.before, one.after) for one in preview.changes}


MARKS = {
    "metadata.annotations[safetygovernor.io/incident]": ("", "(this incident)"),
    "metadata.annotations[safetygovernor.io/last-action]": ("", "(key of the action)"),
}
CHANGES: dict[values.ActionType, dict[str, tuple[str, str]]] = {
    ActionType.ROLLOUT_RESTART: {
        **MARKS,
        "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]": ("", "(time of the claim)"),
    },
    ActionType.ROLLOUT_UNDO: {**MARKS, "spec.template.spec.containers[name=app].image": ("v1", "v0")},
    ActionType.SCALE: {**MARKS, "spec.replicas": ("3", "5")},
    ActionType.CORDON: {**MARKS, "spec.unschedulable": ("", "true")},
    ActionType.UNCORDON: {**MARKS, "spec.unschedulable": ("true", "")},
    ActionType.EVICT_PODS: {f"pods[{NAME}-a]": ("there", "evicted")},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_preview_shows_every_field_that_would_change(kind: values.ActionType) -> None:
    scene = a_scene_for(kind)
    if kind is ActionType.UNCORDON:
        body = a_body("Node")
        scene = a_scene(a_workload("Node", {**body, "spec": {"unschedulable": True}}))
    assert told(previewed(an_example(kind), scene)) == CHANGES[kind]


def test_preview_of_a_patch_names_the_field_and_its_values() -> None:
    found = previewed(a_step(ActionType.PATCH_FIELDS, path="spec.minReadySeconds", value="5"), a_scene())
    shown = told(found)
    assert shown.pop("spec.minReadySeconds") == ("", "5")
    assert list(shown.values()) == [("", "(key of the action)")]
    assert found.undo == f"takes back what was set at spec.minReadySeconds of Deployment/{NAME}"


def test_preview_of_an_eviction_names_all_pods_that_would_go() -> None:
    step = a_step(ActionType.EVICT_PODS, which="oldest", most="2")
    pods = tuple(a_pod(name, minutes_old=age) for name, age in (("a", 9), ("b", 8), ("c", 7)))
    assert list(told(previewed(step, a_scene(pods=pods)))) == [f"pods[{NAME}-a]", f"pods[{NAME}-b]"]


def test_preview_of_a_job_shows_what_it_runs_and_hides_what_may_be_secret() -> None:
    container = {"name": "a", "image": "report:1", "env": [{"name": "PASSWORD", "value": "hunter2"}], "command": ["sh", "-c", "hunter2"]}
    template = workloads.JobTemplate(
        name="report", digest=OTHER_KEY, spec={"template": {"spec": {"serviceAccountName": "reporter", "containers": [container]}}}
    )
    found = previewed(an_example(ActionType.RUN_JOB), a_scene(job_template=template))
    shown = told(found)
    assert shown["spec.template.spec.serviceAccountName"] == ("", "reporter")
    assert shown["spec.template.spec.automountServiceAccountToken"] == ("", "false")
    assert shown["spec.template.spec.containers[name=a].image"] == ("", "report:1")
    assert shown["spec.template.spec.containers[name=a].command"] == ("", "(hidden)")
    assert shown["spec.template.spec.containers[name=a].env[name=PASSWORD].value"] == ("", "(hidden)")
    assert shown["metadata.annotations[safetygovernor.io/last-action]"] == ("", "(key of the action)")
    assert "hunter2" not in found.model_dump_json()
    assert found.undo == ""


def test_preview_of_a_call_shows_what_the_automation_is_told() -> None:
    step = a_step(ActionType.WEBHOOK, webhook="failover", argument="eu-west-1")
    shown = told(previewed(step, a_scene()))
    assert shown == {
        "call.failover.action": ("", "(key of the action)"),
        "call.failover.argument": ("", "eu-west-1"),
        "call.failover.claimedAt": ("", "(time of the claim)"),
        "call.failover.incident": ("", "(this incident)"),
        "call.failover.target.kind": ("", "Deployment"),
        "call.failover.target.name": ("", NAME),
        "call.failover.target.uid": ("", "uid-1"),
    }


@pytest.mark.parametrize("kind", ActionType)
def test_preview_of_the_same_step_on_the_same_version_is_the_same(kind: values.ActionType) -> None:
    """Else the digest that was approved would not come out again."""
    first = previewed(an_example(kind), a_scene_for(kind))
    later = previewed(an_example(kind), a_scene_for(kind), resourceVersion="8", generation=9, managedFields=[{"manager": "y"}])
    assert first == later


@pytest.mark.parametrize("kind", ActionType)
def test_preview_of_what_a_claim_would_do_differs_only_in_what_the_claim_settles(kind: values.ActionType) -> None:
    """What is shown is what is done: key, incident and time are the only words for something else."""
    action, step, scene = actions.of(kind), an_example(kind), a_scene_for(kind)
    before = action.snapshot(step, scene)
    shown = action.request(step, scene, previews.intent(before, verification.Watch()))
    done = action.request(step, scene, actions.Intent(key=OTHER_KEY, incident="shop/slow", at=NOON + timedelta(days=9), before=before))
    texts = [
        repr(one)
        .replace(key, "KEY")
        .replace(key.removeprefix("sha256:")[:12], "NAME")
        .replace(incident, "INCIDENT")
        .replace(f"{at:%Y-%m-%dT%H:%M:%SZ}", "TIME")
        for one, key, incident, at in (
            (shown, previews._ANY_KEY, previews._ANY_INCIDENT, previews._ANY_TIME),
            (done, OTHER_KEY, "shop/slow", NOON + timedelta(days=9)),
        )
    ]
    assert texts[0] == texts[1]


def test_preview_hides_what_may_be_secret_in_the_target() -> None:
    before = a_body(template=a_template("v2", env=[{"name": "PASSWORD", "value": "hunter2"}], args=["--password=hunter2"]))
    scene = a_scene(a_workload(body=before))
    assert "hunter2" not in previewed(an_example(ActionType.ROLLOUT_UNDO), scene).model_dump_json()


def test_preview_of_a_patch_hides_the_secret_that_an_undo_would_bring_back() -> None:
    path = "spec.template.spec.containers[name=app].env[name=PASSWORD].value"
    body = a_body(template=a_template(env=[{"name": "PASSWORD", "value": "hunter2"}]))
    found = previewed(a_step(ActionType.PATCH_FIELDS, path=path, value="swordfish"), a_scene(a_workload(body=body)))
    assert "hunter2" not in found.model_dump_json()
    assert "swordfish" not in found.model_dump_json()


UNDO: dict[values.ActionType, str] = {
    ActionType.ROLLOUT_RESTART: f"rolls Deployment/{NAME} back to the template that it had before",
    ActionType.ROLLOUT_UNDO: f"rolls Deployment/{NAME} back to the template that it had before",
    ActionType.SCALE: f"scales Deployment/{NAME} to 3 replicas",
    ActionType.EVICT_PODS: "",
    ActionType.CORDON: f"lets new pods onto Node/{NAME} again",
    ActionType.UNCORDON: f"keeps new pods away from Node/{NAME}; what runs there is left alone",
    ActionType.RUN_JOB: "",
    ActionType.PATCH_FIELDS: f"takes back what was set at {MEMORY} of Deployment/{NAME}",
    ActionType.WEBHOOK: f"calls the automation failback for Deployment/{NAME}",
    ActionType.MANUAL: "",
}


@pytest.mark.parametrize(("kind", "undo"), UNDO.items())
def test_preview_tells_what_is_done_and_how_it_is_undone(kind: values.ActionType, undo: str) -> None:
    found = previewed(an_example(kind), a_scene_for(kind))
    assert (found.step, found.undo) == ("step-1", undo)
    assert found.summary == actions.of(kind).describe(an_example(kind), f"{EXAMPLES[kind][0]}/{NAME}")


def test_preview_warns_of_what_would_be_reverted() -> None:
    scene = a_scene_for(ActionType.SCALE, git_ops="Helm")
    assert previewed(an_example(ActionType.SCALE), scene).warnings == (
        f"Deployment/{NAME} is kept as it is in Git by Helm, which may undo the change",
    )


def requested(step: plans.Step, scene: workloads.Scene) -> requests.Request | None:
    action = actions.of(step.type)
    return action.request(step, scene, previews.intent(action.snapshot(step, scene), verification.Watch()))


@pytest.mark.parametrize("kind", ActionType)
def test_content_is_the_same_for_every_version_of_the_target_that_is_to_be_the_same(kind: values.ActionType) -> None:
    scene = a_scene_for(kind)
    body = {**scene.target.body, "metadata": {**scene.target.body["metadata"], "annotations": {"example.com/seen": "now"}}}
    later = scene.target.model_copy(update={"resource_version": "99", "body": body})
    first, second = (requested(an_example(kind), one) for one in (scene, scene.model_copy(update={"target": later})))
    assert previews.content(first, {}) == previews.content(second, {})


def to_start(secret: str) -> workloads.Scene:
    containers = [{"name": "a", "env": [{"name": "PASSWORD", "value": secret}]}]
    spec = {"template": {"spec": {"containers": containers}}}
    return a_scene(job_template=workloads.JobTemplate(name="report", digest=OTHER_KEY, spec=spec))


def to_go_back_to(secret: str) -> workloads.Scene:
    return a_scene(revisions=(a_revision(1, a_template("v0", env=[{"name": "PASSWORD", "value": secret}])),))


OTHERWISE: dict[str, tuple[values.ActionType, workloads.Scene, workloads.Scene]] = {
    "the Job that is started": (ActionType.RUN_JOB, to_start("hunter2"), to_start("swordfish")),
    "the template that is gone back to": (ActionType.ROLLOUT_UNDO, to_go_back_to("hunter2"), to_go_back_to("swordfish")),
}


@pytest.mark.parametrize(("kind", "one", "other"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_content_tells_apart_what_a_preview_hides_of(kind: values.ActionType, one: workloads.Scene, other: workloads.Scene) -> None:
    assert previewed(an_example(kind), one).changes == previewed(an_example(kind), other).changes
    assert previews.content(requested(an_example(kind), one), {}) != previews.content(requested(an_example(kind), other), {})


def test_preview_leaves_the_target_as_it_is() -> None:
    scene = a_scene()
    before = copy.deepcopy(dict(scene.target.body))
    previewed(an_example(ActionType.SCALE), scene)
    assert scene.target.body == before


def test_preview_of_very_many_changes_shows_the_first_of_them() -> None:
    container = {f"field{number}": number for number in range(60)}
    template = workloads.JobTemplate(name="report", digest=OTHER_KEY, spec={"template": {"spec": container}})
    assert len(previewed(an_example(ActionType.RUN_JOB), a_scene(job_template=template)).changes) == changes.CHANGE_LIMIT
