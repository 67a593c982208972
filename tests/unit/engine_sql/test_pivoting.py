"""PIVOT without its values: checked with a value of ours in their place, run as the caller wrote it."""

from __future__ import annotations

import pytest
from penstock_server.engines.duckdb import pivoting
from penstock_server.engines.duckdb.pivoting import VALUE
from penstock_server.errors import QueryError, Reason
from support.sealed import FLIGHTS, Table, ask

STATEMENTS = [
    "pivot flights on carrier using sum(id)",
    "pivot flights on carrier",
    "pivot flights on carrier -- and no more",
    "PIVOT lake.nyc.flights ON carrier, id % 2 USING count(*), max(delay) GROUP BY id ORDER BY ALL LIMIT 3;",
    "pivot (from flights where id > 1) on carrier || '!' using sum(id)",
    "pivot flights on carrier in ('AA'), id using count(*)",
    "from (pivot flights on carrier using sum(id) group by delay) order by all",
    "with p as (pivot flights on carrier using sum(id)) select * from p order by all",
    "with s as (select carrier, id from flights) pivot s on carrier using sum(id)",
    "pivot (pivot flights on carrier using sum(id)) on delay using count(*)",
    "pivot (from flights join airlines using (carrier)) on name using sum(delay)",
    "from (pivot flights on id using first(carrier)) a, (pivot airlines on carrier using count(*)) b",
    'pivot flights on "carrier" /* in */ using sum(id)',
    "pivot_wider flights on carrier using sum(id)",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_answers_as_the_engine_does(sql: str) -> None:
    import duckdb

    plain = duckdb.connect(config={"threads": 1})
    plain.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.nyc; USE lake.nyc")
    plain.register("rows_f", FLIGHTS.rows)
    plain.execute("CREATE TABLE flights AS FROM rows_f")
    plain.execute("CREATE TABLE airlines (carrier VARCHAR, name VARCHAR)")
    plain.execute("INSERT INTO airlines VALUES ('AA', 'American'), ('B6', 'JetBlue')")
    expected = plain.sql(sql).to_arrow_reader(100).read_all()
    answer = ask(sql)
    assert answer.table.schema.names == expected.schema.names
    assert answer.table.to_pylist() == expected.to_pylist()
    assert answer.bound is not None
    assert answer.bound.schema == b""


def test_the_columns_are_a_function_of_the_rows() -> None:
    def columns(rows: int) -> list[str]:
        table = Table(name=FLIGHTS.name, columns=FLIGHTS.columns, rows=FLIGHTS.rows.slice(0, rows))
        return list(ask("pivot flights on carrier using sum(id)", tables=(table,)).table.schema.names)

    assert columns(1) == ["delay", "AA"]
    assert columns(4) == ["delay", "AA", "B6"]
    assert columns(0) == ["delay"]


@pytest.mark.parametrize(
    "sql",
    [
        "select 'pivot a on b'",
        "select 1",
        "from a pivot (sum(x) for y in (1, 2))",
        "pivot a on b in (1) using sum(c)",
        "pivot",
        "pivot a",
        "select pivot from a join b on x",
    ],
)
def test_what_has_its_values_is_left_alone(sql: str) -> None:
    assert pivoting.complete(sql) is None


def test_offsets_lead_back_to_the_callers_text() -> None:
    sql = "pivot a on é, x using sum(y)"
    completed = pivoting.complete(sql)
    assert completed is not None
    assert completed.values == 2
    for letter in ("a on", "é", "using", "y)"):
        assert completed.position(completed.sql.index(letter)) == sql.index(letter)


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("pivot flights on nosuch using sum(id)", "nosuch"),
        ("pivot flights on carrier, id || 'é' using sum(nosuch)", "nosuch"),
        ("pivot flights on carrier using sum(read_text('x'))", "read_text"),
        ("pivot flights on carrier, using sum(id", "("),
    ],
)
def test_an_error_stands_where_it_stands_in_the_callers_text(sql: str, place: str) -> None:
    answer = ask(sql)
    assert isinstance(answer.error, QueryError)
    assert answer.error.position == sql.index(place)


def test_our_value_counts_only_where_it_was_put(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = f"pivot flights on carrier in ('{VALUE}'), id using count(*)"
    refused = ask(sql)
    assert refused.error is not None
    assert refused.error.reason is Reason.SQL_NOT_READ_ONLY
    monkeypatch.setattr(pivoting.Completed, "check", lambda *_: None)
    assert ask(sql).error is None


def test_values_of_parameters_are_refused_with_what_to_do() -> None:
    answer = ask("pivot flights on carrier using sum(id + $1)", parameters=[1])
    assert answer.error is not None
    assert answer.error.reason is Reason.SQL_BINDING
    assert "cannot have parameters" in answer.error.message


def test_more_columns_than_a_message_holds_are_refused() -> None:
    answer = ask("pivot (select range || repeat('x', 1000) as v from range(3000)) on v using count(*)")
    assert answer.error is not None
    assert answer.error.reason is Reason.ROW_LIMIT
