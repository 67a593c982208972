"""Who the broker is at AWS, and whether it and AWS agree on the time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from penstock_server.aws.probes import Probed, Probes
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.config.settings import AwsSettings
from penstock_server.model.clock import Clock

SUBJECT: Final = "aws identity"
MOST_SKEW: Final = timedelta(seconds=30)
"""Grants, leases and revocations compare our clock with AWS's; signatures fail at 5 minutes."""

_ROLE: Final = "the broker runs as a role"
_REGION: Final = "the region answers"
_CLOCK: Final = "the clocks agree"
_A_ROLE: Final = "give it a role: an ECS task, EC2 instance or EKS pod has one"
_AS_BROKER: Final = "run this where the broker runs, as the broker"


async def findings(probes: Probes, settings: AwsSettings, *, clock: Clock) -> AsyncIterator[Finding]:
    """Look at the identity, the region and the clock, by one call."""
    probed = await probes.ask("sts", "get_caller_identity", {})
    yield _region(probed, settings.region)
    yield _identity(probed, settings)
    yield _skew(probed, clock)


def _region(probed: Probed, region: str) -> Finding:
    claim = f"{_REGION}: {region}"
    if probed.outcome.value == "unknown" and probed.at is None:
        fix = "see that this machine has credentials, the region is written right, and STS's endpoint can be reached"
        verdict = failed if "EndpointConnectionError" in probed.why or "InvalidRegion" in probed.why else cannot_know
        return verdict(SUBJECT, claim, probed.why, fix=fix)
    return ok(SUBJECT, claim)


def _identity(probed: Probed, settings: AwsSettings) -> Finding:
    if not probed.answered:
        if "long-term keys" in probed.why:
            return failed(
                SUBJECT, _ROLE, probed.why, fix="give it a role: an ECS task, EC2 instance or EKS pod has one"
            )
        return cannot_know(SUBJECT, _ROLE, probed.why, fix=_AS_BROKER)
    arn = str(probed.answer.get("Arn", ""))
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "sts" or not parts[5].startswith("assumed-role/"):
        # SECURITY: what an IAM user makes can be turned into console sessions of 12 hours.
        return failed(
            SUBJECT, _ROLE, f"it is `{arn}`", fix="give it a role: an ECS task, EC2 instance or EKS pod has one"
        )
    name = parts[5].split("/")[1]
    wanted = settings.broker_role
    if wanted is not None and (wanted.split(":")[4], wanted.rsplit("/", 1)[-1]) != (parts[4], name):
        return failed(SUBJECT, _ROLE, f"it is `{arn}`, and `broker_role` says `{wanted}`", fix=_AS_BROKER)
    return ok(SUBJECT, _ROLE, arn)


def _skew(probed: Probed, clock: Clock) -> Finding:
    if probed.at is None:
        return cannot_know(SUBJECT, _CLOCK, "no answer of AWS carries a time", fix=_AS_BROKER)
    skew = abs(clock.now() - probed.at)
    if skew > MOST_SKEW:
        seconds = int(skew.total_seconds())
        return failed(SUBJECT, _CLOCK, f"they are {seconds} s apart", fix="let chrony or timesyncd set this clock")
    return ok(SUBJECT, _CLOCK)
