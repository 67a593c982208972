"""`penstock-server policy plan OLD NEW`: what a change of policy would do, proved for all data and all principals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.broker.loading import redshift_logins
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.plan_formats import json_format, junit, markdown, sarif, text
from penstock_server.cli.plan_sources import read_sources
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.settings import Settings
from penstock_server.model.clock import SystemClock
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy import binding
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Plan
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.report import Report, report_of
from penstock_server.policy.source import PolicySource


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    MARKDOWN = "markdown"


_PRINTERS: Final[Mapping[Format, Callable[[Report, Terminal], None]]] = {
    Format.TEXT: text.write,
    Format.JSON: json_format.write,
    Format.SARIF: sarif.write,
    Format.JUNIT: junit.write,
    Format.MARKDOWN: markdown.write,
}

WIDER_OR_UNDECIDED: Final = 2
"""The exit code where somebody would see more, or where that could not be ruled out."""

PolicyArgument = Annotated[Path, typer.Argument(help="A policy file, or a folder of them.", exists=True)]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(
    old: PolicyArgument,
    new: PolicyArgument,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    strict: Annotated[bool, typer.Option("--strict", help="New inference notices give exit code 2 too.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How the plan is printed.")] = Format.TEXT,
) -> None:
    """Prove what a change from OLD to NEW would do, for all data and all principals.

    Exit code 0 if nobody would see more, 2 if somebody would or if that could not be decided, 1 if something is wrong
    with the configuration or the policies.
    """
    settings = load(config, environ=os.environ)
    result = plan_of(settings, old, new, at=SystemClock().now())
    report = report_of(result, old=str(old), new=str(new))
    _PRINTERS[form](report, Terminal())
    raise typer.Exit(WIDER_OR_UNDECIDED if report.is_wider or (strict and report.has_notices) else 0)


def plan_of(settings: Settings, old: Path, new: Path, *, at: datetime) -> Plan:
    """Bind two versions to the catalogs of a configuration and compare them.

    Raises:
        ConfigurationError: a policy or a catalog cannot be read, or they do not fit.
        Unavailable: the catalogs cannot be looked at.
    """
    sources = asyncio.run(read_sources(settings, old, new, at=at, clock=SystemClock()))
    bound = [_bound(source, sources.snapshot, redshift_logins(settings)) for source in (sources.old, sources.new)]
    return compare(bound[0], bound[1], at=at, budget=DEFAULT_BUDGET)


def _bound(source: PolicySource, snapshot: CatalogSnapshot, logins: frozenset[str]) -> BoundPolicy:
    # First as a server would, for all that may be wrong; then with columns that may be added later.
    binding.bind(source, snapshot, logins=logins)
    return binding.bind(source, with_later_columns(snapshot), logins=logins)
