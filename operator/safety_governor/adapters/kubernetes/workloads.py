"""Workloads: read as the operator, touched only as the executor of their namespace."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from safety_governor.adapters.kubernetes.api import Api, NotFoundError
from safety_governor.api import group
from safety_governor.domain import digests, errors, plans, rollouts, workloads

_PLURALS = {"Deployment": "deployments"}
"""Kinds that this version can read and restart."""


class ClusterWorkloads:
    """Deployments of the cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find(self, namespace: str, target: plans.Target) -> workloads.Workload | None:
        """As it is now; None when there is certainly none. A kind that this version does not know is not there for it."""
        if target.kind not in _PLURALS:
            return None
        try:
            return _workload(target.kind, await self._api.get(_path(namespace, target.kind, target.name)))
        except NotFoundError:
            return None

    async def restart(self, namespace: str, workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> None:
        """Start a rollout of exactly this version, and leave key and incident on it.

        Repeating it with the same key and time changes nothing. Raises ConflictError when the workload was changed since.
        """
        body = {
            "metadata": {
                "resourceVersion": workload.resource_version,
                "annotations": {group.LAST_ACTION: key, group.ACTED_FOR: incident},
            },
            "spec": {"template": {"metadata": {"annotations": {group.RESTARTED_AT: f"{at:%Y-%m-%dT%H:%M:%SZ}"}}}},
        }
        executor = f"system:serviceaccount:{namespace}:{group.EXECUTOR}"
        try:
            await self._api.patch(_path(namespace, workload.kind, workload.name), body, impersonate=executor)
        except NotFoundError as error:
            raise errors.ConflictError(str(error)) from error


def _path(namespace: str, kind: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/{_PLURALS[kind]}/{name}"


def _workload(kind: str, body: Mapping[str, Any]) -> workloads.Workload:
    metadata, spec, status = body["metadata"], body["spec"], body.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    return workloads.Workload(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        template_hash=digests.digest(spec["template"]),
        paused=spec.get("paused", False),
        last_action=metadata.get("annotations", {}).get(group.LAST_ACTION, ""),
        rollout=rollouts.Observed(
            generation=metadata["generation"],
            observed_generation=status.get("observedGeneration", 0),
            wanted=spec.get("replicas", 1),
            replicas=status.get("replicas", 0),
            updated=status.get("updatedReplicas", 0),
            available=status.get("availableReplicas", 0),
            progressing_reason=conditions.get("Progressing", {}).get("reason", ""),
        ),
    )
