"""Small things to put into a cluster, and patience: what tests and the demo would otherwise each write for themselves."""

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import yaml

BEHAVIOUR_ANNOTATION = "testbed.safetygovernor.io/behaviour"

Behaviour = Literal["slow", "never-ready", "crash-loop", "oom-killed", "fails"]
"""How pods misbehave; `stages.yaml` says what each one does."""

_POLL_SECONDS = 0.05

_Value = TypeVar("_Value")


WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet"]


def deployment_yaml(
    name: str,
    namespace: str = "default",
    replicas: int = 2,
    behaviour: Behaviour | None = None,
    image: str = "registry.example/app:1",
) -> str:
    """A Deployment whose pods kwok plays; the image is never pulled."""
    return workload_yaml("Deployment", name, namespace=namespace, replicas=replicas, behaviour=behaviour, image=image)


def workload_yaml(
    kind: WorkloadKind,
    name: str,
    *,
    namespace: str = "default",
    replicas: int = 2,
    behaviour: Behaviour | None = None,
    image: str = "registry.example/app:1",
    **spec: Any,
) -> str:
    """A workload whose pods kwok plays, with further fields of its spec; a DaemonSet has a pod on each node of the test bed instead of replicas."""
    labels = {"app": name}
    pod: dict[str, Any] = {"containers": [{"name": "app", "image": image}]}
    if kind == "DaemonSet":
        pod["nodeSelector"] = {"kubernetes.io/os": "linux"}  # which nodes that a test adds for itself need not have
    else:
        spec = {"replicas": replicas, **spec}
    body = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            **spec,
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels), **_behaving(behaviour)}, "spec": pod},
        },
    }
    return yaml.safe_dump(body, sort_keys=False)


def cron_job_yaml(name: str, namespace: str = "default", behaviour: Behaviour | None = None, image: str = "registry.example/app:1") -> str:
    """A suspended CronJob, which is only there as a template for Jobs."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "app", "image": image}]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"spec": {"template": {"metadata": _behaving(behaviour), "spec": pod}}},
        },
    }
    return yaml.safe_dump(body, sort_keys=False)


def _behaving(behaviour: Behaviour | None) -> dict[str, Any]:
    return {} if behaviour is None else {"annotations": {BEHAVIOUR_ANNOTATION: behaviour}}


def wait_until(predicate: Callable[[], _Value | None], timeout: float, what: str) -> _Value:
    """Poll until the answer is truthy, and return it.

    Raises:
        TimeoutError: it never was; says what was waited for and the last answer.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}; the last answer was {answer!r}")
        time.sleep(_POLL_SECONDS)
