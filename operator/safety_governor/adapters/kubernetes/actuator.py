"""The hands: carries requests out on the API server, always in the name of the executor of the namespace, never in our own."""

from collections.abc import Mapping
from typing import Any

from safety_governor.adapters.kubernetes import paths
from safety_governor.adapters.kubernetes.api import Api, NotFoundError
from safety_governor.api import group
from safety_governor.domain import errors, requests


class ClusterActuator:
    """Changes workloads, nodes and Jobs, and evicts pods."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def dry_run(self, namespace: str, request: requests.Request) -> Mapping[str, Any]:
        """The object as it would be, on the version that is current now."""
        return await self._send(namespace, request, dry_run=True)

    async def act(self, namespace: str, request: requests.Request) -> None:
        """Do it, on exactly the version that the request names."""
        await self._send(namespace, request, dry_run=False)

    async def _send(self, namespace: str, request: requests.Request, *, dry_run: bool) -> Mapping[str, Any]:
        executor = f"system:serviceaccount:{namespace}:{group.EXECUTOR}"
        match request:
            case requests.Patch(kind=kind, name=name):
                path = paths.of(namespace, kind, name)
                try:
                    result = await self._api.patch(
                        path,
                        _without_version(request.body) if dry_run else request.body,
                        impersonate=executor,
                        dry_run=dry_run,
                        style=request.style.value,
                        manager=request.manager,
                    )
                except NotFoundError as error:
                    raise errors.ConflictError(str(error)) from error
            case requests.Create(kind=kind, body=body):
                result = await self._api.post(paths.of(namespace, kind), body, impersonate=executor, dry_run=dry_run)
            case requests.Evict(pod=pod, uid=uid):
                body = {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": pod, "namespace": namespace},
                    "deleteOptions": {"preconditions": {"uid": uid}},
                }
                try:
                    path = f"{paths.of(namespace, 'Pod', pod)}/eviction"
                    result = await self._api.post(path, body, impersonate=executor, dry_run=dry_run)
                except NotFoundError as error:
                    raise errors.ConflictError(str(error)) from error
            case _:
                raise errors.ClusterRefusedError("a webhook is not called through the API server")
        return dict(result)


def _without_version(body: Any) -> Any:  # noqa: ANN401 - either kind of patch
    """The same change of whichever version is current: a dry run is to show what would change, not to lose races."""
    if isinstance(body, Mapping):
        metadata = {name: part for name, part in body["metadata"].items() if name != "resourceVersion"}
        return {**body, "metadata": metadata}
    return [one for one in body if one["path"] != "/metadata/resourceVersion"]
