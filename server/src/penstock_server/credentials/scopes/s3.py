"""S3: what a session may do with objects and prefixes, and a fence around it.

| permission | objects | the bucket |
|---|---|---|
| READ | GetObject | |
| LIST | | ListBucket under the prefix |
| WRITE | PutObject, AbortMultipartUpload, ListMultipartUploadParts | |
| VERSIONS | GetObjectVersion | with LIST: ListBucketVersions under the prefix |
| DELETE | DeleteObject | |

Never: ListBucketMultipartUploads (it has no prefix key, so it shows every upload of the bucket), DeleteObjectVersion,
access control lists, tags, retention, customer-provided keys.

**Allow** names exactly these. **The fence** denies the same from the other side: all other actions, all other
resources, every listing outside the prefixes, every other account. It is needed because a session policy does not
limit what a *resource* policy grants to everybody under a condition, or to the session's own ARN: only an explicit
Deny does.

A listing is allowed for `s3:prefix` values that begin with the whole prefix, its slash included: `finance` would also
list `finance2/`. HeadBucket is ListBucket without a prefix and therefore denied. A single object is never listed.

Source: AWS service authorization reference, Amazon S3; IAM user guide, "Principal" (aws:PrincipalArn with `*`);
S3 user guide, "Bucket policy examples using condition keys" (s3:prefix).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from penstock_server.credentials.session_policy import Condition, Effect, Pattern, Statement, literal
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Permission

LIST_BUCKET = "s3:ListBucket"
LIST_BUCKET_VERSIONS = "s3:ListBucketVersions"
PUT_OBJECT = "s3:PutObject"
OBJECT_ACTIONS: Mapping[S3Permission, tuple[str, ...]] = {
    S3Permission.READ: ("s3:GetObject",),
    S3Permission.LIST: (),
    S3Permission.WRITE: (PUT_OBJECT, "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    S3Permission.VERSIONS: ("s3:GetObjectVersion",),
    S3Permission.DELETE: ("s3:DeleteObject",),
}

_ANY = Pattern("*")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Keys:
    """One object, or all keys that begin with `key`."""

    bucket: str
    key: str
    exact: bool

    def covers(self, other: _Keys) -> bool:
        if self.bucket != other.bucket:
            return False
        return self == other if self.exact else other.key.startswith(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Actions that share exactly the same keys."""

    actions: tuple[str, ...]
    keys: tuple[_Keys, ...]

    @property
    def buckets(self) -> tuple[str, ...]:
        return tuple(sorted({keys.bucket for keys in self.keys}))


def statements(
    scopes: Iterable[S3Scope],
    *,
    account: str,
    ends_at: datetime | None,
    others: tuple[str, ...] = (),
    unowned: tuple[str, ...] = (),
) -> tuple[Statement, ...]:
    """Give the statements that allow exactly these scopes and deny all else.

    `others` are the actions of other services which their builders allow and fence in, beside `unowned` ones, whose
    ARNs name their account.

    `account` is the twelve digits of the account that owns role and buckets: S3 ARNs name none, so that a bucket name
    which was given up and registered by a stranger would receive what is written. `ends_at` closes the session at an
    instant, for a decision that ends before a session of AWS's shortest lifetime surely would; None = no such bound.
    """
    scopes = tuple(scopes)
    objects = _group(_object_keys(scopes))
    listings = _group_listings(_listed_keys(scopes))
    allowed = (*(_allow_objects(reach, account) for reach in objects), *_allow_listings(listings, account))
    return (*allowed, *_fence(objects, listings, account, ends_at, others=others, unowned=unowned))


def all_actions(scopes: Iterable[S3Scope]) -> tuple[str, ...]:
    """Give every action that some scope allows, sorted."""
    scopes = tuple(scopes)
    return tuple(sorted({*_object_keys(scopes), *_listed_keys(scopes)}))


def describe(scopes: Iterable[S3Scope]) -> str:
    """Give scopes as text for leases and the audit: `READ,LIST arn:aws:s3:::acme-lake/finance/*; ...`."""
    parts = ((",".join(sorted(permission.value for permission in scope.permissions)), scope) for scope in scopes)
    return "; ".join(f"{permissions} {arn_of(scope)}" for permissions, scope in parts)


def arn_of(scope: S3Scope) -> str:
    """Give the ARN of a scope as a caller would write it."""
    keys = _Keys(bucket=scope.location.bucket, key=scope.location.key, exact=scope.exact)
    return _object_patterns((keys,))[0]


def _object_keys(scopes: tuple[S3Scope, ...]) -> dict[str, list[_Keys]]:
    reached: dict[str, list[_Keys]] = defaultdict(list)
    for scope in scopes:
        keys = _Keys(bucket=scope.location.bucket, key=scope.location.key, exact=scope.exact)
        for permission in scope.permissions:
            for action in OBJECT_ACTIONS[permission]:
                reached[action].append(keys)
    return reached


def _listed_keys(scopes: tuple[S3Scope, ...]) -> dict[str, list[_Keys]]:
    reached: dict[str, list[_Keys]] = defaultdict(list)
    for scope in scopes:
        # A listing takes a prefix, never one name: listing the name `a.csv` would also show `a.csv.bak`.
        if scope.exact or S3Permission.LIST not in scope.permissions:
            continue
        keys = _Keys(bucket=scope.location.bucket, key=scope.location.key, exact=False)
        reached[LIST_BUCKET].append(keys)
        if S3Permission.VERSIONS in scope.permissions:
            reached[LIST_BUCKET_VERSIONS].append(keys)
    return reached


def _group(reached: Mapping[str, list[_Keys]]) -> tuple[_Reach, ...]:
    # INVARIANT: actions are joined in one statement only where their keys are equal; anything else is a cross product.
    actions: dict[tuple[_Keys, ...], list[str]] = defaultdict(list)
    for action in sorted(reached):
        actions[_minimal(reached[action])].append(action)
    return tuple(_Reach(actions=tuple(names), keys=keys) for keys, names in sorted(actions.items()))


def _group_listings(reached: Mapping[str, list[_Keys]]) -> tuple[_Reach, ...]:
    # Apart by bucket: the prefixes of one bucket must not open another.
    by_bucket: list[_Reach] = []
    for bucket in sorted({keys.bucket for listed in reached.values() for keys in listed}):
        here = {action: [keys for keys in listed if keys.bucket == bucket] for action, listed in reached.items()}
        by_bucket.extend(_group({action: listed for action, listed in here.items() if listed}))
    return tuple(by_bucket)


def _minimal(all_keys: list[_Keys]) -> tuple[_Keys, ...]:
    distinct = sorted(set(all_keys))
    return tuple(keys for keys in distinct if not any(other != keys and other.covers(keys) for other in distinct))


def _allow_objects(reach: _Reach, account: str) -> Statement:
    return Statement(
        effect=Effect.ALLOW,
        actions=reach.actions,
        resources=_object_patterns(reach.keys),
        conditions=(_in_account(account),),
    )


def _allow_listings(listings: tuple[_Reach, ...], account: str) -> Iterable[Statement]:
    for reach in listings:
        conditions = (*_under_prefixes(reach, "StringLike"), _in_account(account))
        yield Statement(
            effect=Effect.ALLOW, actions=reach.actions, resources=_bucket_patterns(reach.buckets), conditions=conditions
        )


def _fence(
    objects: tuple[_Reach, ...],
    listings: tuple[_Reach, ...],
    account: str,
    ends_at: datetime | None,
    *,
    others: tuple[str, ...],
    unowned: tuple[str, ...],
) -> Iterable[Statement]:
    actions = tuple(sorted({*(action for reach in (*objects, *listings) for action in reach.actions), *others}))
    every = tuple(sorted({*actions, *unowned}))
    yield Statement(effect=Effect.DENY, actions=every, all_other_actions=True, resources=(_ANY,), conditions=())
    yield from _deny_other_resources(objects, listings, apart=bool(others or unowned))
    for reach in listings:
        outside = _under_prefixes(reach, "StringNotLike")
        if outside:
            # Where no other bucket is listed by these actions, they are denied there already, and `*` is shorter.
            alone = not any(
                other.buckets != reach.buckets and set(other.actions) & set(reach.actions) for other in listings
            )
            resources = (_ANY,) if alone else _bucket_patterns(reach.buckets)
            yield Statement(effect=Effect.DENY, actions=reach.actions, resources=resources, conditions=outside)
    yield _deny_where("StringNotEquals", "aws:ResourceAccount", Pattern(account), actions if unowned else ("*",))
    if PUT_OBJECT in actions:
        # SECURITY: with a key of the writer's own, objects could be overwritten so that nobody else reads them again.
        yield Statement(
            effect=Effect.DENY,
            actions=(PUT_OBJECT,),
            resources=(_ANY,),
            conditions=(
                Condition(
                    operator="Null",
                    key="s3:x-amz-server-side-encryption-customer-algorithm",
                    values=(Pattern("false"),),
                ),
            ),
        )
    if ends_at is not None:
        yield _deny_where("DateGreaterThanEquals", "aws:CurrentTime", Pattern(ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")))


def _deny_other_resources(
    objects: tuple[_Reach, ...], listings: tuple[_Reach, ...], *, apart: bool
) -> Iterable[Statement]:
    listed: dict[str, list[str]] = defaultdict(list)
    for reach in listings:
        for action in reach.actions:
            listed[action].extend(reach.buckets)
    by_resources: dict[tuple[Pattern, ...], list[str]] = defaultdict(list)
    for reach in objects:
        by_resources[_object_patterns(reach.keys)].extend(reach.actions)
    for action, buckets in listed.items():
        by_resources[_bucket_patterns(tuple(sorted(set(buckets))))].append(action)
    if not apart and len(objects) <= 1 and len({tuple(sorted(set(buckets))) for buckets in listed.values()}) <= 1:
        # No object's ARN is a bucket's, so one list of both kinds denies the same as two.
        resources = tuple(pattern for patterns in by_resources for pattern in patterns)
        yield Statement(
            effect=Effect.DENY, actions=("*",), resources=resources, all_other_resources=True, conditions=()
        )
        return
    for patterns, actions in by_resources.items():
        yield Statement(
            effect=Effect.DENY,
            actions=tuple(sorted(actions)),
            resources=patterns,
            all_other_resources=True,
            conditions=(),
        )


def _deny_where(operator: str, key: str, value: Pattern, actions: tuple[str, ...] = ("*",)) -> Statement:
    condition = Condition(operator=operator, key=key, values=(value,))
    return Statement(effect=Effect.DENY, actions=actions, resources=(_ANY,), conditions=(condition,))


def _in_account(account: str) -> Condition:
    return Condition(operator="StringEquals", key="aws:ResourceAccount", values=(Pattern(account),))


def _under_prefixes(reach: _Reach, operator: str) -> tuple[Condition, ...]:
    if any(keys.key == "" for keys in reach.keys):
        return ()  # the whole bucket, listed without a prefix too
    patterns = tuple(Pattern(literal(keys.key) + "*") for keys in reach.keys)
    return (Condition(operator=operator, key="s3:prefix", values=patterns),)


def _object_patterns(all_keys: tuple[_Keys, ...]) -> tuple[Pattern, ...]:
    return tuple(
        Pattern(f"arn:aws:s3:::{keys.bucket}/{literal(keys.key)}{'' if keys.exact else '*'}") for keys in all_keys
    )


def _bucket_patterns(buckets: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(Pattern(f"arn:aws:s3:::{bucket}") for bucket in buckets)
