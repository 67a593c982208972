"""Fields of structs by path: what a decision shows of them, and what it tells about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.model.cell_paths import joined_path, parse_path, written_path
from penstock_server.model.decision import TableDecision, TableDescribed
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import TableSchema
from penstock_server.policy.evaluation import decide
from penstock_server.policy.explanation.for_callers import explain
from support.governed_rows import apply_decision
from support.policies import NOW, bind_policy, name_of, principal, table
from support.struct_vectors import STRUCT_VECTORS, StructVector

FACTS = RequestFacts.of_instant(NOW)
ADDRESSES = table("lake.db.t", {"id": "INTEGER", "s": "STRUCT(city VARCHAR, zip VARCHAR)"}, "acme/t/")


@pytest.mark.parametrize("case", STRUCT_VECTORS, ids=lambda case: case.id)
def test_a_decision_shows_exactly_the_fields_of_the_vector(case: StructVector, tmp_path: Path) -> None:
    outcome = case.decision(tmp_path)
    expected = case.expected
    assert {column.column.name: column.column.type.sql for column in outcome.table.columns} == expected.columns
    rows = [dict(zip(case.columns, row, strict=True)) for row in case.rows]
    assert [list(row) for row in apply_decision(outcome.table, rows)] == expected.rows
    if expected.whole is not None:
        assert [column.column.name for column in outcome.table.columns if not column.fields] == expected.whole
    assert [list(pair) for pair in outcome.shaping.masked] == expected.masked
    assert list(outcome.shaping.partly_null) == expected.partly_null
    assert outcome.shaping.columns_left_out is expected.columns_left_out


def decided(folder: Path, grants: str, schema: TableSchema = ADDRESSES) -> TableDecision:
    outcome = decide(bind_policy(folder, _policy(grants), schema), principal(), name_of("lake.db.t"), facts=FACTS)
    assert isinstance(outcome, TableDecision)
    return outcome


def _policy(grants: str) -> str:
    return f"version: 1\ngrants:\n{grants}"


def _grant(name: str, rest: str = "", permissions: str = "SELECT") -> str:
    return f"  - {{name: {name}, principals: [everyone], resource: lake.db.t, permissions: [{permissions}]{rest}}}\n"


def test_a_decision_that_leaves_out_a_field_is_never_full(tmp_path: Path) -> None:
    assert decided(tmp_path, _grant("g")).full
    assert not decided(tmp_path, _grant("g", ", columns: {exclude: [s.zip]}")).full
    assert not decided(tmp_path, _grant("g", ", columns: {include: [id, s.city, s.zip]}")).full
    assert not decided(
        tmp_path, _grant("g") + "column_rules: [{resource: lake.db.t, columns: [s.zip], principals: [everyone]}]\n"
    ).full


def test_fingerprints_tell_which_fields_are_shown_and_where(tmp_path: Path) -> None:
    made = [
        decided(tmp_path, grants).fingerprint
        for grants in (
            _grant("g"),
            _grant("g", ", columns: {exclude: [s.zip]}"),
            _grant("g", ", columns: {exclude: [s.city]}"),
            _grant("g", ", columns: {exclude: [s]}"),
            _grant("g") + _grant("h", ", columns: {include: [s.zip]}, rows: id = 1"),
            _grant("g", ", columns: {include: [id, s.city]}")
            + _grant("h", ", columns: {include: [s.zip]}, rows: id = 1"),
            _grant("g", ", columns: {include: [id, s.zip]}")
            + _grant("h", ", columns: {include: [s.city]}, rows: id = 1"),
        )
    ]
    # The fifth adds nothing to the first.
    assert made[4] == made[0]
    assert len(set(made)) == 6
    again = _grant("a", ", columns: {include: [id, s.city]}")
    assert decided(tmp_path, again).fingerprint == made[1]


def test_equal_paths_and_names_are_never_taken_for_each_other(tmp_path: Path) -> None:
    schema = table("lake.db.t", {"a": "STRUCT(b INTEGER)", "a.b": "INTEGER"})
    shown = decided(tmp_path, _grant("g", ", columns: {exclude: ['\"a.b\"']}"), schema)
    assert [column.column.name for column in shown.table.columns] == ["a"]
    shown = decided(tmp_path, _grant("g", ', columns: {exclude: [\'"a"."b"\']}'), schema)
    assert [column.column.name for column in shown.table.columns] == ["a.b"]


@pytest.mark.parametrize("kind", ["STRUCT(zip INTEGER, ZIP INTEGER)", "STRUCT(t STRUCT(ss INTEGER, ß INTEGER))"])
def test_fields_that_are_one_name_in_some_engine_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(tmp_path, "version: 1", table("lake.db.t", {"s": kind}))
    assert "rename one" in str(caught.value)


def test_who_may_only_describe_knows_the_fields_that_they_could_be_shown(tmp_path: Path) -> None:
    grants = _grant("g", ", columns: {exclude: [s.zip]}", "DESCRIBE")
    outcome = decide(bind_policy(tmp_path, _policy(grants), ADDRESSES), principal(), ADDRESSES.name, facts=FACTS)
    assert isinstance(outcome, TableDescribed)
    assert [(column.name, column.type.sql) for column in outcome.columns] == [
        ("id", "INTEGER"),
        ("s", 'STRUCT("city" VARCHAR)'),
    ]


TAGS = """version: 1
tags: {kind: [open, secret]}
tagged:
  - {resource: lake.db.t, tags: {kind: open}}
  - {resource: lake.db.t, columns: [s], tags: {kind: secret}}
grants:
  - {name: all, principals: ["user:alice"], resource: lake.db.t, permissions: [SELECT]}
  - {name: tagged, principals: ["user:bob"], tag_expression: {kind: [secret]}, permissions: [SELECT]}
"""
DENIAL = "denials: [{tag_expression: {kind: [secret]}, permissions: [SELECT], except_principals: ['user:bob']}]\n"


def test_the_fields_of_a_struct_have_the_tags_of_their_column(tmp_path: Path) -> None:
    shown = {}
    for name in ("alice", "bob"):
        policy = bind_policy(tmp_path, TAGS + DENIAL, ADDRESSES)
        outcome = decide(policy, principal(name), ADDRESSES.name, facts=FACTS)
        assert isinstance(outcome, TableDecision)
        shown[name] = [cell.name for cell in outcome.table.cells()]
    assert shown == {"alice": ["id"], "bob": ["s\0city", "s\0zip"]}


def test_a_field_cannot_be_tagged_by_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(tmp_path, TAGS.replace("columns: [s]", "columns: [s.zip]"), ADDRESSES)
    assert "`s.zip` is a field; only a whole column can stand here" in str(caught.value)


def _sentences(node: ExplanationNode) -> list[str]:
    return [node.sentence, *(sentence for child in node.children for sentence in _sentences(child))]


def told(folder: Path, text: str) -> str:
    policy = bind_policy(folder, text, ADDRESSES)
    return "\n".join(_sentences(explain(policy, principal(), ("lake", "db", "t"), default_catalog=None, facts=FACTS)))


def test_an_explanation_names_fields_that_are_shown_and_none_that_is_hidden(tmp_path: Path) -> None:
    words = told(tmp_path, _policy(_grant("g", ", columns: {exclude: [s.zip]}, rows: s.zip = '10001' OR id = 1")))
    assert "`s.city`" in words
    assert "zip" not in words
    assert "10001" not in words
    assert "rows chosen by columns that you do not see clear in them" in words


def test_an_explanation_tells_a_filter_on_a_field_that_is_shown_clear(tmp_path: Path) -> None:
    words = told(tmp_path, _policy(_grant("g", ", columns: {include: [s]}, rows: s.zip = '10001' AND s IS NOT NULL")))
    assert "the columns `s` of rows where s.zip = '10001' AND NOT (s IS NULL)" in words


def test_an_explanation_does_not_tell_that_a_struct_with_hidden_fields_is_null(tmp_path: Path) -> None:
    words = told(tmp_path, _policy(_grant("g", ", columns: {include: [id, s.city]}, rows: s IS NULL")))
    assert "s IS NULL" not in words


def test_a_field_that_a_column_rule_closes_is_not_told(tmp_path: Path) -> None:
    rules = "column_rules: [{resource: lake.db.t, columns: [s.zip], principals: ['user:bob']}]\n"
    words = told(tmp_path, _policy(_grant("g", ", rows: s.zip = '10001'")) + rules)
    assert "zip" not in words


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ('"a.b"', ("a.b",)),
        ('a."b.c".d', ("a", "b.c", "d")),
        ('"say ""hi"""', ('say "hi"',)),
        ("with space.ü", ("with space", "ü")),
        ("", None),
        (".", None),
        ("a.", None),
        (".a", None),
        ("a..b", None),
        ('"a', None),
        ('a"b', None),
        ('"a"b', None),
        ('""', None),
        ("a\0b", None),
        ('"a\0b"', None),
    ],
)
def test_a_path_is_names_with_dots_between_them(text: str, parts: tuple[str, ...] | None) -> None:
    assert parse_path(text) == parts


@pytest.mark.parametrize("parts", [("a", "b"), ("a.b", "c"), ('a"', "b"), ("a", "b c", '"."')])
def test_a_path_is_written_as_it_is_read(parts: tuple[str, ...]) -> None:
    assert parse_path(written_path(joined_path(parts))) == parts
