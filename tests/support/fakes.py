"""One stateful fake for every port of the pipeline. They keep what they are given, and fail only when they are told to."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from safety_governor.api import v1alpha1
from safety_governor.domain import briefs, changes, digests, documents, errors, guardrails, plans, relevance, rollouts, telemetry, workloads
from safety_governor.domain.documents import Hit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Kept = TypeVar("Kept", bound=documents.Document)


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, **duration: float) -> None:
        self.at += timedelta(**duration)


class _Leaping(selectors.DefaultSelector):
    """Instead of waiting for a timer it lets the clock leap to it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._clock.advance(microseconds=int(timeout * 1_000_000) + 1)
        return ready


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the clock's, so that hours pass at once. Nothing that runs in it may use a network or threads."""

    def __init__(self, clock: FakeClock) -> None:
        self._fake = clock
        super().__init__(_Leaping(clock))

    def time(self) -> float:
        return (self._fake.now() - NOON).total_seconds()


def in_fake_time(clock: FakeClock, main: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, in no time."""
    with asyncio.Runner(loop_factory=lambda: FakeTimeLoop(clock)) as runner:
        runner.run(main)


class FakeKnowledge:
    """Documents in a dictionary; a search finds what shares a word. `down` is why nothing can be read."""

    def __init__(self) -> None:
        self.documents: dict[tuple[type[documents.Document], str], documents.Document] = {}
        self.down = ""
        self.log_lines = 100

    def put(self, *new: documents.Document) -> None:
        self.documents |= {(type(one), one.id): one for one in new}

    def of(self, kind: type[Kept]) -> list[Kept]:
        if self.down:
            raise errors.KnowledgeUnavailableError(self.down)
        return sorted((one for one in self.documents.values() if isinstance(one, kind)), key=lambda one: one.id)

    def _search(self, kind: type[Kept], query: str, *, service: str, limit: int) -> list[Hit[Kept]]:
        asked = relevance.words(query)
        scored = [(len(asked & relevance.words(one.model_dump_json())), one) for one in self.of(kind) if one.concerns(service)]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
        return [Hit(document=one, score=float(score)) for score, one in best[:limit]]

    async def search_runbooks(self, query: str, *, service: str, limit: int) -> Sequence[Hit[documents.Runbook]]:
        return self._search(documents.Runbook, query, service=service, limit=limit)

    async def search_evidence(
        self, query: str, *, service: str, limit: int, stance: documents.Stance | None = None
    ) -> Sequence[Hit[documents.Evidence]]:
        hits = self._search(documents.Evidence, query, service=service, limit=1000)
        return [hit for hit in hits if stance in (None, hit.document.stance)][:limit]

    async def find_runbook(self, identifier: str) -> documents.Runbook | None:
        return next((one for one in self.of(documents.Runbook) if one.id == identifier), None)

    async def find_evidence(self, identifiers: Sequence[str]) -> Mapping[str, documents.Evidence]:
        return {one.id: one for one in self.of(documents.Evidence) if one.id in identifiers}

    async def fetch_policies(self, *, service: str) -> Sequence[documents.Policy]:
        return [one for one in self.of(documents.Policy) if one.concerns(service)]

    async def find_policies(self, identifiers: Sequence[str]) -> Mapping[str, documents.Policy]:
        return {one.id: one for one in self.of(documents.Policy) if one.id.lower() in {name.lower() for name in identifiers}}

    async def summarise_logs(self, *, service: str, until: datetime, window: timedelta) -> telemetry.Telemetry:
        self.of(documents.LogLine)
        return telemetry.Telemetry(service=service, since=until - window, until=until, lines=self.log_lines, errors=0)


class FakeAgent:
    """Answers what it is told to; with no second answer it stands by its plan and cites nothing. Counts how often it is asked."""

    def __init__(self, plan: object) -> None:
        self.plan = plan
        self.second: object = None
        self.seen: frozenset[str] = frozenset()
        self.asked: list[str] = []
        self.down = ""

    def _reply(self, question: str, answer: object) -> briefs.Reply:
        self.asked.append(question)
        if self.down:
            raise errors.AgentUnavailableError(self.down)
        return briefs.Reply(answer=answer, seen=self.seen)

    async def propose(self, brief: briefs.Brief) -> briefs.Reply:
        return self._reply("plan", self.plan)

    async def stress(self, brief: briefs.Brief, plan: plans.Plan) -> briefs.Reply:
        claims = [{"claim": claim, "supporting": [], "contradicting": []} for claim in plan.claims]
        loyal = {"claims": claims, "finalAction": plan.action, "confidencePost": plan.confidence_initial}
        return self._reply("stress", loyal if self.second is None else self.second)


class FakeIncidents:
    """Incidents with a resourceVersion each. `failures` are raised one after the other by the next writes."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], v1alpha1.Incident] = {}
        self.reads: list[str] = []
        self.writes: list[v1alpha1.IncidentStatus] = []
        self.events: list[tuple[str, str, bool]] = []
        self.failures: list[Exception] = []
        self.unreadable: list[Exception] = []

    def put(self, incident: v1alpha1.Incident) -> v1alpha1.Incident:
        """Store it as the API server does: with a new resourceVersion."""
        key = (incident.metadata.namespace, incident.metadata.name)
        before = int(self.stored[key].metadata.resource_version) if key in self.stored else 0
        metadata = incident.metadata.model_copy(update={"resource_version": str(before + 1)})
        self.stored[key] = incident.model_copy(update={"metadata": metadata})
        return self.stored[key]

    async def find(self, namespace: str, name: str) -> v1alpha1.Incident | None:
        self.reads.append(name)
        if self.unreadable:
            raise self.unreadable.pop(0)
        return self.stored.get((namespace, name))

    async def record_status(self, incident: v1alpha1.Incident, status: v1alpha1.IncidentStatus) -> v1alpha1.Incident:
        if self.failures:
            raise self.failures.pop(0)
        present = self.stored[incident.metadata.namespace, incident.metadata.name]
        if present.metadata.resource_version != incident.metadata.resource_version:
            raise errors.ConflictError("the incident was changed since it was read")
        self.writes.append(status)
        return self.put(present.model_copy(update={"status": status}))

    async def announce(self, incident: v1alpha1.Incident, *, reason: str, message: str, warning: bool) -> None:
        self.events.append((reason, message, warning))


class FakeWorkloads:
    """Deployments of one namespace. A restart rolls out at once unless `slow`; every effect is kept in `effects`."""

    def __init__(self) -> None:
        self.stored: dict[str, workloads.Workload] = {}
        self.effects: list[str] = []
        self.slow = False
        self.refusal = ""
        self.down = ""
        self.preview_refusal = ""

    def deploy(self, name: str, *, image: str = "v1", **changed: object) -> None:
        """Create it or change its template; a name that is deployed again keeps its uid."""
        version = int(self.stored[name].resource_version) + 1 if name in self.stored else 1
        rollout = rollouts.Observed(generation=version, observed_generation=version, replicas=1, updated=1, available=1)
        known = {"kind": "Deployment", "name": name, "uid": f"uid-{name}", "rollout": rollout, "resource_version": str(version)}
        self.stored[name] = workloads.Workload.model_validate({**known, "template_hash": digests.digest(image), **changed})

    def touch(self, name: str) -> None:
        """Somebody writes its status or a label: another resourceVersion of the same generation."""
        present = self.stored[name]
        self.stored[name] = present.model_copy(update={"resource_version": str(int(present.resource_version) + 1)})

    async def find(self, namespace: str, target: plans.Target) -> workloads.Workload | None:
        if self.down:
            raise errors.ClusterUnavailableError(self.down, retry_after=7)
        return self.stored.get(target.name)

    async def preview(self, namespace: str, workload: workloads.Workload, step: plans.Step) -> changes.Preview:
        if self.preview_refusal:
            raise errors.ClusterRefusedError(self.preview_refusal)
        return changes.Preview(step=step.id, summary=f"replaces every pod of {workload.name}")

    async def restart(self, namespace: str, workload: workloads.Workload, *, key: str, incident: str, at: datetime) -> None:
        if self.refusal:
            raise errors.ClusterRefusedError(self.refusal)
        present = self.stored.get(workload.name)
        if present is None or present.resource_version != workload.resource_version:
            raise errors.ConflictError("the workload was changed since")
        self.effects.append(key)
        self.deploy(workload.name, image=f"{present.template_hash} restarted at {at}", uid=present.uid, last_action=key)
        if self.slow:
            self.progress(workload.name, updated=0)

    def progress(self, name: str, **figures: object) -> None:
        """How far the rollout is now."""
        present = self.stored[name]
        self.stored[name] = present.model_copy(update={"rollout": present.rollout.model_copy(update=figures)})


class FakeGuardrails:
    """RemediationPolicies by name; the namespace has opted in with one that allows restarts."""

    def __init__(self) -> None:
        self.policies: dict[str, guardrails.Guardrails] = {
            "default": guardrails.Guardrails(allowed_actions=tuple(sorted(plans.EXECUTABLE)))
        }

    def change(self, name: str = "default", **rules: object) -> None:
        self.policies[name] = guardrails.Guardrails.model_validate({**self.policies["default"].model_dump(by_alias=False), **rules})

    async def fetch(self, namespace: str) -> Sequence[guardrails.Named]:
        return tuple(guardrails.Named(name=name, rules=self.policies[name]) for name in sorted(self.policies))


class FakeGuard:
    """The approval guard, proved unless there is a reason for doubt."""

    def __init__(self) -> None:
        self.why = ""

    def doubt(self) -> str:
        return self.why


class FakeFence:
    """The Lease, held until it is not."""

    holder = "operator-1"

    def __init__(self) -> None:
        self.held = True

    def holds(self) -> bool:
        return self.held
