"""`kubectl incident ...`: the commands for people who decide. The same group stands under `safety-governor incident`."""

import asyncio
import sys

import click

_namespace = click.option("-n", "--namespace", help="Namespace of the incident. [default: that of the context]")
_kubeconfig = click.option(
    "--kubeconfig", envvar="KUBECONFIG", type=click.Path(dir_okay=False), help="Cluster to talk to. [default: as kubectl]"
)
_context = click.option("--context", help="Context of the kubeconfig.")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask. Without a terminal it takes --digest to release something.")
_digest = click.option("--digest", default="", help="Decide only about the plan with this digest, .status.gate.planDigest.")
_behalf = click.option("--on-behalf-of", default="", help="The person for whom a service account speaks.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Decide about incidents: what was gated is shown, and exactly that is decided about.

    Exit codes: 0 done; 1 it could not be done: there is no such incident, nobody is asked about it, its plan is not the one of
    --digest, you said no, or the API server does not answer; 2 wrongly called, nothing was sent; 3 the API server or the governor
    refuses it.
    """


def _decision(word: str, command: str, summary: str, *, reason_required: bool) -> None:
    @group.command(command, help=summary, short_help=summary.partition("; the reason")[0].rstrip(".") + ".")
    @click.argument("name")
    @_namespace
    @_kubeconfig
    @_context
    @_digest
    @_behalf
    @click.option(
        "-m", "--reason", default="", required=reason_required, help="Why; kept for good. An override takes at least 20 characters."
    )
    @_yes
    def decide(name: str, reason: str, digest: str, on_behalf_of: str, *, yes: bool, **where: str | None) -> None:
        from safety_governor.cli import desk  # noqa: PLC0415

        asked = desk.Asked(name=name, word=word, reason=reason, digest=digest, on_behalf_of=on_behalf_of, without_asking=yes)
        sys.exit(asyncio.run(desk.decide(asked, desk.Where(**where))))


_decision("APPROVE", "approve", "Release what the gate has blocked, exactly as it is shown.", reason_required=False)
_decision("REJECT", "reject", "End the incident; nothing is done.", reason_required=False)
_decision("FORCE_OVERRIDE", "override", "Release what takes more than an approval; the reason is kept for good.", reason_required=True)


@group.command("why", short_help="Tell the decision and what it rests on.")
@click.argument("name")
@_namespace
@_kubeconfig
@_context
def why(name: str, **where: str | None) -> None:
    """Tell the decision: which checks fired with which numbers, which documents speak against it."""
    from safety_governor.cli import desk  # noqa: PLC0415

    sys.exit(asyncio.run(desk.why(name, desk.Where(**where))))


@group.command("watch")
@click.argument("name")
@_namespace
@_kubeconfig
@_context
def watch(name: str, **where: str | None) -> None:
    """Follow an incident to its end, one line for each change."""
    from safety_governor.cli import desk  # noqa: PLC0415

    sys.exit(asyncio.run(desk.watch(name, desk.Where(**where))))


def main() -> None:
    """Entry point of the kubectl plugin."""
    group(prog_name="kubectl incident")
