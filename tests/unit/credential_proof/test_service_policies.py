"""The proof of session policies on resources that are named whole: right ones are proved, each mistake is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy, Refused
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.proof.service_grounds import GrantedService, ServiceGrounds, services_beyond
from penstock_server.credentials.session_policy import MAX_CHARS
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission
from penstock_server.model.services import Limit, ServicePermission, ServiceScope
from support.item_scopes import item_scope
from support.service_scopes import (
    ACCOUNT,
    AT,
    CLUSTER,
    CONSUMER,
    DATABASE,
    KEY,
    S3_SERVICE,
    STREAM,
    TABLE,
    WORKGROUP,
    decided,
    random_service_scopes,
    service_scope,
    text_of,
)

Change = Callable[[list[dict[str, Any]]], None]
READ, WRITE = ServicePermission.READ, ServicePermission.WRITE
FILES = S3Scope(
    location=S3Location(bucket="acme-lake", key="finance/"),
    exact=False,
    permissions=frozenset({S3Permission.READ, S3Permission.WRITE}),
)
SCOPES = {
    "a stream": service_scope(STREAM),
    "a consumer": service_scope(CONSUMER),
    "a stream to write": service_scope(STREAM, WRITE),
    "a key": service_scope(KEY, via=S3_SERVICE, context_tenant="alice"),
    "a key to write": service_scope(KEY, ServicePermission.ENCRYPT),
    "a cluster": service_scope(CLUSTER),
    "a workgroup": service_scope(WORKGROUP),
    "a table": service_scope(TABLE),
    "a database": service_scope(DATABASE),
}


@pytest.mark.parametrize("name", SCOPES)
def test_each_builder_prints_what_is_proved(name: str) -> None:
    text = text_of((SCOPES[name],))
    assert prove(text, decided((SCOPES[name],))) == ProvedPolicy(text=text)


def test_what_the_builders_print_of_several_resources_is_proved() -> None:
    source = random.Random(11)
    proved = 0
    for _ in range(150):
        scopes = random_service_scopes(source)
        text = text_of(scopes)
        if len(text) <= MAX_CHARS:
            assert prove(text, decided(scopes)) == ProvedPolicy(text=text), scopes
            proved += 1
    assert proved > 80


@pytest.mark.parametrize("name", SCOPES)
def test_a_policy_of_another_resource_is_refused(name: str) -> None:
    for other, scope in SCOPES.items():
        if other != name:
            assert isinstance(prove(text_of((scope,)), decided((SCOPES[name],))), Refused)


def test_files_items_and_keys_in_one_session_are_proved_together() -> None:
    key, items = service_scope(KEY, ServicePermission.ENCRYPT), item_scope()
    for scopes, both in (
        ((FILES, key), Decided(scopes=(FILES,), services=(key,), account=ACCOUNT, ends=(), session_ends_by=AT)),
        (
            (items, key),
            Decided(scopes=(), items=(items,), services=(key,), account=ACCOUNT, ends=(), session_ends_by=AT),
        ),
        (
            (FILES, SCOPES["a stream"]),
            Decided(scopes=(FILES,), services=(SCOPES["a stream"],), account=ACCOUNT, ends=(), session_ends_by=AT),
        ),
    ):
        text = print_session_policy(scopes, ACCOUNT, None)
        assert prove(text, both) == ProvedPolicy(text=text)


def test_a_session_that_ends_early_is_closed_by_its_policy() -> None:
    end = AT.replace(minute=10)
    closed = Decided(
        scopes=(), services=(SCOPES["a key"],), account=ACCOUNT, ends=(end,), session_ends_by=AT.replace(hour=14)
    )
    assert isinstance(prove(print_session_policy((SCOPES["a key"],), ACCOUNT, end), closed), ProvedPolicy)
    refused = prove(print_session_policy((SCOPES["a key"],), ACCOUNT, None), closed)
    assert isinstance(refused, Refused)
    assert refused.doubt is Doubt.NOT_FENCED


def _allows(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in statements if one["Effect"] == "Allow"]


def _no_condition(key: str) -> Change:
    """Leave a condition out of the Allow."""

    def change(statements: list[dict[str, Any]]) -> None:
        for one in _allows(statements):
            for operator, keys in list(one.get("Condition", {}).items()):
                keys.pop(key, None)
                if not keys:
                    del one["Condition"][operator]

    return change


def _no_fence_of(key: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        statements[:] = [
            one
            for one in statements
            if one["Effect"] == "Allow" or not any(key in keys for keys in one.get("Condition", {}).values())
        ]

    return change


def _no_condition_nor_fence(key: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        _no_condition(key)(statements)
        _no_fence_of(key)(statements)

    return change


def _fence_without(what: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        statements[:] = [one for one in statements if what not in one]

    return change


def _replaced(old: str, new: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        statements[:] = json.loads(json.dumps(statements).replace(old, new))

    return change


def _one_action_more(name: str) -> Change:
    def change(statements: list[dict[str, Any]]) -> None:
        for one in (_allows(statements)[0], next(one for one in statements if "NotAction" in one)):
            place = "Action" if "Action" in one else "NotAction"
            known = one[place] if isinstance(one[place], list) else [one[place]]
            one[place] = [*known, name]

    return change


def _operator(old: str, new: str) -> Change:
    return _replaced(f'"{old}"', f'"{new}"')


def _wildcard(statements: list[dict[str, Any]]) -> None:
    _operator("StringEquals", "StringLike")(statements)
    _operator("StringNotEquals", "StringNotLike")(statements)
    _replaced('"alice"', '"alice*"')(statements)


MISTAKES: dict[str, tuple[str, Change]] = {
    "kinesis: a stream that begins alike": ("a stream", _replaced("stream/clicks", "stream/clicks*")),
    "kinesis: every consumer": ("a consumer", _replaced("consumer/app:1700000000", "consumer/*")),
    "kinesis: a consumer of another time": ("a consumer", _replaced("app:1700000000", "app:*")),
    "kinesis: Get*": ("a stream", _one_action_more("kinesis:Get*")),
    "kinesis: every action": ("a stream", _one_action_more("kinesis:*")),
    "kinesis: a write": ("a stream", _one_action_more("kinesis:PutRecord")),
    "kinesis: a read beside a write": ("a stream to write", _one_action_more("kinesis:GetRecords")),
    "kinesis: consumers are registered": ("a stream", _one_action_more("kinesis:RegisterStreamConsumer")),
    "kinesis: another account": ("a stream", _replaced(ACCOUNT, "999999999999")),
    "kinesis: every account": ("a stream", _replaced(ACCOUNT, "*")),
    "kinesis: lost fence of actions": ("a stream", _fence_without("NotAction")),
    "kinesis: lost fence of resources": ("a stream", _fence_without("NotResource")),
    "kinesis: another region": ("a stream", _replaced("eu-west-1", "*")),
    "kms: no ViaService": ("a key", _no_condition("kms:ViaService")),
    "kms: no ViaService at all": ("a key", _no_condition_nor_fence("kms:ViaService")),
    "kms: lost fence of ViaService": ("a key", _no_fence_of("kms:ViaService")),
    "kms: no encryption context": ("a key", _no_condition("kms:EncryptionContext:tenant")),
    "kms: no encryption context at all": ("a key", _no_condition_nor_fence("kms:EncryptionContext:tenant")),
    "kms: lost fence of the encryption context": ("a key", _no_fence_of("kms:EncryptionContext:tenant")),
    "kms: another name in the context": ("a key", _replaced("EncryptionContext:tenant", "EncryptionContext:team")),
    "kms: a context that begins alike": ("a key", _wildcard),
    "kms: IfExists on the context": ("a key", _operator("StringEquals", "StringEqualsIfExists")),
    "kms: every service": ("a key", _replaced(S3_SERVICE, "lambda.eu-west-1.amazonaws.com")),
    "kms: every key": ("a key", _replaced(KEY, KEY.rpartition("/")[0] + "/*")),
    "kms: CreateGrant": ("a key", _one_action_more("kms:CreateGrant")),
    "kms: ReEncrypt*": ("a key", _one_action_more("kms:ReEncrypt*")),
    "kms: encrypting beside decrypting": ("a key", _one_action_more("kms:Encrypt")),
    "redshift-data: statements of others": ("a cluster", _no_condition("redshift-data:statement-owner-iam-userid")),
    "redshift-data: statements of others, and no fence": (
        "a cluster",
        _no_condition_nor_fence("redshift-data:statement-owner-iam-userid"),
    ),
    "redshift-data: lost fence of owners": ("a cluster", _no_fence_of("redshift-data:statement-owner-iam-userid")),
    "redshift-data: sessions of others": ("a cluster", _no_condition("redshift-data:session-owner-iam-userid")),
    "redshift-data: lost fence of sessions": ("a cluster", _no_fence_of("redshift-data:session-owner-iam-userid")),
    "redshift-data: another variable": ("a cluster", _replaced("aws:userid", "aws:username")),
    "redshift-data: an owner by name": ("a cluster", _replaced("${aws:userid}", "AROAEXAMPLE:pk-other")),
    "redshift-data: an owner that begins alike": ("a cluster", _replaced("${aws:userid}", "${aws:userid}*")),
    "redshift-data: the password for the caller": ("a cluster", _no_condition("aws:ViaAWSService")),
    "redshift-data: the password for the caller, and no fence": (
        "a cluster",
        _no_condition_nor_fence("aws:ViaAWSService"),
    ),
    "redshift-data: the password where no service asks": (
        "a cluster",
        _replaced('{"aws:ViaAWSService": "true"}', '{"aws:ViaAWSService": "false"}'),
    ),
    "redshift-data: every user": ("a cluster", _replaced("/pk_alice", "/*")),
    "redshift-data: another user": ("a cluster", _replaced("/pk_alice", "/awsuser")),
    "redshift-data: every database": ("a cluster", _replaced("analytics/dev", "analytics/*")),
    "redshift-data: a cluster that begins alike": ("a cluster", _replaced("cluster:analytics", "cluster:analytics*")),
    "redshift-data: users are created": ("a cluster", _one_action_more("redshift:CreateClusterUser")),
    "redshift-data: lists": ("a cluster", _one_action_more("redshift-data:ListTables")),
    "athena: every workgroup": ("a workgroup", _replaced("workgroup/analysts", "workgroup/*")),
    "athena: Spark": ("a workgroup", _one_action_more("athena:StartSession")),
    "athena: the workgroup is changed": ("a workgroup", _one_action_more("athena:UpdateWorkGroup")),
    "athena: lost fence of resources": ("a workgroup", _fence_without("NotResource")),
    "glue: every table of a database": ("a table", _replaced("table/sales/orders", "table/sales/*")),
    "glue: every database": ("a table", _replaced("database/sales", "database/*")),
    "glue: a table that begins alike": ("a table", _replaced("table/sales/orders", "table/sales/orders*")),
    "glue: tables are listed": ("a table", _one_action_more("glue:GetTables")),
    "glue: Get*": ("a table", _one_action_more("glue:Get*")),
    "glue: tables of a database": ("a database", _one_action_more("glue:GetTable")),
    "glue: lost fence of resources": ("a table", _fence_without("NotResource")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_the_request_that_shows_it(name: str) -> None:
    of, change = MISTAKES[name]
    right = text_of((SCOPES[of],))
    document = json.loads(right)
    change(document["Statement"])
    wrong = json.dumps(document, separators=(",", ":"))
    assert wrong != right
    outcome = prove(wrong, decided((SCOPES[of],)))
    assert isinstance(outcome, Refused)
    assert outcome.witness is not None or outcome.doubt is Doubt.NOT_UNDERSTOOD, outcome
    assert "characters" not in outcome.detail


@pytest.mark.parametrize(
    "scope",
    [
        service_scope(CONSUMER, WRITE),
        service_scope(STREAM, via=S3_SERVICE),
        service_scope(WORKGROUP, ServicePermission.DESCRIBE),
        service_scope(CLUSTER, database="dev"),
        ServiceScope(target=SCOPES["a key"].target, permission=ServicePermission.DECRYPT, limits=()),
    ],
    ids=["a consumer to write", "a limited stream", "a described workgroup", "no user", "an open key"],
)
def test_a_decision_of_a_kind_that_no_session_may_have_is_refused(scope: ServiceScope) -> None:
    text = text_of((SCOPES["a stream"],))
    assert isinstance(prove(text, decided((scope,))), Refused)


def test_a_limit_that_is_not_known_is_not_understood() -> None:
    outcome = prove(text_of((SCOPES["a key"],)), decided((service_scope(KEY, elsewhere="x"),)))
    assert isinstance(outcome, Refused)
    assert outcome.doubt is Doubt.NOT_UNDERSTOOD


KEY_SCOPE = SCOPES["a key"]
LIMITS = frozenset({("via", frozenset({S3_SERVICE})), ("context:tenant", frozenset({"alice"}))})


def _grounds(**changes: Any) -> ServiceGrounds:
    granted = GrantedService(
        resource=changes.get("resource", KEY),
        permissions=changes.get("permissions", frozenset({ServicePermission.DECRYPT})),
        limits=changes.get("limits", LIMITS),
    )
    return ServiceGrounds(
        granted=(granted,),
        denied=changes.get("denied", ()),
        asked=changes.get("asked", ((KEY, frozenset({ServicePermission.DECRYPT})),)),
    )


def _doubt(scope: ServiceScope, grounds: ServiceGrounds) -> Doubt | None:
    refused = services_beyond((scope,), grounds)
    return None if refused is None else refused.doubt


def test_a_decision_stays_within_grants_denials_and_request() -> None:
    assert _doubt(KEY_SCOPE, _grounds()) is None
    assert _doubt(KEY_SCOPE, _grounds(limits=LIMITS - {("via", frozenset({S3_SERVICE}))})) is Doubt.NOT_GRANTED
    assert _doubt(KEY_SCOPE, _grounds(limits=frozenset())) is Doubt.NOT_GRANTED
    assert _doubt(KEY_SCOPE, _grounds(resource=f"{KEY}0")) is Doubt.NOT_GRANTED
    assert _doubt(KEY_SCOPE, _grounds(permissions=frozenset({ServicePermission.ENCRYPT}))) is Doubt.NOT_GRANTED
    denied = ((KEY, frozenset({ServicePermission.DECRYPT})),)
    assert _doubt(KEY_SCOPE, _grounds(denied=denied)) is Doubt.DENIED
    assert _doubt(KEY_SCOPE, _grounds(asked=((KEY, frozenset({ServicePermission.ENCRYPT})),))) is Doubt.NOT_ASKED


@pytest.mark.parametrize(
    ("scope", "above"), [(SCOPES["a consumer"], STREAM), (SCOPES["a table"], DATABASE)], ids=["stream", "database"]
)
def test_a_denial_takes_what_lies_in_it(scope: ServiceScope, above: str) -> None:
    asked = ((str(scope.target), frozenset({scope.permission})),)
    given = _grounds(resource=str(scope.target), permissions=frozenset({scope.permission}), limits=frozenset())
    grounds = ServiceGrounds(granted=given.granted, denied=((above, frozenset({scope.permission})),), asked=asked)
    assert _doubt(scope, grounds) is Doubt.DENIED
    assert _doubt(scope, ServiceGrounds(granted=given.granted, denied=(), asked=asked)) is None


def test_values_are_alternatives_and_every_limit_holds() -> None:
    scope = ServiceScope(
        target=KEY_SCOPE.target,
        permission=ServicePermission.DECRYPT,
        limits=(Limit(name="context:tenant", values=("alice",)), Limit(name="via", values=(S3_SERVICE, "x.y"))),
    )
    text = text_of((scope,))
    assert isinstance(prove(text, decided((scope,))), ProvedPolicy)
    assert isinstance(prove(text, decided((KEY_SCOPE,))), Refused)
