"""`penstock-server posture`: asks AWS whether the data behind grants is encrypted and private."""

from __future__ import annotations

import asyncio
import os

import typer

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.aws.posture import BucketChecks
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers
from penstock_server.errors import ConfigurationError
from penstock_server.model.clock import SystemClock
from penstock_server.model.posture import BucketPosture, Finding
from penstock_server.policy.reading import files
from penstock_server.posture.locations import locations


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("posture")(posture)


def posture(*, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Ask AWS whether the locations of catalogs and grants are encrypted and private: exit code 1 where one is not."""
    settings = load(config, environ=os.environ)
    aws = settings.credentials.aws
    if aws is None:
        raise ConfigurationError(("credentials.aws: is not configured, so there is nobody to ask",))
    source = files.load(settings.policies, known_issuers(settings.identity.issuers))
    places = [catalog.location for catalog in settings.catalogs if catalog.location is not None]
    every = locations(places, source.s3_grants)
    clients = clients_of_this_process(endpoint_url=aws.endpoint_url)
    try:
        found = asyncio.run(_look(clients, aws.region, sorted({location.bucket for location in every})))
    finally:
        clients.close()
    terminal = Terminal()
    for location in every:
        terminal.say(location.text)
        for finding in found[location.bucket].findings:
            terminal.say(f"  {finding.requirement.value}: {_words(finding)}")
    if not every:
        terminal.say("no catalog has a location, and no grant is on S3 objects")
    if not all(finding.met for each in found.values() for finding in each.findings):
        raise typer.Exit(1)


async def _look(clients: AwsClients, region: str, buckets: list[str]) -> dict[str, BucketPosture]:
    checks = BucketChecks(clients, region=region, clock=SystemClock())
    return {bucket: await checks.check(bucket) for bucket in buckets}


def _words(finding: Finding) -> str:
    if finding.met:
        return "yes"
    return f"{'no' if finding.met is False else 'not known'}, {finding.why}; {finding.remedy}"
