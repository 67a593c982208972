"""Binding against empty tables: what a statement needs, what it may scan, and what happens when we are wrong."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from penstock_server.engines.duckdb import binding, errors, plans
from penstock_server.errors import NotFound, QueryError, Reason
from penstock_server.model.predicate import Constant
from support.sealed import AIRLINES, FLIGHTS, Answer, Table, ask, sealed, shapes, supply

WIDE = Table(
    name="ware.main.wide",
    columns=(("a", "INTEGER"), ("b c", "VARCHAR"), ("d", "STRUCT(x INTEGER, y VARCHAR)"), ("e", "INTEGER[]")),
    rows=pa.table(
        {
            "a": pa.array([1, 2], pa.int32()),
            "b c": ["x", None],
            "d": pa.array([{"x": 1, "y": "z"}, None], pa.struct([("x", pa.int32()), ("y", pa.string())])),
            "e": pa.array([[1], None], pa.list_(pa.int32())),
        }
    ),
)
TABLES = (FLIGHTS, AIRLINES, WIDE)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = sealed()
    yield opened
    opened.close()


def used(answer: Answer) -> dict[str, tuple[str, ...]]:
    assert answer.error is None, answer.error
    assert answer.bound is not None
    return {str(name): columns for name, columns in answer.bound.used_columns}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select carrier from flights", ("carrier",)),
        ("select count(*) from flights", ()),
        ("select 1 from flights", ()),
        ("select * from flights", ("id", "carrier", "delay")),
        ("select f from flights f", ("id", "carrier", "delay")),
        ("select columns('c.*') from flights", ("carrier",)),
        ("select * exclude (id) from flights", ("carrier", "delay")),
        ("select id from flights where delay > 1", ("id", "delay")),
        ("select id from flights order by carrier", ("id", "carrier")),
        ("select sum(delay) over (partition by carrier) from flights", ("carrier", "delay")),
        ("select count(*) filter (where carrier = 'AA') from flights", ("carrier",)),
        ("with x as (from flights) select id from x", ("id",)),
        ("select id from (select * from flights)", ("id",)),
        ("select distinct carrier from flights", ("carrier",)),
        ("select id from flights where 1 = 0 and carrier = 'x'", ("id", "carrier")),
        ("select case when true then id else delay end from flights", ("id", "delay")),
        ("describe flights", ()),
        ("summarize flights", ("id", "carrier", "delay")),
        ("select id from flights union all select 1", ("id",)),
        ("select id from flights limit 0", ("id",)),
    ],
)
def test_a_statement_gets_the_columns_that_it_needs(sql: str, columns: tuple[str, ...]) -> None:
    assert used(ask(sql)) == {"lake.nyc.flights": columns}


@pytest.mark.parametrize(
    ("sql", "flights", "airlines"),
    [
        (
            "select id from flights f where exists (select 1 from airlines a where a.carrier = f.carrier)",
            ("id", "carrier"),
            ("carrier",),
        ),
        (
            "select (select max(name) from airlines a where a.carrier = f.carrier) from flights f",
            ("carrier",),
            ("carrier", "name"),
        ),
        (
            "select id, x.n from flights f, lateral (select count(*) n from airlines a where a.carrier = f.carrier) x",
            ("id", "carrier"),
            ("carrier",),
        ),
    ],
)
def test_a_correlated_statement_gets_no_more_than_it_needs(
    sql: str, flights: tuple[str, ...], airlines: tuple[str, ...]
) -> None:
    assert used(ask(sql)) == {"lake.nyc.flights": flights, "lake.nyc.airlines": airlines}


def test_two_references_of_a_table_need_what_both_need() -> None:
    answer = ask("select a.id from flights a join lake.nyc.flights b on a.id = b.id where b.delay > 0")
    assert used(answer) == {"lake.nyc.flights": ("id", "delay")}
    assert answer.rows == [(1,), (4,)]


IN_JETBLUE = "select max(id) from flights where carrier in (select carrier from airlines where name = 'JetBlue')"
WITH_AIRLINE = "select id from flights f where exists (select 1 from airlines a where a.carrier = f.carrier) order by 1"
COUNT_UP = (
    "with recursive r as (select 1 n union all select n + 1 from r where n < (select max(id) from flights)) "
    "select max(n) from r"
)
BY_NAME = "select name, sum(delay) from flights join airlines using (carrier) group by name order by 1"
DESCRIBED = [("id", "INTEGER"), ("carrier", "VARCHAR"), ("delay", "DOUBLE")]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select id, carrier from flights order by id", [(1, "AA"), (2, "B6"), (3, None), (4, "AA")]),
        ("select count(*) from flights", [(4,)]),
        ("select count(*) from flights where false", [(0,)]),
        ("select 1 from flights limit 2", [(1,), (1,)]),
        (BY_NAME, [("American", 1.75), ("JetBlue", None)]),
        ("select lake.nyc.flights.id from lake.nyc.flights where nyc.flights.id = 1", [(1,)]),
        ("select nyc.flights.id from nyc.flights where id = 1", [(1,)]),
        ("select LAKE.NYC.FLIGHTS.ID from lake.NYC.flights where id = 1", [(1,)]),
        ('select w."b c", w.d.x from ware.main.wide w order by a', [("x", 1), (None, None)]),
        ("select f.id from lake.nyc.flights f, ware.main.wide w where w.a = f.id order by 1", [(1,), (2,)]),
        ("select f.id from flights f, wide w where w.a = f.id order by 1", [(1,), (2,)]),
        ("select count(*) from flights a, nyc.flights b, lake.nyc.flights c", [(64,)]),
        (IN_JETBLUE, [(2,)]),
        (WITH_AIRLINE, [(1,), (2,), (4,)]),
        (COUNT_UP, [(4,)]),
        ("select x.n from flights, lateral (select id * 2 as n) x order by 1 limit 1", [(2,)]),
        ("select unnest(e) from wide", [(1,)]),
        ("from (pivot flights on carrier in ('AA', 'B6') using count(*) group by carrier) order by all limit 1", None),
        ("select row_number() over (order by id desc) from flights where id = 4", [(1,)]),
        ("select 42", [(42,)]),
        ("values (1), (2)", [(1,), (2,)]),
        ("select column_name, column_type from (describe flights)", DESCRIBED),
    ],
)
def test_statements_answer(sql: str, rows: list[tuple[Any, ...]] | None) -> None:
    answer = ask(sql, tables=TABLES)
    assert answer.error is None, answer.error
    assert rows is None or answer.rows == rows


@pytest.mark.parametrize(
    ("sql", "parameters", "rows"),
    [
        ("select id from flights where carrier = ? order by 1", ["AA"], [(1,), (4,)]),
        ("select $2 || $1", ["a", "b"], [("ba",)]),
        ("select ?, ?, ?", [True, 1, 1.5], [(True, 1, 1.5)]),
        ("select ?::varchar", [None], [(None,)]),
        ("select ? + 1", [2**62], [(2**62 + 1,)]),
        ("select ?", [Decimal("1.20")], [(Decimal("1.20"),)]),
        ("select ?", [date(2020, 1, 2)], [(date(2020, 1, 2),)]),
        ("select ?", [datetime(2020, 1, 2, 3)], [(datetime(2020, 1, 2, 3),)]),  # noqa: DTZ001 - zone-less
        ("select epoch(?)", [datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)], [(5.0,)]),
        ("select ?", ["'; drop table x; --"], [("'; drop table x; --",)]),
        ("select id from flights limit ?", [1], [(1,)]),
    ],
)
def test_parameters_are_typed_constants(
    sql: str, parameters: list[Constant | None], rows: list[tuple[Any, ...]]
) -> None:
    assert ask(sql, parameters=parameters).rows == rows


@pytest.mark.parametrize(
    ("sql", "parameters"), [("select ?", []), ("select 1", [1]), ("select ?, ?", [1]), ("select ?", [1, 2])]
)
def test_another_number_of_parameters_is_refused(sql: str, parameters: list[Constant | None]) -> None:
    answer = ask(sql, parameters=parameters)
    assert answer.error is not None
    assert answer.error.reason is Reason.SQL_BINDING
    assert "parameter" in answer.error.message


@pytest.mark.parametrize(
    ("sql", "reason", "message", "position"),
    [
        ("select ssn from flights", Reason.COLUMN_NOT_FOUND, "column `ssn` does not exist", 7),
        ("select 'é', ssn from flights", Reason.COLUMN_NOT_FOUND, "column `ssn` does not exist", 12),
        ("select sum(carrier) from flights", Reason.SQL_BINDING, None, 7),
        ("select id from flights group by carrier", Reason.SQL_BINDING, None, 7),
    ],
)
def test_what_does_not_bind_says_what_and_where(sql: str, reason: Reason, message: str | None, position: int) -> None:
    error = ask(sql).error
    assert isinstance(error, QueryError)
    assert error.reason is reason
    assert message is None or error.message == message
    assert error.position == position


def test_nothing_runs_while_a_statement_is_bound(connection: duckdb.DuckDBPyConnection) -> None:
    declaration = binding.declare(connection, ())
    for sql in (
        "select error('ran')",
        "select count(*) from range(10000000000000)",
        "select cast('x' as int) from range(1)",
    ):
        bound = binding.bind(connection, declaration, sql, ())
        assert len(pa.ipc.read_schema(pa.py_buffer(bound.schema))) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "select * from duckdb_settings()",
        "select * from duckdb_tables()",
        "select * from main.duckdb_tables",
        "select * from information_schema.tables",
        "select * from pg_catalog.pg_class",
        "select (select count(*) from duckdb_views())",
        "with x as (from duckdb_columns()) select count(*) from x",
        "select * from pragma_version()",
        "select * from test_all_types()",
        "select * from lake.nyc.flights, lateral (select * from pragma_table_info('lake.nyc.flights'))",
        "show tables",
        "show databases",
    ],
)
def test_the_plan_refuses_what_the_walk_over_the_tree_refuses_too(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> None:
    declaration = binding.declare(connection, shapes((FLIGHTS,), [("lake", "nyc", "flights")]))
    with pytest.raises(QueryError) as raised:
        binding.bind(connection, declaration, sql, ())
    assert raised.value.reason is Reason.SQL_FUNCTION_REFUSED


def test_the_plan_refuses_a_table_that_was_not_declared(connection: duckdb.DuckDBPyConnection) -> None:
    declaration = binding.declare(connection, shapes((FLIGHTS,), [("lake", "nyc", "flights")]))
    connection.execute("CREATE TABLE lake.nyc.other (a INTEGER)")
    with pytest.raises(QueryError) as raised:
        binding.bind(connection, declaration, "select * from lake.nyc.other", ())
    assert raised.value.reason is Reason.SQL_FUNCTION_REFUSED
    with pytest.raises(NotFound) as missing:
        binding.bind(connection, declaration, "select * from lake.nyc.salaries", ())
    assert missing.value.hint == errors.table_not_found("salaries", None).hint


@pytest.mark.parametrize(
    "sql",
    [
        "insert into lake.nyc.x values (1)",
        "create table y as select 1",
        "select nextval('s')",
        "explain select 1",
        "set threads = 1",
    ],
)
def test_nothing_but_a_read_is_bound_even_if_it_were_parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    declaration = binding.declare(connection, shapes((FLIGHTS,), [("lake", "nyc", "flights")]))
    connection.execute("CREATE TABLE lake.nyc.x (a INTEGER); CREATE SEQUENCE s")
    with pytest.raises((QueryError, duckdb.Error)):
        binding.bind(connection, declaration, sql, ())
    assert connection.execute("SELECT count(*) FROM lake.nyc.x").fetchall() == [(0,)]


def test_a_column_that_was_not_supplied_fails_the_statement_instead_of_being_null(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    declaration = binding.declare(connection, shapes((WIDE,), [("wide",)]))
    binding.publish(connection, declaration, WIDE.table_name, ("a",), supply(WIDE, ("a",)))
    assert connection.execute("select a from wide order by a").fetchall() == [(1,), (2,)]
    for sql in (
        'select "b c" from wide',
        "select d is null from wide",
        "select count(e) from wide",
        "select * from wide",
    ):
        with pytest.raises(duckdb.Error) as raised:
            connection.execute(sql).fetchall()
        translated = errors.translate(raised.value, sql=sql, memory_bytes=0)
        assert translated.reason is Reason.INTERNAL
        assert translated.detail == "unsupplied column"


def test_filters_reach_the_rows_past_the_columns_that_were_not_supplied(connection: duckdb.DuckDBPyConnection) -> None:
    declaration = binding.declare(connection, shapes((WIDE,), [("wide",)]))
    binding.publish(connection, declaration, WIDE.table_name, ("a",), supply(WIDE, ("a",)))
    plan = dict(connection.execute("EXPLAIN select a from wide where a = 2").fetchall())["physical_plan"]
    assert "Filters" in plan


def test_other_columns_than_were_asked_for_are_not_published(connection: duckdb.DuckDBPyConnection) -> None:
    declaration = binding.declare(connection, shapes((FLIGHTS,), [("flights",)]))
    with pytest.raises(ValueError, match="other columns"):
        binding.publish(connection, declaration, FLIGHTS.table_name, ("id",), supply(FLIGHTS, ("id", "carrier")))


def test_two_tables_that_would_need_one_name_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    other = Table(name="ware.nyc.flights", columns=FLIGHTS.columns, rows=FLIGHTS.rows)
    first, second = shapes((FLIGHTS,), [("nyc", "flights")]) + shapes((other,), [("nyc", "flights")])
    with pytest.raises(QueryError) as raised:
        binding.declare(connection, (first, second))
    assert raised.value.reason is Reason.SQL_BINDING


@pytest.mark.parametrize(
    ("expression", "type_name"),
    [
        ("1::uhugeint", "UHUGEINT"),
        ("'1'::bit", "BIT"),
        ("[{'a': time '1:00'::timetz}]", "TIME WITH TIME ZONE"),
        ("1::variant", "VARIANT"),
    ],
)
def test_a_result_that_an_answer_cannot_hold_exactly_is_refused(expression: str, type_name: str) -> None:
    error = ask(f"select {expression} as x").error
    assert error is not None
    assert error.message == f"column `x` of the result has type {type_name}, which an answer cannot hold exactly"


def test_names_of_the_result_are_kept_even_if_they_repeat() -> None:
    answer = ask('select 1 as a, 2 as a, 3 as "A b"')
    assert answer.table.column_names == ["a", "a", "A b"]


def test_the_plan_is_read_without_statistics_of_the_empty_tables() -> None:
    answer = ask(
        "select a.id from flights a join airlines b on a.carrier = b.carrier and b.name = 'American' order by 1"
    )
    assert used(answer) == {"lake.nyc.flights": ("id", "carrier"), "lake.nyc.airlines": ("carrier", "name")}
    assert answer.rows == [(1,), (4,)]


def test_optimizers_are_on_again_when_the_statement_runs(connection: duckdb.DuckDBPyConnection) -> None:
    declaration = binding.declare(connection, ())
    binding.bind(connection, declaration, "select 1", ())
    with pytest.raises(QueryError):
        plans.scans(connection, "select nosuch", ())
    rows = connection.execute("SELECT value FROM duckdb_settings() WHERE name = 'disabled_optimizers'").fetchall()
    assert rows == [("",)]


@pytest.mark.parametrize(
    "sql", ["select * from flights", "select count(*) from flights", "select max(id) from flights"]
)
def test_a_table_of_which_no_row_is_permitted_is_an_empty_table(sql: str) -> None:
    empty = Table(name=FLIGHTS.name, columns=FLIGHTS.columns, rows=FLIGHTS.rows.slice(0, 0))
    answer = ask(sql, tables=(empty,))
    assert answer.rows == {"*": [], "count(*)": [(0,)], "max(id)": [(None,)]}[sql.split()[1]]


def test_long_texts_are_supplied_and_answered() -> None:
    long = Table(
        name="lake.nyc.long",
        columns=(("s", "VARCHAR"),),
        rows=pa.table({"s": [str(number % 10) * 150_000 for number in range(300)]}),
    )
    answer = ask("select s from long", tables=(long,))
    assert [len(text) for (text,) in answer.rows] == [150_000] * 300
    assert max(map(len, answer.batches)) <= 2 * 1024 * 1024
