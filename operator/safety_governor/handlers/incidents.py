"""The doorbell: every change of an incident wakes its task, every change of a RemediationPolicy those of its namespace.

What the operator itself writes into a status is no news to it: it would have every decision made twice. All that people may
change raises the generation.
"""

from typing import Any

import kopf

from safety_governor.api import group
from safety_governor.domain import lifecycle
from safety_governor.handlers import supervisor


def register(registry: kopf.OperatorRegistry, tasks: supervisor.Supervisor) -> None:
    """Add the handlers to the registry."""
    seen: dict[tuple[str | None, str | None], object] = {}

    under_way: dict[tuple[str, str], tuple[object, object]] = {}

    @kopf.on.event(group.GROUP, group.VERSION, group.INCIDENTS, id="incident-changed", registry=registry)
    async def incident_changed(
        *,
        name: str | None,
        namespace: str | None,
        status: kopf.Status,
        meta: kopf.Meta | None = None,
        type: str | None = None,  # noqa: A002 - kopf's name for it
        **_: Any,  # noqa: ANN401
    ) -> None:
        if name is None or namespace is None:
            return
        before = under_way.pop((namespace, name), None)
        if status.get("phase") in lifecycle.TERMINAL:
            return
        if type != "DELETED" and meta is not None:
            under_way[namespace, name] = version = (meta.get("uid"), meta.get("generation"))
            if version == before:
                return
        tasks.wake(namespace, name)

    @kopf.on.event(group.GROUP, group.VERSION, group.REMEDIATION_POLICIES, id="guardrails-changed", registry=registry)
    async def guardrails_changed(namespace: str | None, name: str | None, meta: kopf.Meta, type: str | None, **_: Any) -> None:  # noqa: A002, ANN401
        # What is only shown in its status changes nothing for those who wait.
        version = (namespace, name, None if type == "DELETED" else meta.get("generation"))
        if namespace is not None and seen.get((namespace, name)) != version:
            seen[namespace, name] = version
            tasks.wake_namespace(namespace)
