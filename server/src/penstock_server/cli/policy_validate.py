"""`penstock-server policy validate`: can a policy be loaded, and what should its writer know?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.policy_loading import load_from, read_offline
from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats import json_format, junit, sarif, text
from penstock_server.cli.validation_formats.findings import Findings
from penstock_server.config.loading import load
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError
from penstock_server.policy.problems import located
from penstock_server.policy.review import policy_warnings


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


_PRINTERS: Final[Mapping[Format, Callable[[Findings, Terminal], None]]] = {
    Format.TEXT: text.write,
    Format.JSON: json_format.write,
    Format.SARIF: sarif.write,
    Format.JUNIT: junit.write,
}

_OFFLINE: Final = (
    "whether the tables, columns and types that it names are there",
    "what the queries of its rules give",
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Policy files or folders; without any, those of the configuration.", exists=True),
    ] = None,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    offline: Annotated[bool, typer.Option("--offline", help="Look at no catalog.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings give exit code 1 too.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How findings are printed.")] = Format.TEXT,
) -> None:
    """Check a policy against the catalogs of the configuration, or without them.

    Exit code 0 if it could be loaded, 1 if not.
    """
    settings = load(config, environ=os.environ)
    found = findings_of(settings, tuple(paths or settings.policies), offline=offline)
    _PRINTERS[form](found, Terminal())
    raise typer.Exit(1 if found.problems or (strict and found.warnings) else 0)


def findings_of(settings: Settings, paths: tuple[Path, ...], *, offline: bool) -> Findings:
    """Say what is wrong with a policy. Raises Unavailable: the catalogs cannot be looked at."""
    names = tuple(str(path) for path in paths)
    unchecked = _OFFLINE if offline else ()
    try:
        if offline:
            source = read_offline(settings, paths)
            version = source.version
        else:
            loaded = asyncio.run(load_from(settings, paths))
            source, version = loaded.source, loaded.bound.version
    except ConfigurationError as error:
        problems = tuple(located(problem) for problem in error.problems)
        return Findings(paths=names, problems=problems, warnings=(), unchecked=unchecked, version=None)
    warnings = tuple(located(warning) for warning in policy_warnings(source, settings.identity.issuers))
    return Findings(paths=names, problems=(), warnings=warnings, unchecked=unchecked, version=version)
