"""Workloads and what surrounds them, read as the operator itself, which may not change any of it."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from safety_governor.adapters.kubernetes import paths, reading
from safety_governor.adapters.kubernetes.api import Api, NotFoundError
from safety_governor.api import group
from safety_governor.domain import actions, marks, plans, values, workloads
from safety_governor.domain.actions import run_job
from safety_governor.domain.workloads import Related

_ENDED = ("Succeeded", "Failed")


class ClusterWorkloads:
    """Workloads and nodes of the cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def look(self, namespace: str, target: plans.Target, *, step: plans.Step | None = None, key: str = "") -> workloads.Scene | None:
        """The target with what the step has to see; None when there is certainly none.

        A kind that is not known is not there, and neither is what has a name that no object can have.
        """
        if target.kind not in reading.KINDS or not paths.is_name(target.name):
            return None
        try:
            body = await self._api.get(paths.of(namespace, target.kind, target.name))
        except NotFoundError:
            return None
        found = reading.workload(target.kind, body)
        wanted = actions.of(step.type).reads if step is not None else frozenset()
        around: dict[str, Any] = {"executor_exists": await self._executor_exists(namespace)}
        if target.kind != workloads.NODE:
            around["pods"] = await self._pods(namespace, body)
        if Related.REVISIONS in wanted and target.kind in workloads.ROLLING:
            around["revisions"] = await self._revisions(namespace, target.kind, body)
        if Related.AUTOSCALERS in wanted:
            around["autoscaler"] = await self._autoscaler(namespace, target)
        if Related.DISRUPTIONS in wanted and not key and around.get("pods"):
            # Of what is claimed already the budgets have been asked.
            around["disruptions"] = await self._disruptions(namespace, around["pods"])
        if Related.NODES in wanted and target.kind == workloads.NODE:
            around["other_nodes"] = await self._other_nodes(target.name)
        if Related.JOBS in wanted and step is not None:
            around |= await self._jobs(namespace, step, key)
        return workloads.Scene(target=found, **around)

    async def _executor_exists(self, namespace: str) -> bool:
        try:
            await self._api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{group.EXECUTOR}")
        except NotFoundError:
            return False
        return True

    async def _pods(self, namespace: str, body: Mapping[str, Any]) -> tuple[workloads.Pod, ...]:
        """Pods that its selector finds and that it owns, directly or through a ReplicaSet."""
        selector = _selector(body["spec"].get("selector") or {})
        if not selector:
            return ()
        items = await self._api.list(f"/api/v1/namespaces/{namespace}/pods", query={"labelSelector": selector})
        owners = {body["metadata"]["uid"]}
        if body["kind"] == "Deployment":
            owners = {one["metadata"]["uid"] for one in await self._owned(namespace, "ReplicaSet", body)}
        # What has come to its end, such as a pod of a finished Job or one that its node has driven out, is none of its pods any more.
        return tuple(reading.pod(one) for one in items if _owner(one) in owners and one.get("status", {}).get("phase") not in _ENDED)

    async def _owned(self, namespace: str, kind: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        query = {"labelSelector": _selector(body["spec"].get("selector") or {})}
        items = await self._api.list(paths.of(namespace, kind), query=query)
        return [one for one in items if _owner(one) == body["metadata"]["uid"]]

    async def _revisions(self, namespace: str, kind: str, body: Mapping[str, Any]) -> tuple[workloads.Revision, ...]:
        if kind == "Deployment":
            found = [reading.replica_set(one) for one in await self._owned(namespace, "ReplicaSet", body)]
        else:
            found = [reading.controller_revision(one) for one in await self._owned(namespace, "ControllerRevision", body)]
        return tuple(sorted(found, key=lambda one: -one.number))

    async def _autoscaler(self, namespace: str, target: plans.Target) -> str:
        for item in await self._api.list(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"):
            reference = item["spec"]["scaleTargetRef"]
            if (reference["kind"], reference["name"]) == (target.kind, target.name):
                owner = next((one for one in item["metadata"].get("ownerReferences") or [] if one["kind"] == "ScaledObject"), None)
                by = f" of KEDA's ScaledObject/{owner['name']}" if owner else ""
                return values.clip(f"HorizontalPodAutoscaler/{item['metadata']['name']}{by}", values.LINE_LIMIT)
        return ""

    async def _disruptions(self, namespace: str, pods: Sequence[workloads.Pod]) -> workloads.Disruptions | None:
        """The tightest budget that covers one of these pods."""
        uids, found = {pod.uid for pod in pods}, []
        for item in await self._api.list(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"):
            selector = item["spec"].get("selector")
            if selector is None:
                # It covers nothing; one with an empty selector covers everything.
                continue
            covered = await self._api.list(f"/api/v1/namespaces/{namespace}/pods", query={"labelSelector": _selector(selector)})
            if any(one["metadata"]["uid"] in uids for one in covered):
                allowed = item.get("status", {}).get("disruptionsAllowed", 0)
                found.append(workloads.Disruptions(budget=item["metadata"]["name"], allowed=allowed))
        return min(found, key=lambda one: (one.allowed, one.budget), default=None)

    async def _other_nodes(self, name: str) -> int:
        items = await self._api.list("/api/v1/nodes")
        return sum(one["metadata"]["name"] != name and _takes_pods(one) for one in items)

    async def _jobs(self, namespace: str, step: plans.Step, key: str) -> dict[str, Any]:
        around: dict[str, Any] = {}
        template = step.parameters.get("template", "")
        if actions.of(step.type).problems(step):
            return around
        with contextlib.suppress(NotFoundError):
            around["job_template"] = reading.job_template(await self._api.get(paths.of(namespace, "CronJob", template)))
        try:
            found = reading.job(await self._api.get(paths.of(namespace, workloads.JOB, run_job.name_of(key)))) if key else None
        except NotFoundError:
            found = None
        # A Job of that name which somebody else has made is not ours; creating ours will be refused then.
        around["job"] = found if found is not None and found.marks.get(marks.LAST_ACTION) == key else None
        return around


def _owner(body: Mapping[str, Any]) -> str:
    return next((str(one["uid"]) for one in body["metadata"].get("ownerReferences") or [] if one.get("controller")), "")


def _takes_pods(node: Mapping[str, Any]) -> bool:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node.get("status", {}).get("conditions") or [])
    spec = node.get("spec", {})
    tainted = any(one.get("effect") in ("NoSchedule", "NoExecute") for one in spec.get("taints") or [])
    return ready and not spec.get("unschedulable") and not tainted


def _selector(selector: Mapping[str, Any]) -> str:
    """A label selector as the text that a query takes."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        key, chosen = one["key"], ",".join(one.get("values") or [])
        forms = {"In": f"{key} in ({chosen})", "NotIn": f"{key} notin ({chosen})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(forms[one["operator"]])
    return ",".join(parts)
