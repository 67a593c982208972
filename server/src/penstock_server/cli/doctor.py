"""`penstock-server doctor`: what of this machine and its configuration stands in the way, each with its fix."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from penstock_server.cli.doctor_checks import barriers, configuration, files, installation, issuers, machine
from penstock_server.cli.doctor_checks.aws import account
from penstock_server.cli.doctor_checks.finding import Finding, Verdict
from penstock_server.cli.doctor_checks.printing import Format, print_findings
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.model.clock import SystemClock

FormatOption = Annotated[Format, typer.Option("--format", help="Lines for people, or one JSON document.")]
"""`--format text|json`."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


AwsOption = Annotated[
    bool, typer.Option("--aws", help="Look at the AWS account instead, as the broker: by trying what it must refuse.")
]
"""`--aws`."""

DrillOption = Annotated[
    bool, typer.Option("--drill", help="With --aws: revoke a session of its own, and measure until AWS denies it.")
]
"""`--drill`."""


def doctor(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    form: FormatOption = Format.TEXT,
    aws: AwsOption = False,
    drill: DrillOption = False,
) -> None:
    """Look at this machine: each line is ok, failed or cannot know, with the fix; exit code 1 where one failed."""
    if drill and not aws:
        raise typer.BadParameter("goes with `--aws`", param_hint="--drill")
    if aws:
        raise typer.Exit(print_findings(asyncio.run(_account(config, drill=drill)), form=form))
    findings: list[Finding] = [*installation.findings(), *barriers.findings()]
    settings, read = configuration.findings(config, environ=os.environ)
    findings += read
    catalogs = () if settings is None else settings.catalogs
    if all(finding.verdict is Verdict.OK for finding in findings if finding.subject == barriers.SUBJECT):
        findings += asyncio.run(barriers.proved(catalogs))
    if settings is not None:
        findings += files.findings(settings, environ=os.environ)
        findings += issuers.findings(settings.identity.issuers)
    findings += machine.findings(settings)
    raise typer.Exit(print_findings(findings, form=form))


async def _account(config: Path, *, drill: bool) -> list[Finding]:
    """Look at the AWS account."""
    settings, read = configuration.findings(config, environ=os.environ)
    if settings is None:
        return read
    looked = account.findings(settings, environ=os.environ, clock=SystemClock(), drill=drill)
    return [*read, *[finding async for finding in looked]]
