"""What a decision on S3 rests on, and whether it stays within it: the texts of grants and of the request.

The keys of every decided scope must lie, for each of its permissions,

1. where a grant that the decision names gives the permission,
2. where no denial takes it away,
3. where the request asks for it, as the caller wrote it,
4. in what was looked up among the closed locations.

Each of these is a union of key patterns, read from the texts anew; an intersection of grant and request, which the
policy and the door compute, is computed nowhere here. So a mistake in that is found, and one in reading a wildcard too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.credentials.proof.domains import BUCKETS_AND_OBJECTS, TextDomain
from penstock_server.credentials.proof.outcomes import Doubt, Refused, Request
from penstock_server.credentials.proof.patterns import NotUnderstood, Pattern, beginning, read_pattern, text_of
from penstock_server.credentials.proof.steps import MAX_STEPS_OF_GROUNDS, Steps, TooManySteps
from penstock_server.model.decision import Access, S3Scope
from penstock_server.model.resource import S3Location, S3Permission

_EVERY: Final = frozenset(S3Permission)
_ASKED_BY: Final[Mapping[Access, frozenset[S3Permission]]] = {
    Access.READ: frozenset({S3Permission.READ, S3Permission.LIST, S3Permission.VERSIONS}),
    Access.LIST: frozenset({S3Permission.LIST}),
    Access.WRITE: frozenset({S3Permission.WRITE, S3Permission.DELETE}),
}
_ACTIONS: Final = {
    S3Permission.READ: "s3:getobject",
    S3Permission.LIST: "s3:listbucket",
    S3Permission.WRITE: "s3:putobject",
    S3Permission.VERSIONS: "s3:getobjectversion",
    S3Permission.DELETE: "s3:deleteobject",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of one bucket, and permissions on them."""

    bucket: str
    pattern: Pattern
    permissions: frozenset[S3Permission]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a decision rests on, each a union."""

    granted: tuple[Keys, ...]
    denied: tuple[Keys, ...]
    asked: tuple[Keys, ...]
    looked_up: tuple[Keys, ...]


def granted_by(arn: str, permissions: frozenset[S3Permission]) -> Keys:
    """Give the keys of an ARN as a policy or a caller writes it.

    Raises:
        NotUnderstood: it is no ARN of objects in one bucket.
    """
    bucket, slash, key = arn.removeprefix(BUCKETS_AND_OBJECTS).partition("/")
    if not (arn.startswith(BUCKETS_AND_OBJECTS) and slash) or set(bucket) & set("*?$:"):
        raise NotUnderstood(f"the ARN {arn!r}")
    return Keys(bucket=bucket, pattern=read_pattern(key), permissions=permissions)


def denied_by(arn: str, permissions: frozenset[S3Permission]) -> Keys:
    """Give the keys of a denial: whoever may not read an object may not read its older versions.

    Raises:
        NotUnderstood: it is no ARN of objects in one bucket.
    """
    also = {S3Permission.VERSIONS} if S3Permission.READ in permissions else set[S3Permission]()
    return granted_by(arn, permissions | also)


def asked_by(arn: str, access: Iterable[Access]) -> Keys:
    """Give the keys of a requested ARN with all that the access may bring.

    Raises:
        NotUnderstood: it is no ARN of objects in one bucket.
    """
    return granted_by(arn, frozenset[S3Permission]().union(*(_ASKED_BY[each] for each in access)))


def files_of(location: S3Location) -> tuple[Keys, ...]:
    """Give the keys of a table's location: all below it, and without a closing slash the object of its name."""
    key = location.key
    closed = not key or key.endswith("/")
    patterns = [beginning(key)] if closed else [text_of(key), beginning(f"{key}/")]
    given = frozenset({S3Permission.READ, S3Permission.LIST})
    return tuple(Keys(bucket=location.bucket, pattern=pattern, permissions=given) for pattern in patterns)


def looked_up_at(location: S3Location, *, exact: bool) -> Keys:
    """Give the keys among which closed locations were looked for."""
    return Keys(
        bucket=location.bucket,
        pattern=text_of(location.key) if exact else beginning(location.key),
        permissions=_EVERY,
    )


def beyond(scopes: Iterable[S3Scope], grounds: Grounds, *, steps: Steps | None = None) -> Refused | None:
    """Give what a decision holds beyond its grounds, or None."""
    counted = steps or Steps(MAX_STEPS_OF_GROUNDS)
    try:
        by_bucket: dict[str, list[S3Scope]] = {}
        for scope in scopes:
            by_bucket.setdefault(scope.location.bucket, []).append(scope)
        for bucket, here in by_bucket.items():
            found = _Bucket(bucket, here, grounds, counted).beyond()
            if found is not None:
                return found
    except TooManySteps:
        return Refused(doubt=Doubt.TOO_MANY_STEPS, detail=f"{counted.spent} steps")
    return None


class _Bucket:
    def __init__(self, bucket: str, scopes: list[S3Scope], grounds: Grounds, steps: Steps) -> None:
        self._bucket = bucket
        self._scopes = [
            (scope, text_of(scope.location.key) if scope.exact else beginning(scope.location.key)) for scope in scopes
        ]
        self._granted = self._here(grounds.granted)
        self._denied = self._here(grounds.denied)
        self._asked = self._here(grounds.asked)
        self._looked_up = self._here(grounds.looked_up)
        every = (*self._granted, *self._denied, *self._asked, *self._looked_up)
        patterns = {*(keys.pattern for keys in every), *(pattern for _, pattern in self._scopes)}
        self._domain = TextDomain(patterns, steps, optional=False)

    def beyond(self) -> Refused | None:
        for scope, pattern in self._scopes:
            keys = self._domain.matching((pattern,))
            for permission in sorted(scope.permissions):
                for doubt, outside in (
                    (Doubt.NOT_GRANTED, keys & ~self._with(self._granted, permission)),
                    (Doubt.DENIED, keys & self._with(self._denied, permission)),
                    (Doubt.NOT_ASKED, keys & ~self._with(self._asked, permission)),
                    (Doubt.NOT_LOOKED_UP, keys & ~self._with(self._looked_up, permission)),
                ):
                    if outside:
                        return Refused(doubt=doubt, witness=self._request(permission, outside))
        return None

    def _here(self, keys: Iterable[Keys]) -> tuple[Keys, ...]:
        return tuple(each for each in keys if each.bucket == self._bucket)

    def _with(self, keys: Iterable[Keys], permission: S3Permission) -> int:
        return self._domain.matching(each.pattern for each in keys if permission in each.permissions)

    def _request(self, permission: S3Permission, keys: int) -> Request:
        key = self._domain.sample((keys & -keys).bit_length() - 1) or ""
        bucket = f"{BUCKETS_AND_OBJECTS}{self._bucket}"
        if permission is S3Permission.LIST:
            return Request(action=_ACTIONS[permission], resource=bucket, context=(("s3:prefix", key),))
        return Request(action=_ACTIONS[permission], resource=f"{bucket}/{key}", context=())
