"""What must be in place before the operator starts: the resources and its rights. Says everything that is missing at once."""

from safety_governor.adapters.kubernetes.api import Api, UnknownResourceError
from safety_governor.api import group
from safety_governor.domain import errors

_NEEDED = (
    (group.GROUP, group.INCIDENTS, "", ("get", "list", "watch")),
    (group.GROUP, group.INCIDENTS, "status", ("update",)),
    (group.GROUP, group.REMEDIATION_POLICIES, "", ("get", "list", "watch")),
    ("apps", "deployments", "", ("get",)),
    ("events.k8s.io", "events", "", ("create",)),
)


async def check(api: Api, *, lease_namespace: str) -> None:
    """Raise ConfigurationError with everything that is missing; ClusterUnavailableError when nobody answers."""
    await _check_resources(api)
    missing = [
        right
        for resource_group, resource, subresource, verbs in _NEEDED
        for verb in verbs
        if (right := await _missing(api, group=resource_group, resource=resource, subresource=subresource, verb=verb))
    ]
    for verb in ("get", "create", "update"):
        right = await _missing(api, group="coordination.k8s.io", resource="leases", subresource="", verb=verb, namespace=lease_namespace)
        missing += [right] if right else []
    if missing:
        raise errors.ConfigurationError(
            "the operator lacks rights that it cannot work without: "
            + "; ".join(missing)
            + ". Bind it to the ClusterRole governor-operator (crds/rbac.yaml) and start it again"
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


async def _missing(api: Api, *, group: str, resource: str, subresource: str, verb: str, namespace: str = "") -> str:
    attributes = {"group": group, "resource": resource, "subresource": subresource, "verb": verb, "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    answer = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    if answer["status"]["allowed"]:
        return ""
    where = f" in namespace {namespace}" if namespace else ""
    return f"{verb} {resource}{'/' + subresource if subresource else ''}.{group}{where}"
