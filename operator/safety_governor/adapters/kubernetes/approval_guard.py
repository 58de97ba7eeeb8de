"""The self-test of the approval guard: a forbidden approval, in a dry run, that the API server must refuse.

A ValidatingAdmissionPolicy that is missing, unbound or broken refuses nothing and says nothing. So nobody believes it: the
operator tries what it must never be able to do, creating an incident that is approved already, in its own namespace where
nothing can ever be acted on, and only while that was refused by the policy a short while ago does an approval count.
"""

import asyncio
from collections.abc import Callable

import structlog

from safety_governor.adapters.kubernetes.api import Api
from safety_governor.api import group
from safety_governor.domain import errors

POLICY = f"incident-approval.{group.GROUP}"
EVERY = 120.0
"""Seconds between two proofs."""
RETRY = 5.0
"""Seconds until a proof that failed is tried again."""
GOOD_FOR = 300.0
"""Seconds for which a proof counts."""

_BINDING = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{POLICY}"
_log = structlog.get_logger()


class ApprovalGuard:
    """Proves at start, and again and again, that the guard is there."""

    def __init__(self, api: Api, *, namespace: str, on_change: Callable[[bool], None], every: float = EVERY) -> None:
        self._api = api
        self._namespace = namespace
        self._on_change = on_change
        self._every = every
        self._proved_at: float | None = None
        self._doubt = "the operator has just started and has not proved yet that the API server refuses forbidden approvals"

    def doubt(self) -> str:
        """Why no approval can be honoured now; empty when the guard was proved a short while ago."""
        if self._proved_at is not None and asyncio.get_running_loop().time() - self._proved_at < GOOD_FOR:
            return ""
        return self._doubt

    async def keep_proving(self) -> None:
        """Never returns."""
        while True:
            proved = await self.prove()
            await asyncio.sleep(self._every if proved else min(RETRY, self._every))

    async def prove(self) -> bool:
        """Try a forbidden approval and look how the policy is bound."""
        before = not self.doubt()
        try:
            doubt = await self._try_forbidden() or await self._look_at_binding()
        except errors.RetryableError as error:
            # Not knowing is no proof, but it does not undo the last one before its time either.
            _log.warning("the approval guard cannot be proved now", error=str(error))
            return False
        self._proved_at = None if doubt else asyncio.get_running_loop().time()
        self._doubt = doubt or "the last proof that the API server refuses forbidden approvals is too old"
        if doubt:
            _log.error("ApprovalGuardMissing: no approval is honoured", why=doubt)
        elif not before:
            _log.info("the API server refuses forbidden approvals")
        self._on_change(not doubt)
        return not doubt

    async def _try_forbidden(self) -> str:
        body = {
            "apiVersion": group.API_VERSION,
            "kind": group.INCIDENT_KIND,
            "metadata": {"name": "approval-guard-self-test", "namespace": self._namespace},
            "spec": {
                "service": "self-test",
                "severity": "low",
                "summary": "A forbidden approval in a dry run; it must be refused.",
                "requestedBy": "nobody",
                "approval": {"decision": "APPROVE", "planDigest": "sha256:" + "0" * 64, "approver": "nobody"},
            },
        }
        try:
            await self._api.post(f"/apis/{group.GROUP}/{group.VERSION}/namespaces/{self._namespace}/{group.INCIDENTS}", body, dry_run=True)
        except errors.ClusterRefusedError as error:
            if f"'{POLICY}'" in str(error):
                return ""
            return f"the self-test was refused, but not by the policy {POLICY}: {error}. {_REMEDY}"
        return f"the API server would let a forbidden approval through: the policy {POLICY} is missing or not bound. {_REMEDY}"

    async def _look_at_binding(self) -> str:
        """A binding that was narrowed lets approvals through elsewhere than in our own namespace."""
        try:
            spec = (await self._api.get(_BINDING))["spec"]
        except errors.ClusterRefusedError as error:
            return f"the binding of the policy {POLICY} cannot be read: {error}. {_REMEDY}"
        if "Deny" not in spec.get("validationActions", ()):
            return f"the binding of the policy {POLICY} does not deny. {_REMEDY}"
        selectors = spec.get("matchResources", {})
        narrowed = [
            name for name in ("namespaceSelector", "objectSelector", "resourceRules", "excludeResourceRules") if selectors.get(name)
        ]
        if narrowed:
            return f"the binding of the policy {POLICY} was narrowed by {', '.join(narrowed)}. {_REMEDY}"
        return ""


_REMEDY = "Approvals wait until it is back: kubectl apply -f crds/"
