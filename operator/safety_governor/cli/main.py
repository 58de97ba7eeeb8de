"""`safety-governor`: one entry point, one lazily imported module per command."""

import importlib

import click

from safety_governor import __version__

_COMMANDS = {
    "audit": ("safety_governor.cli.audit_commands", "audit"),
    "gate": ("safety_governor.cli.audit_commands", "gate"),
    "incident": ("safety_governor.cli.incident", "group"),
    "load": ("safety_governor.cli.commands", "load"),
    # By name alone: the operator works without the tools for agents.
    "mcp": ("safety_governor_mcp.command", "mcp"),
    "metrics": ("safety_governor.cli.audit_commands", "metrics"),
    "operator": ("safety_governor.cli.commands", "operator"),
    "scores": ("safety_governor.cli.commands", "scores"),
    "try": ("safety_governor.cli.commands", "rehearse"),
    "why": ("safety_governor.cli.commands", "why"),
}

_HELP = {
    "audit": "Look into the audit trail and prove it: verify, show, tail, seen.",
    "gate": "Decide recorded inputs again: replay.",
    "incident": "Decide about incidents: approve, reject, override, why, watch (also as `kubectl incident`).",
    "load": "Load runbooks, evidence, policies and logs into the store.",
    "mcp": "Serve the tools for planning agents, over stdio or HTTP.",
    "metrics": "Figures about the gate: summary.",
    "operator": "Run the operator: attend every Incident of the cluster.",
    "scores": "Show how reliable a model is known to be, and from where.",
    "try": "Rehearse an incident without a cluster: Plan to Gate, here and now.",
    "why": "Tell an incident's decision from its resource.",
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called; its help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if ctx.resilient_parsing:
            return click.Command(cmd_name, help=_HELP[cmd_name])
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_HELP.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="safety-governor")
def group() -> None:
    """The safety layer between AI agents and production.

    Every remediation that an agent proposes is planned, stress-tested and gated; nothing is touched
    before the gate or a person releases it.
    """


def main() -> None:
    """Entry point of the console script."""
    group(prog_name="safety-governor")


if __name__ == "__main__":
    main()
