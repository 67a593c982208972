"""What a query gave, as a rules dataset: the same rules as for a file, and no value in any message."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.model import secret
from penstock_server.model.predicate import Compare, Comparison
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot, TypeFamily
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.rules.applicable import NO_ROW, rows_of
from penstock_server.policy.rules.queries import adopted, answered, with_rules
from penstock_server.policy.rules.rebinding import rebind_row_rules
from penstock_server.policy.source import PolicySource, RowRulesSource
from support.policies import ISSUERS, NOW, load_policy, principal, table

TABLE = table("lake.db.t", {"s": "VARCHAR", "i": "INTEGER", "tiny": "TINYINT", "r": "DATE"})
POLICY = """\
version: 1
grants:
  - {name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT]}
row_rules:
  - resource: lake.db.t
    name: rules
    note_columns: true
    types: {TYPES}
    rules: {query: "select whatever", catalog: lake, max_staleness: 30m}
"""
T, N = TypeFamily.TEXT, TypeFamily.INTEGER


def source_of(folder: Path, types: str = "{i: integer}") -> PolicySource:
    text = POLICY.replace("{TYPES}", types) if types else POLICY.replace("    types: {TYPES}\n", "")
    return load_policy(folder, text)


def given(text: str, *families: TypeFamily) -> QueriedRules:
    names = text.split("\n", maxsplit=1)[0].split(",")
    return QueriedRules(columns=tuple(zip(names, families or (T,) * len(names), strict=True)), text=text.encode())


def answer(folder: Path, result: QueriedRules, types: str = "") -> RowRulesSource:
    [rules] = source_of(folder, types).row_rules
    return answered(rules, result, asked_at=NOW, issuers=ISSUERS)


def bound(folder: Path, result: QueriedRules, types: str = "") -> BoundPolicy:
    source = with_rules(source_of(folder, types), [answer(folder, result, types)])
    return bind(source, CatalogSnapshot(tables=(TABLE,)), logins=frozenset())


@pytest.mark.parametrize(
    ("text", "families", "types", "problem"),
    [
        ("UserName,i\nx,1\n", (T, N), "", "the column `i` of the result is integer and the field is text; cast it"),
        ("UserName,i\nx,1\n", (T, T), "{i: integer}", "the column `i` of the result is text and the field is integer"),
        ("UserName,s\n7,1\n", (N, T), "", "the column `UserName` of the result is integer and the field is text"),
        ("UserName,s\nx,1\n", (T, TypeFamily.OTHER), "", "the column `s` of the result is of a type that no field has"),
        ("UserName,s,S\nx,1,2\n", (), "", "the columns of the result: the columns `s` and `S` are the same"),
        ("s\nx\n", (), "", "the columns of the result: has neither a column `UserName` nor `GroupName`"),
        ("username,s\nx,y\n", (), "", "the columns of the result: the column `username` is written `UserName`"),
        ("UserName,s\neve,y\n,sec\n", (), "", "row 2 of the sorted result: has values but neither a user nor a group"),
        ("UserName,s\neve|,y\n", (), "", "row 1 of the sorted result: field `UserName`: a value names an issuer that"),
        ('UserName,s\neve,"a,,b"\n', (), "", "row 1 of the sorted result: field `s`: has an empty element in its list"),
        ('UserName,s\neve,"a""b"\n', (), "", "row 1 of the sorted result: field `s`: has a quote inside a value"),
        ("UserName,s\neve\n", (), "", "row 1 of the sorted result: has 1 field and the header 2"),
        ("UserName,GroupName,s\neve,x,y\n", (), "", "row 1 of the sorted result: names both a user and a group"),
        ("UserARN,s\neve,y\n", (), "", "row 1 of the sorted result: field `UserARN`: a value is not the ARN of a user"),
        ("UserName,i\neve,007\n", (T, N), "{i: integer}", "row 1 of the sorted result: field `i`: a value is not a wh"),
        ("UserName,s\neve,\x01\n", (), "", "row 1 of the sorted result: holds the character U+0001; remove it"),
        ("UserName,nope\neve,y\n", (), "", "lake.db.t has no column `nope`"),
        ("UserName,tiny\neve,300\n", (T, N), "{tiny: integer}", "row 1 of the sorted result: field `tiny`: a value do"),
    ],
)
def test_a_result_that_is_no_rules_dataset_is_refused_at_its_query_without_a_value(
    tmp_path: Path, text: str, families: tuple[TypeFamily, ...], types: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bound(tmp_path, given(text, *families), types)
    [told] = caught.value.problems
    line = 9 if types else 8
    assert told.startswith(f"{tmp_path}/policies/policy.yaml:{line}: {problem}")
    for value in ("eve", "007", "300", "sec"):
        assert value not in told.removeprefix(str(tmp_path))


def test_a_result_of_any_encoding_but_utf_8_is_refused(tmp_path: Path) -> None:
    broken = QueriedRules(columns=(("UserName", T), ("s", T)), text=b"UserName,s\nx,\xff\n")
    with pytest.raises(ConfigurationError, match="row 1 of the sorted result: is not UTF-8"):
        answer(tmp_path, broken)


def test_notes_of_a_result_may_be_of_any_type(tmp_path: Path) -> None:
    policy = bound(tmp_path, given("UserName,s,note:n\nalice,x,\n", T, T, TypeFamily.OTHER))
    [rules] = policy.tables["lake", "db", "t"].row_rules
    assert rules.columns == ("s",)


def test_a_result_counts_until_its_staleness_is_reached(tmp_path: Path) -> None:
    [rules] = bound(tmp_path, given("UserName,s\nalice,x\n")).tables["lake", "db", "t"].row_rules
    until = NOW + timedelta(minutes=30)
    shown = Compare(column="s", op=Comparison.EQUAL, value="x")
    assert rules.fresh_until == until
    assert rows_of(rules, principal("alice"), at=until - timedelta(microseconds=1)) == shown
    assert rows_of(rules, principal("alice"), at=until) == NO_ROW


def test_the_version_tells_content_from_content_and_from_files(tmp_path: Path) -> None:
    first = bound(tmp_path, given("UserName,s\nalice,x\n"))
    again = bound(tmp_path, given("UserName,s\nalice,x\n"))
    other = bound(tmp_path, given("UserName,s\nalice,y\n"))
    assert first.version == again.version
    assert len({first.version, other.version, source_of(tmp_path, "").version}) == 3


def test_nobody_can_try_out_guesses_of_a_result_by_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = bound(tmp_path, given("UserName,s\nalice,x\n")).version
    # Whoever guesses right, but in another process, does not find out.
    monkeypatch.setattr(secret, "_MARKING", bytes(32))
    assert bound(tmp_path, given("UserName,s\nalice,x\n")).version != told


def test_another_result_rebinds_its_dataset_alone(tmp_path: Path) -> None:
    policy = bound(tmp_path, given("UserName,s\nalice,x\n"))
    source = source_of(tmp_path, "")
    fresh = with_rules(source, [answer(tmp_path, given("UserName,s\nalice,y\n"))])
    rebound = rebind_row_rules(policy, fresh, frozenset({"rules"}))
    whole = bind(fresh, CatalogSnapshot(tables=(TABLE,)), logins=frozenset())
    assert rebound.version == whole.version
    assert rebound.tables == whole.tables
    assert rebound.grants is policy.grants
    assert policy.tables == bound(tmp_path, given("UserName,s\nalice,x\n")).tables


def test_a_result_that_no_longer_fits_its_table_is_refused(tmp_path: Path) -> None:
    policy = bound(tmp_path, given("UserName,s\nalice,x\n"))
    fresh = with_rules(source_of(tmp_path, ""), [answer(tmp_path, given("UserName,other\nalice,y\n"))])
    with pytest.raises(ConfigurationError, match=r"lake\.db\.t has no column `other`"):
        rebind_row_rules(policy, fresh, frozenset({"rules"}))


def test_a_deny_dataset_that_names_nobody_any_more_is_refused(tmp_path: Path) -> None:
    [rules] = source_of(tmp_path, "").row_rules
    with pytest.raises(ConfigurationError, match="names nobody, and where nobody is denied everybody sees all rows"):
        answered(replace(rules, denies=True), given("UserName,s\n"), asked_at=NOW, issuers=ISSUERS)


def test_answers_are_taken_over_by_the_same_question_and_form_only(tmp_path: Path) -> None:
    known = with_rules(source_of(tmp_path, ""), [answer(tmp_path, given("UserName,s\nalice,x\n"))])
    [same] = adopted(source_of(tmp_path, ""), known).row_rules
    assert same.table is known.row_rules[0].table
    [typed] = adopted(source_of(tmp_path, "{s: text}"), known).row_rules
    assert typed.table is None
