"""The commands about the audit trail and their options: `audit`, `gate`, `metrics`."""

import asyncio
import contextlib
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import click

from safety_governor.cli.commands import settings_of

_folder = click.argument("folder", required=False, type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="For other programs.")
_kubeconfig = click.option(
    "--kubeconfig", envvar="KUBECONFIG", type=click.Path(dir_okay=False), help="Cluster to talk to. [default: as kubectl]"
)
_context = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_context)
def audit() -> None:
    """Look into the audit trail and prove it: verify, show, tail, seen. FOLDER is that of GOVERNOR_AUDIT unless it is given."""


@audit.command("verify", short_help="Prove that nothing was changed, removed or added.")
@_folder
@click.option("--cluster", is_flag=True, help="Hold the trail against what the incidents of the cluster note of it.")
@click.option(
    "--incidents",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The same for a file of incidents, as `kubectl get incidents -A -o yaml` writes it.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The journal that belongs to it. [default: GOVERNOR_JOURNAL for GOVERNOR_AUDIT, else that in FOLDER]",
)
@click.option(
    "-n", "--namespace", help="Only its incidents, where operators share a cluster. [default: GOVERNOR_WATCH_NAMESPACE, else all]"
)
@_kubeconfig
@_json
def verify(folder: Path | None, incidents: tuple[Path, ...], *, cluster: bool, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - options by name
    """Prove that nothing was changed, removed, added or put into another order.

    Exit codes: 0 all is as it was written, 1 it is not, 2 nothing can be said about it: there is no trail, or it, the
    incidents, the cluster or a setting could not be read.
    """
    from safety_governor.cli import verifying  # noqa: PLC0415

    settings = settings_of(None, on_mistake=verifying.EXIT_NOT_LOOKED)
    asked = verifying.Request(
        folder=folder or settings.audit,
        named=folder is not None,
        journal=where["journal"] or (settings.journal if folder is None or folder.resolve() == settings.audit.resolve() else None),
        manifests=incidents,
        cluster=cluster,
        kubeconfig=where["kubeconfig"],
        namespace=where["namespace"] or settings.watch_namespace,
        as_json=as_json,
    )
    sys.exit(asyncio.run(verifying.run(asked)))


@audit.command("show", short_help="Tell the story of one incident.")
@click.argument("incident")
@_folder
@_json
def show(incident: str, folder: Path | None, *, as_json: bool) -> None:
    """Tell one incident's story over all trails. INCIDENT is NAMESPACE/NAME, or the uid of one of several of that name.

    Lines of a trail are told in the order in which they stand there; where a time is not that of what happened, the line says so.
    """
    from safety_governor.cli import trails  # noqa: PLC0415

    settings = settings_of(None)
    where = trails.Where(folder=folder or settings.audit, journal=settings.journal if folder is None else None, named=folder is not None)
    sys.exit(trails.show(incident, where, as_json=as_json))


@audit.command("tail")
@_folder
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes.")
@click.option(
    "-n", "--lines", default=20, show_default=True, type=click.IntRange(min=0, max=100_000), help="How many events to begin with."
)
@_json
def tail(folder: Path | None, lines: int, *, follow: bool, as_json: bool) -> None:
    """Show the newest events of all trails."""
    from safety_governor.cli import trails  # noqa: PLC0415

    settings = settings_of(None)
    where = trails.Where(folder=folder or settings.audit, journal=None, named=folder is not None)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        sys.exit(trails.tail(where, count=lines, follow=follow, as_json=as_json))


@audit.command("seen", short_help="List the documents that a caller was shown.")
@click.argument("caller")
@_folder
@click.option("--run", default="", help="Only in this run, as the caller named it in X-Governor-Run.")
@click.option("--since", type=click.DateTime(), help="Only from then on, UTC.")
@click.option("--until", type=click.DateTime(), help="Only until then, UTC.")
def seen(caller: str, folder: Path | None, run: str, **window: Any) -> None:  # noqa: ANN401 - options by name
    """List the documents that CALLER was really shown through the tools.

    CALLER is the name of a token, jwt: and the subject of a JWT, jwt-client: and its client, or stdio. FOLDER is that of
    GOVERNOR_MCP_AUDIT unless it is given; all trails in its folders are looked through. What an agent cites and was not shown here it
    has made up. Exit codes: 0 listed, 1 nothing was shown, or lines that are not as they were written were left out.
    """
    from safety_governor.cli import trails  # noqa: PLC0415

    since, until = (None if one is None else one.replace(tzinfo=UTC) for one in (window["since"], window["until"]))
    where = trails.Where(folder=folder or settings_of(None).mcp_audit, journal=None, named=folder is not None)
    sys.exit(trails.seen(where, caller=caller, run=run, since=since, until=until))


@click.group(context_settings=_context)
def gate() -> None:
    """Decide recorded inputs again."""


@gate.command("replay", short_help="List which past decisions would come out differently.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--set", "changes", multiple=True, metavar="THRESHOLD=VALUE", help="For example contradictions=1, coverage=0.5, require_telemetry=true."
)
@click.option(
    "--policies",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Policies to hold them against, instead of those of then.",
)
@_json
def replay(files: tuple[Path, ...], changes: tuple[str, ...], policies: tuple[Path, ...], *, as_json: bool) -> None:
    """List which past decisions would come out differently, and why.

    FILES are audit trails (workflow_events*.jsonl, or a folder of them) and incidents with their status, as kubectl writes them;
    the folder of GOVERNOR_AUDIT unless they are given.
    Without --set and --policies they are decided again as they were: whatever differs then comes from a newer gate, or from a
    record that is not what was decided. Exit codes: 0 replayed, 1 something could not be, or does not come out as recorded.
    """
    from safety_governor.cli import replaying  # noqa: PLC0415

    named = bool(files)
    files = files or (settings_of(None).audit,)
    sys.exit(replaying.run(replaying.Request(files=files, named=named, changes=changes, policies=policies, as_json=as_json)))


@click.group(context_settings=_context)
def metrics() -> None:
    """Figures about the gate."""


@metrics.command("summary", short_help="Decisions, people and outcomes in figures.")
@_folder
@_json
def summary(folder: Path | None, *, as_json: bool) -> None:
    """Decisions, block reasons, confidence shifts, overrides and outcomes, against an agent without a gate.

    Exit codes: 0 all events counted, 1 there is no trail, or lines were left out that are not as they were written.
    """
    from safety_governor.cli import summing  # noqa: PLC0415

    sys.exit(summing.run(folder or settings_of(None).audit, named=folder is not None, as_json=as_json))
