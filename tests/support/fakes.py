"""One stateful fake for every port of the pipeline. They keep what they are given, and fail only when they are told to."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from safety_governor.api import v1alpha1
from safety_governor.domain import (
    actions,
    briefs,
    digests,
    documents,
    errors,
    guardrails,
    journal,
    marks,
    plans,
    relevance,
    requests,
    rollouts,
    scores,
    telemetry,
    workloads,
)
from safety_governor.domain.documents import Hit
from support import patching

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
        self.windows: list[timedelta] = []
        """What was asked for of the live logs."""
        self.log_lines = 100
        self.error_ratio: float | None = None

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
        self.windows.append(window)
        known = {"service": service, "since": until - window, "until": until, "lines": self.log_lines, "errors": 0}
        return telemetry.Telemetry.model_validate({**known, "error_ratio": self.error_ratio})


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


class FakeScores:
    """Score services: `figures` are those that they have of every model. Without figures they say that they do not answer."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, float | None]] = {}
        self.asked: list[tuple[str, str]] = []

    async def read(self, service: str, model: str) -> scores.Reading:
        self.asked.append((service, model))
        asked, figures = scores.Service(service), self.figures.get(service)
        if not figures:
            return scores.unread(asked, model, scores.Status.UNAVAILABLE, f"{service} did not answer", source="fake", as_of=NOON)
        return scores.Reading(service=asked, model=model, status=scores.Status.OK, metrics=figures, source="fake", as_of=NOON)


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

    async def list_all(self) -> Sequence[v1alpha1.Incident]:
        return list(self.stored.values())

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
    """Targets of one namespace, and the hands that touch them. What is asked for happens at once unless `slow`; every effect is kept.

    `effects` has the key of each change, Job and call, and the uid of each evicted pod; what is repeated and changes nothing is
    no effect.
    """

    def __init__(self) -> None:
        self.stored: dict[str, workloads.Workload] = {}
        self.revisions: dict[str, list[workloads.Revision]] = {}
        self.pods: dict[str, list[workloads.Pod]] = {}
        self.jobs: dict[str, workloads.Job] = {}
        self.job_templates: dict[str, workloads.JobTemplate] = {}
        self.job_state = workloads.JobState.COMPLETE
        """How a Job is as soon as it is made."""
        self.autoscaler = ""
        self.other_nodes = 2
        self.executor_exists = True
        self.effects: list[str] = []
        self.calls: list[str] = []
        """Keys of all calls of automation, repetitions included."""
        self.tried: list[requests.Request] = []
        self.crashes = False
        """Whether new pods crash-loop."""
        self.slow = False
        self.refusal = ""
        self.down = ""
        self.lost = ""
        """Why the answer to what was done does not come back."""
        self.preview_refusal = ""
        self.disruption = ""
        self.clock: FakeClock | None = None
        self._made = 0

    def deploy(
        self, name: str, *, kind: str = "Deployment", image: str = "v1", replicas: int = 1, restarted_at: str = "", **changed: object
    ) -> None:
        """Create it or replace its spec; a name that is deployed again keeps its uid."""
        present = self.stored.get(name)
        version, generation = (int(present.resource_version) + 1, present.generation + 1) if present else (1, 1)
        metadata = {"name": name, "annotations": {}, "resourceVersion": str(version), "generation": generation}
        inner = {"labels": {"app": name}, **({"annotations": {marks.RESTARTED_AT: restarted_at}} if restarted_at else {})}
        template = {"metadata": inner, "spec": {"containers": [{"name": "app", "image": image}]}}
        spec: dict[str, Any] = {} if kind == workloads.NODE else {"replicas": replicas, "template": template}
        self._store({"metadata": metadata, "spec": spec}, kind=kind, **{"uid": f"uid-{name}", **changed})

    def _store(self, body: dict[str, Any], *, kind: str, **changed: object) -> None:
        metadata, spec = body["metadata"], body["spec"]
        name, replicas, template = metadata["name"], spec.get("replicas"), spec.get("template")
        generation = 0 if kind == workloads.NODE else metadata["generation"]
        figures = dict.fromkeys(("wanted", "replicas", "updated", "available"), replicas or 0)
        known = {
            "kind": kind,
            "name": name,
            "resource_version": metadata["resourceVersion"],
            "generation": generation,
            "template_hash": digests.digest(template) if template else "",
            "replicas": replicas,
            "unschedulable": spec.get("unschedulable", False) if kind == workloads.NODE else None,
            "marks": metadata["annotations"],
            "rollout": rollouts.Observed(generation=generation, observed_generation=generation, **figures),
            "body": body,
        }
        before = self.stored.get(name)
        self.stored[name] = workloads.Workload.model_validate({**known, **changed})
        if template:
            self._roll_out(name, template, replicas, anew=before is None or before.template_hash != self.stored[name].template_hash)

    def _roll_out(self, name: str, template: dict[str, Any], replicas: int, *, anew: bool) -> None:
        if anew:
            number = 1 + max((one.number for one in self.revisions.get(name, [])), default=0)
            digest = digests.digest(template)
            made = workloads.Revision(name=f"{name}-{number}", number=number, template=template, template_hash=digest)
            self.revisions[name] = [made, *(one for one in self.revisions.get(name, []) if one.template_hash != digest)]
        kept = [] if anew else self.pods[name][:replicas]
        self.pods[name] = [*kept, *(self.pod(name) for _ in range(replicas - len(kept)))]

    def pod(self, name: str, **changed: object) -> workloads.Pod:
        """Another pod, as pods are now."""
        self._made += 1
        now = self.clock.now() if self.clock else NOON
        known = {"name": f"{name}-{self._made}", "uid": f"{name}-{self._made}", "created_at": now, "ready": True, "ready_since": now}
        if self.crashes:
            known |= {"ready": False, "restarts": 3, "waiting": "CrashLoopBackOff", "last_ended_at": now, "last_ended_reason": "Error"}
        return workloads.Pod.model_validate({**known, **changed})

    def touch(self, name: str) -> None:
        """Somebody writes its status or a label: another resourceVersion of the same generation."""
        present = self.stored[name]
        self.stored[name] = present.model_copy(update={"resource_version": str(int(present.resource_version) + 1)})

    async def look(self, namespace: str, target: plans.Target, *, step: plans.Step | None = None, key: str = "") -> workloads.Scene | None:
        if self.down:
            raise errors.ClusterUnavailableError(self.down, retry_after=7)
        found = self.stored.get(target.name)
        if found is None:
            return None
        return workloads.Scene(
            target=found,
            executor_exists=self.executor_exists,
            pods=tuple(self.pods.get(target.name, ())),
            revisions=tuple(self.revisions.get(target.name, ())),
            autoscaler=self.autoscaler,
            other_nodes=self.other_nodes,
            job_template=self.job_templates.get(step.parameters.get("template", "")) if step is not None else None,
            job=self.jobs.get(key),
        )

    async def dry_run(self, namespace: str, request: requests.Request) -> Mapping[str, Any]:
        self.tried.append(request)
        if isinstance(request, requests.Evict) and self.disruption:
            raise errors.DisruptionRefusedError(self.disruption)
        if self.preview_refusal:
            raise errors.ClusterRefusedError(self.preview_refusal)
        if isinstance(request, requests.Patch) and request.name in self.stored:
            return patching.patched(self._body(request.name), request, any_version=True)
        return {}

    async def act(self, namespace: str, request: requests.Request) -> None:
        if self.refusal:
            raise errors.ClusterRefusedError(self.refusal)
        match request:
            case requests.Patch(name=name):
                self._patch(name, request)
            case requests.Evict(pod=pod, uid=uid):
                self._evict(pod, uid)
            case requests.Create(body=body):
                self._create(request.name, body["metadata"]["annotations"])
            case requests.Call(key=key):
                self.calls.append(key)
                self._took_effect(key)
        if self.lost:
            raise errors.ClusterUnavailableError(self.lost)

    def _took_effect(self, key: str) -> None:
        if key not in self.calls[:-1]:
            self.effects.append(key)

    def _body(self, name: str) -> dict[str, Any]:
        present = self.stored[name]
        metadata = {**present.body["metadata"], "resourceVersion": present.resource_version, "annotations": dict(present.marks)}
        return {**present.body, "metadata": metadata}

    def _patch(self, name: str, request: requests.Patch) -> None:
        if name not in self.stored:
            raise errors.ConflictError("there is no such object any more")
        present = self.stored[name]
        body = patching.patched(self._body(name), request)
        written = body["metadata"]["annotations"].items()
        changed = {text for mark, text in written if mark != marks.TAKEN_BACK and present.marks.get(mark) != text}
        self.effects += [text for text in changed if text.startswith("sha256:")]
        self._store(body, kind=present.kind, uid=present.uid, paused=present.paused, controller=present.controller)
        if self.slow:
            self.progress(name, updated=0)

    def _create(self, name: str, left: Mapping[str, str]) -> None:
        key = left[marks.LAST_ACTION]
        if key in self.jobs:
            raise errors.ConflictError(f"jobs {name} already exists")
        self.effects.append(key)
        self.jobs[key] = workloads.Job(name=name, state=self.job_state, marks=left)

    def _evict(self, pod: str, uid: str) -> None:
        for name, pods in self.pods.items():
            if any(one.uid == uid for one in pods):
                self.effects.append(uid)
                self.pods[name] = [one for one in pods if one.uid != uid] + [self.pod(name)]
                return
        raise errors.ConflictError(f"there is no pod {pod} of that uid")

    def progress(self, name: str, **figures: object) -> None:
        """How far the rollout is now."""
        present = self.stored[name]
        self.stored[name] = present.model_copy(update={"rollout": present.rollout.model_copy(update=figures)})


class FakeJournal:
    """Keeps intents and ends; `full` is why it cannot."""

    def __init__(self) -> None:
        self.events: list[journal.Event] = []
        self.full = ""

    @property
    def intents(self) -> list[journal.Intent]:
        return [one for one in self.events if isinstance(one, journal.Intent)]

    @property
    def ends(self) -> list[journal.End]:
        return [one for one in self.events if isinstance(one, journal.End)]

    async def intend(self, intent: journal.Intent) -> None:
        if self.full:
            raise errors.JournalUnavailableError(self.full)
        self._record(intent)

    async def end(self, end: journal.End) -> None:
        if self.full:
            raise errors.JournalUnavailableError(self.full)
        self._record(end)

    def _record(self, event: journal.Event) -> None:
        newest = next((one for one in reversed(self.events) if one.key == event.key), None)
        if not journal.repeats(event, newest):
            self.events.append(event)


class FakeGuardrails:
    """RemediationPolicies by name; the namespace has opted in with one that allows restarts."""

    def __init__(self) -> None:
        self.policies: dict[str, guardrails.Guardrails] = {
            "default": guardrails.Guardrails(allowed_actions=tuple(sorted(actions.EXECUTABLE)))
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
