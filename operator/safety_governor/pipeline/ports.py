"""What the stages need of the outside world, named by the need and not by the product.

An adapter implements a port by having its methods. All of them raise RetryableError when the outside does not answer
and TerminalError when it refuses for good; none answers "nothing" when it does not know.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from safety_governor.api import v1alpha1
from safety_governor.domain import briefs, changes, documents, guardrails, plans, telemetry, workloads
from safety_governor.domain.documents import Hit


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time, in UTC, aware."""


class Knowledge(Protocol):
    """Runbooks, evidence, policies and live logs.

    A search only finds documents of the given service or of `*`, best first, and the same store content gives the same
    answer in the same order. Raises KnowledgeUnavailableError whenever an answer could be incomplete.
    """

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> Sequence[Hit[documents.Runbook]]:
        """Runbooks that fit the words of an incident, whatever their state of trust."""

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> Sequence[Hit[documents.Evidence]]:
        """Evidence whose text has to do with the words of a claim or an action; only of one stance, if one is given."""

    async def find_runbook(self, identifier: str) -> documents.Runbook | None:
        """The runbook of that id, or None when there is certainly none."""

    async def find_evidence(self, identifiers: Sequence[str]) -> Mapping[str, documents.Evidence]:
        """Those of the given ids that exist, by id."""

    async def fetch_policies(self, *, service: str) -> Sequence[documents.Policy]:
        """Every policy that concerns the service, completely, ordered by id."""

    async def find_policies(self, identifiers: Sequence[str]) -> Mapping[str, documents.Policy]:
        """Those of the given ids that exist, for any service, by their stored id; compared without regard to case."""

    async def summarise_logs(self, *, service: str, until: datetime, window: timedelta) -> telemetry.Telemetry:
        """Figures over the live logs of the service in the window that ends at `until`."""


class Agent(Protocol):
    """Whoever proposes remediations. Nothing it answers is believed before it is verified."""

    async def propose(self, brief: briefs.Brief) -> briefs.Reply:
        """A plan: see domain.plans.Proposal for the shape of the answer."""

    async def stress(self, brief: briefs.Brief, plan: plans.Plan) -> briefs.Reply:
        """A second look at the plan: see domain.answers.StressAnswer for the shape of the answer."""


class Incidents(Protocol):
    """The incidents on the API server."""

    async def find(self, namespace: str, name: str) -> v1alpha1.Incident | None:
        """As it is now; None when it was deleted."""

    async def record_status(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
        """Replace the status of exactly this version of the incident. Raises ConflictError when it was changed since."""

    async def announce(self, incident: v1alpha1.Incident, *, reason: str, message: str, warning: bool) -> None:
        """Leave a Kubernetes Event on the incident. Best effort: never raises."""


class Workloads(Protocol):
    """The workloads that incidents are about."""

    async def find(self, namespace: str, target: plans.Target) -> workloads.Workload | None:
        """As it is now; None when there is certainly none."""

    async def preview(self, namespace: str, workload: workloads.Workload, step: plans.Step) -> changes.Preview:
        """What the step would change, as the API server computes it in a dry run. The same step on the same version gives the same preview."""

    async def restart(self, namespace: str, workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> None:
        """Start a rollout of exactly this version of the workload and leave the key on it. Raises ConflictError when it was changed since."""


class Guardrails(Protocol):
    """What the platform teams allow."""

    async def fetch(self, namespace: str) -> Sequence[guardrails.Named]:
        """Every RemediationPolicy of the namespace, ordered by name."""


class ApprovalGuard(Protocol):
    """Whether the API server is known to refuse forbidden approvals, so that an approval means something."""

    def doubt(self) -> str:
        """Why no approval can be honoured now, as a sentence; empty when the guard was proved a short while ago."""


class Fence(Protocol):
    """Whether this process may still act as the only operator."""

    @property
    def holder(self) -> str:
        """The name under which this process holds the Lease."""

    def holds(self) -> bool:
        """True while the Lease is certainly ours for long enough to make one request."""
