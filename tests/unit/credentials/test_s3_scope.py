from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.credentials.scopes import s3
from penstock_server.credentials.session_policy import literal, print_policy
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission
from support.iam import Verdict, evaluate
from support.s3_scopes import ACCOUNT, ENDED, NEVER, NEVER_ON_BUCKETS, Probe, meant, probes, random_scopes

READ_LIST = frozenset({S3Permission.READ, S3Permission.LIST})


def scope(key: str, permissions: frozenset[S3Permission] = READ_LIST, *, bucket: str = "acme-lake") -> S3Scope:
    exact = bool(key) and not key.endswith("/")
    return S3Scope(location=S3Location(bucket=bucket, key=key), exact=exact, permissions=permissions)


def policy(*scopes: S3Scope, ends_at: datetime | None = None) -> str:
    return print_policy(s3.statements(scopes, account=ACCOUNT, ends_at=ends_at))


def verdict(text: str, probe: Probe) -> Verdict:
    return evaluate(text, action=probe.action, resource=probe.resource, context=probe.context)


def get(key: str, action: str = "s3:GetObject", bucket: str = "acme-lake") -> Probe:
    return Probe(action=action, bucket=bucket, key=key, prefix=None)


def listing(prefix: str | None, bucket: str = "acme-lake") -> Probe:
    return Probe(action="s3:ListBucket", bucket=bucket, key=None, prefix=prefix)


@given(st.integers(min_value=0))
@settings(max_examples=150, deadline=None)
def test_a_policy_allows_what_is_meant_and_explicitly_denies_all_else(seed: int) -> None:
    source = random.Random(seed)
    scopes = random_scopes(source)
    text = policy(*scopes)
    for probe in probes(source, scopes):
        expected = Verdict.ALLOWED if meant(scopes, probe) else Verdict.EXPLICITLY_DENIED
        assert verdict(text, probe) is expected, (probe, scopes)


def test_the_policy_of_one_prefix_reads_as_the_documentation_shows_it() -> None:
    assert json.loads(policy(scope("finance/"))) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::acme-lake/finance/*",
                "Condition": {"StringEquals": {"aws:ResourceAccount": ACCOUNT}},
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::acme-lake",
                "Condition": {
                    "StringLike": {"s3:prefix": "finance/*"},
                    "StringEquals": {"aws:ResourceAccount": ACCOUNT},
                },
            },
            {"Effect": "Deny", "NotAction": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": "*",
                "NotResource": ["arn:aws:s3:::acme-lake/finance/*", "arn:aws:s3:::acme-lake"],
            },
            {
                "Effect": "Deny",
                "Action": "s3:ListBucket",
                "Resource": "*",
                "Condition": {"StringNotLike": {"s3:prefix": "finance/*"}},
            },
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:ResourceAccount": ACCOUNT}},
            },
        ],
    }


def test_a_sibling_prefix_is_neither_read_nor_listed() -> None:
    text = policy(scope("lake/nyc/"))
    assert verdict(text, get("lake/nyc/a")) is Verdict.ALLOWED
    assert verdict(text, listing("lake/nyc/")) is Verdict.ALLOWED
    for outside in (get("lake/nyc-2/a"), get("lake/nyc"), listing("lake/nyc"), listing("lake/ny"), listing(None)):
        assert verdict(text, outside) is Verdict.EXPLICITLY_DENIED


def test_a_single_object_is_never_listed() -> None:
    text = policy(scope("finance/a.csv"))
    assert verdict(text, get("finance/a.csv")) is Verdict.ALLOWED
    assert verdict(text, get("finance/a.csv.bak")) is Verdict.EXPLICITLY_DENIED
    assert verdict(text, listing("finance/a.csv")) is Verdict.EXPLICITLY_DENIED


def test_a_whole_bucket_is_listed_without_a_prefix_too() -> None:
    text = policy(scope(""))
    assert verdict(text, listing(None)) is Verdict.ALLOWED
    assert verdict(text, get("x")) is Verdict.ALLOWED
    assert verdict(text, listing(None, "acme-lake2")) is Verdict.EXPLICITLY_DENIED


def test_permissions_of_one_prefix_do_not_spread_to_another() -> None:
    text = policy(
        scope("in/"),
        scope("out/", frozenset({S3Permission.WRITE})),
        scope("in/", frozenset({S3Permission.WRITE}), bucket="acme-lake2"),
    )
    assert verdict(text, get("in/a")) is Verdict.ALLOWED
    assert verdict(text, get("out/a", "s3:PutObject")) is Verdict.ALLOWED
    assert verdict(text, get("in/a", "s3:PutObject", "acme-lake2")) is Verdict.ALLOWED
    for outside in (
        get("in/a", "s3:PutObject"),
        get("out/a"),
        get("in/a", "s3:GetObject", "acme-lake2"),
        listing("out/"),
        listing("in/", "acme-lake2"),
    ):
        assert verdict(text, outside) is Verdict.EXPLICITLY_DENIED


def test_listings_of_two_buckets_do_not_exchange_their_prefixes() -> None:
    text = policy(scope("a/"), scope("b/", bucket="acme-lake2"))
    assert verdict(text, listing("a/")) is Verdict.ALLOWED
    assert verdict(text, listing("b/")) is Verdict.EXPLICITLY_DENIED
    assert verdict(text, listing("a/", "acme-lake2")) is Verdict.EXPLICITLY_DENIED


def test_every_permission_together_never_allows_what_is_never_given() -> None:
    text = policy(scope("", frozenset(S3Permission)))
    for action in NEVER:
        assert verdict(text, get("x", action)) is Verdict.EXPLICITLY_DENIED
    for action in NEVER_ON_BUCKETS:
        probe = Probe(action=action, bucket="acme-lake", key=None, prefix=None)
        assert verdict(text, probe) is Verdict.EXPLICITLY_DENIED
    for action, resource in (
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/other"),
        ("s3:GetDataAccess", "arn:aws:s3:eu-west-1:111122223333:access-grants/default"),
        ("s3express:CreateSession", "arn:aws:s3express:eu-west-1:111122223333:bucket/b--x-s3"),
        ("signin:CreateBearerToken", "*"),
        ("kms:CreateGrant", "arn:aws:kms:eu-west-1:111122223333:key/k"),
        ("iam:PassRole", "arn:aws:iam::111122223333:role/other"),
    ):
        context = {"aws:ResourceAccount": ACCOUNT}
        assert evaluate(text, action=action, resource=resource, context=context) is Verdict.EXPLICITLY_DENIED


def test_writing_with_a_key_of_the_writers_own_is_denied() -> None:
    text = policy(scope("out/", frozenset({S3Permission.WRITE})))
    plain = get("out/a", "s3:PutObject")
    locked = Probe(action="s3:PutObject", bucket="acme-lake", key="out/a", prefix=None, customer_key=True)
    assert verdict(text, plain) is Verdict.ALLOWED
    assert verdict(text, locked) is Verdict.EXPLICITLY_DENIED


def test_a_bucket_of_a_strangers_account_receives_nothing() -> None:
    text = policy(scope("out/", frozenset({S3Permission.WRITE})))
    elsewhere = Probe(action="s3:PutObject", bucket="acme-lake", key="out/a", prefix=None, account="999988887777")
    assert verdict(text, elsewhere) is Verdict.EXPLICITLY_DENIED


def test_a_decision_that_ends_closes_the_session_itself() -> None:
    assert verdict(policy(scope("finance/"), ends_at=ENDED), get("finance/a")) is Verdict.EXPLICITLY_DENIED
    later = datetime(2026, 11, 24, 12, 0, 1, tzinfo=UTC)
    assert verdict(policy(scope("finance/"), ends_at=later), get("finance/a")) is Verdict.ALLOWED


@pytest.mark.parametrize("key", ["*/", "fi?ance/", "${aws:username}/", "$/", "${*}/"])
def test_characters_of_iam_in_a_key_stand_for_themselves(key: str) -> None:
    text = policy(scope(key))
    assert verdict(text, get(f"{key}a")) is Verdict.ALLOWED
    assert verdict(text, listing(key)) is Verdict.ALLOWED
    for outside in ("finance/a", "x/a", "bob/a"):
        assert verdict(text, get(outside)) is Verdict.EXPLICITLY_DENIED
        assert verdict(text, listing(outside)) is Verdict.EXPLICITLY_DENIED


def test_a_printed_policy_holds_ascii_alone() -> None:
    text = policy(scope("caf\u00e9/\U0001f600/\u4e2d/"))
    assert text.isascii()
    assert text.isprintable()


def test_scopes_within_others_cost_nothing() -> None:
    assert policy(scope("a/"), scope("a/b/"), scope("a/b/c.csv", frozenset({S3Permission.READ}))) == policy(scope("a/"))


def test_an_object_does_not_swallow_those_whose_names_begin_with_its_name() -> None:
    read = frozenset({S3Permission.READ})
    text = policy(scope("a", read), scope("ab", read), scope("a/", read))
    for inside in ("a", "ab", "a/b"):
        assert verdict(text, get(inside)) is Verdict.ALLOWED
    assert verdict(text, get("abc")) is Verdict.EXPLICITLY_DENIED


def test_the_order_of_scopes_does_not_matter() -> None:
    scopes = (scope("b/"), scope("a/"), scope("c/", frozenset({S3Permission.WRITE})))
    assert policy(*scopes) == policy(*reversed(scopes))


def test_scopes_are_described_as_arns_with_their_permissions() -> None:
    described = s3.describe((scope("fin*/"), scope("a.csv", frozenset({S3Permission.READ}))))
    assert described == "LIST,READ arn:aws:s3:::acme-lake/fin${*}/*; READ arn:aws:s3:::acme-lake/a.csv"


def test_a_literal_of_text_without_wildcards_is_the_text() -> None:
    assert literal('year=2013/"a"/..') == 'year=2013/"a"/..'
