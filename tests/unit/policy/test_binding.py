"""Binding to the catalogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import TableDecision, TableHidden
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from support.policies import NOW, bind_policy, load_policy, name_of, principal, table

ALL = "version: 1\ngrants:\n  - {name: g, principals: [everyone], resource: lake.*, permissions: [SELECT]}\n"
EXCLUDE = (
    "version: 1\ngrants:\n  - {name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT], "
    "columns: {exclude: [ssn]}}\n"
)


def problems(folder: Path, text: str, *tables: TableSchema) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(folder, text, *tables)
    return caught.value.problems


@pytest.mark.parametrize("other", ["SSN", "\u017fsn"])
def test_columns_whose_names_differ_by_case_only_are_refused(tmp_path: Path, other: str) -> None:
    """Parquet holds `SSN` beside `ssn`, and an engine shows it as `SSN_1`, which `exclude: [ssn]` would miss."""
    assert problems(tmp_path, EXCLUDE, table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR", other: "VARCHAR"})) == (
        f"catalog lake: lake.db.t has the columns `ssn` and `{other}`; rename one",
    )


def test_tables_whose_names_differ_by_case_only_are_refused(tmp_path: Path) -> None:
    tables = (table("lake.db.t", {"id": "INTEGER"}), table("lake.DB.T", {"id": "INTEGER"}))
    assert problems(tmp_path, ALL, *tables) == (
        "catalog lake: holds two tables lake.DB.T whose names differ by case only; rename one",
    )


def test_a_column_that_appears_later_is_hidden_until_the_next_bind(tmp_path: Path) -> None:
    before = table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR"})
    after = table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR", "salary": "INTEGER"})
    for schema, expected in ((before, ["id"]), (after, ["id", "salary"])):
        policy = bind_policy(tmp_path, EXCLUDE, schema)
        outcome = decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        assert [column.column.name for column in outcome.table.columns] == expected
        assert not outcome.full


def test_a_list_of_all_columns_is_not_full(tmp_path: Path) -> None:
    """Full means every column present and future: it opens raw files."""
    text = ALL.replace("lake.*", "lake.db.t").replace("[SELECT]", "[SELECT], columns: {include: [id, ssn]}")
    policy = bind_policy(tmp_path, text, table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR"}))
    outcome = decide(policy, principal(), name_of("lake.db.t"), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    assert not outcome.full
    assert not outcome.shaping.columns_left_out


def test_a_policy_is_bound_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    text = ALL + (
        "  - {name: h, principals: [everyone], resource: lake.db.t, permissions: [SELECT], "
        "rows: \"x = 1 OR id = 'a'\"}\n"
        "  - {name: i, principals: [everyone], resource: lake.db.nope, permissions: [SELECT]}\n"
        '  - {name: j, principals: [everyone], resource: "redshift:nope", permissions: [CONNECT]}\n'
    )
    found = problems(tmp_path, text, table("lake.db.t", {"id": "INTEGER"}))
    assert [problem.rpartition(f"{tmp_path}/policies/")[2] for problem in found] == [
        "policy.yaml:4: `rows`, character 1: lake.db.t has no column `x`",
        "policy.yaml:5: there is no table `lake.db.nope` in the configured catalogs; correct the name",
        "policy.yaml:6: no Redshift login `nope` is configured under `credentials.redshift`",
    ]


def test_one_source_binds_to_several_snapshots(tmp_path: Path) -> None:
    source = load_policy(tmp_path, ALL)
    for name in ("lake.a.t", "lake.b.u"):
        policy = bind(source, CatalogSnapshot(tables=(table(name, {"id": "INTEGER"}),)), logins=frozenset())
        assert policy.version == source.version
        assert isinstance(decide(policy, principal(), name_of(name), facts=RequestFacts.of_instant(NOW)), TableDecision)
        assert isinstance(
            decide(policy, principal(), name_of("lake.c.v"), facts=RequestFacts.of_instant(NOW)), TableHidden
        )


def test_a_restriction_beside_a_wildcard_holds_on_every_table(tmp_path: Path) -> None:
    text = EXCLUDE.replace("lake.db.t", "lake.db.*")
    tables = (
        table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR"}),
        table("lake.db.u", {"SSN": "INTEGER", "x": "DATE"}),
    )
    policy = bind_policy(tmp_path, text, *tables)
    shown = {}
    for name in ("lake.db.t", "lake.db.u"):
        outcome = decide(policy, principal(), name_of(name), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        shown[name] = [column.column.name for column in outcome.table.columns]
    assert shown == {"lake.db.t": ["id"], "lake.db.u": ["x"]}


def test_a_mask_beside_a_wildcard_holds_on_every_table(tmp_path: Path) -> None:
    text = "version: 1\nmasks: {m: {rank: 1, builtin: redact}}\n" + EXCLUDE.partition("\n")[2]
    text = text.replace("lake.db.t", "lake.*").replace("columns: {exclude: [ssn]}", "masks: {ssn: m}")
    tables = (table("lake.db.t", {"ssn": "VARCHAR"}), table("lake.other.u", {"id": "INTEGER", "ssn": "INTEGER"}))
    policy = bind_policy(tmp_path, text, *tables)
    for name in ("lake.db.t", "lake.other.u"):
        outcome = decide(policy, principal(), name_of(name), facts=RequestFacts.of_instant(NOW))
        assert isinstance(outcome, TableDecision)
        assert outcome.shaping.masked == (("ssn", "m"),)
        assert not outcome.full


def test_names_with_dots_and_stars_are_written_in_quotes(tmp_path: Path) -> None:
    text = ALL.replace("lake.*", "'lake.db.\"a.b*\"'")
    policy = bind_policy(
        tmp_path, text, table("lake.db.a.b*", {"id": "INTEGER"}), table("lake.db.a", {"id": "INTEGER"})
    )
    assert isinstance(
        decide(policy, principal(), name_of("lake.db.a.b*"), facts=RequestFacts.of_instant(NOW)), TableDecision
    )
    assert isinstance(
        decide(policy, principal(), name_of("lake.db.a"), facts=RequestFacts.of_instant(NOW)), TableHidden
    )
