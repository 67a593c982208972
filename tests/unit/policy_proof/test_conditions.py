"""Conditions on grants: what implies what, and what a change of them does."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.conditions.parsing import parse_condition
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.circumstances import implies
from penstock_server.policy.proof.findings import Widening
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording, verdict_word
from support.policies import ISSUER, NOW, bind_policy, table

_OPERATORS = {
    "penstock:SourceIp": (("IpAddress", "NotIpAddress"), ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32")),
    "penstock:CurrentTime": (
        ("DateLessThan", "DateGreaterThanEquals", "DateEquals", "DateNotEquals"),
        ("2026-01-01T00:00:00Z", "2026-06-01T12:00:00Z", "2027-01-01T00:00:00Z"),
    ),
    "penstock:TokenAge": (
        ("NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericEquals", "NumericNotEquals"),
        ("60", "600", "3600"),
    ),
    "penstock:Purpose": (
        ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"),
        ("audit", "Audit", "au*", "*", "billing", "${penstock:Username}"),
    ),
    "penstock:AuthenticationMethods": (
        ("ForAllValues:StringEquals", "ForAnyValue:StringEquals", "ForAnyValue:StringNotEquals"),
        ("mfa", "pwd", "otp"),
    ),
}
_VALUES: dict[str, list[tuple[str, ...]]] = {
    "sourceip": [(), ("10.0.0.1",), ("10.1.0.1",), ("10.1.2.3",), ("192.0.2.1",), ("2001:db8::1",)],
    "currenttime": [("2025-01-01T00:00:00+00:00",), ("2026-06-01T12:00:00+00:00",), ("2030-01-01T00:00:00+00:00",)],
    "tokenage": [("0",), ("60",), ("61",), ("3600",), ("9999",)],
    "purpose": [(), ("audit",), ("Audit",), ("auditor",), ("billing",), ("x",)],
    "authenticationmethods": [(), ("mfa",), ("pwd",), ("pwd", "mfa"), ("x",)],
}


def test_a_condition_that_implies_another_never_holds_without_it() -> None:
    random = Random("implies")
    found = 0
    for _ in range(3_000):
        key = random.choice(list(_OPERATORS))
        operators, values = _OPERATORS[key]
        operator = random.choice(operators)
        suffix = random.choice(["", "", "IfExists"]) if not operator.startswith("ForAny") else ""
        chosen = [tuple(random.sample(values, random.randint(1, 2))) for _ in range(2)]
        one, other = (parse_condition(operator + suffix, key, some) for some in chosen)
        if implies(one, other):
            found += 1
            for given, name in product(_VALUES[one.key.name], ((), ("audit",), ("x",))):
                context = {one.key.name: given, "username": name}
                assert not one.holds(context) or other.holds(context), (one, other, context)
    assert found > 500


_TABLE = table("lake.db.t", {"i": "INTEGER", "s": "VARCHAR"}, "acme/t/")


def _policy(folder: Path, conditions: dict[str, Any] | None, **more: Any) -> BoundPolicy:
    grant: dict[str, Any] = {
        "name": "g",
        "principals": ["group:ops"],
        "resource": "lake.db.t",
        "permissions": ["SELECT"],
        "rows": "i = 1",
        **more,
    }
    if conditions is not None:
        grant["conditions"] = conditions
    tables = with_later_columns(CatalogSnapshot(tables=(_TABLE,))).tables
    return bind_policy(folder, json.dumps({"version": 1, "grants": [grant]}), *tables)


def _plan(old: BoundPolicy, new: BoundPolicy) -> tuple[str, list[str]]:
    plan = compare(old, new, at=NOW, budget=DEFAULT_BUDGET)
    if not plan.subjects:
        return "SAME", []
    (subject,) = plan.subjects
    wording = Wording(default_issuer=ISSUER, since=NOW)
    gains = subject.verdict.gains if isinstance(subject.verdict, Widening) else ()
    return verdict_word(subject.verdict), [wording.gain(gain, subject) for gain in gains if gain.kind.value == "row"]


_ROW = "would newly see a row with i=1"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "who"),
    [
        ({"IpAddress": {"penstock:SourceIp": ["10.0.0.0/8"]}}, None, "WIDENING", "somebody in group:ops"),
        (None, {"IpAddress": {"penstock:SourceIp": ["10.0.0.0/8"]}}, "NARROWING", ""),
        (
            {"IpAddress": {"penstock:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}},
            {"IpAddress": {"penstock:SourceIp": ["10.1.0.0/16"]}},
            "NARROWING",
            "",
        ),
        (
            {"IpAddress": {"penstock:SourceIp": ["10.1.0.0/16"]}},
            {"IpAddress": {"penstock:SourceIp": ["10.0.0.0/8"]}},
            "WIDENING",
            "somebody in group:ops (where sourceip 10.0.0.0)",
        ),
        (
            {"NotIpAddress": {"penstock:SourceIp": ["10.0.0.0/8"]}},
            {"NotIpAddress": {"penstock:SourceIp": ["10.1.0.0/16"]}},
            "WIDENING",
            "somebody in group:ops (where sourceip 10.0.0.0)",
        ),
        (
            {"DateLessThan": {"penstock:CurrentTime": ["2028-01-01T00:00:00Z"]}},
            {"DateLessThan": {"penstock:CurrentTime": ["2027-01-01T00:00:00Z"]}},
            "NARROWING",
            "",
        ),
        (
            {"DateLessThan": {"penstock:CurrentTime": ["2027-01-01T00:00:00Z"]}},
            {"DateLessThan": {"penstock:CurrentTime": ["2028-01-01T00:00:00Z"]}},
            "WIDENING",
            "from 2027-01-01T00:00:00+00:00 on somebody in group:ops",
        ),
        (
            {"StringEquals": {"penstock:Purpose": ["audit"]}},
            {"StringEquals": {"penstock:Purpose": ["audit", "billing"]}},
            "WIDENING",
            "somebody in group:ops (where purpose billing)",
        ),
        (
            {"StringEquals": {"penstock:Purpose": ["audit"]}, "NumericLessThan": {"penstock:TokenAge": ["60"]}},
            {"StringEquals": {"penstock:Purpose": ["audit"]}, "NumericLessThan": {"penstock:TokenAge": ["600"]}},
            "WIDENING",
            "somebody in group:ops (where purpose audit, tokenage 60)",
        ),
        (
            {"ForAnyValue:StringEquals": {"penstock:AuthenticationMethods": ["mfa"]}},
            {"ForAnyValue:StringEquals": {"penstock:AuthenticationMethods": ["mfa", "otp"]}},
            "WIDENING",
            "somebody in group:ops (where authenticationmethods otp)",
        ),
        (
            {"StringEquals": {"penstock:PrincipalTag/team": ["red"]}},
            {"StringEqualsIfExists": {"penstock:PrincipalTag/team": ["red"]}},
            "WIDENING",
            "somebody in group:ops",
        ),
        (
            {"Null": {"penstock:Purpose": "false"}, "StringLike": {"penstock:Purpose": ["a*"]}},
            {"StringLike": {"penstock:Purpose": ["a*"]}, "Null": {"penstock:Purpose": "false"}},
            "SAME",
            "",
        ),
    ],
)
def test_a_change_of_conditions_has_its_verdict(
    old: dict[str, Any] | None, new: dict[str, Any] | None, verdict: str, who: str, tmp_path: Path
) -> None:
    gains = [f"{who} {_ROW}"] if verdict == "WIDENING" else []
    assert _plan(_policy(tmp_path, old), _policy(tmp_path, new)) == (verdict, gains)


def test_two_spellings_that_the_proof_does_not_see_through_are_undecided(tmp_path: Path) -> None:
    old = _policy(tmp_path, {"StringEquals": {"penstock:Purpose": ["audit"]}})
    new = _policy(tmp_path, {"StringLike": {"penstock:Purpose": ["audit"]}})
    assert _plan(old, new)[0] == "UNDECIDED"


def test_a_grant_bound_to_an_address_never_opens_the_files(tmp_path: Path) -> None:
    address = {"IpAddress": {"penstock:SourceIp": ["10.0.0.0/8"]}}
    whole = {"rows": None, "permissions": ["SELECT", "RAW"]}
    old = _policy(tmp_path, address)
    grants = {name: value for name, value in whole.items() if value is not None}
    grant = {"name": "g", "principals": ["group:ops"], "resource": "lake.db.t", "conditions": address, **grants}
    text = {"version": 1, "grants": [grant]}
    tables = with_later_columns(CatalogSnapshot(tables=(_TABLE,))).tables
    new = bind_policy(tmp_path, json.dumps(text), *tables)
    (subject,) = compare(old, new, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert isinstance(subject.verdict, Widening)
    assert {gain.kind.value for gain in subject.verdict.gains} == {"row"}
