"""Compares everything that two policies say of credentials: each bucket, and each Redshift login."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from penstock_server.model.principal import PrincipalSelector
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import Budget
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.classes import MOST_CLASSES, named_by, order, somebody_of
from penstock_server.policy.proof.findings import ClassPlan, Same, SubjectKind, SubjectPlan, Undecided, Verdict
from penstock_server.policy.proof.inputs import S3DenialInput, S3GrantInput
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.logins import LoginPair, LoginRules, compare_login
from penstock_server.policy.proof.reading import read_login_denials, read_login_grants, read_s3_denials, read_s3_grants
from penstock_server.policy.proof.s3 import BucketPair, BucketRules, compare_bucket

R = TypeVar("R", BucketRules, LoginRules)


def compare_doors(old: BoundPolicy, new: BoundPolicy, *, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    """Give the plan of each bucket and each login that any grant names."""
    yield from _buckets(old, new, since, budget)
    yield from _logins(old, new, since, budget)


def _buckets(old: BoundPolicy, new: BoundPolicy, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    try:
        before, after = _buckets_of(old), _buckets_of(new)
    except NotUnderstood as error:
        yield _not_understood(SubjectKind.BUCKET, "every bucket", error)
        return
    nothing = BucketRules(grants=(), denials=frozenset())
    for bucket in sorted(before.keys() | after.keys()):

        def verdict(mine: BucketRules, others: BucketRules, only: Somebody | None, name: str = bucket) -> Verdict:
            pair = BucketPair(bucket=name, old=mine, new=others, old_policy=old, new_policy=new)
            return compare_bucket(pair, since=since, budget=budget, only=only)

        yield _plan(SubjectKind.BUCKET, bucket, before.get(bucket, nothing), after.get(bucket, nothing), verdict)


def _buckets_of(policy: BoundPolicy) -> Mapping[str, BucketRules]:
    grants: defaultdict[str, list[S3GrantInput]] = defaultdict(list)
    for grant in read_s3_grants(policy):
        grants[grant.bucket].append(grant)
    denials: defaultdict[str, set[S3DenialInput]] = defaultdict(set)
    for denial in read_s3_denials(policy):
        denials[denial.bucket].add(denial)
    return {
        bucket: BucketRules(grants=tuple(of_bucket), denials=frozenset(denials.get(bucket, ())))
        for bucket, of_bucket in grants.items()
    }


def _logins(old: BoundPolicy, new: BoundPolicy, since: datetime, budget: Budget) -> Iterator[SubjectPlan]:
    try:
        before, after = _logins_of(old), _logins_of(new)
    except NotUnderstood as error:
        yield _not_understood(SubjectKind.LOGIN, "every login", error)
        return
    nothing = LoginRules(grants=(), spared=frozenset())
    for login in sorted(before.keys() | after.keys()):

        def verdict(mine: LoginRules, others: LoginRules, only: Somebody | None, name: str = login) -> Verdict:
            pair = LoginPair(login=name, old=mine, new=others, old_policy=old, new_policy=new)
            return compare_login(pair, since=since, budget=budget, only=only)

        yield _plan(SubjectKind.LOGIN, login, before.get(login, nothing), after.get(login, nothing), verdict)


def _logins_of(policy: BoundPolicy) -> Mapping[str, LoginRules]:
    denials = read_login_denials(policy)
    return {
        login: LoginRules(grants=grants, spared=denials.get(login, frozenset()))
        for login, grants in read_login_grants(policy).items()
    }


def _plan(
    kind: SubjectKind, name: str, old: R, new: R, verdict: Callable[[R, R, Somebody | None], Verdict]
) -> SubjectPlan:
    everybody: Verdict = Same() if _kept(old) == _kept(new) else verdict(old, new, None)
    classes: list[ClassPlan] = []
    if not isinstance(everybody, Same):
        for members, mine, others in _changed_classes(old, new):
            of_class = verdict(mine, others, members[0])
            if not isinstance(of_class, Same):
                classes.append(ClassPlan(members=members, verdict=of_class))
    return SubjectPlan(kind=kind, name=name, verdict=everybody, classes=tuple(classes), notices=())


def _changed_classes(old: R, new: R) -> Iterator[tuple[tuple[Somebody, ...], R, R]]:
    """Give the classes for which something is kept otherwise with what names them, at most `MOST_CLASSES`."""
    found: dict[Hashable, list[PrincipalSelector]] = {}
    for selector in sorted({*_selectors(old), *_selectors(new)}, key=order):
        kept = _kept(_naming(old, selector)), _kept(_naming(new, selector))
        if kept[0] != kept[1]:
            found.setdefault(kept, []).append(selector)
        if len(found) >= MOST_CLASSES:
            break
    for named in found.values():
        yield tuple(somebody_of(one) for one in named), _naming(old, named[0]), _naming(new, named[0])


def _selectors(rules: BucketRules | LoginRules) -> Iterator[PrincipalSelector]:
    for grant in rules.grants:
        yield from grant.selectors
    spared = rules.spared if isinstance(rules, LoginRules) else (denial.spared for denial in rules.denials)
    for selectors in spared:
        yield from selectors


def _naming(rules: R, selector: PrincipalSelector) -> R:
    """Leave out what names others; of denials all stay, with those of their spared who are meant."""
    mine = named_by(selector)
    if isinstance(rules, LoginRules):
        return LoginRules(
            grants=tuple(
                replace(grant, selectors=grant.selectors & mine) for grant in rules.grants if grant.selectors & mine
            ),
            spared=frozenset(spared & mine for spared in rules.spared),
        )
    return BucketRules(
        grants=tuple(
            replace(grant, selectors=grant.selectors & mine) for grant in rules.grants if grant.selectors & mine
        ),
        denials=frozenset(replace(denial, spared=denial.spared & mine) for denial in rules.denials),
    )


def _kept(rules: BucketRules | LoginRules) -> Hashable:
    """Give all that is kept, whatever grants are called; for one class, whoever else is spared."""
    grants = frozenset(replace(grant, name="") for grant in rules.grants)
    return grants, rules.spared if isinstance(rules, LoginRules) else rules.denials


def _not_understood(kind: SubjectKind, name: str, error: NotUnderstood) -> SubjectPlan:
    verdict = Undecided(reasons=(str(error),))
    return SubjectPlan(kind=kind, name=name, verdict=verdict, classes=(), notices=())
