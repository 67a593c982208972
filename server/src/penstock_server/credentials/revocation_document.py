"""The revocation document: a permissions boundary that allows everything but what was revoked.

A pure function of the entries and of nothing else: the same entries give the same bytes, in whatever order they come.
It is attached to target roles as their *permissions boundary*, where it can only take away; as a policy of permissions
it would allow everything.

| entry | denied |
|---|---|
| a person | sessions with that `aws:SourceIdentity` that AWS made until T |
| a lease | the one session with that tag `penstock:lease`; it needs no T, because no other session has the tag |
| a role | sessions of that `aws:PrincipalArn` that AWS made until T |

T is compared by `DateLessThanEquals aws:TokenIssueTime`, which has whole seconds of STS's clock.

**What does not fit is widened and never dropped**: each level below denies all that the one before it denies.

1. Each person with their own T, each lease, each role.
2. All persons with the latest T of theirs. Costs sessions that one of them was given after their own T.
3. The roles of leases instead of leases, with the latest T of theirs. Costs everybody's sessions of these roles.
4. All sessions of all roles that carry the boundary, until the latest T of all.

Source: IAM user guide, "Permissions boundaries for IAM entities", "AWS global condition context keys"
(aws:TokenIssueTime, aws:SourceIdentity), "Revoking IAM role temporary security credentials"; IAM quotas: a managed
policy has at most 6,144 characters, white space not counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from penstock_server.credentials.names import LEASE_TAG
from penstock_server.model.lease import Revocation, RevocationKind

LIMIT_CHARS: Final = 6_144

Statement = dict[str, object]


class Width(IntEnum):
    """How much wider than asked the document is."""

    EXACT = 1
    ONE_TIME = 2
    ROLES_OF_LEASES = 3
    EVERYTHING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationDocument:
    """The text to write, as compact JSON, and how wide it is."""

    text: str
    width: Width


def revocation_document(entries: Iterable[Revocation], *, limit_chars: int = LIMIT_CHARS) -> RevocationDocument:
    """Give the document of these entries, no wider than the limit makes it.

    Entries that have left are the caller's to leave out; a lease that is no session of AWS is none of the document's.
    """
    meant = [entry for entry in entries if entry.kind is not RevocationKind.LEASE or entry.role]
    for width, statements in _LEVELS:
        text = _print(statements(meant))
        if len(text) <= limit_chars:
            return RevocationDocument(text=text, width=width)
    raise RuntimeError("a document of one statement does not fit")


def _exact(entries: Sequence[Revocation]) -> list[Statement]:
    return [*_persons(entries), *_leases(entries), *_roles(entries)]


def _one_time(entries: Sequence[Revocation]) -> list[Statement]:
    return [*_persons_at_once(entries), *_leases(entries), *_roles(entries)]


def _roles_of_leases(entries: Sequence[Revocation]) -> list[Statement]:
    return [*_persons_at_once(entries), *_roles([_as_role(entry) for entry in entries])]


def _everything(entries: Sequence[Revocation]) -> list[Statement]:
    return [_deny("All", {"DateLessThanEquals": _until(max(entry.until for entry in entries))})] if entries else []


_LEVELS: Final[tuple[tuple[Width, Callable[[Sequence[Revocation]], list[Statement]]], ...]] = (
    (Width.EXACT, _exact),
    (Width.ONE_TIME, _one_time),
    (Width.ROLES_OF_LEASES, _roles_of_leases),
    (Width.EVERYTHING, _everything),
)


def _persons(entries: Sequence[Revocation]) -> list[Statement]:
    by_time: dict[datetime, set[str]] = defaultdict(set)
    for entry in _of(RevocationKind.PERSON, entries):
        by_time[entry.until].add(entry.target)
    return [_deny_persons(f"P{index}", by_time[until], until) for index, until in enumerate(sorted(by_time))]


def _persons_at_once(entries: Sequence[Revocation]) -> list[Statement]:
    persons = _of(RevocationKind.PERSON, entries)
    if not persons:
        return []
    return [_deny_persons("P", {entry.target for entry in persons}, max(entry.until for entry in persons))]


def _leases(entries: Sequence[Revocation]) -> list[Statement]:
    ids = sorted(entry.target for entry in _of(RevocationKind.LEASE, entries))
    return [_deny("L", {"StringEquals": {f"aws:PrincipalTag/{LEASE_TAG}": ids}})] if ids else []


def _roles(entries: Sequence[Revocation]) -> list[Statement]:
    latest: dict[str, datetime] = {}
    for entry in _of(RevocationKind.ROLE, entries):
        latest[entry.target] = max(entry.until, latest.get(entry.target, entry.until))
    by_time: dict[datetime, list[str]] = defaultdict(list)
    for role in sorted(latest):
        by_time[latest[role]].append(role)
    return [
        _deny(f"R{index}", {"ArnEquals": {"aws:PrincipalArn": by_time[until]}, "DateLessThanEquals": _until(until)})
        for index, until in enumerate(sorted(by_time))
    ]


def _as_role(entry: Revocation) -> Revocation:
    if entry.kind is not RevocationKind.LEASE:
        return entry
    return Revocation(
        kind=RevocationKind.ROLE,
        target=entry.role,
        role="",
        until=entry.until,
        leaves_at=entry.leaves_at,
        generation=entry.generation,
        cause=entry.cause,
        leases=entry.leases,
    )


def _of(kind: RevocationKind, entries: Sequence[Revocation]) -> list[Revocation]:
    return [entry for entry in entries if entry.kind is kind]


def _deny_persons(sid: str, names: Iterable[str], until: datetime) -> Statement:
    condition = {"StringEquals": {"aws:SourceIdentity": sorted(names)}, "DateLessThanEquals": _until(until)}
    return _deny(sid, condition)


def _deny(sid: str, condition: dict[str, object]) -> Statement:
    return {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}


def _until(instant: datetime) -> dict[str, str]:
    return {"aws:TokenIssueTime": instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _print(denials: list[Statement]) -> str:
    passing = {"Sid": "Pass", "Effect": "Allow", "Action": "*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [passing, *denials]}, separators=(",", ":"))
