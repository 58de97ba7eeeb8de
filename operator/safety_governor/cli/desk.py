"""What the commands for people do, over one connection as the person at the command line."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from safety_governor import bootstrap
from safety_governor.api import v1alpha1
from safety_governor.cli import deciding, screen, story
from safety_governor.domain import approvals, errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which cluster and namespace."""

    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    name: str
    word: str
    reason: str
    digest: str
    on_behalf_of: str
    without_asking: bool


@asynccontextmanager
async def _at(where: Where) -> AsyncIterator[tuple[bootstrap.Desk, str]]:
    async with bootstrap.desk(kubeconfig=where.kubeconfig, context=where.context) as at:
        yield at, where.namespace or at.namespace


async def decide(asked: Asked, where: Where) -> int:
    """One decision; returns the exit code."""
    console = screen.screen()
    misuse = deciding.misuse(
        approvals.Word(asked.word),
        name=asked.name,
        reason=asked.reason,
        is_blind=asked.without_asking and not asked.digest and not sys.stdout.isatty(),
    )
    if misuse:
        return _complain(console, misuse, code=deciding.EXIT_MISUSE)
    try:
        async with _at(where) as (at, namespace):
            request = deciding.Request(
                namespace=namespace,
                name=asked.name,
                word=approvals.Word(asked.word),
                reason=asked.reason,
                digest=asked.digest,
                on_behalf_of=asked.on_behalf_of,
                without_asking=asked.without_asking,
            )
            return await deciding.Deciding(desk=at.approvals, incidents=at.incidents, server=at.server, console=console).run(request)
    except errors.GovernorError as error:
        return _complain(console, str(error))


async def why(name: str, where: Where) -> int:
    """The story of one incident."""
    console = screen.screen()
    try:
        async with _at(where) as (at, namespace):
            incident = await at.incidents.find(namespace, name)
    except errors.GovernorError as error:
        return _complain(console, str(error))
    if incident is None:
        return _complain(console, story.missing(namespace, name))
    story.tell(incident, console)
    return deciding.EXIT_DONE


async def watch(name: str, where: Where) -> int:
    """One line for each change, until the incident is finished."""
    console = screen.screen()
    shown = ""
    try:
        async with _at(where) as (at, namespace):
            while True:
                incident = await at.incidents.find(namespace, name)
                if incident is None:
                    return _complain(console, f"there is no incident {name!r} in namespace {namespace!r} (any more)")
                line = _line(incident)
                if line != shown:
                    console.print(f"[dim]{datetime.now().astimezone():%H:%M:%S}[/]  {line}", soft_wrap=True)  # noqa: TID251
                    shown = line
                if incident.is_finished:
                    return deciding.EXIT_DONE
                await asyncio.sleep(0.5)
    except errors.GovernorError as error:
        return _complain(console, str(error))


def _line(incident: v1alpha1.Incident) -> str:
    status = incident.status
    parts = [f"[bold]{status.phase}[/]"]
    if status.gate is not None:
        parts.append(f"{status.gate.decision} ({story.plain(status.gate.reason)})")
    if status.approval is not None and status.approval.summary:
        parts.append(story.plain(status.approval.summary))
    if status.execution is not None and status.execution.held_because:
        parts.append(f"held: {story.plain(status.execution.held_because)}")
    if status.verification is not None:
        parts.append(f"{status.verification.outcome}: {story.plain(status.verification.message)}")
    return "  ".join(parts)


def _complain(console: Console, sentence: str, *, code: int = deciding.EXIT_ERROR) -> int:
    console.print(f"[red]✗[/] {story.plain(sentence)}", soft_wrap=True)
    return code
