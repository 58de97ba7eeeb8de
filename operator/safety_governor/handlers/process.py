"""The operator process: win the Lease, ring for every incident, stop cleanly.

Losing the Lease ends the process: whoever holds it now acts, and a fresh start is the only state that is surely right.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias

import kopf
import structlog

from safety_governor.domain import errors
from safety_governor.handlers import health, incidents, metrics, supervisor

EXIT_STOPPED = 0
EXIT_LEASE_LOST = 4

_log = structlog.get_logger()


class Credentials(Protocol):
    """An address and an identity, for kopf's own client."""

    @property
    def server(self) -> str: ...  # noqa: D102
    @property
    def ca_path(self) -> str | None: ...  # noqa: D102
    @property
    def insecure(self) -> bool: ...  # noqa: D102
    @property
    def scheme(self) -> str | None: ...  # noqa: D102
    @property
    def token(self) -> str | None: ...  # noqa: D102
    @property
    def certificate_path(self) -> str | None: ...  # noqa: D102
    @property
    def private_key_path(self) -> str | None: ...  # noqa: D102


class Lease(Protocol):
    """What makes this the only operator."""

    async def acquire(self) -> None: ...  # noqa: D102
    async def keep(self) -> None: ...  # noqa: D102
    async def release(self) -> None: ...  # noqa: D102


Chore: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""What is done again and again while incidents are attended; it never returns."""


async def run(
    *,
    attend: supervisor.Attend,
    lease: Lease,
    metrics: metrics.Metrics,
    prepare: Callable[[], Awaitable[None]],
    chores: Mapping[str, Chore],
    credentials: Callable[[], Awaitable[Credentials]],
    namespace: str | None,
    health_address: str,
) -> int:
    """Attend incidents until told to stop. Returns the exit code.

    `prepare` is awaited when the Lease is won, before the first incident is attended; the chores begin after it.
    """
    stop, ready, lost = asyncio.Event(), asyncio.Event(), asyncio.Event()
    standing_by = True
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with health.serve(
        health_address, is_healthy=lambda: not lost.is_set(), is_ready=lambda: standing_by or ready.is_set(), metrics=metrics.text
    ):
        if not await _unless(stop, lease.acquire()):
            return EXIT_STOPPED
        standing_by = False
        metrics.set_leader(True)
        background = [asyncio.create_task(_guard(lease, lost, stop), name="keep the Lease")]
        tasks = supervisor.Supervisor(attend)
        try:
            await _prepared(prepare, stop)
            background += [asyncio.create_task(chore(), name=name) for name, chore in chores.items()]
            await _ring(tasks, credentials, namespace=namespace, stop=stop, ready=ready)
        finally:
            was_lost = lost.is_set()
            for task in background:
                task.cancel()
            metrics.set_leader(False)
            await tasks.stop()
            await lease.release()
    if was_lost:
        return EXIT_LEASE_LOST
    _log.info("stopped; whoever starts next goes on from the status of the incidents")
    return EXIT_STOPPED


async def _guard(lease: Lease, lost: asyncio.Event, stop: asyncio.Event) -> None:
    # However keeping the Lease came to its end, this process is not known to be the only one any more.
    try:
        await lease.keep()
    finally:
        lost.set()
        stop.set()


async def _prepared(prepare: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Nothing is attended before what was done lately is known; until the API server answers that is tried again."""
    while not stop.is_set():
        try:
            await prepare()
        except errors.RetryableError as error:
            _log.warning("what was done lately cannot be read; no incident is attended until it is", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=2)
        else:
            return


async def _unless(stop: asyncio.Event, work: Any) -> bool:  # noqa: ANN401
    """Whether the work came to its end before the stop."""
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    for task in (doing, stopping):
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    if doing.done() and not doing.cancelled():
        doing.result()
        return True
    return False


async def _ring(
    tasks: supervisor.Supervisor,
    credentials: Callable[[], Awaitable[Credentials]],
    *,
    namespace: str | None,
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    registry = kopf.OperatorRegistry()
    incidents.register(registry, tasks)

    @kopf.on.login(registry=registry, id="same-identity")
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401
        known = await credentials()
        return kopf.ConnectionInfo(
            server=known.server,
            ca_path=known.ca_path,
            insecure=known.insecure,
            scheme=known.scheme,
            token=known.token,
            certificate_path=known.certificate_path,
            private_key_path=known.private_key_path,
        )

    @kopf.on.cleanup(registry=registry, id="leave")
    async def leave(**_: Any) -> None:  # noqa: ANN401
        # kopf gives every task that it finds at its end five seconds; ours are safe to end where they stand.
        stop.set()
        await tasks.stop()

    where: dict[str, Any] = {"namespaces": [namespace]} if namespace else {"clusterwide": True}
    try:
        await kopf.operator(registry=registry, settings=_settings(), stop_flag=stop, ready_flag=ready, **where)
    except Exception as error:
        raise errors.ClusterUnavailableError(
            f"the watch of the incidents broke off and could not be taken up again ({type(error).__name__}: {error}); "
            "the operator ends, and goes on from the status of the incidents when it is started again"
        ) from error


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # the Lease decides who is the only one
    settings.scanning.disabled = True  # two known kinds: no right to watch all definitions and namespaces
    settings.posting.enabled = False  # Events are left by our own writer, one per decision
    settings.watching.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.chunk_size = 500
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30  # the default of five minutes hides an outage
    settings.networking.error_backoffs = [0.5, 1, 2, 4, 8, 15]  # about half a minute, then exit and be restarted
    settings.networking.enforce_retry_after = True
    settings.queueing.idle_timeout = 0.5  # a bell needs no worker that waits for the next ring, and exits are quick
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 20  # well within a pod's grace period
    return settings
