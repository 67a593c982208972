"""DynamoDB: what a session may do with the items of tables and indexes, and a fence around it.

| permission | a table | an index |
|---|---|---|
| READ | GetItem, BatchGetItem, Query, ConditionCheckItem | Query |
| READ of some attributes | GetItem, BatchGetItem, Query | Query |
| WRITE | PutItem, UpdateItem, DeleteItem, BatchWriteItem | |

Never: Scan, which has no leading keys; PartiQL, streams, exports, backups. A transaction is authorised as the actions
that it is made of.

**Leading keys** are `ForAllValues:StringEquals` on `dynamodb:LeadingKeys`, which is true of a request that has none:
so `Null` = `false` stands beside it, always. **Attributes** are the same on `dynamodb:Attributes`, and
`dynamodb:Select` must be SPECIFIC_ATTRIBUTES: a request that names no attributes would get all of them.
ConditionCheckItem is left out there, because `ReturnValuesOnConditionCheckFailure` answers with the whole item and no
condition key tells of it; for the same reason nothing is written there.

**The fence** denies all other actions, all other resources, every leading key and attribute that was not given,
requests without any, and every other account: a resource policy may allow more than the session policy, and only an
explicit Deny limits that.

Not tried on AWS: that the leading keys of a request on an index are values of the index's partition key, and what
`aws:ResourceAccount` is for every one of these actions.
Source: AWS service authorization reference, Amazon DynamoDB; DynamoDB developer guide, "Using IAM policy conditions for
fine-grained access control".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penstock_server.credentials.session_policy import Condition, Effect, Pattern, Statement
from penstock_server.model.dynamodb import DynamoDbPermission, DynamoDbScope, DynamoDbTarget

LEADING_KEYS: Final = "dynamodb:LeadingKeys"
ATTRIBUTES: Final = "dynamodb:Attributes"
SELECT: Final = "dynamodb:Select"
SOME_ATTRIBUTES: Final = "SPECIFIC_ATTRIBUTES"

_QUERY: Final = "dynamodb:Query"
_CHECK: Final = "dynamodb:ConditionCheckItem"
_READ: Final = ("dynamodb:BatchGetItem", "dynamodb:GetItem", _QUERY)
_WRITE: Final = ("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
_ANY: Final = Pattern("*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Actions on targets, restricted alike."""

    actions: tuple[str, ...]
    targets: tuple[DynamoDbTarget, ...]
    leading_keys: tuple[str, ...] | None
    attributes: tuple[str, ...] | None


def actions_of(scope: DynamoDbScope) -> tuple[str, ...]:
    """Give what a scope allows, sorted."""
    if scope.permission is DynamoDbPermission.WRITE:
        return _WRITE
    if scope.target.index is not None:
        return (_QUERY,)
    return _READ if scope.attributes is not None else tuple(sorted((*_READ, _CHECK)))


def all_actions(scopes: Iterable[DynamoDbScope]) -> tuple[str, ...]:
    """Give every action that some scope allows, sorted."""
    return tuple(sorted({action for scope in scopes for action in actions_of(scope)}))


def statements(
    scopes: Iterable[DynamoDbScope], *, account: str, ends_at: datetime | None, beside_others: bool
) -> tuple[Statement, ...]:
    """Give the statements that allow exactly these scopes and deny all else.

    `account` owns the tables. `beside_others` = another service's builder writes what is denied to all of them: other
    actions, other accounts, and what comes after `ends_at`.
    """
    reaches = _reaches(tuple(scopes))
    return (*(_allow(reach, account) for reach in reaches), *_fence(reaches, account, ends_at, beside_others))


def describe(scopes: Iterable[DynamoDbScope]) -> str:
    """Give scopes as text for leases and the audit; values of keys are personal and stay in the policy's text."""
    parts: list[str] = []
    for scope in scopes:
        keys = "" if scope.leading_keys is None else f" of {len(scope.leading_keys)} leading keys"
        names = "" if scope.attributes is None else f" {','.join(scope.attributes)}"
        parts.append(f"{scope.permission.value} {scope.target}{keys}{names}")
    return "; ".join(parts)


def _reaches(scopes: tuple[DynamoDbScope, ...]) -> tuple[_Reach, ...]:
    # INVARIANT: targets are joined in one statement only where actions, keys and attributes are equal.
    found: dict[tuple[object, ...], list[DynamoDbScope]] = defaultdict(list)
    for scope in scopes:
        found[actions_of(scope), scope.leading_keys, scope.attributes].append(scope)
    return tuple(
        _Reach(
            actions=actions_of(alike[0]),
            targets=tuple(sorted({scope.target for scope in alike}, key=str)),
            leading_keys=alike[0].leading_keys,
            attributes=alike[0].attributes,
        )
        for alike in found.values()
    )


def _allow(reach: _Reach, account: str) -> Statement:
    conditions = [_equals("aws:ResourceAccount", (account,))]
    for key, values in ((LEADING_KEYS, reach.leading_keys), (ATTRIBUTES, reach.attributes)):
        if values is not None:
            # SECURITY: of a request that has no such key ForAllValues is true; only Null tells that it is there.
            conditions.append(_condition("ForAllValues:StringEquals", key, values))
            conditions.append(_condition("Null", key, ("false",)))
    if reach.attributes is not None:
        conditions.append(_equals(SELECT, (SOME_ATTRIBUTES,)))
    return Statement(
        effect=Effect.ALLOW, actions=reach.actions, resources=_patterns(reach.targets), conditions=tuple(conditions)
    )


def _fence(
    reaches: tuple[_Reach, ...], account: str, ends_at: datetime | None, beside_others: bool
) -> Iterable[Statement]:
    if not beside_others:
        every = tuple(sorted({action for reach in reaches for action in reach.actions}))
        yield Statement(effect=Effect.DENY, actions=every, all_other_actions=True, resources=(_ANY,), conditions=())
        yield _deny(("*",), (_ANY,), _condition("StringNotEquals", "aws:ResourceAccount", (account,)))
        if ends_at is not None:
            end = ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            yield _deny(("*",), (_ANY,), _condition("DateGreaterThanEquals", "aws:CurrentTime", (end,)))
    by_targets = _by_targets(reaches)
    for targets, actions in by_targets.items():
        denied = ("*",) if len(by_targets) == 1 and not beside_others else actions
        yield Statement(
            effect=Effect.DENY, actions=denied, resources=_patterns(targets), all_other_resources=True, conditions=()
        )
    for reach in reaches:
        denied = ("*",) if len(reaches) == 1 and not beside_others else reach.actions
        yield from _outside(reach, reaches, denied)


def _by_targets(reaches: tuple[_Reach, ...]) -> dict[tuple[DynamoDbTarget, ...], tuple[str, ...]]:
    targets: dict[str, set[DynamoDbTarget]] = defaultdict(set)
    for reach in reaches:
        for action in reach.actions:
            targets[action].update(reach.targets)
    grouped: dict[tuple[DynamoDbTarget, ...], list[str]] = defaultdict(list)
    for action in sorted(targets):
        grouped[tuple(sorted(targets[action], key=str))].append(action)
    return {key: tuple(actions) for key, actions in grouped.items()}


def _outside(reach: _Reach, reaches: tuple[_Reach, ...], denied: tuple[str, ...]) -> Iterable[Statement]:
    """Deny what a reach's keys and attributes leave out, and requests without any."""
    # Where nothing else has these actions, they are denied elsewhere already, and `*` is shorter.
    alone = not any(other is not reach and set(other.actions) & set(reach.actions) for other in reaches)
    resources = (_ANY,) if alone else _patterns(reach.targets)
    for key, values in ((LEADING_KEYS, reach.leading_keys), (ATTRIBUTES, reach.attributes)):
        if values is not None:
            yield _deny(denied, resources, _condition("ForAnyValue:StringNotEquals", key, values))
            yield _deny(denied, resources, _condition("Null", key, ("true",)))
    if reach.attributes is not None:
        yield _deny(denied, resources, _condition("StringNotEquals", SELECT, (SOME_ATTRIBUTES,)))


def _deny(actions: tuple[str, ...], resources: tuple[Pattern, ...], condition: Condition) -> Statement:
    return Statement(effect=Effect.DENY, actions=actions, resources=resources, conditions=(condition,))


def _equals(key: str, values: tuple[str, ...]) -> Condition:
    return _condition("StringEquals", key, values)


def _condition(operator: str, key: str, values: tuple[str, ...]) -> Condition:
    # AWS: in StringEquals `*` and `?` are characters; values that hold `${` were refused when they were decided.
    return Condition(operator=operator, key=key, values=tuple(Pattern(value) for value in values))


def _patterns(targets: tuple[DynamoDbTarget, ...]) -> tuple[Pattern, ...]:
    return tuple(Pattern(str(target)) for target in targets)
