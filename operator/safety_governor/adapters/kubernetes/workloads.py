"""Workloads: read as the operator, touched only as the executor of their namespace."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from safety_governor.adapters.kubernetes.api import Api, NotFoundError
from safety_governor.api import group
from safety_governor.domain import changes, digests, errors, plans, rollouts, values, workloads

_PLURALS = {"Deployment": "deployments"}
"""Kinds that this version can read and restart."""


# Stand for what is only settled when a step is claimed, so that a preview is the same at any time.
_ANY_KEY = "sha256:" + "0" * 64
_ANY_INCIDENT = "namespace/name"
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


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

    async def preview(self, namespace: str, workload: workloads.Workload, step: plans.Step) -> changes.Preview:
        """A restart in a dry run, as the executor, on the version that is current now. Raises ClusterRefusedError when it would not be let."""
        if step.type is not values.ActionType.ROLLOUT_RESTART:
            raise errors.ClusterRefusedError(f"this version cannot carry out {step.type}")
        path = _path(namespace, workload.kind, workload.name)
        before = await self._api.get(path)
        body = _restart(workload, key=_ANY_KEY, incident=_ANY_INCIDENT, at=_ANY_TIME)
        del body["metadata"]["resourceVersion"]
        after = await self._api.patch(path, body, impersonate=_executor(namespace), dry_run=True)
        found = changes.between(
            before,
            after,
            known={_ANY_KEY: "(key of the action)", _ANY_INCIDENT: "(this incident)", _stamp(_ANY_TIME): "(time of the claim)"},
        )
        return changes.Preview(step=step.id, summary=f"replaces every pod of {workload.kind}/{workload.name}", changes=found)

    async def restart(self, namespace: str, workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> None:
        """Start a rollout of exactly this version, and leave key and incident on it.

        Repeating it with the same key and time changes nothing. Raises ConflictError when the workload was changed since.
        """
        body = _restart(workload, key=key, incident=incident, at=at)
        try:
            await self._api.patch(_path(namespace, workload.kind, workload.name), body, impersonate=_executor(namespace))
        except NotFoundError as error:
            raise errors.ConflictError(str(error)) from error


def _restart(workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> dict[str, dict[str, Any]]:
    marks = {group.LAST_ACTION: key, group.ACTED_FOR: incident}
    return {
        "metadata": {"resourceVersion": workload.resource_version, "annotations": marks},
        "spec": {"template": {"metadata": {"annotations": {group.RESTARTED_AT: _stamp(at)}}}},
    }


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _executor(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:{group.EXECUTOR}"


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
