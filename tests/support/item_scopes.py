"""Generated scopes on items of DynamoDB, requests around them, and what each scope means, said in the plainest way."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.model.dynamodb import DynamoDbPermission, DynamoDbScope, parse_target

ACCOUNT = "111122223333"
ORDERS = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
READ, WRITE = DynamoDbPermission.READ, DynamoDbPermission.WRITE
KEYS = ("alice", "bob", "*", "a?b", "ü", 'quo"te', "a b", "alice2", "$")
NAMES = ("id", "total", "notes", "Id")
TARGETS = (ORDERS, f"{ORDERS}/index/by-user", f"{ORDERS}2", ORDERS.replace("eu-west-1", "us-east-1"))
ON_TABLES = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "ConditionCheckItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
)
OTHERS = ("Scan", "PartiQLSelect", "ExportTableToPointInTime", "DescribeTable", "DeleteTable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemProbe:
    """A request. `keys` and `names` None = it has none."""

    action: str
    resource: str
    account: str
    keys: tuple[str, ...] | None
    names: tuple[str, ...] | None
    select: str | None

    @property
    def context(self) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
        found: list[tuple[str, str | tuple[str, ...]]] = []
        if self.keys is not None:
            found.append(("dynamodb:LeadingKeys", self.keys))
        if self.names is not None:
            found.append(("dynamodb:Attributes", self.names))
        if self.select is not None:
            found.append(("dynamodb:Select", self.select))
        return tuple(found)


def item_scope(
    permission: DynamoDbPermission = READ,
    *,
    arn: str = ORDERS,
    keys: tuple[str, ...] | None = ("alice",),
    names: tuple[str, ...] | None = None,
) -> DynamoDbScope:
    return DynamoDbScope(target=parse_target(arn), permission=permission, leading_keys=keys, attributes=names)


def random_item_scopes(source: random.Random) -> tuple[DynamoDbScope, ...]:
    scopes: list[DynamoDbScope] = []
    for arn in source.sample(TARGETS, source.choice((1, 1, 1, 2))):
        names = _some(source, NAMES) if source.random() < 0.4 else None
        scopes.append(item_scope(arn=arn, keys=_keys(source), names=names))
        if names is None and "/index/" not in arn and source.random() < 0.5:
            scopes.append(item_scope(WRITE, arn=arn, keys=_keys(source)))
    return tuple(scopes)


def text_of(scopes: tuple[DynamoDbScope, ...]) -> str:
    return print_session_policy(scopes, ACCOUNT, None)


def decided(scopes: tuple[DynamoDbScope, ...]) -> Decided:
    return Decided(scopes=(), items=scopes, account=ACCOUNT, ends=(), session_ends_by=AT + timedelta(hours=1))


def item_probes(source: random.Random, scopes: tuple[DynamoDbScope, ...], count: int) -> list[ItemProbe]:
    found: list[ItemProbe] = []
    for _ in range(count):
        scope = source.choice(scopes)
        arn = str(scope.target) if source.random() < 0.8 else source.choice(TARGETS)
        keys = _near(source, scope.leading_keys, KEYS)
        names = _near(source, scope.attributes, NAMES)
        select = source.choice(("SPECIFIC_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "ALL_ATTRIBUTES", None))
        action = source.choice((*ON_TABLES, "Query", "GetItem")) if source.random() < 0.85 else source.choice(OTHERS)
        account = ACCOUNT if source.random() < 0.95 else "999999999999"
        found.append(
            ItemProbe(action=f"dynamodb:{action}", resource=arn, account=account, keys=keys, names=names, select=select)
        )
    return found


def items_meant(scopes: tuple[DynamoDbScope, ...], probe: ItemProbe) -> bool:
    return any(_means(scope, probe) for scope in scopes)


def _means(scope: DynamoDbScope, probe: ItemProbe) -> bool:
    action = probe.action.removeprefix("dynamodb:")
    if str(scope.target) != probe.resource or probe.account != ACCOUNT:
        return False
    if scope.permission is WRITE:
        if action not in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"):
            return False
    elif scope.target.index is not None:
        if action != "Query":
            return False
    elif action not in ("GetItem", "BatchGetItem", "Query") and not (
        action == "ConditionCheckItem" and scope.attributes is None
    ):
        return False
    if scope.leading_keys is not None and not (probe.keys and set(probe.keys) <= set(scope.leading_keys)):
        return False
    if scope.attributes is None:
        return True
    return (
        bool(probe.names) and set(probe.names or ()) <= set(scope.attributes) and probe.select == "SPECIFIC_ATTRIBUTES"
    )


def _keys(source: random.Random) -> tuple[str, ...] | None:
    return None if source.random() < 0.15 else _some(source, KEYS)


def _some(source: random.Random, every: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(source.sample(every, source.randint(1, 3))))


def _near(source: random.Random, given: tuple[str, ...] | None, every: tuple[str, ...]) -> tuple[str, ...] | None:
    if source.random() < 0.1:
        return None
    if given is None or source.random() < 0.25:
        return _some(source, (*every, "elsewhere"))
    return tuple(source.sample(given, source.randint(1, len(given))))
