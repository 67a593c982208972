"""What the policies of served buckets, tables, streams and keys give to others than the roles of sessions.

AWS: what a resource policy grants to `*` under whatever condition, or to a session by name, a session policy does not
limit (IAM user guide, "AWS JSON policy elements: Principal", "Session policies"). The explicit Deny of each session
policy is the first line against that; this is the second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock_server.aws.probes import Outcome, Probed, Probes

Statement = Mapping[str, Any]

_ARN_ACCOUNT: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):.*", re.ASCII | re.DOTALL)
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)


class Kind(StrEnum):
    """A resource that may have a policy of its own; the value names it for people."""

    BUCKET = "bucket"
    TABLE = "table"
    STREAM = "stream"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedResource:
    """A resource by its ARN (`arn:aws:s3:::BUCKET` for a bucket)."""

    kind: Kind
    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """What was read: `statements` is () where there is no policy, None where none is known, and `why` says so.

    `denied`: AWS refused to show it.
    """

    statements: tuple[Statement, ...] | None
    why: str = ""
    denied: bool = False
    absent: bool = False


async def read_policy(probes: Probes, resource: GuardedResource) -> ResourcePolicy:
    """Read the policy of a resource as the broker; what cannot be read is not known, and raises nothing."""
    probed = await _ask(probes, resource)
    if probed.outcome is Outcome.ABSENT:
        return ResourcePolicy(statements=(), absent=True)
    if not probed.answered:
        return ResourcePolicy(statements=None, why=probed.why, denied=probed.outcome is Outcome.DENIED)
    text = probed.answer.get("Policy")
    if text in (None, ""):
        return ResourcePolicy(statements=(), absent=True)
    try:
        return ResourcePolicy(statements=_statements(text))
    except (ValueError, RecursionError):
        return ResourcePolicy(statements=None, why="the policy cannot be read")


def open_grant(statement: Statement, own_accounts: frozenset[str]) -> str:
    """Say how a statement lets in everybody, a session by name or another account than these; "" where it does not.

    Conditions count for nothing: what they compare may be the caller's to choose.
    """
    if statement.get("Effect") == "Deny":
        return ""
    sid = statement.get("Sid") or "a statement without Sid"
    if "NotPrincipal" in statement:
        return f"`{sid}` allows everybody but some"
    for kind, principal in _principals(statement.get("Principal")):
        if principal == "*":
            return f"`{sid}` allows `*`{' under a condition' if statement.get('Condition') else ''}"
        if kind in {"Service", "Federated"}:
            continue
        if ":assumed-role/" in principal or "federated-user/" in principal:
            return f"`{sid}` allows the session `{principal}`"
        account = _account_of(principal)
        # SECURITY: who names no account (CanonicalUser, ids of deleted principals) may be anybody's.
        if not account:
            return f"`{sid}` allows `{principal}`, which names no account"
        if account not in own_accounts:
            return f"`{sid}` allows the account {account}"
    return ""


def open_grants(statements: Iterable[Statement], own_accounts: frozenset[str]) -> tuple[str, ...]:
    """Say of each statement that is an open grant how it is."""
    return tuple(found for statement in statements if (found := open_grant(statement, own_accounts)))


def principals_of(statement: Statement) -> tuple[str, ...]:
    """Give whom a statement names, of whatever kind."""
    return tuple(principal for _, principal in _principals(statement.get("Principal")))


async def _ask(probes: Probes, resource: GuardedResource) -> Probed:
    arn = resource.arn
    parts = arn.split(":")
    match resource.kind:
        case Kind.BUCKET:
            return await probes.ask("s3", "get_bucket_policy", {"Bucket": parts[-1]})
        case Kind.TABLE:
            return await probes.ask("dynamodb", "get_resource_policy", {"ResourceArn": arn}, region=parts[3])
        case Kind.STREAM:
            return await probes.ask("kinesis", "get_resource_policy", {"ResourceARN": arn}, region=parts[3])
        case Kind.KEY:
            parameters = {"KeyId": arn, "PolicyName": "default"}
            return await probes.ask("kms", "get_key_policy", parameters, region=parts[3])


def _statements(text: object) -> tuple[Statement, ...]:
    document = json.loads(str(text))
    if document == {}:
        return ()
    found = document.get("Statement") if isinstance(document, dict) else None
    statements: Sequence[object] = [found] if isinstance(found, dict) else found if isinstance(found, list) else ()
    read = tuple(each for each in statements if isinstance(each, dict))
    if not read or len(read) != len(statements):
        raise ValueError("no statements")
    return read


def _principals(principal: object) -> Iterable[tuple[str, str]]:
    # What is no such element counts as everybody.
    if isinstance(principal, str):
        return (("AWS", principal),)
    if not isinstance(principal, dict) or not principal:
        return (("AWS", "*"),)
    return tuple(
        (str(kind), str(each))
        for kind, named in principal.items()
        for each in (named if isinstance(named, list) else [named])
    )


def _account_of(principal: str) -> str:
    if _ACCOUNT.fullmatch(principal):
        return principal
    match = _ARN_ACCOUNT.fullmatch(principal)
    return "" if match is None else match[1]
