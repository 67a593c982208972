"""The 22 TPC-H queries, each equal to the same query over the tables themselves.

The data is small and random, with the shape of the benchmark's, so that every query has something to answer.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.sealed import Table, ask

VECTORS = Path(__file__).parents[1] / "vectors/query"
QUERIES = dict(part.split("\n", 1) for part in (VECTORS / "tpch.sql").read_text().split("-- name: ")[1:])
TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")


@pytest.fixture(scope="module")
def plain() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute((VECTORS / "tpch_data.sql").read_text())
    return connection


@pytest.fixture(scope="module")
def tables(plain: duckdb.DuckDBPyConnection) -> tuple[Table, ...]:
    made = []
    for name in TABLES:
        relation = plain.sql(f"FROM {name}")
        columns = tuple((column, str(kind)) for column, kind in zip(relation.columns, relation.types, strict=True))
        made.append(Table(name=f"lake.tpch.{name}", columns=columns, rows=relation.to_arrow_table()))
    return tuple(made)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_equals_the_same_query_over_the_tables(
    plain: duckdb.DuckDBPyConnection, tables: tuple[Table, ...], name: str
) -> None:
    expected = plain.sql(QUERIES[name]).to_arrow_table()
    assert expected.num_rows > 0, "a query without an answer compares nothing"
    assert all(column.null_count < len(column) for column in expected.columns)
    answer = ask(QUERIES[name], tables=tables)
    assert answer.error is None, answer.error
    assert answer.table.schema.types == expected.schema.types
    assert answer.table.to_pylist() == expected.to_pylist()


def test_there_are_twenty_two() -> None:
    assert len(QUERIES) == 22
