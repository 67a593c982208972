"""Whether target roles give a session for what the service sends, for nothing less, and nothing beyond its policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from penstock_server.aws.clients import RoleSession
from penstock_server.aws.probes import Outcome, Probed, Probes
from penstock_server.cli.doctor_checks.aws.canary import NAME, OUTSIDE, PREFIX, Canary, reading
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.config.settings import AwsSettings
from penstock_server.credentials.names import USER_TAG
from penstock_server.credentials.roles import TargetRole

SUBJECT: Final = "aws roles"
LONGEST_SECONDS: Final = 3_600

_TRUST: Final = "mend the role's trust policy: `penstock-server aws init` writes one"
_READABLE: Final = "let the broker's role call it, or look by yourself"


async def findings(probes: Probes, settings: AwsSettings, role: TargetRole) -> AsyncIterator[Finding]:
    """Look at one role."""
    canary = Canary(role=role)
    whole, _ = await probes.assume(canary.whole())
    claim = f"`{role.name}` gives a session for what the service sends"
    if whole.answered:
        yield ok(SUBJECT, claim)
    elif whole.outcome is Outcome.UNKNOWN:
        yield cannot_know(SUBJECT, claim, whole.why, fix="run this where the broker runs, as the broker")
    else:
        fix = "let the role trust the broker's, and the broker's own policy name sts:AssumeRole, sts:SetSourceIdentity"
        yield failed(SUBJECT, claim, whole.why, fix=f"{fix} and sts:TagSession")
    async for finding in _refusals(probes, canary, possible=whole.answered):
        yield finding
    yield await _bare(probes, role)
    for finding in await _form(probes, settings, role):
        yield finding
    async for finding in _fence(probes, canary):
        yield finding


async def _refusals(probes: Probes, canary: Canary, *, possible: bool) -> AsyncIterator[Finding]:
    name = canary.role.name
    without_tag = [{"Key": USER_TAG, "Value": NAME}]
    tried: list[tuple[str, Mapping[str, object]]] = [
        ("without the tag of a lease", canary.wrong({"Tags": without_tag})),
        ("without a source identity", canary.lacking("SourceIdentity")),
        ("without the external id", canary.lacking("ExternalId")),
        ("with another external id", canary.wrong({"ExternalId": "penstock-doctor-wrong"})),
    ]
    for what, parameters in tried:
        claim = f"`{name}` gives no session {what}"
        if canary.role.external_id is None and "external id" in what:
            yield failed(SUBJECT, claim, "`external_id` is not configured", fix=f"set it, and {_TRUST}")
            continue
        probed, _ = await probes.assume(parameters)
        yield _refused(claim, probed, possible=possible, fix=_TRUST)


def _refused(claim: str, probed: Probed, *, possible: bool, fix: str) -> Finding:
    if probed.answered:
        return failed(SUBJECT, claim, "AWS did it", fix=fix)
    if probed.outcome is Outcome.DENIED and possible:
        return ok(SUBJECT, claim)
    why = "it is refused with everything too" if probed.outcome is Outcome.DENIED else probed.why
    return cannot_know(SUBJECT, claim, why, fix="first mend what keeps a whole session from being made")


async def _bare(probes: Probes, role: TargetRole) -> Finding:
    """Ask AWS's own simulator what the role may do without a lease."""
    claim = f"`{role.name}` is powerless without a lease"
    resources = [f"arn:aws:s3:::{served.location.bucket}/{served.location.key}{OUTSIDE}" for served in role.serves]
    resources += [str(table) for table in role.tables]
    actions = ["s3:GetObject"] if role.serves else ["dynamodb:GetItem"]
    parameters = {"PolicySourceArn": role.arn, "ActionNames": actions, "ResourceArns": resources[:20]}
    probed = await probes.ask("iam", "simulate_principal_policy", parameters)
    if not probed.answered:
        return cannot_know(SUBJECT, claim, f"iam:SimulatePrincipalPolicy: {probed.why}", fix=_READABLE)
    allowed = [
        str(found.get("EvalResourceName", ""))
        for found in probed.answer.get("EvaluationResults", ())
        if found.get("EvalDecision") == "allowed"
    ]
    if allowed:
        fix = "deny everything in the role's policy where `aws:PrincipalTag/penstock:lease` is null"
        return failed(SUBJECT, claim, f"it reaches `{allowed[0]}`", fix=fix)
    return ok(SUBJECT, claim)


async def _form(probes: Probes, settings: AwsSettings, role: TargetRole) -> list[Finding]:
    """Look at the role's boundary and at how long its sessions may live."""
    bounded, short = f"`{role.name}` carries the boundary", f"sessions of `{role.name}` end within the hour"
    probed = await probes.ask("iam", "get_role", {"RoleName": role.arn.rsplit("/", 1)[-1]})
    if not probed.answered:
        why = f"iam:GetRole: {probed.why}"
        return [cannot_know(SUBJECT, claim, why, fix=_READABLE) for claim in (bounded, short)]
    found = probed.answer.get("Role", {})
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return [_bounded(bounded, settings, boundary), _short(short, found.get("MaxSessionDuration"))]


def _bounded(claim: str, settings: AwsSettings, boundary: object) -> Finding:
    if settings.revocation is None:
        fix = "set `credentials.aws.revocation`: without it no session can be revoked"
        return failed(SUBJECT, claim, "no revocation is configured", fix=fix)
    if boundary != settings.revocation.boundary:
        fix = f"set `{settings.revocation.boundary}` as its permissions boundary"
        return failed(SUBJECT, claim, f"it carries `{boundary}`" if boundary else "it carries none", fix=fix)
    return ok(SUBJECT, claim)


def _short(claim: str, seconds: object) -> Finding:
    if seconds == LONGEST_SECONDS:
        return ok(SUBJECT, claim)
    fix = f"set its MaxSessionDuration to {LONGEST_SECONDS}"
    if isinstance(seconds, int):
        return failed(SUBJECT, claim, f"they may live {seconds} s", fix=fix)
    return cannot_know(SUBJECT, claim, "IAM does not say", fix=fix)


async def _fence(probes: Probes, canary: Canary) -> AsyncIterator[Finding]:
    """Try, in a session for one prefix of each served bucket, what lies outside of it; only by reading."""
    role = canary.role
    owners = dict(role.bucket_accounts)
    for bucket in sorted({served.location.bucket for served in role.serves}):
        claim = f"a session for one prefix of `{bucket}` is denied the rest"
        policy = reading(bucket, PREFIX, owners.get(bucket, role.account))
        probed, session = await probes.assume(canary.whole(policy))
        if session is None:
            yield cannot_know(SUBJECT, claim, probed.why, fix="first mend what keeps a whole session from being made")
            continue
        yield await _tried(probes, session, claim, bucket, role)


async def _tried(probes: Probes, session: RoleSession, claim: str, bucket: str, role: TargetRole) -> Finding:
    calls: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("s3", "get_object", {"Bucket": bucket, "Key": OUTSIDE}),
        ("s3", "list_objects_v2", {"Bucket": bucket, "MaxKeys": 1}),
        ("s3", "get_bucket_acl", {"Bucket": bucket}),
        ("sts", "assume_role", {"RoleArn": role.arn, "RoleSessionName": NAME}),
    )
    inside = {"Bucket": bucket, "Prefix": PREFIX, "MaxKeys": 1}
    control = await probes.ask("s3", "list_objects_v2", inside, session=session)
    unknown = "" if control.answered else f"its own prefix is not reached either: {control.why}"
    for service, operation, parameters in calls:
        probed = await probes.ask(service, operation, parameters, session=session)
        if probed.answered or probed.outcome is Outcome.ABSENT:
            fix = "find what lets it in: a policy of the bucket, of its access points, or of the organisation"
            return failed(SUBJECT, claim, f"{service}:{operation} was not denied", fix=fix)
        if probed.outcome is Outcome.UNKNOWN:
            unknown = unknown or f"{service}:{operation}: {probed.why}"
    if unknown:
        return cannot_know(SUBJECT, claim, unknown, fix="see that the role's own policy reaches the bucket")
    return ok(SUBJECT, claim, "reading, listing, settings and changing roles were tried")
