"""Where the kinds that the governor knows are found on the API server."""

import re

_PLACES = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "Job": ("/apis/batch/v1", "jobs"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
    "Pod": ("/api/v1", "pods"),
    "Node": ("/api/v1", "nodes"),
}
_CLUSTER_SCOPED = frozenset({"Node"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def of(namespace: str, kind: str, name: str = "") -> str:
    """Path of an object, or of the collection when there is no name."""
    root, plural = _PLACES[kind]
    where = "" if kind in _CLUSTER_SCOPED else f"/namespaces/{namespace}"
    return f"{root}{where}/{plural}" + (f"/{name}" if name else "")


def is_name(text: str) -> bool:
    """Whether an object can be called so. Any other text in a path could lead to an object of another name."""
    return _NAME.fullmatch(text) is not None
