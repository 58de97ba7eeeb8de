"""Where a request goes: to the API server, or to automation outside of the cluster."""

from collections.abc import Mapping
from typing import Any, Protocol

from safety_governor.domain import requests
from safety_governor.pipeline import ports


class Automation(Protocol):
    """Automation that was there before us; it takes a repeated key for the same request."""

    def check(self, webhook: str) -> str:
        """Digest of what is known of it, its address among that. Raises AutomationRefusedError when no automation of that name is known."""

    async def call(self, webhook: str, *, key: str, body: Mapping[str, Any]) -> None:
        """Call it. Raises AutomationUnavailableError when it is not known whether it took the call, AutomationRefusedError when it did not."""


class Actuation:
    """An actuator for every kind of request."""

    def __init__(self, *, cluster: ports.Actuator, automation: Automation) -> None:
        self._cluster = cluster
        self._automation = automation

    async def dry_run(self, namespace: str, request: requests.Request) -> Mapping[str, Any]:
        """Try without doing it."""
        if isinstance(request, requests.Call):
            return {"endpoint": self._automation.check(request.webhook)}
        return await self._cluster.dry_run(namespace, request)

    async def act(self, namespace: str, request: requests.Request) -> None:
        """Do it."""
        if isinstance(request, requests.Call):
            await self._automation.call(request.webhook, key=request.key, body=request.body)
            return
        await self._cluster.act(namespace, request)
