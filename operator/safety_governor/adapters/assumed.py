"""A cluster that is assumed, for rehearsals without one: the target exists, its namespace allows everything this version can do.

It can be read and cannot be touched.
"""

from datetime import datetime
from typing import NoReturn

from safety_governor.domain import changes, digests, errors, guardrails, plans, rollouts, workloads


class AssumedCluster:
    """Answers for the target, the guard-rails and the Lease."""

    holder = "rehearsal"

    async def find(self, namespace: str, target: plans.Target) -> workloads.Workload | None:
        """Whatever is asked for is there."""
        return workloads.Workload(
            kind=target.kind,
            name=target.name,
            uid=f"assumed-{namespace}-{target.name}",
            resource_version="0",
            template_hash=digests.digest({"assumed": target.name}),
            rollout=rollouts.Observed(generation=1, observed_generation=1),
        )

    async def fetch(self, namespace: str) -> tuple[guardrails.Named, ...]:
        """The namespace allows what this version can carry out; the protected namespaces stay protected."""
        del namespace
        return (guardrails.Named(name="assumed", rules=guardrails.Guardrails(allowed_actions=tuple(sorted(plans.EXECUTABLE)))),)

    async def preview(self, namespace: str, workload: workloads.Workload, step: plans.Step) -> changes.Preview:
        """Nobody has computed it."""
        del namespace
        return changes.Preview(step=step.id, summary=f"{step.type} of {workload.kind}/{workload.name}; not rehearsed on a cluster")

    async def restart(self, namespace: str, workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> NoReturn:
        """Refused: there is nothing to restart."""
        raise errors.ClusterRefusedError(f"a rehearsal touches nothing ({namespace}/{workload.name}, {incident}, {key}, {at})")

    def doubt(self) -> str:
        """A rehearsal honours no approval."""
        return "a rehearsal honours no approval"

    def holds(self) -> bool:
        """A rehearsal may never act."""
        return False
