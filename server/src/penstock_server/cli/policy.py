"""`penstock-server policy`: tools for policy files. Each command is a module of its own."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from penstock_server.cli import policy_plan, policy_show, policy_test, policy_validate

_COMMANDS: Final[tuple[ModuleType, ...]] = (policy_validate, policy_test, policy_plan, policy_show)
"""Each has a function `add_to(app)`."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    policy = typer.Typer(no_args_is_help=True, help="See what policies do, and what a change of them would do.")
    policy.callback()(_policy)
    for command in _COMMANDS:
        command.add_to(policy)
    app.add_typer(policy, name="policy")


def _policy() -> None:
    """See what policies do, and what a change of them would do."""
