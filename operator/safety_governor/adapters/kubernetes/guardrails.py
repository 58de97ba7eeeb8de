"""RemediationPolicies of a namespace."""

from collections.abc import Mapping
from typing import Any

import pydantic
import structlog

from safety_governor.adapters.kubernetes.api import Api
from safety_governor.api import group, v1alpha1
from safety_governor.domain import guardrails

_log = structlog.get_logger()


class ClusterGuardrails:
    """What the platform teams allow, read fresh every time: a kill switch must not wait for a cache."""

    def __init__(self, api: Api, *, namespace: str | None = None) -> None:
        self._api = api
        self._namespace = namespace

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        """Every RemediationPolicy of the namespace, ordered by name."""
        return tuple(sorted((_named(item) for item in await self._api.list(_path(namespace))), key=lambda one: one.name))

    async def list_all(self) -> list[v1alpha1.RemediationPolicy]:
        """All policies, or those of the one namespace that is attended; one that this version cannot read is left out."""
        items = await self._api.list(_path(self._namespace))
        found = []
        for item in items:
            try:
                found.append(v1alpha1.RemediationPolicy.read(item))
            except pydantic.ValidationError:
                # Nothing can be shown in it; that it allows nothing is logged whenever it is asked for.
                continue
        return found

    async def record_status(self, policy: v1alpha1.RemediationPolicy, status: v1alpha1.RemediationPolicyStatus) -> None:
        """Replace the status of exactly this version. Raises ConflictError when it was changed since."""
        metadata = policy.metadata
        body = {
            "apiVersion": group.API_VERSION,
            "kind": group.REMEDIATION_POLICY_KIND,
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "resourceVersion": metadata.resource_version},
            # The server takes spec from what is stored; it stands here because the schema requires it.
            "spec": policy.spec.model_dump(mode="json", exclude_defaults=True),
            "status": status.model_dump(mode="json", exclude_defaults=True),
        }
        await self._api.put(f"{_path(metadata.namespace)}/{metadata.name}/status", body)


def _path(namespace: str | None) -> str:
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{group.GROUP}/{group.VERSION}/{where}{group.REMEDIATION_POLICIES}"


def _named(item: Mapping[str, Any]) -> guardrails.Named:
    try:
        policy = v1alpha1.RemediationPolicy.read(dict(item))
    except pydantic.ValidationError as error:
        # A policy of a newer version says something that this one does not understand; it may well be a prohibition.
        name = str(item["metadata"]["name"])
        _log.error("a RemediationPolicy cannot be read, so it allows nothing", policy=name, error=str(error))
        return guardrails.Named(name=name, rules=guardrails.Guardrails(allowed_actions=()))
    return guardrails.Named(name=policy.metadata.name, rules=policy.spec)
