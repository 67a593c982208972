"""Random S3 scopes with hostile names, and what they mean, said in the plainest way there is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission

ACCOUNT = "111122223333"
STRANGER = "999988887777"
NOW = "2026-11-24T12:00:00Z"
ENDED = datetime(2026, 11, 24, 11, 59, tzinfo=UTC)
SSE_C = "s3:x-amz-server-side-encryption-customer-algorithm"

SEGMENTS = (
    "finance",
    "finance2",
    "hr",
    "*",
    "?",
    "$",
    "a*b?c",
    "${aws:username}",
    "${*}",
    "${",
    "}",
    "..",
    ".",
    "",
    " ",
    '"',
    "\\",
    "'",
    "a%2Fb",
    "caf\u00e9",
    "cafe\u0301",
    "\u4e2d\u6587",
    "\U0001f600",
    "\u00ff",
    "[x]",
    "<&>",
    "a:b",
    "year=2013",
    "\u202e",
    "k" * 200,
)
BUCKETS = ("acme-lake", "acme-lake2", "acme.lake")
OBJECT_ACTIONS = {
    "s3:GetObject": S3Permission.READ,
    "s3:PutObject": S3Permission.WRITE,
    "s3:AbortMultipartUpload": S3Permission.WRITE,
    "s3:ListMultipartUploadParts": S3Permission.WRITE,
    "s3:GetObjectVersion": S3Permission.VERSIONS,
    "s3:DeleteObject": S3Permission.DELETE,
}
NEVER = (
    "s3:DeleteObjectVersion",
    "s3:GetObjectAcl",
    "s3:PutObjectAcl",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:PutObjectRetention",
    "s3:BypassGovernanceRetention",
    "s3:RestoreObject",
    "s3:GetObjectAttributes",
)
NEVER_ON_BUCKETS = ("s3:ListBucketMultipartUploads", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A request to AWS; `key` None means the bucket itself, `prefix` None a listing without one."""

    action: str
    bucket: str
    key: str | None
    prefix: str | None
    account: str = ACCOUNT
    customer_key: bool = False

    @property
    def resource(self) -> str:
        """The ARN that AWS authorises."""
        return f"arn:aws:s3:::{self.bucket}" if self.key is None else f"arn:aws:s3:::{self.bucket}/{self.key}"

    @property
    def context(self) -> dict[str, str]:
        """The condition keys that AWS sets."""
        keys = {"aws:ResourceAccount": self.account, "aws:CurrentTime": NOW}
        if self.prefix is not None:
            keys["s3:prefix"] = self.prefix
        if self.customer_key:
            keys[SSE_C] = "AES256"
        return keys


def meant(scopes: Sequence[S3Scope], probe: Probe) -> bool:
    """Tell whether the scopes mean to allow a request: the specification, cell by cell."""
    if probe.account != ACCOUNT or probe.customer_key:
        return False
    return any(_means(scope, probe) for scope in scopes if scope.location.bucket == probe.bucket)


def _means(scope: S3Scope, probe: Probe) -> bool:
    if probe.key is not None:
        permission = OBJECT_ACTIONS.get(probe.action)
        inside = probe.key == scope.location.key if scope.exact else probe.key.startswith(scope.location.key)
        return permission in scope.permissions and inside
    needed = {
        "s3:ListBucket": {S3Permission.LIST},
        "s3:ListBucketVersions": {S3Permission.LIST, S3Permission.VERSIONS},
    }.get(probe.action)
    if needed is None or scope.exact or not needed <= scope.permissions:
        return False
    return scope.location.key == "" or (probe.prefix is not None and probe.prefix.startswith(scope.location.key))


def random_scopes(source: random.Random, *, most: int = 3) -> tuple[S3Scope, ...]:
    """Give one to `most` scopes, some within others, with any permissions."""
    scopes: list[S3Scope] = []
    for _ in range(source.randint(1, most)):
        exact = source.random() < 0.25
        parts = [source.choice(SEGMENTS) for _ in range(source.randint(0 if not exact else 1, 3))]
        key = "/".join(parts)
        if not exact and parts:
            key += "/"
        if not key and exact:
            key = "name"
        count = source.randint(1, len(S3Permission))
        permissions = frozenset(source.sample(sorted(S3Permission), count))
        if exact and permissions == {S3Permission.LIST}:
            permissions = frozenset({S3Permission.READ})
        scopes.append(
            S3Scope(location=S3Location(bucket=source.choice(BUCKETS), key=key), exact=exact, permissions=permissions)
        )
    return tuple(scopes)


def probes(source: random.Random, scopes: Sequence[S3Scope]) -> Iterator[Probe]:
    """Give requests inside each scope, next to it, and far from it."""
    for scope in scopes:
        bucket, key = scope.location.bucket, scope.location.key
        near = [
            key,
            key + source.choice(SEGMENTS),
            key + "x/y",
            key[:-1],
            key[:-1] + "2/x",
            key + "/",
            key.replace("*", "anything").replace("?", "z").replace("${aws:username}", "bob"),
            key.swapcase() + "x",
            "/" + key,
            source.choice(SEGMENTS) + "/" + source.choice(SEGMENTS),
        ]
        for name in dict.fromkeys(near):
            if name:
                action = source.choice(tuple(OBJECT_ACTIONS))
                yield Probe(action=action, bucket=bucket, key=name, prefix=None)
            listing = source.choice(("s3:ListBucket", "s3:ListBucketVersions"))
            yield Probe(action=listing, bucket=bucket, key=None, prefix=name)
        inside = key if scope.exact else key + "x"
        for action in OBJECT_ACTIONS:
            yield Probe(action=action, bucket=bucket, key=inside, prefix=None)
        yield Probe(action="s3:GetObject", bucket=bucket, key=inside, prefix=None, account=STRANGER)
        yield Probe(action="s3:PutObject", bucket=bucket, key=inside, prefix=None, account=STRANGER)
        yield Probe(action="s3:PutObject", bucket=bucket, key=inside, prefix=None, customer_key=True)
        yield Probe(action="s3:GetObject", bucket=source.choice(BUCKETS), key=inside, prefix=None)
        yield Probe(action="s3:ListBucket", bucket=bucket, key=None, prefix=None)
        yield Probe(action="s3:ListBucket", bucket=bucket, key=None, prefix="")
        yield Probe(action="s3:ListBucket", bucket=source.choice(BUCKETS), key=None, prefix=key)
        yield Probe(action=source.choice(NEVER), bucket=bucket, key=inside, prefix=None)
        yield Probe(action=source.choice(NEVER_ON_BUCKETS), bucket=bucket, key=None, prefix=None)
