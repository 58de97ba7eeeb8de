"""`safety-governor mcp`: the tools for planning agents, over stdio or HTTP."""

import asyncio
import sys

import click


@click.command()
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="stdio: for the process that starts this one. http: for everybody with a token.",
)
@click.option("--address", help="HOST:PORT to serve HTTP at. [env: GOVERNOR_MCP__ADDRESS; default: 127.0.0.1:8000]")
@click.option("--new-token", metavar="NAME", help="Make a bearer token for NAME, print it and the line by which it is known, and end.")
def mcp(transport: str, address: str | None, new_token: str | None) -> None:
    """Serve runbooks, evidence, policies, live logs and reliability scores to planning agents.

    Eight tools that read and cannot write, over the Model Context Protocol. Over HTTP they are at /mcp, with /healthz, /readyz
    and /metrics beside them. Without tokens HTTP is served on loopback only.
    """
    from safety_governor.domain import errors  # noqa: PLC0415

    try:
        if new_token is not None:
            _print_token(new_token)
            return
        from safety_governor_mcp import wiring  # noqa: PLC0415

        asyncio.run(wiring.run(over_http=transport == "http", address=address))
    except errors.GovernorError as error:
        for line in str(error).splitlines():
            click.echo(f"safety-governor mcp: {line}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


def _print_token(name: str) -> None:
    from safety_governor_mcp import tokens  # noqa: PLC0415

    token, line = tokens.new(name)
    click.echo("The token, shown this once; give it to whoever calls as Authorization: Bearer …", err=True)
    click.echo(token)
    click.echo("A line for the file that GOVERNOR_MCP__TOKENS names; it is read without a restart:", err=True)
    click.echo(line)
