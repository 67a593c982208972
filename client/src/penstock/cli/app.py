"""The commands under one name, in the order in which somebody meets them."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]  # typer's own

from penstock.cli import (
    agent,
    asking,
    configuring,
    credentials,
    executing,
    explaining,
    leases,
    signing_in,
    spark,
    statements,
)
from penstock.cli.connecting import Target
from penstock.cli.options import Authority, Profile, Server, TokenPath
from penstock.cli.screen import output
from penstock.errors import invalid

_SHELLS = ("bash", "zsh", "fish", "powershell")

# SECURITY: typer's own tracebacks print local variables, and those hold tokens; `running` prints errors instead.
app = typer.Typer(
    name="penstock",
    help="Ask a Penstock broker for data, or for credentials that reach no further than the policy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Typer does this together with two options that are a command here.
completion_init()


@app.callback()
def every(
    context: typer.Context,
    server: Server = None,
    profile: Profile = None,
    token_file: TokenPath = None,
    ca: Authority = None,
) -> None:
    """Ask a Penstock broker for data, or for credentials that reach no further than the policy."""
    context.obj = Target(server=server, profile=profile, token_file=token_file, ca=ca)


app.command("login")(signing_in.login)
app.command("logout")(signing_in.logout)
app.command("whoami")(signing_in.whoami)
app.command("tables")(asking.tables)
app.command("describe")(asking.describe)
app.command("query")(statements.query)
app.command("explain")(explaining.explain)
app.add_typer(credentials.app, name="creds")
# What follows the program's name is the program's.
app.command("exec", context_settings={"allow_interspersed_args": False})(executing.execute)
app.command("agent")(agent.agent)
app.command("configure")(configuring.configure)
app.add_typer(leases.app, name="leases")
app.add_typer(spark.app, name="spark")


@app.command()
def version() -> None:
    """Print the version of this client."""
    output().print(f"penstock {installed_version('penstock')}")


@app.command()
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")] = "bash",
) -> None:
    """Print a script that completes commands: `eval "$(penstock completion bash)"`."""
    if shell not in _SHELLS:
        raise typer.BadParameter(f"is one of {', '.join(_SHELLS)}", param_hint="SHELL")
    output().out(get_completion_script(prog_name="penstock", complete_var="_PENSTOCK_COMPLETE", shell=shell))


def _absent(name: str) -> None:
    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False}

    @app.command(name, hidden=True, context_settings=settings, add_help_option=False)
    def refuse() -> None:
        """Is not available in this version."""
        raise invalid(name, "is not available in this version")


_absent("doctor")
