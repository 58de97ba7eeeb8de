"""The composition root: the only place that knows which adapter serves which port."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from safety_governor import sources
from safety_governor.adapters import assumed, clock, document_files, offline, webhooks
from safety_governor.adapters.audit import reading as trails
from safety_governor.adapters.audit.late import LateRecords
from safety_governor.adapters.audit.outbox import Outbox
from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.adapters.kubernetes import actuator, api, approval_guard, guardrails, incidents, lease, preflight, workloads
from safety_governor.adapters.kubernetes import desk as desks
from safety_governor.api import v1alpha1
from safety_governor.domain import checks, facts, verification
from safety_governor.domain.audit.documents import Index, Record
from safety_governor.domain.documents import Document
from safety_governor.pipeline import (
    actuation,
    agent_runs,
    attendant,
    auditing,
    display,
    guarding,
    ports,
    profiling,
    publishing,
    register,
    runner,
)
from safety_governor.pipeline.stages import approve, claim, compress, execute, gate, plan, stress, verify
from safety_governor.settings import Settings

if TYPE_CHECKING:
    from safety_governor.adapters.elasticsearch import Loader, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What the operator process consists of."""

    attendant: attendant.Attendant
    lease: lease.Lease
    credentials: Callable[[], Awaitable[api.Credentials]]
    prepare: Callable[[], Awaitable[None]]
    """To be awaited when the Lease is won and before the first incident is attended."""
    chores: Mapping[str, Callable[[], Coroutine[None, None, None]]]
    """What goes on beside the incidents, by what it is for; none of them returns before it is cancelled."""


@asynccontextmanager
async def operator(
    settings: Settings,
    *,
    kubeconfig: str | None,
    on_guard: Callable[[bool], None],
    on_end: Callable[[str], None],
    on_unpublished: Callable[[int], None],
) -> AsyncIterator[Operator]:
    """Connect, check what must be in place, and wire the pipeline. Raises ConfigurationError with all that is missing."""
    async with AsyncExitStack() as stack:
        connection = await api.Api.connect(kubeconfig=kubeconfig)
        stack.push_async_callback(connection.close)
        await preflight.check(connection, lease_namespace=settings.namespace)
        knowledge = await stack.enter_async_context(sources.knowledge(settings))
        time = clock.SystemClock()
        leadership = lease.Lease(
            connection,
            namespace=settings.namespace,
            name=settings.lease,
            holder=settings.identity,
            duration=settings.lease_duration,
            now=time.now,
        )
        guard = approval_guard.ApprovalGuard(
            connection, namespace=settings.namespace, on_change=on_guard, every=settings.guard_interval.total_seconds()
        )
        record = LateRecords(folder=settings.audit, journal=settings.journal, now=time.now, limit=settings.audit_file_bytes)
        stack.callback(record.close)
        past = register.Register()
        stored = incidents.ClusterIncidents(connection, reporter=settings.identity, namespace=settings.watch_namespace)
        policies = guardrails.ClusterGuardrails(connection, namespace=settings.watch_namespace)
        complain = structlog.get_logger().warning
        kept = await stack.enter_async_context(sources.scores(settings, complain=complain)) if settings.agent_model else None
        outside = _Outside(
            targets=workloads.ClusterWorkloads(connection),
            actuator=actuation.Actuation(
                cluster=actuator.ClusterActuator(connection), automation=webhooks.Webhooks(settings.webhooks, now=time.now)
            ),
            rails=policies,
            fence=leadership,
            guard=guard,
            journal=record,
            scores=kept,
        )
        judgements = auditing.Judgements()
        chronicler = auditing.Chronicler(record, clock=time, judgements=judgements)
        agent = agent_runs.RecordedAgent(
            offline.OfflineAgent(agent_runs.TracedKnowledge(knowledge, caller="offline", trail=record, clock=time)),
            trail=record,
            clock=time,
        )

        shown = display.Display(policies=policies, past=past, ceilings=settings.ceilings, clock=time)
        publisher = await stack.enter_async_context(_publisher(settings, durable=record.durable, on_backlog=on_unpublished))

        async def prepare() -> None:
            await record.open()
            for incident in await stored.list_all():
                past.learn(incident)
                await chronicler.catch_up(incident)
            # All of it: a circuit breaker stays open however long ago it opened.
            past.remember(record.past(since=datetime.min.replace(tzinfo=UTC)))
            past.prune(time.now())

        yield Operator(
            attendant=attendant.Attendant(
                incidents=stored,
                runner=runner.Runner(
                    stages=_stages(settings, knowledge=knowledge, agent=agent, outside=outside, past=past, on_judged=judgements.remember),
                    clock=time,
                ),
                clock=time,
                past=past,
                chronicler=chronicler,
                on_end=on_end,
                patience=settings.patience,
            ),
            lease=leadership,
            credentials=connection.credentials,
            prepare=prepare,
            chores={
                "prove the approval guard": guard.keep_proving,
                "show how the namespaces stand": shown.keep_showing,
                "write what the audit trail lacks": record.keep_settling,
                **({"publish the audit trail": publisher.keep_publishing} if publisher is not None else {}),
            },
        )


@asynccontextmanager
async def _publisher(
    settings: Settings, *, durable: Callable[[], int], on_backlog: Callable[[int], None]
) -> AsyncIterator[publishing.Publisher | None]:
    """Copies the audit trail to where people search; None where there is no such place."""
    if not settings.elasticsearch.configured:
        yield None
        return
    from safety_governor.adapters.elasticsearch import Records  # noqa: PLC0415 - see sources.knowledge

    records = Records.connect(settings.elasticsearch)
    try:
        with contextlib.closing(Outbox(settings.audit, durable=durable)) as outbox:
            yield publishing.Publisher(outbox=outbox, records=_Archive(records), on_backlog=on_backlog)
    finally:
        await records.close()


class _Archive:
    """The records on Elasticsearch as the publisher wants them."""

    def __init__(self, records: "Records") -> None:
        self._records = records

    async def write(self, records: Sequence[Record]) -> Mapping[tuple[Index, str], str]:
        """Why some are refused for good."""
        from safety_governor.adapters.elasticsearch import Record as StoredRecord  # noqa: PLC0415 - see sources.knowledge

        written = await self._records.write([StoredRecord(index=one.index.value, id=one.id, document=one.document) for one in records])
        return {(Index(one.index), one.id): why for one, why in written.refused}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outside:
    """What the stages need of the cluster."""

    targets: ports.Workloads
    actuator: ports.Actuator
    rails: ports.Guardrails
    fence: ports.Fence
    guard: ports.ApprovalGuard
    journal: ports.Journal
    scores: ports.Scores | None = None


def _stages(
    settings: Settings,
    *,
    knowledge: ports.Knowledge,
    agent: ports.Agent,
    outside: _Outside,
    past: register.Register,
    on_judged: Callable[[facts.Facts, checks.Thresholds], None] = lambda *_: None,
) -> runner.Stages:
    watch = verification.Watch(
        timeout_seconds=int(settings.verify_timeout.total_seconds()), soak_seconds=int(settings.verify_soak.total_seconds())
    )
    guard = guarding.Guarding(
        rails=outside.rails, actuator=outside.actuator, past=past, ceilings=settings.ceilings, watch=watch, own_namespace=settings.namespace
    )
    return runner.Stages(
        plan=plan.Plan(agent=agent, knowledge=knowledge, profiling=profiling.Profiling(outside.scores, model=settings.agent_model)),
        stress=stress.Stress(agent=agent, knowledge=knowledge),
        compress=compress.Compress(),
        gate=gate.Gate(
            knowledge=knowledge,
            targets=outside.targets,
            actuator=outside.actuator,
            guard=guard,
            thresholds=settings.gate,
            expiry=settings.approval_expiry,
            on_judged=on_judged,
        ),
        approve=approve.Approve(guard=outside.guard),
        claim=claim.Claim(targets=outside.targets, actuator=outside.actuator, guard=guard, past=past, fence=outside.fence),
        execute=execute.Execute(
            targets=outside.targets, actuator=outside.actuator, guard=guard, fence=outside.fence, journal=outside.journal
        ),
        verify=verify.Verify(targets=outside.targets, knowledge=knowledge, journal=outside.journal),
    )


def rehearsal(
    settings: Settings, knowledge: ports.Knowledge, scores: ports.Scores | None = None
) -> tuple[runner.Runner, Callable[[], datetime]]:
    """The pipeline without a cluster: the target is assumed to exist and its namespace to allow restarts."""
    time = clock.SystemClock()
    cluster = assumed.AssumedCluster()
    # It guards no approval and keeps no journal; nothing is ever released in a rehearsal.
    outside = _Outside(targets=cluster, actuator=cluster, rails=cluster, fence=cluster, guard=cluster, journal=cluster, scores=scores)
    stages = _stages(settings, knowledge=knowledge, agent=offline.OfflineAgent(knowledge), outside=outside, past=register.Register())
    return runner.Runner(stages=stages, clock=time), time.now


def open_for_loading(settings: Settings) -> "EmbeddedKnowledge | Loader":
    """The store that is configured, to write documents into. Raises KnowledgeUnavailableError or ConfigurationError."""
    if not settings.elasticsearch.configured:
        return open_store(settings.store, create=True)
    from safety_governor.adapters.elasticsearch import Loader  # noqa: PLC0415 - see sources.knowledge

    return Loader(settings.elasticsearch)


def open_store(path: Path, *, create: bool = False) -> EmbeddedKnowledge:
    """The embedded store. Raises KnowledgeUnavailableError when it cannot be read."""
    return EmbeddedKnowledge.open(path, create=create)


def reader(store: "EmbeddedKnowledge | Loader") -> Callable[[Sequence[Path]], Sequence[document_files.File]]:
    """Reads files into documents; references to runbooks are looked up in the store as well."""

    def read(paths: Sequence[Path]) -> Sequence[document_files.File]:
        return document_files.read(paths, now=clock.SystemClock().now(), stored_runbook=store.stored_runbook)

    return read


def knowledge_of(paths: Sequence[Path]) -> tuple[EmbeddedKnowledge, Sequence[str]]:
    """A store in memory with the documents of these files, and what is wrong with them."""
    store = EmbeddedKnowledge.in_memory()
    files = reader(store)(paths)
    store.replace_documents([document for file in files for document in file.documents])
    return store, [f"{file.path}:{problem.line or 1}: {problem.field} {problem.message}" for file in files for problem in file.problems]


def documents_of(paths: Sequence[Path]) -> Sequence[Document]:
    """The documents of these files, those without problems."""
    with contextlib.closing(EmbeddedKnowledge.in_memory()) as store:
        return [document for file in reader(store)(paths) for document in file.documents]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What people at the command line need, over one connection as themselves."""

    incidents: incidents.ClusterIncidents
    approvals: desks.ApprovalDesk
    server: str
    namespace: str


@asynccontextmanager
async def desk(*, kubeconfig: str | None, context: str | None) -> AsyncIterator[Desk]:
    """Connect as whoever is at the command line."""
    connection = await api.Api.connect(kubeconfig=kubeconfig, context=context)
    try:
        yield Desk(
            incidents=incidents.ClusterIncidents(connection, reporter="cli"),
            approvals=desks.ApprovalDesk(connection),
            server=connection.server,
            namespace=await api.default_namespace(kubeconfig=kubeconfig, context=context),
        )
    finally:
        await connection.close()


async def fetch_incident(*, namespace: str, name: str, kubeconfig: str | None) -> v1alpha1.Incident | None:
    """One incident of the cluster."""
    connection = await api.Api.connect(kubeconfig=kubeconfig)
    try:
        return await incidents.ClusterIncidents(connection, reporter="cli").find(namespace, name)
    finally:
        await connection.close()


async def fetch_incidents(*, kubeconfig: str | None, namespace: str | None) -> Sequence[v1alpha1.Incident]:
    """All incidents of the cluster, or of one namespace."""
    connection = await api.Api.connect(kubeconfig=kubeconfig)
    try:
        return await incidents.ClusterIncidents(connection, reporter="cli", namespace=namespace).list_all()
    finally:
        await connection.close()


verify_trail = trails.verify
trail_lines = trails.lines_of
file_lines = trails.unchanged
trail_follower = trails.Follower
trails_below = trails.trails_below
holds_trail = trails.holds_trail
