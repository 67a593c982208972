"""The proof of session policies on items of DynamoDB: right ones are proved, each mistake is refused with a request."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.item_grounds import (
    GrantedItems,
    ItemGrounds,
    items_beyond,
    value_of,
)
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy, Refused
from penstock_server.credentials.proof.patterns import NotUnderstood
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.session_policy import MAX_CHARS
from penstock_server.model.decision import S3Scope
from penstock_server.model.dynamodb import DynamoDbScope
from penstock_server.model.resource import S3Location, S3Permission
from support.item_scopes import ACCOUNT, AT, ORDERS, READ, WRITE, decided, item_scope, random_item_scopes, text_of

SCOPE = item_scope(keys=("alice",), names=("id", "total"))
Change = Callable[[list[dict[str, Any]]], None]


def test_what_the_builder_prints_is_proved() -> None:
    source = random.Random(7)
    proved = 0
    for _ in range(120):
        scopes = random_item_scopes(source)
        text = text_of(scopes)
        if len(text) <= MAX_CHARS:
            assert isinstance(prove(text, decided(scopes)), ProvedPolicy), scopes
            proved += 1
    assert proved > 60


def test_files_and_items_in_one_session_are_proved_together() -> None:
    files = S3Scope(
        location=S3Location(bucket="acme-lake", key="finance/"),
        exact=False,
        permissions=frozenset({S3Permission.READ, S3Permission.LIST}),
    )
    items = item_scope(keys=("alice",))
    text = print_session_policy((files, items), ACCOUNT, None)
    assert len(text) <= MAX_CHARS
    both = Decided(scopes=(files,), items=(items,), account=ACCOUNT, ends=(), session_ends_by=AT)
    assert isinstance(prove(text, both), ProvedPolicy)
    for less in (
        Decided(scopes=(files,), items=(), account=ACCOUNT, ends=(), session_ends_by=AT),
        Decided(scopes=(), items=(items,), account=ACCOUNT, ends=(), session_ends_by=AT),
    ):
        assert isinstance(prove(text, less), Refused)


def _allow(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in statements if one["Effect"] == "Allow")


def _without(key: str, operator: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        del _allow(statements)["Condition"][operator][key]
        if not _allow(statements)["Condition"][operator]:
            del _allow(statements)["Condition"][operator]

    return change


def _lost(operator: str, key: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        kept = [one for one in statements if key not in one.get("Condition", {}).get(operator, {})]
        kept += [one for one in statements if one["Effect"] == "Allow" and one not in kept]
        assert len(kept) < len(statements)
        statements[:] = kept

    return change


def _action(name: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        _allow(statements)["Action"].append(name)
        next(one for one in statements if "NotAction" in one)["NotAction"].append(name)

    return change


def _resource(text: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        _allow(statements)["Resource"] = [ORDERS, text]
        next(one for one in statements if "NotResource" in one)["NotResource"] = [ORDERS, text]

    return change


def _other_operator(old: str, new: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        block = _allow(statements)["Condition"]
        block[new] = {**block.get(new, {}), **block.pop(old)}

    return change


def _one_key_more(statements: list[dict[str, Any]]) -> None:
    for one in statements:
        for keys in one.get("Condition", {}).values():
            if keys.get("dynamodb:LeadingKeys") == "alice":
                keys["dynamodb:LeadingKeys"] = ["alice", "bob"]


def _fence_without(what: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        kept = [one for one in statements if what not in one]
        assert len(kept) == len(statements) - 1
        statements[:] = kept

    return change


MISTAKES: dict[str, Change] = {
    "no Null guard of leading keys": _without("dynamodb:LeadingKeys", "Null"),
    "no Null guard of attributes": _without("dynamodb:Attributes", "Null"),
    "no leading keys": _without("dynamodb:LeadingKeys", "ForAllValues:StringEquals"),
    "no attributes": _without("dynamodb:Attributes", "ForAllValues:StringEquals"),
    "no Select": _without("dynamodb:Select", "StringEquals"),
    "no account": _without("aws:ResourceAccount", "StringEquals"),
    "ForAnyValue": _other_operator("ForAllValues:StringEquals", "ForAnyValue:StringEquals"),
    "StringLike": _other_operator("ForAllValues:StringEquals", "ForAllValues:StringLike"),
    "IfExists on Select": _other_operator("StringEquals", "StringEqualsIfExists"),
    "no set operator": _other_operator("ForAllValues:StringEquals", "StringEquals"),
    "Scan": _action("dynamodb:Scan"),
    "PartiQL": _action("dynamodb:PartiQLSelect"),
    "ConditionCheckItem beside attributes": _action("dynamodb:ConditionCheckItem"),
    "a write beside attributes": _action("dynamodb:PutItem"),
    "Get*": _action("dynamodb:Get*"),
    "an index": _resource(f"{ORDERS}/index/by-user"),
    "every index": _resource(f"{ORDERS}/index/*"),
    "a table that begins alike": _resource(f"{ORDERS}*"),
    "another key": _one_key_more,
    "lost fence of keys": _lost("ForAnyValue:StringNotEquals", "dynamodb:LeadingKeys"),
    "lost fence of attributes": _lost("ForAnyValue:StringNotEquals", "dynamodb:Attributes"),
    "lost fence of Select": _lost("StringNotEquals", "dynamodb:Select"),
    "lost fence of accounts": _lost("StringNotEquals", "aws:ResourceAccount"),
    "lost fence of actions": _fence_without("NotAction"),
    "lost fence of resources": _fence_without("NotResource"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused(name: str) -> None:
    document = json.loads(text_of((SCOPE,)))
    MISTAKES[name](document["Statement"])
    outcome = prove(json.dumps(document, separators=(",", ":")), decided((SCOPE,)))
    assert isinstance(outcome, Refused)
    assert outcome.witness is not None or outcome.doubt is Doubt.NOT_UNDERSTOOD


@pytest.mark.parametrize("key", ["dynamodb:LeadingKeys", "dynamodb:Attributes"])
def test_a_lost_denial_of_requests_without_the_key_is_refused(key: str) -> None:
    document = json.loads(text_of((SCOPE,)))
    document["Statement"] = [
        one for one in document["Statement"] if one.get("Condition", {}).get("Null", {}).get(key) != "true"
    ]
    outcome = prove(json.dumps(document, separators=(",", ":")), decided((SCOPE,)))
    assert isinstance(outcome, Refused)
    assert outcome.doubt is Doubt.NOT_FENCED
    assert outcome.witness is not None
    assert (key.lower(), None) in outcome.witness.context


def test_a_policy_of_another_decision_is_refused() -> None:
    for other in (
        item_scope(keys=("bob",), names=("id", "total")),
        item_scope(keys=("alice",), names=("id",)),
        item_scope(keys=("alice",)),
        item_scope(keys=None),
        item_scope(WRITE, keys=("alice",)),
        item_scope(arn=f"{ORDERS}2", keys=("alice",), names=("id", "total")),
    ):
        assert isinstance(prove(text_of((other,)), decided((SCOPE,))), Refused)


def test_a_decision_of_a_kind_that_no_session_may_have_is_refused() -> None:
    for wrong in (item_scope(WRITE, names=("id",)), item_scope(WRITE, arn=f"{ORDERS}/index/x-y")):
        assert isinstance(prove(text_of((wrong,)), decided((wrong,))), Refused)


def _grounds(**changes: Any) -> ItemGrounds:
    granted = GrantedItems(
        resource=changes.get("resource", ORDERS),
        permissions=changes.get("permissions", frozenset({READ})),
        leading_keys=changes.get("leading_keys", frozenset({"alice"})),
        attributes=changes.get("attributes", frozenset({"id", "total"})),
    )
    return ItemGrounds(
        granted=(granted,),
        denied=changes.get("denied", ()),
        asked=changes.get("asked", ((ORDERS, frozenset({READ})),)),
    )


def _doubt(scope: DynamoDbScope, grounds: ItemGrounds) -> Doubt | None:
    refused = items_beyond((scope,), grounds)
    return None if refused is None else refused.doubt


def test_a_decision_stays_within_grants_denials_and_request() -> None:
    assert _doubt(SCOPE, _grounds()) is None
    assert _doubt(SCOPE, _grounds(leading_keys=None, attributes=None)) is None
    assert _doubt(SCOPE, _grounds(leading_keys=frozenset({"bob"}))) is Doubt.NOT_GRANTED
    assert _doubt(SCOPE, _grounds(attributes=frozenset({"id"}))) is Doubt.NOT_GRANTED
    assert _doubt(SCOPE, _grounds(resource=f"{ORDERS}2")) is Doubt.NOT_GRANTED
    assert _doubt(SCOPE, _grounds(permissions=frozenset({WRITE}))) is Doubt.NOT_GRANTED
    assert _doubt(item_scope(keys=None), _grounds(attributes=None)) is Doubt.NOT_GRANTED
    assert _doubt(item_scope(), _grounds()) is Doubt.NOT_GRANTED
    assert _doubt(SCOPE, _grounds(denied=((ORDERS, frozenset({READ})),))) is Doubt.DENIED
    assert _doubt(SCOPE, _grounds(asked=((ORDERS, frozenset({WRITE})),))) is Doubt.NOT_ASKED
    index = item_scope(arn=f"{ORDERS}/index/by-user")
    denied = _grounds(resource=f"{ORDERS}/index/by-user", denied=((ORDERS, frozenset({READ})),))
    assert _doubt(index, denied) is Doubt.DENIED


def test_leading_keys_are_read_anew_from_their_texts() -> None:
    claims = {"penstock:username": "alice", "penstock:principaltag/team": ""}
    assert value_of("USER#${penstock:Username}", claims) == "USER#alice"
    assert value_of("a${*}${$}", claims) == "a*$"
    for text in ("${penstock:PrincipalTag/team}", "${penstock:Subject}", "${aws:username}", "${"):
        with pytest.raises(NotUnderstood):
            value_of(text, claims)
