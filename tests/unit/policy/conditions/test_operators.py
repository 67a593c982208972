"""Truth tables of the condition operators."""

from __future__ import annotations

import pytest
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.conditions.parsing import parse_condition

TAG = "penstock:PrincipalTag/x"
IP = "penstock:SourceIp"
NOW_KEY = "penstock:CurrentTime"
AGE = "penstock:TokenAge"
AMR = "penstock:AuthenticationMethods"


def holds(operator: str, key: str, values: tuple[str, ...] | str, *found: str, **more: tuple[str, ...]) -> bool:
    condition = parse_condition(operator, key, (values,) if isinstance(values, str) else values)
    context = {key.lower().removeprefix("penstock:"): found} if found else {}
    return Block(conditions=(condition,)).holds({**context, **more})


@pytest.mark.parametrize(
    ("operator", "key", "value", "found", "expected"),
    [
        ("StringEquals", TAG, "a", "a", True),
        ("StringEquals", TAG, "a", "A", False),
        ("StringEquals", TAG, "a*", "ab", False),
        ("StringEqualsIgnoreCase", TAG, "Straße", "STRASSE", False),
        ("StringEqualsIgnoreCase", TAG, "aB", "Ab", True),
        ("StringLike", TAG, "a*c?", "abbcd", True),
        ("StringLike", TAG, "a*c?", "abbc", False),
        ("StringLike", TAG, "a*", "A", False),
        ("StringLike", TAG, "a${*}", "ab", False),
        ("StringLike", TAG, "a${*}", "a*", True),
        ("StringLike", TAG, "${?}${$}", "?$", True),
        ("StringEquals", TAG, "", "x", False),
        ("ArnLike", TAG, "arn:aws:iam::*:role/*", "arn:aws:iam::1:role/a:b", True),
        ("ArnLike", TAG, "arn:aws:*:role/x", "arn:aws:iam::1:role/x", False),
        ("ArnEquals", TAG, "arn:aws:iam::1:role/?", "arn:aws:iam::1:role/x", True),
        ("ArnLike", TAG, "arn:aws:iam::1:role/x", "arn:aws:iam::2:role/x", False),
        ("NumericEquals", TAG, "1.0", "1", True),
        ("NumericLessThan", AGE, "10", "9", True),
        ("NumericLessThan", AGE, "10", "10", False),
        ("NumericLessThanEquals", AGE, "10", "10", True),
        ("NumericGreaterThan", AGE, "10", "10", False),
        ("NumericGreaterThanEquals", AGE, "9", "10", True),
        ("DateEquals", NOW_KEY, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00+00:00", True),
        ("DateLessThan", NOW_KEY, "1767225600", "2026-01-01T00:00:00+00:00", False),
        ("DateLessThanEquals", NOW_KEY, "1767225600", "2026-01-01T00:00:00+00:00", True),
        ("DateGreaterThan", NOW_KEY, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001+00:00", True),
        ("DateGreaterThanEquals", NOW_KEY, "2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999999+00:00", False),
        ("Bool", TAG, "true", "TRUE", True),
        ("Bool", TAG, "true", "false", False),
        ("IpAddress", IP, "10.0.0.0/8", "10.255.255.255", True),
        ("IpAddress", IP, "10.0.0.0/8", "11.0.0.0", False),
        ("IpAddress", IP, "10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("IpAddress", IP, "10.0.0.1", "10.0.0.1", True),
        ("IpAddress", IP, "2001:db8::/32", "2001:db8::1", True),
        ("IpAddress", IP, "2001:db8::/32", "10.0.0.1", False),
    ],
)
def test_a_positive_operator_and_its_negation(operator: str, key: str, value: str, found: str, expected: bool) -> None:
    assert holds(operator, key, value, found) is expected
    negations = {"StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "IpAddress": "NotIpAddress"}
    negations |= {f"{kind}{word}": f"{kind}Not{word}" for kind in ("String", "Arn") for word in ("Equals", "Like")}
    negations |= {"NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals"}
    if operator in negations:
        assert holds(negations[operator], key, value, found) is not expected
    # A key that is there makes IfExists mean nothing.
    assert holds(f"{operator}IfExists", key, value, found) is expected


@pytest.mark.parametrize(
    ("positive", "negated", "key", "value"),
    [
        ("StringEquals", "StringNotEquals", TAG, "a"),
        ("StringLike", "StringNotLike", TAG, "*"),
        ("ArnLike", "ArnNotLike", TAG, "arn:*:*:*:*:*"),
        ("NumericEquals", "NumericNotEquals", TAG, "1"),
        ("DateEquals", "DateNotEquals", TAG, "0"),
        ("IpAddress", "NotIpAddress", IP, "0.0.0.0/0"),
    ],
)
def test_a_missing_key_is_false_for_a_positive_operator_and_true_for_a_negated_one(
    positive: str, negated: str, key: str, value: str
) -> None:
    assert not holds(positive, key, value)
    assert holds(negated, key, value)
    assert holds(f"{positive}IfExists", key, value)
    assert holds(f"{negated}IfExists", key, value)


@pytest.mark.parametrize("operator", ["NumericLessThan", "NumericNotEquals", "DateLessThan", "DateNotEquals", "Bool"])
def test_a_value_that_cannot_be_judged_permits_nothing(operator: str) -> None:
    value = "true" if operator == "Bool" else "1"
    assert not holds(operator, TAG, value, "x")
    assert not holds(f"{operator}IfExists", TAG, value, "x")


def test_what_is_no_arn_permits_nothing_under_either_polarity() -> None:
    assert not holds("ArnLike", TAG, "arn:*:*:*:*:*", "x")
    assert not holds("ArnNotLike", TAG, "arn:*:*:*:*:*", "x")


def test_several_values_under_an_operator_for_one_permit_nothing() -> None:
    assert not holds("StringEquals", TAG, "a", "a", "b")
    assert not holds("StringNotEquals", TAG, "c", "a", "b")


@pytest.mark.parametrize(
    ("operator", "values", "found", "expected"),
    [
        ("ForAnyValue:StringEquals", ("a", "b"), ("b", "c"), True),
        ("ForAnyValue:StringEquals", ("a",), ("b", "c"), False),
        ("ForAnyValue:StringEquals", ("a",), (), False),
        ("ForAllValues:StringEquals", ("a", "b"), ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a",), ("a", "b"), False),
        ("ForAllValues:StringEquals", ("a",), (), True),
        ("ForAnyValue:StringNotEquals", ("a",), ("a", "b"), True),
        ("ForAnyValue:StringNotEquals", ("a",), ("a",), False),
        ("ForAllValues:StringNotEquals", ("a",), ("b", "c"), True),
        ("ForAllValues:StringNotEquals", ("a",), ("a", "c"), False),
        ("ForAllValues:StringEqualsIfExists", ("a",), (), True),
        ("ForAllValues:StringEqualsIfExists", ("a",), ("b",), False),
        ("forallvalues:stringlike", ("a*",), ("ab", "ac"), True),
    ],
)
def test_set_operators(operator: str, values: tuple[str, ...], found: tuple[str, ...], expected: bool) -> None:
    assert holds(operator, AMR, values, *found) is expected


def test_null_tells_whether_a_key_is_there() -> None:
    assert holds("Null", TAG, "true")
    assert not holds("Null", TAG, "false")
    assert holds("Null", TAG, "false", "x")
    assert not holds("Null", TAG, "TRUE", "x")


def test_or_over_values_and_nor_under_negation() -> None:
    assert holds("StringEquals", TAG, ("a", "b"), "b")
    assert not holds("StringNotEquals", TAG, ("a", "b"), "b")
    assert holds("StringNotEquals", TAG, ("a", "b"), "c")


def test_a_variable_is_literal_and_unresolved_matches_nothing() -> None:
    value = "${penstock:ClientId}"
    assert holds("StringLike", TAG, value, "a*", clientid=("a*",))
    assert not holds("StringLike", TAG, value, "ab", clientid=("a*",))
    assert not holds("StringEquals", TAG, value, "a")
    assert holds("StringEquals", TAG, ("a", value), "a")
    assert holds("StringEquals", TAG, "${penstock:ClientId, 'd'}", "d")
    assert not holds("StringEquals", TAG, "${penstock:ClientId, 'd'}", "d", clientid=("e",))
    assert not holds("ArnLike", TAG, "arn:aws:iam::${penstock:ClientId}", "arn:aws:iam::1:x", clientid=("1",))


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringNotLike", "StringNotEqualsIgnoreCase", "ArnNotLike"])
def test_a_variable_without_a_value_permits_nothing_under_a_negated_operator(operator: str) -> None:
    value = "${penstock:PrincipalTag/manager}"
    arn = "arn:aws:iam::1:role/x"
    assert not holds(operator, TAG, value, arn)
    assert not holds(operator, TAG, ("other", value), arn)
    assert not holds(f"{operator}IfExists", TAG, value, arn)
    assert not holds(f"ForAllValues:{operator}", TAG, value, arn)


def test_every_condition_of_a_block_must_hold() -> None:
    both = Block(
        conditions=(parse_condition("StringEquals", TAG, ("a",)), parse_condition("NumericLessThan", AGE, ("5",)))
    )
    assert both.holds({"principaltag/x": ("a",), "tokenage": ("4",)})
    assert not both.holds({"principaltag/x": ("a",), "tokenage": ("5",)})
    assert [str(one) for one in both.failing({"principaltag/x": ("a",)})] == [
        "`NumericLessThan` on `penstock:TokenAge`"
    ]
