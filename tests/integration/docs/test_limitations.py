"""What the page on limitations says is refused is refused, and what it tells to write instead is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.engines.duckdb import functions, metadata, nesting, parsing, pinned_types
from penstock_server.engines.duckdb.functions import Verdict
from support.sealed import ask

PAGE = (Path(__file__).parents[3] / "docs/limitations.md").read_text()

REFUSED = [
    "select 1; select 2",
    "insert into flights values (1)",
    "with x as (insert into flights values (1) returning *) from x",
    "explain analyze select 1",
    "explain (format html) select 1",
    "pivot flights on carrier in (select 'AA')",
    "explain pivot flights on carrier",
    "pivot flights on carrier using sum(id + $1)",
    "show settings",
    "show memory_limit",
    "prepare a as select 1",
    "select $name",
    "select * from flights, (show tables)",
    "select rowid from flights",
    "select 1::uhugeint",
    "select union_value(a := 1)",
    "select '1'::bit",
    "select 170141183460469231731687303715884105727::hugeint",
]
ANSWERED = [
    "pivot flights on carrier in ('AA') using sum(delay)",
    "pivot flights on carrier using sum(delay)",
    "explain select * from flights",
    "explain (format json) select * from flights",
    "unpivot flights on id, delay",
    "show tables",
    "describe flights",
    "summarize flights",
    "select 1::uhugeint::decimal(38,0)",
    "select '1'::bit::varchar",
    "select 170141183460469231731687303715884105727::hugeint::varchar",
    "select carrier collate nocase from flights",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_said_to_be_refused_is_refused(sql: str) -> None:
    assert ask(sql).error is not None


@pytest.mark.parametrize("sql", ANSWERED)
def test_what_is_said_to_be_there_instead_is_answered(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is None, answer.error


def test_every_reason_of_a_refused_function_is_on_the_page() -> None:
    excluded = [family for family in functions.families() if family.verdict is Verdict.EXCLUDED]
    assert len(excluded) > 8
    assert [family.name for family in excluded if family.reason not in PAGE] == []


def test_the_bounds_on_the_page_are_those_of_the_engine() -> None:
    assert f"| {parsing.MAXIMUM_BYTES // 1024} KiB, and {parsing.MAXIMUM_TREE_BYTES // 2**20} MiB of its tree |" in PAGE
    assert f"| {nesting.MAXIMUM_DEPTH} |" in PAGE
    assert f"| {nesting.MAXIMUM_COMMON_TABLE_DEPTH} |" in PAGE
    types = [name for name in pinned_types.INEXACT_IN_ANSWERS if name != "aggregate_state"]
    assert [name for name in types if name.upper() not in PAGE] == []
    assert metadata.RELATIONS
