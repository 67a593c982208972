"""The text of a row filter means the same to PostgreSQL, to DuckDB by way of our parser and printer, and to Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from penstock_server.engines.duckdb import instance, printing
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.predicate import Predicate
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.row_tests import Fixed
from support.filter_texts import COLUMNS, random_filter, random_rows
from support.policies import table
from support.predicates import truth
from support.row_security import Connection

SCHEMA = table("lake.db.t", {"n": "INTEGER", **{name: given.duckdb for name, given in COLUMNS.items()}})
ROWS = random_rows(Random("rows"), 60)
MODEL = [{name: None if cell is None else cell[1] for name, cell in row.items()} for row in ROWS]
Answers = list[tuple[bool | None, ...]]


def test_filters_mean_what_they_mean_in_postgresql(postgres: Connection, tmp_path: Path) -> None:
    found = _compare(postgres, tmp_path, "filters", 1_200)
    assert min(found[True], found[False], found[None]) > 10_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_filters_mean_what_they_mean_in_postgresql(postgres: Connection, tmp_path: Path) -> None:
    _compare(postgres, tmp_path, "many filters", 20_000)


def _compare(postgres: Connection, folder: Path, seed: str, count: int) -> Counter[bool | None]:
    """Compare many filters on every row; give how often each truth value came up."""
    random = Random(seed)
    found: Counter[bool | None] = Counter()
    with _postgres_table(postgres), _duckdb_table(folder / "lake.duckdb") as (reader, relation):
        for _ in range(count // 50):
            filters = [random_filter(random) for _ in range(50)]
            predicates = [_bound(one.ours) for one in filters]
            theirs = postgres.execute(f"SELECT {', '.join(f'({one.theirs})' for one in filters)} FROM t ORDER BY n")
            ours = _in_duckdb(reader, relation, predicates)
            for number, (row, model) in enumerate(zip(theirs.fetchall(), MODEL, strict=True)):
                for one, predicate, foreign, engine in zip(filters, predicates, row, ours[number], strict=True):
                    expected = truth(predicate, model)
                    assert foreign is engine is expected, (one, foreign, engine, expected, ROWS[number])
                    found[expected] += 1
    return found


def _bound(text: str) -> Predicate:
    test = bind_filter(parse_filter(text), SCHEMA)
    assert isinstance(test, Fixed)
    return test.predicate


def _in_duckdb(reader: duckdb.DuckDBPyConnection, relation: DatabaseTable, predicates: list[Predicate]) -> Answers:
    printer = printing._Printer(SCHEMA)
    printed = ", ".join(f"({printer.predicate(predicate)})" for predicate in predicates)
    inner = printing._pinned(SCHEMA, printer.read | {"n"}, relation)
    return reader.sql(f"SELECT {printed} FROM ({inner}) ORDER BY n").fetchall()


@contextmanager
def _postgres_table(postgres: Connection) -> Iterator[None]:
    with postgres.transaction(force_rollback=True):
        for statement in _statements("postgres"):
            postgres.execute(statement)
        yield


@contextmanager
def _duckdb_table(file: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, DatabaseTable]]:
    with duckdb.connect(str(file)) as writer:
        for statement in _statements("duckdb"):
            writer.execute(statement)
    reader = instance.open_reader(memory_bytes=1 << 28, database=file)
    yield reader, DatabaseTable(file=file, schema="main", table="t")
    reader.close()


def _statements(engine: str) -> Iterator[str]:
    types: dict[str, Any] = {name: getattr(given, engine) for name, given in COLUMNS.items()}
    yield f"CREATE TABLE t (n INTEGER, {', '.join(f'{name} {kind}' for name, kind in types.items())})"
    for number, row in enumerate(ROWS):
        cells = (_cell(row[name], kind) for name, kind in types.items())
        yield f"INSERT INTO t VALUES ({number}, {', '.join(cells)})"


def _cell(cell: tuple[str, Any] | None, kind: str) -> str:
    return "NULL" if cell is None else "CAST('" + cell[0].replace("'", "''") + f"' AS {kind})"
