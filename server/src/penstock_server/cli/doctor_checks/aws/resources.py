"""Policies of what is served that would add something to a session, and grants on its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from penstock_server.aws.probes import Outcome, Probed, Probes
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.credentials.resource_grants import EVERYTHING, bucket_of, own_accounts
from penstock_server.credentials.resource_policies import (
    GuardedResource,
    Kind,
    Statement,
    open_grant,
    principals_of,
    read_policy,
)
from penstock_server.credentials.roles import TargetRole
from penstock_server.model.services import Service

SUBJECT: Final = "aws resources"

_READABLE: Final = "let the broker's role call it, or look by yourself"
_NARROW: Final = (
    "narrow the statement to who needs it; sessions of Penstock deny it all the same, but other principals do not"
)


async def findings(probes: Probes, role: TargetRole, accepted: frozenset[str] = frozenset()) -> AsyncIterator[Finding]:
    """Look at the buckets, their keys, the tables, streams and keys that a role serves; `accepted` are ARNs of some."""
    keys = {str(target) for target in role.services if target.service is Service.KMS}
    for bucket in sorted({served.location.bucket for served in role.serves}):
        yield await _policy(probes, bucket_of(bucket), f"bucket `{bucket}`", role, accepted)
        encryption = await probes.ask("s3", "get_bucket_encryption", {"Bucket": bucket})
        keys |= set(_keys(encryption))
        if encryption.outcome not in {Outcome.ANSWERED, Outcome.ABSENT}:
            claim = f"the key of the bucket `{bucket}` adds nothing to a session"
            yield cannot_know(SUBJECT, claim, f"s3:GetEncryptionConfiguration: {encryption.why}", fix=_READABLE)
    for key in sorted(keys):
        yield await _policy(probes, GuardedResource(kind=Kind.KEY, arn=key), f"key `{key}`", role, accepted)
        yield _grants(key, await probes.ask("kms", "list_grants", {"KeyId": key}, region=_region(key)), role)
    for table in sorted(str(each) for each in role.tables):
        yield await _policy(probes, GuardedResource(kind=Kind.TABLE, arn=table), f"table `{table}`", role, accepted)
    for stream in sorted(str(target) for target in role.services if target.service is Service.KINESIS):
        yield await _policy(probes, GuardedResource(kind=Kind.STREAM, arn=stream), f"stream `{stream}`", role, accepted)


def _region(arn: str) -> str:
    return arn.split(":")[3]


async def _policy(
    probes: Probes, resource: GuardedResource, name: str, role: TargetRole, accepted: frozenset[str]
) -> Finding:
    claim = f"the policy of the {name} adds nothing to a session"
    if resource.arn in accepted or EVERYTHING in accepted:
        claim = f"the policy of the {name} is accepted as it is"
        return ok(SUBJECT, claim, "by `credentials.accepted_resource_grants`")
    read = await read_policy(probes, resource)
    if read.absent:
        return ok(SUBJECT, claim, "there is none")
    if read.statements is None:
        return cannot_know(SUBJECT, claim, read.why, fix=_READABLE)
    own = own_accounts(role, resource)
    # A bucket of another account is its owner's, whose policy names our role, as it must.
    ours = own == {role.account}
    wide = [
        found
        for statement in read.statements
        if (found := open_grant(statement, own) or (_to_role(statement, role) if ours else ""))
    ]
    if wide:
        return failed(SUBJECT, claim, "; ".join(wide), fix=_NARROW)
    return ok(SUBJECT, claim)


def _to_role(statement: Statement, role: TargetRole) -> str:
    """Say so where a statement allows the role; a session policy bounds that, but not what is no lease's."""
    if statement.get("Effect") == "Deny" or role.arn not in principals_of(statement):
        return ""
    return (
        f"`{statement.get('Sid') or 'a statement without Sid'}` allows the role itself, whatever the tag of a lease is"
    )


def _keys(probed: Probed) -> Iterable[str]:
    rules = probed.answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    for rule in rules:
        key = str(rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", ""))
        if key.startswith("arn:"):
            yield key


def _grants(key: str, probed: Probed, role: TargetRole) -> Finding:
    claim = f"no grant on the key `{key}` adds anything to a session"
    if not probed.answered:
        return cannot_know(SUBJECT, claim, f"kms:ListGrants: {probed.why}", fix=_READABLE)
    grantees = [str(grant.get("GranteePrincipal", "")) for grant in probed.answer.get("Grants", ())]
    ours = [
        grantee
        for grantee in grantees
        if grantee == role.arn or f"assumed-role/{role.arn.rsplit('/', 1)[-1]}/" in grantee
    ]
    if ours:
        return failed(SUBJECT, claim, f"one is for `{ours[0]}`", fix="retire it: aws kms retire-grant")
    if probed.answer.get("Truncated"):
        return cannot_know(SUBJECT, claim, "there are more grants than one answer holds", fix="look by yourself")
    return ok(SUBJECT, claim)
