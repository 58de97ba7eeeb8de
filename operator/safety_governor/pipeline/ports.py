"""What the stages need of the outside world, named by the need and not by the product.

An adapter implements a port by having its methods. All of them raise RetryableError when the outside does not answer
and TerminalError when it refuses for good; none answers "nothing" when it does not know.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from safety_governor.api import v1alpha1
from safety_governor.domain import briefs, documents, guardrails, journal, plans, requests, scores, telemetry, workloads
from safety_governor.domain.audit.documents import Index, Record
from safety_governor.domain.audit.events import Event, Position
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


class Scores(Protocol):
    """How reliable models are, as the services that measure them say. Asking may start an expensive run there, so answers are kept."""

    async def read(self, service: str, model: str) -> scores.Reading:
        """What the service ("ddft", "cdct" or "eect") knows of the model. Raises nothing: a reading without figures says why."""


class Incidents(Protocol):
    """The incidents on the API server."""

    async def find(self, namespace: str, name: str) -> v1alpha1.Incident | None:
        """As it is now; None when it was deleted."""

    async def list_all(self) -> Sequence[v1alpha1.Incident]:
        """All incidents that this process attends."""

    async def record_status(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
        """Replace the status of exactly this version of the incident. Raises ConflictError when it was changed since."""

    async def announce(self, incident: v1alpha1.Incident, *, reason: str, message: str, warning: bool) -> None:
        """Leave a Kubernetes Event on the incident. Best effort: never raises."""


class Workloads(Protocol):
    """The workloads and nodes that incidents are about."""

    async def look(self, namespace: str, target: plans.Target, *, step: plans.Step | None = None, key: str = "") -> workloads.Scene | None:
        """The target as it is now, with what the step's action has to see around it; None when there is certainly no target.

        `key` is that of the action whose own traces, such as a Job, are looked for.
        """


class Actuator(Protocol):
    """Carries requests out, in the name of the executor of a namespace."""

    async def dry_run(self, namespace: str, request: requests.Request) -> Mapping[str, Any]:
        """Try without doing it: the object as it would be.

        Raises ConflictError when the version is not current, DisruptionRefusedError when the disruption budgets do not let a
        pod go now, ClusterRefusedError when it would not be let.
        """

    async def act(self, namespace: str, request: requests.Request) -> None:
        """Do it. A repetition of what took effect changes nothing. Raises what dry_run raises."""


class Journal(Protocol):
    """The durable record of what was intended and of what became of it."""

    async def intend(self, intent: journal.Intent) -> None:
        """Durable when it returns. Raises JournalUnavailableError; then nothing may be done."""

    async def end(self, end: journal.End) -> None:
        """Raises JournalUnavailableError."""


class Trail(Protocol):
    """The audit trail."""

    async def append(self, happened: Sequence[Event]) -> Position | None:
        """Where the trail of workflow events stands with these in it, durably; None when that takes too long or cannot be done now.

        What could not be written is kept and written as soon as it can be. An event that is there already is not written again.
        Never raises.
        """

    def holds(self, position: Position) -> bool:
        """Whether the trail of workflow events goes on from that line; not where it was lost, or another one was put in its place."""

    def note(self, event: Event) -> None:
        """The same for what nobody waits for."""


class Records(Protocol):
    """Where records of incidents, decisions and actions are kept for people to search."""

    async def write(self, records: Sequence[Record]) -> Mapping[tuple[Index, str], str]:
        """Write them; one that is there already is as good as written. Returns, by index and id, why some are refused for good.

        Raises RetryableError when the store does not answer, and TerminalError when it takes nothing at all, such as without rights;
        then any of them may have been written or not.
        """


class Outbox(Protocol):
    """What of the trail has not been published yet; it outlives the process."""

    async def next(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The oldest lines that are not published, in order. Raises RetryableError."""

    async def done(self, seq: int) -> None:
        """Everything up to this line is published; durable when it returns. Raises RetryableError."""

    async def set_aside(self, what: Mapping[str, Any], why: str) -> None:
        """What cannot be published is kept for people; durable when it returns. Raises RetryableError."""

    async def backlog(self) -> int:
        """How many lines are not published yet. Raises RetryableError."""


class Guardrails(Protocol):
    """What the platform teams allow."""

    async def fetch(self, namespace: str) -> Sequence[guardrails.Named]:
        """Every RemediationPolicy of the namespace, ordered by name."""


class Policies(Protocol):
    """The RemediationPolicies as resources, to show in them how their namespaces stand."""

    async def list_all(self) -> Sequence[v1alpha1.RemediationPolicy]:
        """All that can be read."""

    async def record_status(self, policy: v1alpha1.RemediationPolicy, status: v1alpha1.RemediationPolicyStatus) -> None:
        """Replace the status of exactly this version. Raises ConflictError when it was changed since."""


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
