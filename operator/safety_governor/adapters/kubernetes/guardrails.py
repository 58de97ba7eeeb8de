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

    def __init__(self, api: Api) -> None:
        self._api = api

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        """Every RemediationPolicy of the namespace, ordered by name."""
        listed = await self._api.get(f"/apis/{group.GROUP}/{group.VERSION}/namespaces/{namespace}/{group.REMEDIATION_POLICIES}")
        return tuple(sorted((_named(item) for item in listed["items"]), key=lambda one: one.name))


def _named(item: Mapping[str, Any]) -> guardrails.Named:
    try:
        policy = v1alpha1.RemediationPolicy.read(dict(item))
    except pydantic.ValidationError as error:
        # A policy of a newer version says something that this one does not understand; it may well be a prohibition.
        name = str(item["metadata"]["name"])
        _log.error("a RemediationPolicy cannot be read, so it allows nothing", policy=name, error=str(error))
        return guardrails.Named(name=name, rules=guardrails.Guardrails(allowed_actions=()))
    return guardrails.Named(name=policy.metadata.name, rules=policy.spec)
