"""A text that is not understood to the last element is no policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from penstock_server.credentials.proof.patterns import NotUnderstood, read_pattern, read_text
from penstock_server.credentials.proof.reading import MAX_CHARS, KeyTest, read_policy

DENY: dict[str, Any] = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def policy(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def where(operator: str, key: str, value: Any) -> str:
    return policy({**DENY, "Condition": {operator: {key: value}}})


def test_a_policy_is_read_with_its_names_in_lower_case() -> None:
    (statement,) = read_policy(
        policy(
            {
                "Effect": "Deny",
                "NotAction": ["S3:GetObject", "s3:List*"],
                "NotResource": "arn:aws:s3:::B/${*}x*",
                "Condition": {"StringNotLike": {"S3:Prefix": "a/*"}},
            }
        )
    )
    assert not statement.allows
    assert statement.other_actions
    assert statement.other_resources
    assert [str(pattern) for pattern in statement.actions] == ["s3:getobject", "s3:list*"]
    (resource,) = statement.resources
    assert (resource.head, resource.is_prefix) == ("arn:aws:s3:::B/*x", True)
    (condition,) = statement.conditions
    assert (condition.key, condition.test) == ("s3:prefix", KeyTest.MATCHES_NONE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '"x"',
        "[" * 1_500,
        policy(),
        policy(DENY, Id="x"),
        policy({**DENY, "Sid": "x"}),
        policy({**DENY, "Principal": "*"}),
        policy({**DENY, "Effect": "deny"}),
        policy({"Effect": "Deny", "Action": "*"}),
        policy({"Effect": "Deny", "Resource": "*"}),
        policy({**DENY, "NotAction": "s3:GetObject"}),
        policy({**DENY, "NotResource": "*"}),
        policy({"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "*"}),
        policy({**DENY, "Action": []}),
        policy({**DENY, "Action": [["s3:GetObject"]]}),
        policy({**DENY, "Action": 7}),
        policy({**DENY, "Action": None}),
        policy({**DENY, "Action": "s3:GetObject "}),
        policy({**DENY, "Action": "s3:${*}"}),
        policy({**DENY, "Action": "s3:Get\u212aey"}),
        policy({**DENY, "Resource": "arn:aws:s3:::b/${aws:username}/*"}),
        policy({**DENY, "Resource": "arn:aws:s3:::b/${"}),
        policy({**DENY, "Resource": "arn:aws:s3:::b/${**}"}),
        policy({**DENY, "Resource": "arn:aws:s3:::b/\ud800"}),
        policy({**DENY, "Condition": []}),
        policy({**DENY, "Condition": {"StringLike": {}}}),
        policy({**DENY, "Condition": {"StringLike": "x"}}),
        policy({**DENY, "Condition": {"StringLike": {"s3:prefix": "a", "S3:PREFIX": "b"}}}),
        policy(DENY).replace("2012-10-17", "2008-10-17"),
        policy(DENY).replace('"Version"', '"version"'),
        '{"Version":"2012-10-17","Statement":' + json.dumps(DENY) + "}",
        '{"Statement":' + json.dumps([DENY]) + "}",
        policy(DENY)[:-1],
        policy(DENY) + " x",
        policy(DENY).replace(" ", "\n"),
        policy(DENY) + "\u00a0",
        policy({**DENY, "Resource": "x" * MAX_CHARS}),
        where("StringLike", "aws:username", "x"),
        where("ForAllValues:StringLike", "s3:prefix", "x"),
        where("ForAnyValue:StringLike", "s3:prefix", "x"),
        where("StringEqualsIgnoreCase", "s3:prefix", "x"),
        where("stringlike", "s3:prefix", "x"),
        where("StringEquals", "s3:prefix", "${*}"),
        where("ArnLike", "aws:ResourceAccount", "x"),
        where("NumericLessThan", "aws:CurrentTime", "1"),
        where("StringLike", "aws:CurrentTime", "2026*"),
        where("DateLessThan", "s3:prefix", "2026-11-24T12:00:00Z"),
        where("DateLessThan", "aws:CurrentTime", ["2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z"]),
        where("DateLessThan", "aws:CurrentTime", "2026-11-24"),
        where("DateLessThan", "aws:CurrentTime", "2026-11-24T12:00:00+01:00"),
        where("DateLessThan", "aws:CurrentTime", "2026-13-24T12:00:00Z"),
        where("DateLessThanIfExists", "aws:CurrentTime", "2026-11-24T12:00:00Z"),
        where("Null", "s3:prefix", "yes"),
        where("Null", "s3:prefix", True),
        where("Null", "s3:prefix", ["true", "false"]),
        where("Null", "aws:CurrentTime", "true"),
        where("NullIfExists", "s3:prefix", "true"),
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read_policy(text)


@pytest.mark.parametrize("name", ["Version", "Statement", "Effect", "Action", "Resource", "Condition", "StringLike"])
def test_an_element_that_stands_twice_is_refused(name: str) -> None:
    text = where("StringLike", "s3:prefix", "x")
    place = text.index(f'"{name}"')
    assert read_policy(text)
    with pytest.raises(NotUnderstood, match="twice"):
        read_policy(f'{text[:place]}"{name}": "x", {text[place:]}')


@pytest.mark.parametrize(
    ("text", "matched", "others"),
    [
        ("a*", ["a", "ab", "a/b", "a\nb"], ["", "b", "ba"]),
        ("a?", ["ab", "a/", "a*"], ["a", "abc"]),
        ("a${*}", ["a*"], ["a", "ab", "a${*}"]),
        ("${?}", ["?"], ["a", ""]),
        ("${$}{*}", ["${}", "${aws:username}"], ["$", "{"]),
        ("$x", ["$x"], ["x", ""]),
        ("*/*", ["/", "a/b/c"], ["a", ""]),
        ("**", ["", "x"], []),
        ("a*?", ["ab", "abc"], ["a"]),
        ("[a]", ["[a]"], ["a"]),
    ],
)
def test_patterns_are_those_of_iam(text: str, matched: list[str], others: list[str]) -> None:
    pattern = read_pattern(text)
    assert all(pattern.matches(each) for each in matched)
    assert not any(pattern.matches(each) for each in others)


def test_a_value_that_is_compared_as_it_stands_has_no_wildcards() -> None:
    assert read_text("a*?").matches("a*?")
    assert not read_text("a*?").matches("abc")
