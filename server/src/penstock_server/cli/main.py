"""`penstock-server`: finds the command, runs it, and turns what an operator must mend into lines and an exit code."""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Sequence
from typing import Final

import typer

from penstock_server.cli.terminal import Terminal
from penstock_server.errors import ConfigurationError, PenstockError

COMMANDS: Final = (
    "serve",
    "init",
    "check",
    "health",
    "doctor",
    "import",
    "policy",
    "posture",
    "sync",
    "leases",
    "queries",
    "extracts",
    "aws",
    "audit",
    "dev",
    "version",
)
"""Each is a module of this package with a function `add_to(app)`; a keyword of Python has `_` behind it there."""


def application(commands: Sequence[str]) -> typer.Typer:
    """Give the application with these commands; their modules are imported now."""
    app = typer.Typer(
        name="penstock-server",
        help="Penstock: a fine-grained access broker for data on AWS.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_penstock_server)
    for name in commands:
        module = f"{name}_" if keyword.iskeyword(name) else name
        importlib.import_module(f"penstock_server.cli.{module}").add_to(app)
    return app


def _penstock_server() -> None:
    """Penstock: a fine-grained access broker for data on AWS."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 1 a problem, 2 wrong usage."""
    named = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    try:
        application(named)(list(arguments), prog_name="penstock-server")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except (ConfigurationError, PenstockError) as error:
        Terminal().explain(error)
        return 1
    return 0


def main() -> None:
    """Run the command of this process."""
    sys.exit(run(sys.argv[1:]))
