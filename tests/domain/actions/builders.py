"""Targets of every kind with all around them, such that nothing speaks against a step; and one that requests are carried out on."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from safety_governor.domain import actions, digests, guardrails, marks, plans, requests, rollouts, snapshots, values, workloads
from support import patching

ActionType = values.ActionType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "checkout"
KEY = digests.digest("an action")
OTHER_KEY = digests.digest("another action")
INCIDENT = "shop/slow"
MARKED = {marks.LAST_ACTION: KEY, marks.ACTED_FOR: INCIDENT}
"""What an action leaves on its target."""

MEMORY = "spec.template.spec.containers[name=app].resources.limits.memory"

EXAMPLES: dict[values.ActionType, tuple[str, dict[str, str]]] = {
    ActionType.ROLLOUT_RESTART: ("Deployment", {}),
    ActionType.ROLLOUT_UNDO: ("Deployment", {}),
    ActionType.SCALE: ("Deployment", {"replicas": "5"}),
    ActionType.EVICT_PODS: ("Deployment", {"which": "oldest"}),
    ActionType.CORDON: ("Node", {}),
    ActionType.UNCORDON: ("Node", {}),
    ActionType.RUN_JOB: ("Deployment", {"template": "report"}),
    ActionType.PATCH_FIELDS: ("Deployment", {"path": MEMORY, "value": "1Gi"}),
    ActionType.WEBHOOK: ("Deployment", {"webhook": "failover", "inverse": "failback"}),
    ActionType.MANUAL: ("Deployment", {}),
}
"""Of every action, a kind that it is for and parameters that make sense."""


def a_step(kind: values.ActionType, **parameters: str) -> plans.Step:
    return plans.Step(id="step-1", type=kind, parameters=parameters)


def an_example(kind: values.ActionType) -> plans.Step:
    return a_step(kind, **EXAMPLES[kind][1])


def problems(kind: values.ActionType, **parameters: str) -> tuple[str, ...]:
    return actions.of(kind).problems(a_step(kind, **parameters))


def a_template(image: str = "v1", **container: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": image, **container}]
    return {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": containers, "terminationGracePeriodSeconds": 30}}


def a_body(kind: str = "Deployment", *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """An object as the API server has it. A Node has no generation."""
    metadata: dict[str, Any] = {"name": NAME, "uid": "uid-1", "resourceVersion": "7", "annotations": annotations or {}}
    if kind != workloads.NODE:
        metadata["generation"] = 3
        spec = {"template": a_template(), **({} if kind == workloads.JOB else {"replicas": 3}), **spec}
    return {"metadata": metadata, "spec": spec}


def a_workload(kind: str = "Deployment", body: dict[str, Any] | None = None, **changes: Any) -> workloads.Workload:
    """What is read of an object, here by the shortest way; its figures are those of a rollout that is complete."""
    body = a_body(kind) if body is None else body
    metadata, spec = body["metadata"], body["spec"]
    generation, replicas = metadata.get("generation", 0), spec.get("replicas")
    figures = dict.fromkeys(("wanted", "replicas", "updated", "available"), replicas or 0)
    known = {
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resource_version": metadata["resourceVersion"],
        "generation": generation,
        "template_hash": digests.digest(spec["template"]) if "template" in spec else "",
        "replicas": replicas,
        "unschedulable": spec.get("unschedulable", False) if kind == workloads.NODE else None,
        "max_unavailable": 1,
        "marks": {name: text for name, text in metadata["annotations"].items() if marks.DOMAIN in name},
        "rollout": rollouts.Observed(generation=generation, observed_generation=generation, **figures),
        "body": body,
    }
    return workloads.Workload.model_validate({**known, **changes})


def a_revision(number: int = 1, template: dict[str, Any] | None = None) -> workloads.Revision:
    template = a_template(f"v{number}") if template is None else template
    return workloads.Revision(name=f"{NAME}-{number}", number=number, template=template, template_hash=digests.digest(template))


def a_pod(name: str = "a", *, minutes_old: float = 60, **changes: Any) -> workloads.Pod:
    born = NOON - timedelta(minutes=minutes_old)
    known = {"name": f"{NAME}-{name}", "uid": f"uid-{name}", "created_at": born, "ready": True, "ready_since": born}
    return workloads.Pod.model_validate({**known, **changes})


JOB_TEMPLATE = workloads.JobTemplate(
    name="report",
    digest=digests.digest("report"),
    spec={"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}},
    labels={"team": "shop"},
)


def a_scene(target: workloads.Workload | None = None, **changes: Any) -> workloads.Scene:
    """A target that is at its second template, and everything that any action could ask for."""
    target = a_workload() if target is None else target
    known = {
        "executor_exists": True,
        "pods": (a_pod("a"), a_pod("b", minutes_old=50), a_pod("c", minutes_old=40, ready=False)),
        "revisions": (a_revision(2, a_template()), a_revision(1, a_template("v0"))),
        "autoscaler": "",
        "other_nodes": 2,
        "job_template": JOB_TEMPLATE,
    }
    return workloads.Scene.model_validate({"target": target, **known, **changes})


def a_scene_for(kind: values.ActionType, **target: Any) -> workloads.Scene:
    """A scene in which the example of this action makes sense."""
    known = {"unschedulable": True} if kind is ActionType.UNCORDON else {}
    return a_scene(a_workload(EXAMPLES[kind][0], **{**known, **target}))


def all_allowed(**changes: Any) -> guardrails.Guardrails:
    """Guard-rails that list everything that the examples name."""
    known = {
        "allowed_actions": tuple(ActionType),
        "job_templates": ("report",),
        "webhooks": ("failover", "failback"),
        "patchable": tuple({"kind": kind, "path": MEMORY} for kind in ("Deployment", "StatefulSet")),
    }
    return guardrails.Guardrails.model_validate({**known, **changes})


def refusals(step: plans.Step, scene: workloads.Scene, **rules: Any) -> tuple[str, ...]:
    """What the gate would say of it as the first step."""
    kind = actions.of(step.type)
    needless = kind.needless(step, scene)
    return kind.refusals(step, scene, all_allowed(**rules)) or ((needless,) if needless else ())


def an_intent(step: plans.Step, scene: workloads.Scene, **changes: Any) -> actions.Intent:
    """A claim of the step on the scene as it is."""
    known = {"key": KEY, "incident": INCIDENT, "at": NOON, "before": actions.of(step.type).snapshot(step, scene)}
    return actions.Intent(**{**known, **changes})


def request(step: plans.Step, scene: workloads.Scene, **changes: Any) -> requests.Request | None:
    """What the step asks for when it is claimed on the scene and carried out at once."""
    return actions.of(step.type).request(step, scene, an_intent(step, scene, **changes))


class Simulated:
    """One object and the earlier templates that its controller keeps. Steps are carried out on it as an API server would."""

    def __init__(self, kind: str = "Deployment", **spec: Any) -> None:
        self.kind = kind
        self.body = a_body(kind, **spec)
        self._templates: list[dict[str, Any]] = []
        self._claims = 0
        self._keep()

    def _keep(self) -> None:
        template = self.body["spec"].get("template")
        self._templates = [one for one in self._templates if one != template] + ([copy.deepcopy(template)] if template else [])

    @property
    def scene(self) -> workloads.Scene:
        revisions = [a_revision(number, template) for number, template in enumerate(self._templates, start=1)]
        return a_scene(a_workload(self.kind, self.body), revisions=tuple(reversed(revisions)))

    @property
    def state(self) -> dict[str, Any]:
        """What it is to be."""
        return copy.deepcopy(self.body["spec"])

    def claim(self, step: plans.Step) -> actions.Intent:
        self._claims += 1
        return an_intent(step, self.scene, key=digests.digest(self._claims))

    def carry_out(self, step: plans.Step, claimed: actions.Intent | None = None) -> plans.Step | None:
        """Do what the step asks for, and tell what would undo it."""
        claimed = claimed or self.claim(step)
        asked = actions.of(step.type).request(step, self.scene, claimed)
        assert isinstance(asked, requests.Patch)
        self.body = patching.patched(self.body, asked)
        self._keep()
        return actions.of(step.type).inverse(step, claimed.before)

    def snapshot(self, step: plans.Step) -> snapshots.Snapshot:
        return actions.of(step.type).snapshot(step, self.scene)
