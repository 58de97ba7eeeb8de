"""The doorbell: every event of an incident wakes its task, every event of a RemediationPolicy those of its namespace."""

from typing import Any

import kopf

from safety_governor.api import group
from safety_governor.domain import lifecycle
from safety_governor.handlers import supervisor


def register(registry: kopf.OperatorRegistry, tasks: supervisor.Supervisor) -> None:
    """Add the handlers to the registry."""
    seen: dict[tuple[str | None, str | None], object] = {}

    @kopf.on.event(group.GROUP, group.VERSION, group.INCIDENTS, id="incident-changed", registry=registry)
    async def incident_changed(name: str | None, namespace: str | None, status: kopf.Status, **_: Any) -> None:  # noqa: ANN401
        if name is None or namespace is None or status.get("phase") in lifecycle.TERMINAL:
            return
        tasks.wake(namespace, name)

    @kopf.on.event(group.GROUP, group.VERSION, group.REMEDIATION_POLICIES, id="guardrails-changed", registry=registry)
    async def guardrails_changed(namespace: str | None, name: str | None, meta: kopf.Meta, type: str | None, **_: Any) -> None:  # noqa: A002, ANN401
        # What is only shown in its status changes nothing for those who wait.
        version = (namespace, name, None if type == "DELETED" else meta.get("generation"))
        if namespace is not None and seen.get((namespace, name)) != version:
            seen[namespace, name] = version
            tasks.wake_namespace(namespace)
