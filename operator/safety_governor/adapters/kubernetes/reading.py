"""Objects of the API server as the values that decisions are made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from safety_governor.domain import digests, marks, rollouts, values, workloads

_GIT_OPS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "app.kubernetes.io/managed-by": "Helm",
    "meta.helm.sh/release-name": "Helm",
}
"""Labels and annotations by which tools that keep an object as it is in Git tell that it is theirs."""
_GIT_OPS_MANAGERS = {
    "argocd-application-controller": "Argo CD",
    "argocd-controller": "Argo CD",
    "helm-controller": "Flux",
    "kustomize-controller": "Flux",
}
"""Names under which they write its fields; Argo CD can be set up to leave nothing else."""


def workload(kind: str, body: Mapping[str, Any]) -> workloads.Workload:
    """A workload or node."""
    metadata, spec, status = body["metadata"], body.get("spec", {}), body.get("status", {})
    template = spec.get("template")
    observed = _OBSERVED[kind](metadata, spec, status)
    return workloads.Workload(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        template_hash=digests.digest(template) if template else "",
        replicas=spec.get("replicas", 1) if kind in ("Deployment", "StatefulSet") else None,
        unschedulable=spec.get("unschedulable", False) if kind == workloads.NODE else None,
        paused=spec.get("paused", False) or (kind == workloads.JOB and spec.get("suspend", False)),
        on_delete=_is_on_delete(spec),
        kept_back=_partition(spec) if kind == "StatefulSet" else 0,
        max_unavailable=_max_unavailable(kind, spec, observed.wanted),
        controller=_controller(metadata),
        git_ops=_git_ops(metadata),
        marks={key: text for key, text in (metadata.get("annotations") or {}).items() if _is_mark(key)},
        rollout=observed,
        body=body,
    )


def _deployment(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> rollouts.Observed:
    progressing: Mapping[str, Any] = next((one for one in status.get("conditions") or [] if one["type"] == "Progressing"), {})
    there = status.get("replicas", 0)
    return rollouts.Observed(
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration", 0),
        wanted=spec.get("replicas", 1),
        replicas=there,
        # While it is paused nothing is made new, and whatever is there is as it is to be.
        updated=there if spec.get("paused") else status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        progressing_reason=progressing.get("reason", ""),
        progressing_since=_time(progressing.get("lastUpdateTime") or progressing.get("lastTransitionTime")),
    )


def _stateful_set(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> rollouts.Observed:
    wanted = spec.get("replicas", 1)
    # Pods below the partition are as they are to be, whichever template they are from; so are all that only a deletion replaces.
    kept_back = wanted if _is_on_delete(spec) else _partition(spec)
    return rollouts.Observed(
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration", 0),
        wanted=wanted,
        replicas=status.get("replicas", 0),
        updated=min(wanted, status.get("updatedReplicas", 0) + kept_back),
        available=status.get("readyReplicas", 0) if "availableReplicas" not in status else status["availableReplicas"],
    )


def _daemon_set(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> rollouts.Observed:
    wanted = status.get("desiredNumberScheduled", 0)
    updated = wanted if _is_on_delete(spec) else status.get("updatedNumberScheduled", 0)
    return rollouts.Observed(
        generation=metadata["generation"],
        observed_generation=status.get("observedGeneration", 0),
        wanted=wanted,
        replicas=updated,
        updated=updated,
        available=status.get("numberAvailable", 0),
    )


def _job(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> rollouts.Observed:
    """A Job rolls nothing out: what is active is to be ready."""
    del spec
    generation, active = metadata.get("generation", 0), status.get("active", 0)
    failed = next((one for one in status.get("conditions") or [] if one["type"] == "Failed" and one["status"] == "True"), None)
    return rollouts.Observed(
        generation=generation,
        observed_generation=generation,
        wanted=active,
        replicas=active,
        updated=active,
        available=status.get("ready", 0),
        progressing_reason="JobFailed" if failed else "",
        progressing_since=_time(failed.get("lastTransitionTime")) if failed else None,
    )


def _node(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> rollouts.Observed:
    del metadata, spec, status
    return rollouts.Observed(generation=0, wanted=0)


_OBSERVED = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    workloads.JOB: _job,
    workloads.NODE: _node,
}
KINDS = frozenset(_OBSERVED)
"""Kinds that can be read."""


def _is_on_delete(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("updateStrategy", {}).get("type") == "OnDelete")


def _partition(spec: Mapping[str, Any]) -> int:
    return int((spec.get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition", 0))


def _max_unavailable(kind: str, spec: Mapping[str, Any], wanted: int) -> int:
    """How many ready pods its own rollout may take down at once, by the rules of its controller."""
    if kind == "Deployment":
        strategy = spec.get("strategy", {})
        if strategy.get("type") == "Recreate":
            return wanted
        rolling = strategy.get("rollingUpdate") or {}
        down = share(rolling.get("maxUnavailable", "25%"), wanted)
        # The controller takes one down where neither may be taken nor put on top.
        return down if down or share(rolling.get("maxSurge", "25%"), wanted, up=True) else min(1, wanted)
    if kind in ("StatefulSet", "DaemonSet"):
        rolling = spec.get("updateStrategy", {}).get("rollingUpdate") or {}
        if kind == "DaemonSet" and share(rolling.get("maxSurge", 0), wanted, up=True):
            return 0
        return max(min(1, wanted), share(rolling.get("maxUnavailable", 1), wanted, up=kind == "DaemonSet"))
    return 0


def share(amount: int | str, of: int, *, up: bool = False) -> int:
    """A number, or a percentage of the whole as the controllers round it."""
    if isinstance(amount, int):
        return min(amount, of)
    percent = int(str(amount).rstrip("%"))
    return min(of, -(-of * percent // 100) if up else of * percent // 100)


def _controller(metadata: Mapping[str, Any]) -> str:
    owner = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), None)
    return f"{owner['kind']}/{owner['name']}" if owner else ""


def _git_ops(metadata: Mapping[str, Any]) -> str:
    known = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    for key, tool in _GIT_OPS.items():
        if key in known and (key != "app.kubernetes.io/managed-by" or known[key] == "Helm"):
            return tool
    writers = {str(one.get("manager", "")) for one in metadata.get("managedFields") or []}
    return next((tool for manager, tool in _GIT_OPS_MANAGERS.items() if manager in writers), "")


def _is_mark(key: str) -> bool:
    domain = key.partition("/")[0]
    return domain == marks.DOMAIN or domain.endswith(f".{marks.DOMAIN}")


def pod(body: Mapping[str, Any]) -> workloads.Pod:
    """A pod."""
    metadata, status = body["metadata"], body.get("status", {})
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    ready: Mapping[str, Any] = next((one for one in status.get("conditions") or [] if one["type"] == "Ready"), {})
    # Of init containers only the restarts count: that one of them has ended is how it should be.
    ended = [state for one in containers if (state := (one.get("lastState") or {}).get("terminated"))]
    last: Mapping[str, Any] = max(ended, key=lambda one: str(one.get("finishedAt") or ""), default={})
    waiting = [str(one["state"]["waiting"].get("reason", "")) for one in containers if (one.get("state") or {}).get("waiting")]
    return workloads.Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=metadata["creationTimestamp"],
        ready=ready.get("status") == "True",
        ready_since=_time(ready.get("lastTransitionTime")),
        terminating="deletionTimestamp" in metadata,
        restarts=sum(one.get("restartCount", 0) for one in containers),
        waiting=values.clip("CrashLoopBackOff" if "CrashLoopBackOff" in waiting else next(iter(waiting), ""), values.LINE_LIMIT),
        last_ended_at=_time(last.get("finishedAt")),
        last_ended_reason=values.clip(str(last.get("reason") or ""), values.LINE_LIMIT),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def replica_set(body: Mapping[str, Any]) -> workloads.Revision:
    """The revision that a ReplicaSet keeps, without the label by which the controller tells its pods apart."""
    metadata, template = body["metadata"], dict(body["spec"]["template"])
    inner = dict(template.get("metadata") or {})
    labels = {key: text for key, text in (inner.get("labels") or {}).items() if key != "pod-template-hash"}
    template["metadata"] = {**inner, "labels": labels}
    number = (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return _revision(metadata["name"], int(number), template)


def controller_revision(body: Mapping[str, Any]) -> workloads.Revision:
    """The revision that a ControllerRevision keeps: a patch that replaces the template."""
    template = {key: part for key, part in body["data"]["spec"]["template"].items() if key != "$patch"}
    return _revision(body["metadata"]["name"], body["revision"], template)


def _revision(name: str, number: int, template: dict[str, Any]) -> workloads.Revision:
    return workloads.Revision(name=name, number=number, template=template, template_hash=digests.digest(template))


def job(body: Mapping[str, Any]) -> workloads.Job:
    """A Job that an action has started."""
    metadata, conditions = body["metadata"], {one["type"]: one for one in body.get("status", {}).get("conditions") or []}
    state, reason, ended_at = workloads.JobState.RUNNING, "", None
    for kind, reached in (("Failed", workloads.JobState.FAILED), ("Complete", workloads.JobState.COMPLETE)):
        if conditions.get(kind, {}).get("status") == "True":
            state, reason = reached, str(conditions[kind].get("reason", ""))
            ended_at = _time(conditions[kind].get("lastTransitionTime"))
    return workloads.Job(name=metadata["name"], state=state, reason=reason, ended_at=ended_at, marks=metadata.get("annotations") or {})


def job_template(body: Mapping[str, Any]) -> workloads.JobTemplate:
    """What a CronJob would start."""
    template = body["spec"]["jobTemplate"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    return workloads.JobTemplate(name=body["metadata"]["name"], digest=digests.digest(template), spec=template["spec"], labels=labels)
