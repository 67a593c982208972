"""`penstock-server check`: is the configuration right, as far as this machine can tell?"""

from __future__ import annotations

import asyncio
import os

import typer

from penstock_server.cli.checks import Report, check_all
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.model.clock import SystemClock


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(*, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check all that needs no network, and list what could not be checked: exit code 0 if all is well, 1 if not."""
    settings = load(config, environ=os.environ)
    report = asyncio.run(check_all(settings, environ=os.environ, now=SystemClock().now()))
    _print(report)
    raise typer.Exit(1 if report.problems else 0)


def _print(report: Report) -> None:
    terminal = Terminal()
    for line in report.passed:
        terminal.say_parts([("ok           ", "green"), (line, "")])
    for line in report.unchecked:
        terminal.say_parts([("not checked  ", "yellow"), (line, "")])
    for line in report.warnings:
        terminal.say_parts([("warning      ", "yellow"), (line, "")])
    for line in report.problems:
        terminal.complain(line)
    if report.problems:
        terminal.complain(f"problems: {len(report.problems)}")
