"""Compares everything that two policies say of credentials: each bucket, and each Redshift login."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from penstock_server.model.principal import PrincipalSelector
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import Budget
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.classes import MOST_CLASSES, named_by, order, somebody_of
from penstock_server.policy.proof.findings import ClassPlan, Same, SubjectKind, SubjectPlan, Undecided, Verdict
from penstock_server.policy.proof.inputs import LoginGrantInput, S3GrantInput
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.logins import LoginPair, compare_login
from penstock_server.policy.proof.reading import read_login_grants, read_s3_grants
from penstock_server.policy.proof.s3 import BucketPair, compare_bucket

G = TypeVar("G", S3GrantInput, LoginGrantInput)


def compare_doors(old: BoundPolicy, new: BoundPolicy, *, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    """Give the plan of each bucket and each login that any grant names."""
    yield from _buckets(old, new, since, budget)
    yield from _logins(old, new, since, budget)


def _buckets(old: BoundPolicy, new: BoundPolicy, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    try:
        before, after = read_s3_grants(old), read_s3_grants(new)
    except NotUnderstood as error:
        yield _not_understood(SubjectKind.BUCKET, "every bucket", error)
        return
    for bucket in sorted({grant.bucket for grant in (*before, *after)}):

        def verdict(
            mine: Sequence[S3GrantInput], others: Sequence[S3GrantInput], only: Somebody | None, name: str = bucket
        ) -> Verdict:
            pair = BucketPair(bucket=name, old=tuple(mine), new=tuple(others), old_policy=old, new_policy=new)
            return compare_bucket(pair, since=since, budget=budget, only=only)

        mine = [grant for grant in before if grant.bucket == bucket]
        others = [grant for grant in after if grant.bucket == bucket]
        yield _plan(SubjectKind.BUCKET, bucket, mine, others, verdict)


def _logins(old: BoundPolicy, new: BoundPolicy, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    try:
        before, after = read_login_grants(old), read_login_grants(new)
    except NotUnderstood as error:
        yield _not_understood(SubjectKind.LOGIN, "every login", error)
        return
    for login in sorted(before.keys() | after.keys()):

        def verdict(
            mine: Sequence[LoginGrantInput], others: Sequence[LoginGrantInput], only: Somebody | None, name: str = login
        ) -> Verdict:
            pair = LoginPair(login=name, old=tuple(mine), new=tuple(others), old_policy=old, new_policy=new)
            return compare_login(pair, since=since, budget=budget, only=only)

        yield _plan(SubjectKind.LOGIN, login, before.get(login, ()), after.get(login, ()), verdict)


def _plan(
    kind: SubjectKind,
    name: str,
    old: Sequence[G],
    new: Sequence[G],
    verdict: Callable[[Sequence[G], Sequence[G], Somebody | None], Verdict],
) -> SubjectPlan:
    everybody: Verdict = Same() if _kept(old) == _kept(new) else verdict(old, new, None)
    classes: list[ClassPlan] = []
    if not isinstance(everybody, Same):
        for members, mine, others in _changed_classes(old, new):
            of_class = verdict(mine, others, members[0])
            if not isinstance(of_class, Same):
                classes.append(ClassPlan(members=members, verdict=of_class))
    return SubjectPlan(kind=kind, name=name, verdict=everybody, classes=tuple(classes), notices=())


def _changed_classes(
    old: Sequence[G], new: Sequence[G]
) -> Iterator[tuple[tuple[Somebody, ...], Sequence[G], Sequence[G]]]:
    """Give the classes for which something is kept otherwise with what names them, at most `MOST_CLASSES`."""
    found: dict[Hashable, list[PrincipalSelector]] = {}
    selectors = {selector for grant in (*old, *new) for selector in grant.selectors}
    for selector in sorted(selectors, key=order):
        kept = _kept(_naming(old, selector)), _kept(_naming(new, selector))
        if kept[0] != kept[1]:
            found.setdefault(kept, []).append(selector)
        if len(found) >= MOST_CLASSES:
            break
    for named in found.values():
        yield tuple(somebody_of(one) for one in named), _naming(old, named[0]), _naming(new, named[0])


def _naming(grants: Iterable[G], selector: PrincipalSelector) -> list[G]:
    mine = named_by(selector)
    return [replace(grant, selectors=grant.selectors & mine) for grant in grants if grant.selectors & mine]


def _kept(grants: Iterable[G]) -> Hashable:
    """Give all that is kept by grants, whatever they are called and whomever they name."""
    return frozenset(replace(grant, name="") for grant in grants)


def _not_understood(kind: SubjectKind, name: str, error: NotUnderstood) -> SubjectPlan:
    verdict = Undecided(reasons=(str(error),))
    return SubjectPlan(kind=kind, name=name, verdict=verdict, classes=(), notices=())
