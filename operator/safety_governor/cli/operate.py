"""`safety-governor operator`: wire, check, run; and say in one sentence why it cannot."""

import structlog

from safety_governor import __version__, bootstrap
from safety_governor.cli import logs
from safety_governor.domain import errors
from safety_governor.handlers import metrics, process
from safety_governor.settings import Settings

EXIT_CANNOT_START = 1


async def run(settings: Settings, *, kubeconfig: str | None) -> int:
    """Run until told to stop; returns the exit code."""
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    log = structlog.get_logger()
    log.info("starting", version=__version__, store=str(settings.store), namespace=settings.watch_namespace or "all")
    try:
        figures = metrics.Metrics()
        async with bootstrap.operator(
            settings,
            kubeconfig=kubeconfig,
            on_guard=figures.set_guard_ready,
            on_end=figures.count_end,
            on_unpublished=figures.set_unpublished,
        ) as parts:
            return await process.run(
                attend=parts.attendant.attend,
                lease=parts.lease,
                metrics=figures,
                prepare=parts.prepare,
                chores={
                    "prove the approval guard": parts.guard.keep_proving,
                    "show how the namespaces stand": parts.display.keep_showing,
                    "write what the audit trail lacks": parts.records.keep_settling,
                    **({"publish the audit trail": parts.publisher.keep_publishing} if parts.publisher is not None else {}),
                },
                credentials=parts.credentials,
                namespace=settings.watch_namespace,
                health_address=settings.health_address,
            )
    except errors.GovernorError as error:
        log.error("the operator cannot start or go on", error=str(error))  # noqa: TRY400 - a sentence for people, not a traceback
        return EXIT_CANNOT_START
