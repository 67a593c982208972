"""Each kind of a read-only statement answers as the engine does over a copy of the same rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml
from penstock_server.engines.duckdb import canonical, running
from support.sealed import AIRLINES, FLIGHTS, Table, ask

KINDS = yaml.safe_load((Path(__file__).parents[2] / "vectors/query/kinds.yaml").read_text(encoding="utf-8"))
STATEMENTS = [pytest.param(sql, id=f"{kind}: {sql[:60]}") for kind, listed in KINDS.items() for sql in listed]
UNITS = Table(
    name="ware.Old Stock.Ünïts",
    columns=(
        ("select", "INTEGER"),
        ("a b", "VARCHAR"),
        ("größe", "DOUBLE"),
        ("parts", "STRUCT(x INTEGER, y INTEGER[])"),
        ("Mixed", "BOOLEAN"),
    ),
    rows=pa.table(
        {
            "select": pa.array([1, 3], pa.int32()),
            "a b": ["x", None],
            "größe": [0.5, 2.0],
            "parts": pa.array(
                [{"x": 7, "y": [1, 2]}, {"x": None, "y": [3]}],
                pa.struct([("x", pa.int32()), ("y", pa.list_(pa.int32()))]),
            ),
            "Mixed": [True, None],
        }
    ),
)
TABLES = (FLIGHTS, AIRLINES, UNITS)


@pytest.fixture(scope="module")
def copy() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "default_collation": "binary"})
    for table in TABLES:
        name = table.table_name
        connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {name.catalog}")
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS {name.catalog}."{name.database}"')
        connection.register("given", table.rows)
        connection.execute(f'CREATE TABLE {name.catalog}."{name.database}"."{name.table}" AS FROM given')
    connection.execute("USE lake.nyc")
    return connection


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_is_answered_as_over_a_copy(copy: duckdb.DuckDBPyConnection, sql: str) -> None:
    expected = copy.sql(sql).to_arrow_reader(canonical.FRAME_ROWS)
    schema = canonical.canonical_schema(expected.schema)
    batches = tuple(canonical.batches(expected, message_bytes=None))
    answer = ask(sql, tables=TABLES)
    assert answer.table.schema == schema
    assert answer.batches == batches


def test_a_guess_at_a_name_is_one_of_the_callers_own() -> None:
    hinted = ask("select carier from flights")
    assert hinted.error is not None
    assert hinted.error.hint == "did you mean one of `carrier`"
    elsewhere = ask("select nam from flights", tables=TABLES)
    assert elsewhere.error is not None
    assert not [word for word in ("name", "airlines", "Ünïts") if f"`{word}`" in elsewhere.error.hint]


@pytest.mark.parametrize("wide", ["flights", "(select * from flights)", "(from flights where id > 0)"])
@pytest.mark.parametrize("form", ["", "explain "])
def test_a_recursive_common_table_beside_a_table_needs_no_more_columns(wide: str, form: str) -> None:
    numbers = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3)"
    answer = ask(f"{form}{numbers} select n from r join {wide} on n = id order by n")
    assert answer.rows == [(1,), (2,), (3,)] or form
    assert answer.bound is not None
    assert answer.bound.used_columns == ((FLIGHTS.table_name, ("id",)),)


def test_without_another_way_such_statements_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = "select carrier, id, count(*) from flights group by cube (carrier, id) order by all"
    recursive = "with recursive r(n) as (select 1 union all select n + 1 from r) select n from r join flights on n = id"
    recursive = recursive.replace("from r)", "from r where n < 3)")
    monkeypatch.setattr(running, "WAYS", running.WAYS[:1])
    assert ask(recursive).error is not None
    monkeypatch.setattr(running, "WAYS", ("projection_pullup",))
    assert ask(cube).error is not None
