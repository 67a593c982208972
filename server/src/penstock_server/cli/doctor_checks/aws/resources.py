"""Policies of what is served that would add something to a session, and grants on its keys."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from penstock_server.aws.probes import Outcome, Probed, Probes
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.credentials.roles import TargetRole

SUBJECT: Final = "aws resources"

_ARN_ACCOUNT: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):.*", re.ASCII | re.DOTALL)
_READABLE: Final = "let the broker's role call it, or look by yourself"
_NARROW: Final = (
    "narrow the statement to who needs it; sessions of Penstock deny it all the same, but other principals do not"
)


async def findings(probes: Probes, role: TargetRole) -> AsyncIterator[Finding]:
    """Look at the buckets, their keys, and the tables that a role serves."""
    owners = dict(role.bucket_accounts)
    keys: set[str] = set()
    for bucket in sorted({served.location.bucket for served in role.serves}):
        probed = await probes.ask("s3", "get_bucket_policy", {"Bucket": bucket})
        text = probed.answer.get("Policy")
        yield _policy(f"the policy of the bucket `{bucket}`", probed, text, role, owners.get(bucket))
        encryption = await probes.ask("s3", "get_bucket_encryption", {"Bucket": bucket})
        keys |= set(_keys(encryption))
        if encryption.outcome not in {Outcome.ANSWERED, Outcome.ABSENT}:
            claim = f"the key of the bucket `{bucket}` adds nothing to a session"
            yield cannot_know(SUBJECT, claim, f"s3:GetEncryptionConfiguration: {encryption.why}", fix=_READABLE)
    for key in sorted(keys):
        probed = await probes.ask("kms", "get_key_policy", {"KeyId": key, "PolicyName": "default"}, region=_region(key))
        yield _policy(f"the policy of the key `{key}`", probed, probed.answer.get("Policy"), role, None)
        yield _grants(key, await probes.ask("kms", "list_grants", {"KeyId": key}, region=_region(key)), role)
    for table in sorted(role.tables, key=str):
        probed = await probes.ask(
            "dynamodb", "get_resource_policy", {"ResourceArn": str(table)}, region=_region(str(table))
        )
        yield _policy(f"the policy of the table `{table}`", probed, probed.answer.get("Policy"), role, None)
    for target in sorted(role.services, key=str):
        if target.service.value == "kinesis":
            where = _region(str(target))
            probed = await probes.ask("kinesis", "get_resource_policy", {"ResourceARN": str(target)}, region=where)
            yield _policy(f"the policy of the stream `{target}`", probed, probed.answer.get("Policy"), role, None)


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _policy(what: str, probed: Probed, text: object, role: TargetRole, owner: str | None) -> Finding:
    claim = f"{what} adds nothing to a session"
    if probed.outcome is Outcome.ABSENT:
        return ok(SUBJECT, claim, "there is none")
    if not probed.answered:
        return cannot_know(SUBJECT, claim, probed.why, fix=_READABLE)
    if text in (None, ""):
        return ok(SUBJECT, claim, "there is none")
    try:
        wide = [found for statement in _statements(text) if (found := _adds(statement, role, owner))]
    except (ValueError, TypeError, AttributeError):
        return cannot_know(SUBJECT, claim, "the policy cannot be read", fix=_READABLE)
    if wide:
        return failed(SUBJECT, claim, "; ".join(wide), fix=_NARROW)
    return ok(SUBJECT, claim)


def _statements(text: object) -> list[Mapping[str, Any]]:
    document = json.loads(str(text))
    statements = document["Statement"] if isinstance(document, dict) and "Statement" in document else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise ValueError("no statements")
    return statements


def _adds(statement: Mapping[str, Any], role: TargetRole, owner: str | None) -> str:
    """Say what a statement adds for sessions of a role or for other accounts, "" where nothing.

    AWS: what a resource policy grants to `*` under whatever condition, or to a session by name, a session policy does
    not limit (IAM user guide, "AWS JSON policy elements: Principal").
    """
    if statement.get("Effect") != "Allow":
        return ""
    sid = statement.get("Sid") or "a statement without Sid"
    if "NotPrincipal" in statement:
        return f"`{sid}` allows everybody but some"
    for principal in _principals(statement.get("Principal")):
        if principal == "*":
            return f"`{sid}` allows `*`{' under a condition' if statement.get('Condition') else ''}"
        if ":assumed-role/" in principal or "federated-user/" in principal:
            return f"`{sid}` allows the session `{principal}`"
        account = principal if principal.isdigit() else _account(principal)
        # A bucket of another account is its owner's, whose policy names our role, as it must.
        if account and account not in {role.account, owner} and principal != role.arn:
            return f"`{sid}` allows the account {account}"
        if owner is None and principal == role.arn:
            return f"`{sid}` allows the role itself, whatever the tag of a lease is"
    return ""


def _principals(principal: object) -> Iterable[str]:
    if isinstance(principal, str):
        return (principal,)
    if not isinstance(principal, dict):
        return ("*",)
    named = principal.get("AWS", [])
    return tuple(str(each) for each in (named if isinstance(named, list) else [named]))


def _account(arn: str) -> str:
    match = _ARN_ACCOUNT.fullmatch(arn)
    return "" if match is None else match[1]


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
