"""Small things to put into a cluster, and patience: what tests and the demo would otherwise each write for themselves."""

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import yaml

BEHAVIOUR_ANNOTATION = "testbed.safetygovernor.io/behaviour"

Behaviour = Literal["slow", "never-ready", "crash-loop"]
"""How pods misbehave; `stages.yaml` says what each one does."""

_POLL_SECONDS = 0.05

_Value = TypeVar("_Value")


def deployment_yaml(
    name: str,
    namespace: str = "default",
    replicas: int = 2,
    behaviour: Behaviour | None = None,
    image: str = "registry.example/app:1",
) -> str:
    """A Deployment whose pods kwok plays; the image is never pulled."""
    labels = {"app": name}
    template: dict[str, Any] = {"labels": dict(labels)}
    if behaviour is not None:
        template["annotations"] = {BEHAVIOUR_ANNOTATION: behaviour}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": template, "spec": {"containers": [{"name": "app", "image": image}]}},
        },
    }
    return yaml.safe_dump(deployment, sort_keys=False)


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
