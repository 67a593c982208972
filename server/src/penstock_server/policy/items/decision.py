"""Whether a principal may have AWS credentials for items of DynamoDB.

A grant covers a request where it is on exactly that table or index, gives the permission, and every leading key of it
has a value for the caller. Grants with the same attributes add up their leading keys. Grants with different ones do
not: no session policy holds several such pairs apart on one table, so that those without `attributes` count, or else
the request is denied. A table's grant does not cover its indexes: an index has a partition key of its own, and its
values stand in a grant of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from penstock_server.model.decision import Access, Denied
from penstock_server.model.dynamodb import DynamoDbDecision, DynamoDbPermission, DynamoDbScope, DynamoDbTarget
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.credential_grants import (
    BOUND_TO_ADDRESS,
    NOT_COVERED,
    end_by,
    first_end,
    holding_grants,
    least_ttl,
)
from penstock_server.policy.situation import Situation
from penstock_server.policy.source import DynamoDbGrant

NEEDED: Final = {Access.READ: DynamoDbPermission.READ, Access.WRITE: DynamoDbPermission.WRITE}

_APART: Final = "your grants on this table give different attributes, which no session can hold apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsRequest:
    """What is asked of one table or index; `access` is read, write or both."""

    target: DynamoDbTarget
    access: frozenset[Access]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A grant with its leading keys for the caller."""

    grant: DynamoDbGrant
    leading_keys: frozenset[str] | None


def decide_items(
    policy: BoundPolicy, principal: Principal, requests: Sequence[ItemsRequest], *, facts: RequestFacts
) -> DynamoDbDecision | Denied:
    """Decide whether a principal may have AWS credentials for all of these."""
    situation = Situation.of(policy, principal, facts, carried=True)
    used: dict[str, DynamoDbGrant] = {}
    scopes: dict[tuple[DynamoDbTarget, DynamoDbPermission], DynamoDbScope] = {}
    for request in requests:
        for permission in sorted(NEEDED[access] for access in request.access):
            given = _given(policy, principal, request.target, permission, situation)
            if not given:
                here = Situation.of(policy, principal, facts, carried=False)
                elsewhere = _given(policy, principal, request.target, permission, here)
                return _denied(policy, BOUND_TO_ADDRESS if elsewhere else NOT_COVERED)
            chosen = _of_one_kind(given)
            if chosen is None:
                return _denied(policy, _APART)
            kept = _adding_keys(chosen, situation)
            scopes[request.target, permission] = _scope(request.target, permission, kept)
            used.update((one.grant.name, one.grant) for one in kept)
    if not scopes:
        return _denied(policy, NOT_COVERED)
    grants = [used[name] for name in sorted(used)]
    return DynamoDbDecision(
        scopes=tuple(scopes[key] for key in sorted(scopes, key=lambda key: (key[0].region, str(key[0]), key[1]))),
        grants=tuple(grant.name for grant in grants),
        max_ttl=least_ttl(grant.max_ttl for grant in grants),
        expires_at=first_end(situation.end_of(grant) for grant in grants),
        policy_version=policy.version,
    )


def _given(
    policy: BoundPolicy,
    principal: Principal,
    target: DynamoDbTarget,
    permission: DynamoDbPermission,
    situation: Situation,
) -> tuple[Given, ...]:
    """Give the grants that cover a permission on a target; none where a denial takes it away."""
    denials = (denial for denial in policy.dynamodb_denials if denial.spared.holds_for(principal))
    if any(permission in denial.takes(target) for denial in denials):
        return ()
    return tuple(
        one
        for one in given_items(policy, principal, situation)
        if one.grant.target == target and permission in one.grant.permissions
    )


def given_items(policy: BoundPolicy, principal: Principal, situation: Situation) -> tuple[Given, ...]:
    """Give the grants on items that apply to a principal, by name, whatever denials say."""
    found: list[Given] = []
    for grant in holding_grants(policy.dynamodb_grants, principal, situation):
        if grant.leading_keys is None:
            found.append(Given(grant=grant, leading_keys=None))
            continue
        keys = [template.resolved(situation.values) for template in grant.leading_keys]
        # SECURITY: with one key missing the grant says something else than its author meant; it does not apply.
        if all(key is not None for key in keys):
            found.append(Given(grant=grant, leading_keys=frozenset(key for key in keys if key is not None)))
    return tuple(found)


def _of_one_kind(given: Iterable[Given]) -> tuple[Given, ...] | None:
    """Give the grants that count together; None where several kinds give some attributes each."""
    kinds: defaultdict[tuple[str, ...] | None, list[Given]] = defaultdict(list)
    for one in given:
        kinds[one.grant.attributes].append(one)
    if None in kinds:
        return tuple(kinds[None])
    return tuple(next(iter(kinds.values()))) if len(kinds) == 1 else None


def _adding_keys(given: Sequence[Given], situation: Situation) -> tuple[Given, ...]:
    """Leave out grants that add no key to those that last longer: their bounds then do not count."""
    ordered = sorted(given, key=lambda one: (end_by(one.grant, situation), one.grant.name), reverse=True)
    whole = next((one for one in ordered if one.leading_keys is None), None)
    if whole is not None:
        return (whole,)
    kept: list[Given] = []
    keys: set[str] = set()
    for one in ordered:
        if one.leading_keys is not None and not one.leading_keys <= keys:
            kept.append(one)
            keys |= one.leading_keys
    return tuple(kept)


def _scope(target: DynamoDbTarget, permission: DynamoDbPermission, given: Sequence[Given]) -> DynamoDbScope:
    keys = [one.leading_keys for one in given if one.leading_keys is not None]
    return DynamoDbScope(
        target=target,
        permission=permission,
        leading_keys=tuple(sorted(frozenset[str]().union(*keys))) if keys else None,
        attributes=given[0].grant.attributes,
    )


def _denied(policy: BoundPolicy, reason: str) -> Denied:
    return Denied(
        reason=reason,
        hint="ask for READ or WRITE on the table, or on the index by its own name",
        policy_version=policy.version,
    )
