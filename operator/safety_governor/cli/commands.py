"""The commands and their options. What they do stands in a module each, imported when the command runs."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from safety_governor.settings import Settings

EXIT_ERROR = 1
EXIT_BLOCKED = 3

_kubeconfig = click.option(
    "--kubeconfig", envvar="KUBECONFIG", type=click.Path(dir_okay=False), help="Cluster to talk to. [default: as kubectl]"
)
_store = click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The embedded store of this file, whatever else is configured. [env: GOVERNOR_STORE, instead of Elasticsearch]",
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@_store
@click.option("--keep-going", is_flag=True, help="Load the good files although others are refused.")
def load(paths: tuple[Path, ...], store: Path | None, *, keep_going: bool) -> None:
    """Load runbooks, evidence, policies and logs into the store: into Elasticsearch if that is configured, else into a file.

    PATHS are files or folders of JSON, YAML and Markdown. A file that is refused is named with line and field, and
    nothing is loaded, unless --keep-going is given. Loading the same files again changes nothing but
    times that are given as minutes ago.
    """
    from safety_governor import bootstrap  # noqa: PLC0415
    from safety_governor.cli import load as loading  # noqa: PLC0415
    from safety_governor.cli import screen  # noqa: PLC0415
    from safety_governor.domain import errors  # noqa: PLC0415

    settings = settings_of(store)
    missing = [path for path in paths if not path.exists()]
    if missing and (not keep_going or len(missing) == len(paths)):
        # Said before a store is begun: whoever mistypes a path wants none.
        for path in missing:
            click.echo(f"safety-governor load: there is no file or folder {path}; nothing was loaded. Check the path", err=True)
        sys.exit(EXIT_ERROR)
    try:
        kept = bootstrap.open_for_loading(settings)
    except (errors.KnowledgeUnavailableError, errors.ConfigurationError) as error:
        click.echo(f"safety-governor load: {error}", err=True)
        sys.exit(EXIT_ERROR)
    with contextlib.closing(kept):
        read, console = bootstrap.reader(kept), screen.screen()
        sys.exit(loading.run(list(paths), read=read, store=kept, where=settings.knowledge, keep_going=keep_going, console=console))


@click.command()
@_kubeconfig
@_store
def operator(kubeconfig: str | None, store: Path | None) -> None:
    """Run the operator: attend every Incident of the cluster.

    Settings are environment variables GOVERNOR_*. Exit codes: 0 told to stop, 1 cannot start, 4 lost the Lease,
    5 lost the cluster.
    """
    from safety_governor.cli import operate  # noqa: PLC0415

    settings = settings_of(store)
    sys.exit(asyncio.run(operate.run(settings, kubeconfig=kubeconfig)))


@click.command("try")
@click.argument("incidents", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--knowledge", multiple=True, type=click.Path(path_type=Path), help="Files to load for this rehearsal only, instead of the store."
)
@_store
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--compare-naive", is_flag=True, help="Show beside it what an agent without a gate would have done.")
def rehearse(incidents: tuple[Path, ...], knowledge: tuple[Path, ...], store: Path | None, output: str, *, compare_naive: bool) -> None:
    """Rehearse incidents without a cluster: Plan to Gate, here and now.

    INCIDENTS are manifests as kubectl apply takes them. The target is assumed to exist and its namespace to allow
    restarts. Exit codes: 0 every one would be executed, 3 at least one is blocked or handed over, 1 an error.
    """
    from safety_governor.cli import rehearsal  # noqa: PLC0415

    settings = settings_of(store)
    asked = rehearsal.Request(manifests=incidents, knowledge=knowledge, as_json=output == "json", compare_naive=compare_naive)
    sys.exit(asyncio.run(rehearsal.run(settings, asked)))


@click.command()
@click.argument("model")
@click.option("--source", type=click.Choice(["direct", "mcp"]), help="Whom to ask. [env: RELIABILITY_PROFILE_SOURCE]  [default: direct]")
@click.option("--ask-again", is_flag=True, help="Pass over kept answers; may start another run at a service without results.")
@click.option("--json", "as_json", is_flag=True, help="Print it for other programs.")
def scores(model: str, source: str | None, *, ask_again: bool, as_json: bool) -> None:
    """Show how reliable a model is known to be, and from where.

    MODEL is the name under which the score services know it. Asking about a model that has no results may start an expensive
    run at the service, so answers are kept: figures for hours, that there are none for half an hour. Exit codes: 0 every
    service that was asked has figures, 3 at least one has none, 1 an error.
    """
    from safety_governor.cli import scores as showing  # noqa: PLC0415

    settings = settings_of(None)
    if source is not None:
        settings = settings.model_copy(update={"reliability_profile_source": source})
    sys.exit(asyncio.run(showing.run(settings, model, ask_again=ask_again, as_json=as_json)))


@click.command()
@click.argument("incident")
@_kubeconfig
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def why(incident: str, kubeconfig: str | None, output: str) -> None:
    """Tell an incident's decision from its resource.

    INCIDENT is NAMESPACE/NAME, or - to read the resource (YAML or JSON) from standard input.
    """
    from safety_governor.cli import explain  # noqa: PLC0415

    sys.exit(asyncio.run(explain.run(incident, kubeconfig=kubeconfig, as_json=output == "json")))


def settings_of(store: Path | None, *, on_mistake: int = EXIT_ERROR) -> "Settings":
    """The settings; a mistake in one of them ends the program with a sentence about it, and with `on_mistake` as its exit code."""
    from safety_governor import settings  # noqa: PLC0415
    from safety_governor.domain import errors  # noqa: PLC0415

    try:
        return settings.read(store=store)
    except errors.ConfigurationError as error:
        for line in str(error).splitlines():
            click.echo(f"safety-governor: {line}", err=True)
        sys.exit(on_mistake)
