"""Compares what two policies say of items of DynamoDB and of resources of other services: equal, or undecided.

INVARIANT: nothing is proved of leading keys, attributes and whom they are for, so that a change is never the same,
and never narrower. What is equal, apart from where it stands in the files, decides the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from penstock_server.model.dynamodb import DynamoDbTarget
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.findings import Same, SubjectKind, SubjectPlan, Undecided, Verdict
from penstock_server.policy.proof.known import NotUnderstood, require_known

_CHANGED = "what is granted or denied on its items changes, which the proof has no reading of"
_CHANGED_SERVICE = "what is granted or denied on it changes, which the proof has no reading of"


def compare_items(old: BoundPolicy, new: BoundPolicy) -> Iterator[SubjectPlan]:
    """Give the plan of each table of DynamoDB that either policy names."""
    try:
        before, after = _tables_of(old), _tables_of(new)
    except NotUnderstood as error:
        yield _plan("every table of DynamoDB", Undecided(reasons=(str(error),)))
        return
    for table in sorted(before.keys() | after.keys()):
        same = before.get(table) == after.get(table) and old.default_issuer == new.default_issuer
        yield _plan(table, Same() if same else Undecided(reasons=(_CHANGED,)))


def compare_services(old: BoundPolicy, new: BoundPolicy) -> Iterator[SubjectPlan]:
    """Give the plan of each resource of another AWS service that either policy names."""
    try:
        before, after = _services_of(old), _services_of(new)
    except NotUnderstood as error:
        yield _plan("every resource of AWS", Undecided(reasons=(str(error),)), SubjectKind.SERVICE)
        return
    for name in sorted(before.keys() | after.keys()):
        same = before.get(name) == after.get(name) and old.default_issuer == new.default_issuer
        verdict = Same() if same else Undecided(reasons=(_CHANGED_SERVICE,))
        yield _plan(name, verdict, SubjectKind.SERVICE)


def _services_of(policy: BoundPolicy) -> Mapping[str, frozenset[Hashable]]:
    found: dict[str, set[Hashable]] = {}
    for selector, grants in policy.service_grants.items():
        for grant in grants:
            require_known(grant)
            kept = (selector, grant.name, grant.permissions, grant.limits)
            found.setdefault(str(grant.target), set()).add((*kept, grant.max_ttl, grant.expires, grant.conditions))
    for denial in policy.service_denials:
        require_known(denial)
        found.setdefault(str(denial.target), set()).add((denial.permissions, denial.spared))
    return {name: frozenset(kept) for name, kept in found.items()}


def _plan(name: str, verdict: Verdict, kind: SubjectKind = SubjectKind.ITEMS) -> SubjectPlan:
    return SubjectPlan(kind=kind, name=name, verdict=verdict, classes=(), notices=())


def _tables_of(policy: BoundPolicy) -> Mapping[str, frozenset[Hashable]]:
    """Give all that is kept for each table, its indexes included."""
    found: dict[str, set[Hashable]] = {}
    for selector, grants in policy.dynamodb_grants.items():
        for grant in grants:
            require_known(grant)
            keys = None if grant.leading_keys is None else frozenset(grant.leading_keys)
            kept = (selector, grant.name, grant.target, grant.permissions, keys, grant.attributes)
            bounds = (grant.max_ttl, grant.expires, grant.conditions)
            found.setdefault(_table(grant.target), set()).add((*kept, *bounds))
    for denial in policy.dynamodb_denials:
        require_known(denial)
        found.setdefault(_table(denial.target), set()).add((denial.target, denial.permissions, denial.spared))
    return {table: frozenset(kept) for table, kept in found.items()}


def _table(target: DynamoDbTarget) -> str:
    return f"arn:aws:dynamodb:{target.region}:{target.account}:table/{target.table}"
