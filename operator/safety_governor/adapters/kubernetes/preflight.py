"""What must be in place before the operator starts: the resources and its rights. Says everything that is missing at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from safety_governor.adapters.kubernetes.api import Api, NotFoundError, UnknownResourceError
from safety_governor.api import group
from safety_governor.domain import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Right:
    """One verb on one resource, in all namespaces unless one is named."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    """The only object that it is needed for."""
    namespace: str = ""

    def __str__(self) -> str:
        """As people say it, such as `create pods/eviction` or `get leases.coordination.k8s.io in namespace governor-system`."""
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        named = f" {self.name}" if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {resource}{'.' + self.group if self.group else ''}{named}{where}"


def _rights(verbs: str, group: str, resources: str, *, subresource: str = "", name: str = "", namespace: str = "") -> list[_Right]:
    return [
        _Right(verb=verb, group=group, resource=resource, subresource=subresource, name=name, namespace=namespace)
        for resource in resources.split()
        for verb in verbs.split()
    ]


_NEEDED = (
    *_rights("get list watch", group.GROUP, f"{group.INCIDENTS} {group.REMEDIATION_POLICIES}"),
    *_rights("update", group.GROUP, f"{group.INCIDENTS} {group.REMEDIATION_POLICIES}", subresource="status"),
    *_rights("get", "apps", "deployments statefulsets daemonsets"),
    *_rights("get list", "apps", "replicasets controllerrevisions"),
    *_rights("get list", "", "pods nodes"),
    *_rights("get", "", "serviceaccounts", name=group.EXECUTOR),
    *_rights("list", "autoscaling", "horizontalpodautoscalers"),
    *_rights("list", "policy", "poddisruptionbudgets"),
    *_rights("get", "batch", "cronjobs jobs"),
    *_rights("create", "events.k8s.io", "events"),
)
_ACTING = (
    *_rights("impersonate:serviceaccount", "authentication.k8s.io", "serviceaccounts", name=group.EXECUTOR),
    *_rights("impersonate-on:serviceaccount:patch", "apps", "deployments statefulsets daemonsets"),
    *_rights("impersonate-on:serviceaccount:create impersonate-on:serviceaccount:patch", "batch", "jobs"),
    *_rights("impersonate-on:serviceaccount:create", "", "pods", subresource="eviction"),
    *_rights("impersonate-on:serviceaccount:patch", "", "nodes"),
)
"""Constrained impersonation: Kubernetes 1.36 or newer."""


async def check(api: Api, *, lease_namespace: str) -> None:
    """Raise ConfigurationError with everything that is missing; ClusterUnavailableError when nobody answers."""
    await _check_resources(api)
    leases = _rights("get create update", "coordination.k8s.io", "leases", namespace=lease_namespace)
    # All or nothing, as older servers know it; newer ones honour it as well.
    wholly = _rights("impersonate", "", "serviceaccounts", name=group.EXECUTOR, namespace=lease_namespace)
    is_constrained = bool(await _missing(api, wholly))
    missing = await _missing(api, [*_NEEDED, *leases, *(_ACTING if is_constrained else ())])
    if missing:
        raise errors.ConfigurationError(
            "the operator lacks rights that it cannot work without: "
            + "; ".join(str(right) for right in missing)
            + ". Bind it to the ClusterRole governor-operator (crds/rbac.yaml) and start it again"
        )
    if is_constrained and not await _can_act(api, namespace=lease_namespace):
        raise errors.ConfigurationError(
            f"this API server does not let the operator act as a ServiceAccount {group.EXECUTOR}, as it does not know constrained "
            "impersonation (Kubernetes 1.36 or newer does, unless it is switched off): kubectl apply -f crds/older-servers/impersonation.yaml "
            "and start the operator again"
        )
    await _check_identity(api, namespace=lease_namespace)


async def _check_identity(api: Api, *, namespace: str) -> None:
    """Rights are not enough: an administrator has all of them, and is refused by the policies at the first write."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    own, expected = answer["status"]["userInfo"].get("username", ""), f"system:serviceaccount:{namespace}:{group.OPERATOR}"
    if own != expected:
        raise errors.ConfigurationError(
            f"the operator was given the credentials of {own or 'nobody'}, and the API server lets only {expected} write what is decided. "
            f"Run it in a pod of that ServiceAccount, or with a kubeconfig that holds its token (kubectl create token {group.OPERATOR} "
            f"-n {namespace})"
        )


async def _check_resources(api: Api) -> None:
    try:
        served = await api.get(f"/apis/{group.GROUP}/{group.VERSION}")
    except UnknownResourceError:
        served = {"resources": []}
    present = {one["name"] for one in served["resources"]}
    absent = [f"{name}.{group.GROUP}" for name in (group.INCIDENTS, group.REMEDIATION_POLICIES) if name not in present]
    if absent:
        raise errors.ConfigurationError(
            f"the cluster does not have {' and '.join(absent)}; install the definitions (kubectl apply -f crds/) and start the operator again"
        )


async def _missing(api: Api, rights: Sequence[_Right]) -> list[_Right]:
    allowed = await asyncio.gather(*(_is_allowed(api, right) for right in rights))
    return [right for right, is_allowed in zip(rights, allowed, strict=True) if not is_allowed]


async def _is_allowed(api: Api, right: _Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "name": right.name,
        "namespace": right.namespace,
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    answer = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


async def _can_act(api: Api, *, namespace: str) -> bool:
    """Act once, in a dry run and on what is not there. An older server knows the rights by name and gives nothing for them.

    Our own namespace has no executor, so that the executor is refused; what matters is who was.
    """
    executor = f"system:serviceaccount:{namespace}:{group.EXECUTOR}"
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/impersonation-self-test"
    try:
        await api.patch(path, {}, impersonate=executor, dry_run=True)
    except NotFoundError:
        return True
    except errors.ClusterRefusedError as error:
        return f'User "{executor}" cannot' in str(error)
    return True
