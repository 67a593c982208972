"""Random grants on S3 with hostile names, requests under them, and what the grants say, in the plainest way there is.

The way is the whole one: a policy file, its decision, the session policy that the builder prints.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from penstock_server.credentials.arns import parse_s3_arn
from penstock_server.credentials.covered import Covered, cover
from penstock_server.credentials.decision_grounds import grounds_of
from penstock_server.credentials.proof.grounds import beyond
from penstock_server.errors import AccessDenied, InvalidRequest
from penstock_server.model.decision import Access
from penstock_server.model.resource import S3Permission
from penstock_server.policy.bound import BoundPolicy

from support.credentials import aws_request, bound_policy, principal
from support.s3_scopes import ACCOUNT, BUCKETS, NEVER, OBJECT_ACTIONS, SEGMENTS, STRANGER, Probe
from support.tokens import request_context

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONG = "k" * 1_000
GIVEN_BY = {
    Access.READ: frozenset({S3Permission.READ, S3Permission.LIST, S3Permission.VERSIONS}),
    Access.LIST: frozenset({S3Permission.LIST}),
    Access.WRITE: frozenset({S3Permission.WRITE, S3Permission.DELETE}),
}
_ESCAPES = {"*": "${*}", "?": "${?}", "$": "${$}"}


def escaped(text: str) -> str:
    """Give the text of an ARN that means exactly this."""
    return "".join(_ESCAPES.get(character, character) for character in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant to the group of its name; `pattern` is that of its keys, as IAM writes it."""

    name: str
    bucket: str
    pattern: str
    permissions: frozenset[S3Permission]

    def gives(self, permission: S3Permission, bucket: str, key: str) -> bool:
        """Tell whether it gives a permission on a key."""
        return permission in self.permissions and bucket == self.bucket and _matches(self.pattern, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of somebody in some groups, with the grants to those."""

    grants: tuple[Grant, ...]
    arns: tuple[str, ...]
    access: tuple[Access, ...]

    def denies(self, probe: Probe) -> bool:
        """Tell whether a request to AWS is beyond what is granted, or beyond what was asked for.

        A listing is that of every key below its prefix: the session gives it only where all of them are granted, but
        here it is enough that the prefix itself is not.
        """
        if probe.account != ACCOUNT or probe.customer_key:
            return True
        if probe.key is None:
            return self._denies_listing(probe)
        permission = OBJECT_ACTIONS.get(probe.action)
        if permission is None or not any(permission in GIVEN_BY[access] for access in self.access):
            return True
        asked = any(_asks(arn, probe.bucket, probe.key) for arn in self.arns)
        return not (asked and any(grant.gives(permission, probe.bucket, probe.key) for grant in self.grants))

    def _denies_listing(self, probe: Probe) -> bool:
        needed = {
            "s3:ListBucket": {S3Permission.LIST},
            "s3:ListBucketVersions": {S3Permission.LIST, S3Permission.VERSIONS},
        }.get(probe.action)
        if needed is None or not needed <= {given for access in self.access for given in GIVEN_BY[access]}:
            return True
        prefix = probe.prefix or ""
        asked = any(arn.endswith("/*") and _asks(arn, probe.bucket, prefix) for arn in self.arns)
        return not asked or not all(
            any(grant.gives(permission, probe.bucket, prefix) for grant in self.grants) for permission in needed
        )


@lru_cache(maxsize=50_000)
def _asks(arn: str, bucket: str, key: str) -> bool:
    asked = parse_s3_arn(arn, field="resources")
    if asked.location.bucket != bucket:
        return False
    return key == asked.location.key if asked.exact else key.startswith(asked.location.key)


@lru_cache(maxsize=50_000)
def _matches(pattern: str, key: str) -> bool:
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    signs = {"*": ".*", "?": "."}
    text = "".join(signs.get(part) or re.escape(part[2] if part.startswith("${") else part) for part in parts)
    return re.fullmatch(text, key, re.DOTALL) is not None


def _segment(source: random.Random) -> str:
    return LONG if source.random() < 0.01 else source.choice(SEGMENTS)


def _grant(source: random.Random, name: str) -> Grant:
    parts = [escaped(_segment(source)) for _ in range(source.randint(0, 2))]
    if LONG in parts:
        parts = [LONG]  # a key has at most 1,024 bytes
    if parts and source.random() < 0.3:
        place = source.randrange(len(parts))
        parts[place] = source.choice(("*", "?", "fin*", "*ance", "?r", "y*=?013", "a*b?c"))
    ending = source.choice(("*", "*", "*", "*", "*.csv", "a", "x?"))
    return Grant(
        name=name,
        bucket=source.choice(BUCKETS),
        pattern="/".join([*parts, ending]),
        permissions=frozenset(source.sample(sorted(S3Permission), source.randint(1, len(S3Permission)))),
    )


def _request(source: random.Random, grants: Sequence[Grant]) -> tuple[tuple[str, ...], tuple[Access, ...]]:
    grant = source.choice(grants)
    key = _example(source, grant.pattern)
    arns = [f"arn:aws:s3:::{grant.bucket}/{key}"]
    if source.random() < 0.2:
        arns.append(f"arn:aws:s3:::{grant.bucket}/{key.removesuffix('*')}{escaped(source.choice(SEGMENTS[:9]))}x/*")
    wanted = [
        access
        for access, needed in ((Access.READ, "READ"), (Access.LIST, "LIST"), (Access.WRITE, "WRITE"))
        if S3Permission[needed] in grant.permissions and (access is not Access.LIST or key.endswith("/*") or key == "*")
    ]
    return tuple(arns), tuple(source.sample(wanted, source.randint(1, len(wanted)))) if wanted else (Access.READ,)


def _example(source: random.Random, pattern: str) -> str:
    """Give the rest of an ARN that the pattern covers, more often than not: an object or a prefix."""
    stem = pattern
    prefix = stem.endswith("/*") or stem == "*"
    if prefix:
        stem = stem[:-1]
    examples = {"*": ("", "x", "in/anc", "${?}"), "?": ("a", "\u00e9", "/")}
    parts = re.split(r"(\$\{[*?$]\}|[*?])", stem)
    text = "".join(source.choice(examples.get(part, (part,))) for part in parts)
    if prefix:
        return f"{text}*" if source.random() < 0.6 else f"{text}{escaped(source.choice(SEGMENTS) or 'x')}/*"
    return text or "x"


def asked_for(folder: Path, source: random.Random, count: int) -> Iterator[tuple[Asked, Covered]]:
    """Give requests under freshly generated grants that the policy allows, with what it gives for them.

    `count` grants are generated; each request has one or two of them.
    """
    grants = [_grant(source, f"g{number}") for number in range(count)]
    policy = _bound(folder, grants)
    facts = request_context().facts(at=AT, requested_ttl=None, purpose="", carried=True)
    for first, second in zip(grants, [*grants[1:], grants[0]], strict=True):
        held = (first,) if source.random() < 0.5 else (first, second)
        arns, access = _request(source, held)
        asked = Asked(grants=held, arns=arns, access=access)
        who = principal("alice", *(grant.name for grant in held))
        request = aws_request(*arns, access=access)
        try:
            covered = cover(policy, who, request, facts=facts)
        except (AccessDenied, InvalidRequest):
            continue  # not covered, or a key of more than 1,024 bytes
        assert beyond(covered.scopes, grounds_of(policy, who, request, covered)) is None, asked
        yield asked, covered


def _bound(folder: Path, grants: Sequence[Grant]) -> BoundPolicy:
    entries = [
        {
            "name": grant.name,
            "principals": [f"group:{grant.name}"],
            "resource": f"arn:aws:s3:::{grant.bucket}/{grant.pattern}",
            "permissions": sorted(permission.value for permission in grant.permissions),
        }
        for grant in grants
    ]
    return bound_policy(folder, f"grants: {json.dumps(entries, ensure_ascii=False)}\n")


def probes_of(source: random.Random, asked: Asked, count: int) -> Iterator[Probe]:
    """Give requests to AWS: some inside what was asked, most just beside it."""
    for _ in range(count):
        location = parse_s3_arn(source.choice(asked.arns), field="resources").location
        key = source.choice(
            (
                location.key,
                location.key + "x/y",
                location.key[:-1],
                location.key[:-1] + "2/x",
                location.key[: len(location.key) // 2] + "x",
                location.key.replace("*", "anything").replace("?", "z").replace("${aws:username}", "bob"),
                location.key.swapcase() + "x",
                "/" + location.key,
                source.choice(SEGMENTS) + "/" + source.choice(SEGMENTS),
            )
        )
        bucket = location.bucket if source.random() < 0.85 else source.choice(BUCKETS)
        account = ACCOUNT if source.random() < 0.95 else STRANGER
        if source.random() < 0.35:
            action = source.choice(("s3:ListBucket", "s3:ListBucketVersions"))
            prefix = source.choice((None, "", key, key, key))
            yield Probe(action=action, bucket=bucket, key=None, prefix=prefix, account=account)
        elif key:
            action = source.choice(NEVER) if source.random() < 0.1 else source.choice(tuple(OBJECT_ACTIONS))
            yield Probe(
                action=action,
                bucket=bucket,
                key=key,
                prefix=None,
                account=account,
                customer_key=action == "s3:PutObject" and source.random() < 0.2,
            )
