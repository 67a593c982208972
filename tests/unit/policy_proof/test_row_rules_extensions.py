"""Typed fields, results of queries and denials in proofs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Same, Undecided, Verdict, Widening
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording
from support.policies import ISSUER, NOW, bind_policy, table

TABLE = table(
    "lake.db.t", {"s": "VARCHAR", "i": "INTEGER", "tiny": "TINYINT", "n": "DECIMAL(4,1)", "b": "BOOLEAN", "d": "DATE"}
)
TYPES = "types: {i: integer, tiny: integer, n: decimal, b: boolean, d: date}"
DENY = "permission_policy: DENY_ACCESS, allow_deny: true"
HOUR = timedelta(hours=1)


def bound(folder: Path, field: str, cell: str, *, rows: str = "", deny: bool = False) -> BoundPolicy:
    kind = {"i": "integer", "tiny": "integer", "n": "decimal", "b": "boolean", "d": "date", "s": "text"}[field]
    more = f", {DENY}" if deny else ""
    text = f"""
version: 1
grants:
  - {{name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT]{rows}}}
row_rules:
  - {{resource: lake.db.t, name: r, types: {{{field}: {kind}}}, rules: {{file: rules.csv}}{more}}}
"""
    return bind_policy(folder, text, TABLE, rules=f'UserName,{field}\nalice,"{cell}"\n')


def aged(policy: BoundPolicy, hours: int) -> BoundPolicy:
    """The policy as if its dataset came from a query and counted for so long from now on."""
    key = TABLE.name.key()
    [rules] = policy.tables[key].row_rules
    fresh = replace(policy.tables[key], row_rules=(replace(rules, fresh_until=NOW + hours * HOUR),))
    return replace(policy, tables={**policy.tables, key: fresh})


def verdict(old: BoundPolicy, new: BoundPolicy) -> Verdict:
    plan = compare(old, new, at=NOW, budget=DEFAULT_BUDGET)
    return plan.subjects[0].verdict if plan.subjects else Same()


def gained(old: BoundPolicy, new: BoundPolicy) -> list[str]:
    plan = compare(old, new, at=NOW, budget=DEFAULT_BUDGET)
    [subject] = plan.subjects
    assert isinstance(subject.verdict, Widening)
    wording = Wording(default_issuer=ISSUER, since=NOW)
    return [wording.gain(gain, subject) for gain in subject.verdict.gains]


@pytest.mark.parametrize(
    ("field", "less", "more", "shown"),
    [
        ("i", "1,2", "1,2,-7", "i=-7"),
        ("n", "1,2.5", "1,2.5,0.1", "n=0.1"),
        ("b", "true", "true,false", "b=FALSE"),
        ("d", "2026-01-01", "2026-01-01,2024-02-29", "d=DATE '2024-02-29'"),
        ("s", "01", "01,1", "s='1'"),
    ],
)
def test_a_typed_value_more_is_found_and_one_less_is_narrower(
    tmp_path: Path, field: str, less: str, more: str, shown: str
) -> None:
    old, new = bound(tmp_path, field, less), bound(tmp_path, field, more)
    assert gained(old, new) == [f"alice would newly see a row with {shown}"]
    assert isinstance(verdict(new, old), Narrowing)


@pytest.mark.parametrize(
    ("field", "one", "other"), [("n", "1.5,2", "2.0,1.50"), ("n", "0", "-0"), ("i", "1,2", "2,1,1")]
)
def test_values_that_are_written_otherwise_are_the_same(tmp_path: Path, field: str, one: str, other: str) -> None:
    assert verdict(bound(tmp_path, field, one), bound(tmp_path, field, other)) == Same()


def test_all_values_of_a_type_are_all_rows_but_those_of_null(tmp_path: Path) -> None:
    every = bound(tmp_path, "tiny", ",".join(str(value) for value in range(-128, 128)))
    almost = bound(tmp_path, "tiny", ",".join(str(value) for value in range(-128, 127)))
    assert gained(almost, every) == ["alice would newly see a row with tiny=127"]
    assert gained(every, bound(tmp_path, "tiny", "")) == ["alice would newly see a row with tiny=NULL"]


def test_rules_that_count_for_longer_are_wider_and_for_less_narrower(tmp_path: Path) -> None:
    policy = bound(tmp_path, "s", "x")
    later = "from 2026-06-01T13:00:00+00:00 on "
    assert gained(aged(policy, 1), aged(policy, 2)) == [f"{later}alice would newly see a row with s='x'"]
    assert isinstance(verdict(aged(policy, 2), aged(policy, 1)), Narrowing)
    assert verdict(aged(policy, 1), aged(policy, 1)) == Same()
    assert isinstance(verdict(aged(policy, 1), policy), Widening)


def test_other_rows_are_found_in_rules_that_may_grow_old(tmp_path: Path) -> None:
    old, new = bound(tmp_path, "s", "x"), bound(tmp_path, "s", "x,y")
    assert gained(aged(old, 1), aged(new, 1)) == ["alice would newly see a row with s='y'"]
    assert isinstance(verdict(aged(new, 1), aged(old, 1)), Narrowing)


def test_denials_are_the_same_where_nothing_of_the_table_changes_and_else_undecided(tmp_path: Path) -> None:
    old, same = bound(tmp_path, "s", "x", deny=True), bound(tmp_path, "s", "x", deny=True)
    assert verdict(old, same) == Same()
    for new in (
        bound(tmp_path, "s", "x,y", deny=True),
        bound(tmp_path, "s", "x"),
        bound(tmp_path, "s", "x", rows=", rows: \"s <> 'z'\"", deny=True),
    ):
        for one, other in ((old, new), (new, old)):
            undecided = verdict(one, other)
            assert isinstance(undecided, Undecided)
            assert undecided.reasons == ("the rules dataset `r` denies, of which the proof has no reading",)
