"""Whether every location of every table is one: something lies there, and a role serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from penstock_server.aws.probes import Outcome, Probes
from penstock_server.cli.doctor_checks.aws.canary import Canary, reading
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.credentials.roles import TargetRole
from penstock_server.model.resource import S3Location

SUBJECT: Final = "aws locations"


async def findings(
    probes: Probes, located: Sequence[tuple[str, S3Location]], roles: Sequence[TargetRole]
) -> AsyncIterator[Finding]:
    """Look at each (name, location), by a session that may list that one prefix."""
    for name, location in located:
        yield await _look(probes, f"`{name}` has files at `{location}`", location, roles)


async def _look(probes: Probes, claim: str, location: S3Location, roles: Sequence[TargetRole]) -> Finding:
    role = next((role for role in roles if _serves(role, location)), None)
    if role is None:
        return cannot_know(SUBJECT, claim, "no role serves it", fix="add it to `serves` of a role, or look by yourself")
    prefix = location.key if not location.key or location.key.endswith("/") else f"{location.key}/"
    policy = reading(location.bucket, prefix, dict(role.bucket_accounts).get(location.bucket, role.account))
    probed, session = await probes.assume(Canary(role=role).whole(policy))
    if session is None:
        fix = "first mend what keeps a whole session from being made"
        return cannot_know(SUBJECT, claim, probed.why, fix=fix)
    asked = {"Bucket": location.bucket, "Prefix": prefix, "MaxKeys": 1}
    listed = await probes.ask("s3", "list_objects_v2", asked, session=session)
    if listed.outcome is Outcome.ABSENT:
        return failed(SUBJECT, claim, "there is no such bucket", fix="mend the location in the catalog")
    if not listed.answered:
        return cannot_know(SUBJECT, claim, listed.why, fix=f"let the role `{role.name}` list the bucket")
    if not listed.answer.get("Contents"):
        return failed(SUBJECT, claim, "nothing lies there", fix="mend the location in the catalog, or move the files")
    return ok(SUBJECT, claim)


def _serves(role: TargetRole, location: S3Location) -> bool:
    return any(
        served.location.bucket == location.bucket and not served.exact and location.key.startswith(served.location.key)
        for served in role.serves
    )
