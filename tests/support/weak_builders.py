"""The real S3 builder with one named mistake at a time: what the proof of a session policy must catch.

Each mistake replaces one part of `credentials.scopes.s3`, or of the printer, by what somebody might have written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from penstock_server.credentials import fit, session_policy
from penstock_server.credentials.proof.outcomes import Doubt
from penstock_server.credentials.scopes import s3
from penstock_server.credentials.session_policy import Condition, Effect, Pattern, Statement
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission

from support.s3_scopes import STRANGER

READ, LIST, WRITE = S3Permission.READ, S3Permission.LIST, S3Permission.WRITE


def scope(key: str, *permissions: S3Permission, bucket: str = "acme-lake") -> S3Scope:
    """A scope; a key that ends in a slash is a prefix."""
    exact = bool(key) and not key.endswith("/")
    location = S3Location(bucket=bucket, key=key)
    return S3Scope(location=location, exact=exact, permissions=frozenset(permissions or (READ, LIST)))


PLAIN = (scope("finance/"), scope("hr/public/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A mistake, scopes at which it matters, and the doubt that names it; `ends` where the decision must end."""

    make: Callable[[pytest.MonkeyPatch], None]
    doubt: Doubt
    scopes: tuple[S3Scope, ...] = PLAIN
    ends: bool = False


def _literal(*escaped: str) -> Callable[[pytest.MonkeyPatch], None]:
    escapes = {character: f"${{{character}}}" for character in escaped}

    def make(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(s3, "literal", lambda text: Pattern("".join(escapes.get(each, each) for each in text)))

    return make


def _resources(pattern: Callable[[Any], str]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(s3, "_object_patterns", lambda keys: tuple(Pattern(pattern(each)) for each in keys))

    return make


def _without_slash(patch: pytest.MonkeyPatch) -> None:
    _resources(lambda each: f"arn:aws:s3:::{each.bucket}/{each.key.rstrip('/')}*")(patch)


def _listing(change: Callable[[tuple[Condition, ...]], tuple[Condition, ...]]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        real = s3._under_prefixes
        patch.setattr(s3, "_under_prefixes", lambda reach, operator: change(real(reach, operator)))

    return make


def _values(change: Callable[[str], str]) -> Callable[[tuple[Condition, ...]], tuple[Condition, ...]]:
    return lambda conditions: tuple(
        replace(each, values=tuple(Pattern(change(value)) for value in each.values)) for each in conditions
    )


def _optional(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(
        replace(each, operator="StringLikeIfExists") if each.operator == "StringLike" else each for each in conditions
    )


def _merged_listings(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(s3, "_group_listings", s3._group)


def _common_prefix(patch: pytest.MonkeyPatch) -> None:
    real = s3._minimal

    def common(keys: list[Any]) -> tuple[Any, ...]:
        least = real(keys)
        if len({each.bucket for each in least}) > 1:
            return least
        first, last = min(each.key for each in least), max(each.key for each in least)
        shared = next((place for place in range(len(first)) if first[place] != last[place]), len(first))
        return (replace(least[0], key=first[:shared], exact=False),)

    patch.setattr(s3, "_minimal", common)


def _cross_product(patch: pytest.MonkeyPatch) -> None:
    def group(reached: Mapping[str, list[Any]]) -> tuple[Any, ...]:
        every = [keys for each in reached.values() for keys in each]
        return (s3._Reach(actions=tuple(sorted(reached)), keys=s3._minimal(every)),) if reached else ()

    patch.setattr(s3, "_group", group)


def _actions(**changed: tuple[str, ...]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        added = {S3Permission[name]: actions for name, actions in changed.items()}
        patch.setattr(s3, "OBJECT_ACTIONS", {**s3.OBJECT_ACTIONS, **added})

    return make


def _statements(change: Callable[[Statement], Statement | None]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        real = s3.statements

        def statements(scopes: Iterable[S3Scope], *, account: str, ends_at: datetime | None) -> tuple[Statement, ...]:
            changed = (change(each) for each in real(scopes, account=account, ends_at=ends_at))
            return tuple(each for each in changed if each is not None)

        patch.setattr(s3, "statements", statements)

    return make


def _no_denial(which: Callable[[Statement], bool]) -> Callable[[pytest.MonkeyPatch], None]:
    return _statements(lambda each: None if each.effect is Effect.DENY and which(each) else each)


def _speaks_of(key: str) -> Callable[[Statement], bool]:
    return lambda each: any(condition.key == key for condition in each.conditions)


def _allow(**changed: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return _statements(lambda each: replace(each, **changed) if each.effect is Effect.ALLOW else each)


def _inverted(patch: pytest.MonkeyPatch) -> None:
    real = s3._allow_objects
    patch.setattr(
        s3,
        "_allow_objects",
        lambda reach, account: replace(real(reach, account), actions=("s3:DeleteObject",), all_other_actions=True),
    )


def _printed(change: Callable[[str], str]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(fit, "print_policy", lambda statements: change(session_policy.print_policy(statements)))

    return make


def _scopes(change: Callable[[S3Scope], S3Scope]) -> Callable[[pytest.MonkeyPatch], None]:
    def make(patch: pytest.MonkeyPatch) -> None:
        real = s3.statements
        patch.setattr(s3, "statements", lambda scopes, **rest: real([change(each) for each in scopes], **rest))

    return make


def _later(patch: pytest.MonkeyPatch) -> None:
    real = s3.statements

    def statements(scopes: Iterable[S3Scope], *, account: str, ends_at: datetime | None) -> tuple[Statement, ...]:
        later = None if ends_at is None else ends_at + timedelta(seconds=1)
        return real(scopes, account=account, ends_at=later)

    patch.setattr(s3, "statements", statements)


MISTAKES: Mapping[str, Mistake] = {
    "a star is not escaped": Mistake(make=_literal("?", "$"), doubt=Doubt.ALLOWS_MORE, scopes=(scope("a*/"),)),
    "a question mark is not escaped": Mistake(
        make=_literal("*", "$"), doubt=Doubt.ALLOWS_MORE, scopes=(scope("fi?ance/"),)
    ),
    "a dollar is not escaped": Mistake(
        make=_literal("*", "?"), doubt=Doubt.NOT_UNDERSTOOD, scopes=(scope("home/${aws:username}/", READ),)
    ),
    "the slash of a prefix is lost": Mistake(make=_without_slash, doubt=Doubt.ALLOWS_MORE),
    "the slash of a listed prefix is lost": Mistake(
        make=_listing(_values(lambda value: value.removesuffix("/*") + "*")), doubt=Doubt.ALLOWS_MORE
    ),
    "a listing has no prefix": Mistake(make=_listing(lambda _: ()), doubt=Doubt.ALLOWS_MORE),
    "the prefix of a listing is optional": Mistake(make=_listing(_optional), doubt=Doubt.BROAD_ALLOW),
    "the listings of two buckets are merged": Mistake(
        make=_merged_listings, doubt=Doubt.ALLOWS_MORE, scopes=(scope("a/"), scope("b/", bucket="acme-lake2"))
    ),
    "the whole bucket": Mistake(make=_resources(lambda each: f"arn:aws:s3:::{each.bucket}/*"), doubt=Doubt.ALLOWS_MORE),
    "a common beginning of two prefixes": Mistake(
        make=_common_prefix, doubt=Doubt.ALLOWS_MORE, scopes=(scope("year=2013/"), scope("year=2014/"))
    ),
    "a cross product of actions and prefixes": Mistake(
        make=_cross_product, doubt=Doubt.ALLOWS_MORE, scopes=(scope("in/", READ), scope("out/", WRITE))
    ),
    "every action that begins with Get": Mistake(make=_actions(READ=("s3:Get*",)), doubt=Doubt.ALLOWS_MORE),
    "reading writes": Mistake(make=_actions(READ=("s3:GetObject", "s3:PutObject")), doubt=Doubt.ALLOWS_MORE),
    "writing deletes versions": Mistake(
        make=_actions(WRITE=("s3:PutObject", "s3:DeleteObjectVersion")),
        doubt=Doubt.ALLOWS_MORE,
        scopes=(scope("out/", WRITE),),
    ),
    "an Allow of all other actions": Mistake(make=_inverted, doubt=Doubt.NOT_UNDERSTOOD),
    "an Allow of all other resources": Mistake(make=_allow(all_other_resources=True), doubt=Doubt.NOT_UNDERSTOOD),
    "an element that stands twice": Mistake(
        make=_printed(lambda text: text.replace('"Resource":', '"Resource":"*","Resource":', 1)),
        doubt=Doubt.NOT_UNDERSTOOD,
    ),
    "more is asked than is granted": Mistake(
        make=_scopes(lambda each: replace(each, permissions=each.permissions | {WRITE})), doubt=Doubt.ALLOWS_MORE
    ),
    "the parent of what is granted": Mistake(
        make=_scopes(lambda each: replace(each, location=replace(each.location, key=""), exact=False)),
        doubt=Doubt.ALLOWS_MORE,
    ),
    "an object is a prefix": Mistake(
        make=_scopes(lambda each: replace(each, exact=False)),
        doubt=Doubt.ALLOWS_MORE,
        scopes=(scope("finance/a.csv", READ),),
    ),
    "a star in the name of a bucket": Mistake(
        make=_resources(lambda each: f"arn:aws:s3:::acme-*/{each.key}*"), doubt=Doubt.ALLOWS_MORE
    ),
    "no fence": Mistake(make=_no_denial(lambda _: True), doubt=Doubt.NOT_FENCED),
    "no fence around actions": Mistake(make=_no_denial(lambda each: each.all_other_actions), doubt=Doubt.NOT_FENCED),
    "no fence around resources": Mistake(
        make=_no_denial(lambda each: each.all_other_resources), doubt=Doubt.NOT_FENCED
    ),
    "no fence around listings": Mistake(make=_no_denial(_speaks_of("s3:prefix")), doubt=Doubt.NOT_FENCED),
    "no fence around the account": Mistake(make=_no_denial(_speaks_of("aws:ResourceAccount")), doubt=Doubt.NOT_FENCED),
    "no fence against keys of the writer's own": Mistake(
        make=_no_denial(_speaks_of("s3:x-amz-server-side-encryption-customer-algorithm")),
        doubt=Doubt.NOT_FENCED,
        scopes=(scope("out/", WRITE),),
    ),
    "the Null guard is turned": Mistake(
        make=_printed(lambda text: text.replace('algorithm":"false"', 'algorithm":"true"')),
        doubt=Doubt.NOT_FENCED,
        scopes=(scope("out/", WRITE),),
    ),
    "nothing closes the session": Mistake(
        make=_no_denial(_speaks_of("aws:CurrentTime")), doubt=Doubt.NOT_FENCED, ends=True
    ),
    "the session is closed too late": Mistake(make=_later, doubt=Doubt.NOT_FENCED, ends=True),
    "the session is closed after its last instant": Mistake(
        make=_printed(lambda text: text.replace("DateGreaterThanEquals", "DateGreaterThan")),
        doubt=Doubt.NOT_FENCED,
        ends=True,
    ),
    "an Allow in every account": Mistake(
        make=_statements(
            lambda each: replace(
                each, conditions=tuple(one for one in each.conditions if one.operator != "StringEquals")
            )
        ),
        doubt=Doubt.BROAD_ALLOW,
    ),
    "another account": Mistake(
        make=_printed(lambda text: text.replace("111122223333", STRANGER)), doubt=Doubt.ALLOWS_MORE
    ),
    "a broad Allow behind the right fence": Mistake(
        make=_allow(actions=("s3:*",), resources=(Pattern("*"),), conditions=()), doubt=Doubt.BROAD_ALLOW
    ),
    "a call that gives credentials": Mistake(
        make=_statements(lambda each: replace(each, actions=(*each.actions, "sts:AssumeRole"))),
        doubt=Doubt.ALLOWS_MORE,
    ),
}
