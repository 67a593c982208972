"""`penstock-server policy test FILE...`: is it decided as these cases expect?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.policy_cases.cases import CaseResult
from penstock_server.cli.policy_cases.checking import check
from penstock_server.cli.policy_cases.formats import write_junit, write_text
from penstock_server.cli.policy_cases.reading import read_cases
from penstock_server.cli.policy_loading import load_from
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.model.clock import SystemClock


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JUNIT = "junit"


_PRINTERS: Final[Mapping[Format, Callable[[Sequence[CaseResult], Terminal], None]]] = {
    Format.TEXT: write_text,
    Format.JUNIT: write_junit,
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test")(run_cases)


def run_cases(
    files: Annotated[list[Path], typer.Argument(help="Files of cases.", exists=True, dir_okay=False)],
    *,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Another policy than the configuration's; may be repeated.", exists=True, metavar="PATH"),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    form: Annotated[Format, typer.Option("--format", help="How results are printed.")] = Format.TEXT,
) -> None:
    """Decide cases, and compare what each principal would see with what the cases expect.

    Exit code 0 if all is as expected, 1 if not, or if something is wrong with cases, configuration or policy.
    """
    settings = load(config, environ=os.environ)
    paths = tuple(policy or settings.policies)
    results = asyncio.run(results_of(settings, files, paths, now=SystemClock().now()))
    _PRINTERS[form](results, Terminal())
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


async def results_of(
    settings: Settings, files: Sequence[Path], policy: tuple[Path, ...], *, now: datetime
) -> tuple[CaseResult, ...]:
    """Give what came of each case.

    Raises:
        ConfigurationError: with a line for everything that is wrong with cases, policy or catalogs.
        Unavailable: no process can be had.
    """
    cases = read_cases(files, known_issuers(settings.identity.issuers), now=now)
    loaded = await load_from(settings, policy)
    return await check(cases, loaded.bound, settings)
