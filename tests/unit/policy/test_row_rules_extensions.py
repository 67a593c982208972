"""What extends QuickSight's rules datasets: ARNs, typed fields, notes and denials, each where the entry asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from penstock_server.model.decision import TableDecision
from penstock_server.model.predicate import (
    And,
    AnyTrue,
    Compare,
    Comparison,
    In,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.principal import Group, Principal, PrincipalSelector
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.csv_text import parse_rules
from penstock_server.policy.rules.form import PLAIN, RowsOfFile
from support.policies import ISSUER, ISSUERS, NOW, OTHER_ISSUER, bind_policy, name_of, principal, table

TABLE = table(
    "lake.db.t",
    {"s": "VARCHAR", "u": "VARCHAR", "i": "INTEGER", "n": "DECIMAL(9,2)", "b": "BOOLEAN", "d": "DATE"},
)
POLICY = """\
version: 1
grants:
  - {{name: g, principals: [everyone, "everyone@https://other.test"], resource: lake.db.t, permissions: [SELECT]}}
row_rules:
  - {{resource: lake.db.t, name: r, rules: {{file: rules.csv}}{more}}}
"""
DENY = ", permission_policy: DENY_ACCESS, allow_deny: true"
ARN = "arn:aws:quicksight:eu-west-1:111122223333:"
NO_ROW = (AnyTrue(operands=()),)
ALICE = principal("alice")
FACTS = RequestFacts.of_instant(NOW)


def equal(column: str, value: object) -> Compare:
    assert isinstance(value, str | bool | int | Decimal | date)
    return Compare(column=column, op=Comparison.EQUAL, value=value)


def rows(folder: Path, rules: str, more: str, who: Principal = ALICE) -> tuple[Predicate, ...]:
    policy = bind_policy(folder, POLICY.format(more=more), TABLE, rules=rules)
    outcome = decide(policy, who, name_of("lake.db.t"), facts=FACTS)
    assert isinstance(outcome, TableDecision)
    assert not outcome.full
    return outcome.table.rows


# --- typed fields -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "kind", "cell", "expected"),
    [
        ("i", "integer", "7", equal("i", 7)),
        ("i", "integer", '"7,-12,0"', In(column="i", values=frozenset({7, -12, 0}))),
        ("i", "integer", '"2147483647,-2147483648"', In(column="i", values=frozenset({2**31 - 1, -(2**31)}))),
        ("n", "decimal", "7", equal("n", Decimal(7))),
        ("n", "decimal", '"0.5,-1.25"', In(column="n", values=frozenset({Decimal("0.5"), Decimal("-1.25")}))),
        ("n", "decimal", '"1.5,1.50"', equal("n", Decimal("1.5"))),
        ("n", "decimal", "-0", equal("n", Decimal(0))),
        ("b", "boolean", "true", equal("b", True)),
        ("b", "boolean", '"true,false"', In(column="b", values=frozenset({True, False}))),
        ("d", "date", "2026-02-28", equal("d", date(2026, 2, 28))),
        ("d", "date", '"2024-02-29,0001-01-01"', In(column="d", values=frozenset({date(2024, 2, 29), date(1, 1, 1)}))),
        ("s", "text", "007", equal("s", "007")),
    ],
)
def test_a_typed_field_is_a_list_of_constants_of_its_type(
    tmp_path: Path, field: str, kind: str, cell: str, expected: Predicate
) -> None:
    [found] = rows(tmp_path, f"UserName,{field}\nalice,{cell}\n", f", types: {{{field}: {kind}}}")
    assert found == expected
    values = found.values if isinstance(found, In) else {found.value} if isinstance(found, Compare) else set()
    wanted = (
        expected.values if isinstance(expected, In) else {expected.value} if isinstance(expected, Compare) else set()
    )
    assert {type(value) for value in values} == {type(value) for value in wanted}


def test_one_cell_means_another_thing_in_a_field_of_another_type(tmp_path: Path) -> None:
    found = rows(tmp_path, "UserName,s,i,b\nalice,1,1,\nalice,true,,true\n", ", types: {i: integer, b: boolean}")
    assert found == (
        AnyTrue(
            operands=(
                And(operands=(equal("s", "1"), equal("i", 1))),
                And(operands=(equal("s", "true"), equal("b", True))),
            )
        ),
    )


def test_an_empty_typed_field_restricts_nothing(tmp_path: Path) -> None:
    assert rows(tmp_path, "UserName,i\nalice,\n", ", types: {i: integer}") == ()


# --- ARNs -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arn", "username"),
    [
        (f"{ARN}user/default/alice", "alice"),
        (f"{ARN}user/a.b-c_1/alice", "alice"),
        (f"{ARN}user/default/role/alice@acme.example", "role/alice@acme.example"),
        (f"{ARN}user/default/Alice", "Alice"),
        (f"{ARN}user/default/ alice", " alice"),
        ("arn:aws-us-gov:quicksight:us-gov-west-1:111122223333:user/default/alice", "alice"),
    ],
)
def test_the_arn_of_a_user_means_whom_its_name_would_mean(tmp_path: Path, arn: str, username: str) -> None:
    assert rows(tmp_path, f"UserARN,s\n{arn},x\n", "", principal(username)) == (equal("s", "x"),)
    assert rows(tmp_path, f"UserARN,s\n{arn},x\n", "", principal("bob")) == NO_ROW


def test_the_arn_of_a_group_means_that_group(tmp_path: Path) -> None:
    text = f"GroupARN,UserARN,s\n{ARN}group/default/eng,,x\n,{ARN}user/default/bob,y\n"
    assert rows(tmp_path, text, "", principal("alice", groups=["eng"])) == (equal("s", "x"),)
    assert rows(tmp_path, text, "", principal("eng")) == NO_ROW
    assert rows(tmp_path, text, "", principal("bob", groups=["eng"])) == (In(column="s", values=frozenset({"x", "y"})),)


# --- notes ------------------------------------------------------------------------------------------------------------
def test_notes_are_ignored_whatever_they_hold(tmp_path: Path) -> None:
    text = 'note:why,UserName,s,note:\n"a,,""b",alice,x,\n,alice,y,007\n'
    assert rows(tmp_path, text, ", note_columns: true") == (In(column="s", values=frozenset({"x", "y"})),)


# --- denials ----------------------------------------------------------------------------------------------------------
RULES = 'UserName,GroupName,s,u\nalice,,"x,y",\nalice,,z,w\nbob,,,\n,staff,v,\n'


def denied(folder: Path, who: Principal) -> tuple[Predicate, ...]:
    return rows(folder, RULES, DENY, who)


def test_who_is_denied_sees_the_rows_that_no_rule_of_theirs_describes(tmp_path: Path) -> None:
    assert denied(tmp_path, ALICE) == (
        Not(
            operand=Or(
                operands=(
                    And(operands=(equal("s", "z"), equal("u", "w"))),
                    In(column="s", values=frozenset({"x", "y"})),
                )
            )
        ),
    )


def test_several_rules_of_one_field_are_denied_together(tmp_path: Path) -> None:
    assert denied(tmp_path, principal("carol", groups=["staff"])) == (Not(operand=equal("s", "v")),)


def test_a_rule_that_restricts_nothing_denies_all_rows(tmp_path: Path) -> None:
    assert denied(tmp_path, principal("bob")) == NO_ROW


def test_whom_no_rule_names_sees_all_rows_yet_never_the_files(tmp_path: Path) -> None:
    assert denied(tmp_path, principal("carol", groups=["other"])) == ()


@pytest.mark.parametrize(
    "who",
    [
        principal("carol", groups_complete=False),
        principal("carol", groups=["other"], groups_complete=False),
        principal("alice", groups_complete=False),
        principal(None, subject="s"),
        principal("carol", issuer=OTHER_ISSUER),
    ],
    ids=["groups cut", "some groups", "named, groups cut", "no username", "another issuer"],
)
def test_who_may_be_denied_by_what_is_not_known_sees_no_row(tmp_path: Path, who: Principal) -> None:
    """Under DENY_ACCESS a rule that is not found opens rows, so a cut list of groups must not hide one."""
    assert denied(tmp_path, who) == NO_ROW


def test_a_grant_dataset_never_gains_by_what_is_not_known(tmp_path: Path) -> None:
    assert rows(tmp_path, RULES, "", principal("carol", groups_complete=False)) == NO_ROW
    assert rows(tmp_path, RULES, "", principal("carol", groups=["staff"], groups_complete=False)) == (equal("s", "v"),)


def test_people_of_an_issuer_that_rules_name_are_denied_or_not_by_them(tmp_path: Path) -> None:
    text = "GroupName,s\nother:staff,x\n"
    assert rows(tmp_path, text, DENY, principal("c", issuer=OTHER_ISSUER)) == ()
    assert rows(tmp_path, text, DENY, principal("c", groups=["staff"], issuer=OTHER_ISSUER)) == (
        Not(operand=equal("s", "x")),
    )
    assert rows(tmp_path, text, DENY, ALICE) == NO_ROW


def test_the_explanation_says_why_a_denial_leaves_nothing(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, POLICY.format(more=DENY), TABLE, rules=RULES)
    tree = explain(policy, principal("bob"), ("lake", "db", "t"), default_catalog=None, facts=FACTS)
    assert "`r` takes all rows from you, or it cannot be told which rows it takes: no row is left" in repr(tree)


# --- traps of the text ------------------------------------------------------------------------------------------------
def parsed(raw: bytes) -> tuple[Mapping[PrincipalSelector, object], list[str]]:
    problems = Problems()
    found = parse_rules(raw, RowsOfFile(source="rules.csv"), ISSUERS, problems, form=PLAIN)
    return found.rules if found is not None else {}, list(problems.lines())


def test_a_cell_of_ten_megabytes_is_refused() -> None:
    _, problems = parsed(f"UserName,s\nalice,{'x' * (10 << 20)}\n".encode())
    longest = "field `s`: has more than 4194304 characters; spread its values over several rows"
    assert problems == [f"rules.csv:2: {longest}"]


def test_a_cell_with_many_values_is_read_in_one_pass() -> None:
    values = [f"v{number}" for number in range(200_000)]
    listed = ",".join(values)
    found, problems = parsed(f'GroupName,s\nstaff,"{listed}"\n'.encode())
    assert problems == []
    assert found == {Group(issuer=ISSUER, name="staff"): ((frozenset(values),),)}


def test_a_name_of_ten_megabytes_is_refused() -> None:
    _, problems = parsed(f"UserName,s\n{'x' * (10 << 20)},y\n".encode())
    assert len(problems) == 1
    assert len(problems[0]) < 1000


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"UserName,s\nalice,x\nbob,\xff\n", "rules.csv:3: is not UTF-8; save it as UTF-8"),
        (b"UserName,s\nalice,\xed\xa0\x80\n", "rules.csv:2: is not UTF-8; save it as UTF-8"),
        (b"UserName,s\nalice,\xc0\xaf\n", "rules.csv:2: is not UTF-8; save it as UTF-8"),
        (
            b"\xff\xfeU\x00s\x00",
            "rules.csv:1: starts with a byte order mark, which would rename the first column; save it without one",
        ),
        (
            "\ufeffUserName,s\nalice,x\n".encode(),
            "rules.csv:1: starts with a byte order mark, which would rename the first column; save it without one",
        ),
    ],
)
def test_text_that_is_not_plain_utf_8_is_refused(raw: bytes, problem: str) -> None:
    assert parsed(raw) == ({}, [problem])
