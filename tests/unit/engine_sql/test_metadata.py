"""Statements that ask which tables there are: they are told of the caller's own, and of nothing inside the engine."""

from __future__ import annotations

import pytest
from penstock_server.engines.duckdb import metadata
from penstock_server.engines.duckdb.plans import SCAN
from penstock_server.errors import Reason
from support.sealed import AIRLINES, FLIGHTS, Table, ask, sealed, visible

OTHER = Table(name="ware.Old Stock.Ünïts", columns=(("a b", "STRUCT(x INTEGER)"),), rows=FLIGHTS.rows)
STATEMENTS = [
    *(f"select * from {schema}.{name}" for schema, name in sorted(metadata.RELATIONS)),
    *(f"select * from {name}()" for name in sorted(metadata.FUNCTIONS)),
    *("show tables", "show all tables", "show databases", "show schemas", "show tables from lake", "show", "describe"),
    "show tables from lake.nyc",
    "select * from (show tables)",
    "with t as (from information_schema.tables) select count(*) from t",
    "select t.table_name, c.column_name from INFORMATION_SCHEMA.tables t join information_schema.Columns c "
    "using (table_catalog, table_schema, table_name) order by all",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_nothing_inside_the_engine_is_told(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is None, answer.error
    told = (answer.schema + b"".join(answer.batches)).lower()
    assert b"penstock" not in told
    assert b"airports" not in told


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_answer_is_a_function_of_the_tables_that_may_be_known(sql: str) -> None:
    assert ask(sql).batches == ask(sql).batches
    reversed_rows = Table(name=FLIGHTS.name, columns=FLIGHTS.columns, rows=FLIGHTS.rows.slice(0, 1))
    assert ask(sql, tables=(reversed_rows, AIRLINES)).batches == ask(sql).batches


def test_all_tables_with_their_visible_columns_are_listed() -> None:
    sql = "select table_catalog, table_schema, table_name, column_name, data_type from information_schema.columns "
    sql += "order by table_catalog, table_name, ordinal_position"
    assert ask(sql, tables=(OTHER, FLIGHTS)).rows == [
        ("lake", "nyc", "flights", "id", "INTEGER"),
        ("lake", "nyc", "flights", "carrier", "VARCHAR"),
        ("lake", "nyc", "flights", "delay", "DOUBLE"),
        ("ware", "Old Stock", "Ünïts", "a b", "STRUCT(x INTEGER)"),
    ]
    assert ask("show tables", tables=(OTHER, FLIGHTS)).rows == [("flights",), ("Ünïts",)]
    assert [row[:4] for row in ask("show all tables").rows] == [
        ("lake", "nyc", "airlines", ["carrier", "name"]),
        ("lake", "nyc", "flights", ["id", "carrier", "delay"]),
    ]


def test_names_without_a_catalog_are_those_of_the_chosen_one() -> None:
    connection = sealed()
    metadata.declare(connection, [visible(table) for table in (OTHER, FLIGHTS)], catalog="WARE")
    assert connection.execute("show tables").fetchall() == [("Ünïts",)]
    assert connection.execute("select current_database(), current_schema()").fetchall() == [("ware", "Old Stock")]


@pytest.mark.parametrize(
    "sql", ["select * from flights, information_schema.tables", "select * from t, duckdb_tables()"]
)
def test_tables_are_not_read_beside(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is not None
    assert (answer.error.reason, answer.batches) == (Reason.SQL_BINDING, ())
    assert "cannot read tables too" in answer.error.message


@pytest.mark.parametrize(
    "sql",
    [
        "select * from pg_catalog.pg_settings",
        "select * from pg_catalog.pg_proc",
        "select * from lake.information_schema.tables",
        "select * from duckdb_settings()",
        "select * from duckdb_functions()",
        "select * from duckdb_secrets()",
        "select * from duckdb_memory()",
        "show variables",
        "show memory_limit",
    ],
)
def test_settings_functions_and_state_stay_closed(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is not None
    assert answer.batches == ()


def test_a_common_table_shadows_nothing_of_the_catalog() -> None:
    assert ask("with tables as (select 1 as one) select * from tables").rows == [(1,)]
    assert SCAN not in metadata.SCANS
