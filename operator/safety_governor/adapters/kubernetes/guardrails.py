"""RemediationPolicies of a namespace."""

from safety_governor.adapters.kubernetes.api import Api
from safety_governor.api import group, v1alpha1
from safety_governor.domain import guardrails


class ClusterGuardrails:
    """What the platform teams allow, read fresh every time: a kill switch must not wait for a cache."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        """Every RemediationPolicy of the namespace, ordered by name."""
        listed = await self._api.get(f"/apis/{group.GROUP}/{group.VERSION}/namespaces/{namespace}/{group.REMEDIATION_POLICIES}")
        policies = [v1alpha1.RemediationPolicy.read(item) for item in listed["items"]]
        return tuple(
            guardrails.Named(name=one.metadata.name, rules=one.spec) for one in sorted(policies, key=lambda one: one.metadata.name)
        )
