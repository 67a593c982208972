"""`penstock-server doctor`: what of this machine and its configuration stands in the way, each with its fix."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from penstock_server.cli.doctor_checks import barriers, configuration, files, installation, issuers, machine
from penstock_server.cli.doctor_checks.finding import Finding, Verdict
from penstock_server.cli.doctor_checks.printing import Format, print_findings
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption

FormatOption = Annotated[Format, typer.Option("--format", help="Lines for people, or one JSON document.")]
"""`--format text|json`."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(*, config: ConfigOption = DEFAULT_CONFIG, form: FormatOption = Format.TEXT) -> None:
    """Look at this machine: each line is ok, failed or cannot know, with the fix; exit code 1 where one failed."""
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
