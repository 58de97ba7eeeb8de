"""Shows in every RemediationPolicy how its namespace stands: what is left of its budget, freezes, the circuit breaker.

Only a display: guard-rails are judged from what incidents record. It is written when it reads differently, and at most once
in every round.
"""

import asyncio
from collections import defaultdict
from datetime import timedelta

import structlog

from safety_governor.api import standing, v1alpha1
from safety_governor.domain import errors, guardrails
from safety_governor.pipeline import ports, register

EVERY = timedelta(seconds=15)

_log = structlog.get_logger()


class Display:
    """Keeps the status of the policies as it should read."""

    def __init__(self, *, policies: ports.Policies, past: register.Register, ceilings: guardrails.Ceilings, clock: ports.Clock) -> None:
        self._policies = policies
        self._past = past
        self._ceilings = ceilings
        self._clock = clock

    async def keep_showing(self) -> None:
        """Show it again and again; never returns. What cannot be shown is shown later."""
        while True:
            try:
                await self.show()
            except errors.GovernorError as error:
                _log.warning("the standing of the namespaces cannot be shown now; nothing else depends on it", error=str(error))
            await asyncio.sleep(EVERY.total_seconds())

    async def show(self) -> None:
        """One round."""
        self._past.prune(self._clock.now())
        namespaces: dict[str, list[v1alpha1.RemediationPolicy]] = defaultdict(list)
        for policy in await self._policies.list_all():
            namespaces[policy.metadata.namespace].append(policy)
        for namespace, policies in namespaces.items():
            await self._show(namespace, policies)

    async def _show(self, namespace: str, policies: list[v1alpha1.RemediationPolicy]) -> None:
        now = self._clock.now()
        named = [guardrails.Named(name=one.metadata.name, rules=one.spec) for one in policies]
        rules = guardrails.strictest(named)
        assert rules is not None, "there is at least one policy"  # noqa: S101
        found = self._past.standing(guardrails.tightened(rules, self._ceilings), namespace=namespace, now=now)
        origins = guardrails.origins(named)
        for policy in policies:
            status = standing.described(policy, found, origins=origins, now=now)
            if status == policy.status:
                continue
            try:
                await self._policies.record_status(policy, status)
            except errors.ConflictError:
                # Somebody has changed the policy; the next round reads it again.
                continue
