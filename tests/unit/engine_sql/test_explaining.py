"""EXPLAIN: the plan of a checked statement, in names of the caller's tables."""

from __future__ import annotations

import json

import pytest
from penstock_server.engines.duckdb import explaining
from penstock_server.engines.duckdb.explaining import PlanForm
from penstock_server.errors import QueryError, Reason
from support.sealed import FLIGHTS, Table, ask

STATEMENTS = [
    "select carrier, count(*) from flights where id > 1 group by carrier",
    "select * from flights f join airlines a using (carrier) where f.delay > -5 order by name",
    "select sum(delay) over (partition by carrier order by id) from lake.nyc.flights",
    "select f.id, (select max(g.id) from flights g where g.id < f.id) from flights f",
    "with a as materialized (select carrier from airlines) from a, flights f where a.carrier = f.carrier",
    "from flights union all from flights",
    "pivot flights on carrier in ('AA') using sum(id)",
    "select count(*) from flights",
    "from flights asof join flights g on flights.id >= g.id",
    "summarize flights",
    "describe flights",
    "values (1)",
    "show tables",
]


@pytest.mark.parametrize("sql", STATEMENTS)
@pytest.mark.parametrize("form", ["", "(format json) "])
def test_a_plan_shows_no_name_of_ours(sql: str, form: str) -> None:
    answer = ask(f"explain {form}{sql}")
    ((key, plan),) = answer.rows
    assert key == "physical_plan"
    assert "penstock" not in plan
    assert not [word for word in plan.replace(",", " ").split() if word.strip('"[](){}') in ("c0", "c1", "c2", "t0")]
    if form:
        assert json.loads(plan)[0]["name"]


def test_a_plan_names_tables_columns_and_filters_as_the_caller_does() -> None:
    ((_, plan),) = ask("explain select carrier from flights where id > 1 and carrier || 'x' > 'A c1, c0'").rows
    assert "Table: lake.nyc.flights" in plan
    assert "(id > 1)" in plan
    assert "'A c1, c0'" in plan


def test_a_plan_uses_what_the_statement_would_use_and_reads_the_rows_for_its_estimates() -> None:
    answer = ask("explain (format json) select id from flights")
    assert answer.bound is not None
    assert answer.bound.used_columns == ((FLIGHTS.table_name, ("id",)),)
    assert json.loads(answer.rows[0][1])[0]["extra_info"]["Estimated Cardinality"] == "4"
    fewer = Table(name=FLIGHTS.name, columns=FLIGHTS.columns, rows=FLIGHTS.rows.slice(0, 1))
    (node,) = json.loads(ask("explain (format json) select id from flights", tables=(fewer,)).rows[0][1])
    assert node["extra_info"]["Estimated Cardinality"] == "1"


def test_values_of_parameters_are_taken() -> None:
    ((_, plan),) = ask("explain select carrier from flights where id > $1", parameters=[2]).rows
    assert "(id > 2)" in plan
    ((_, named),) = ask("explain select carrier from flights where id > $least", parameters={"least": 2}).rows
    assert named == plan


@pytest.mark.parametrize(
    ("sql", "statement", "form"),
    [
        ("explain select 1", "select 1", PlanForm.TEXT),
        ("EXPLAIN\n--x\nselect 1", "select 1", PlanForm.TEXT),
        ("/* explain */ Explain(Format JSON)(select 1)", "(select 1)", PlanForm.JSON),
        ("explain (format 'json') from t", "from t", PlanForm.JSON),
        ("explain ( /* ) */ format default ) from t", "from t", PlanForm.TEXT),
        ("explain (select 1)", "(select 1)", PlanForm.TEXT),
        ("explain ((format))", "((format))", PlanForm.TEXT),
    ],
)
def test_the_words_of_explain_are_taken_off_and_nothing_moves(sql: str, statement: str, form: PlanForm) -> None:
    explained = explaining.split(sql)
    assert explained is not None
    assert explained.statement.lstrip().removeprefix("--x").lstrip() == statement
    assert explained.form is form
    assert len(explained.statement) == len(sql)


@pytest.mark.parametrize("sql", ["select 1", "", "select 'explain select 1'", '"explain"', "-- explain\nselect 1"])
def test_what_is_no_explain_is_left_alone(sql: str) -> None:
    assert explaining.split(sql) is None


def test_an_error_stands_where_it_stands_in_the_whole_text() -> None:
    for sql in ("explain select nosuch from flights", "explain (format json) select 'é', nosuch from flights"):
        answer = ask(sql)
        assert isinstance(answer.error, QueryError)
        assert answer.error.reason is Reason.COLUMN_NOT_FOUND
        assert answer.error.position == sql.index("nosuch")
