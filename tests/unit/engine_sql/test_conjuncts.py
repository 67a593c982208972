"""Which conditions of a statement are copied, and what the front lets through of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from penstock_server.engines.duckdb import binding, conjuncts, copying, parsing, printing
from penstock_server.engines.duckdb.column_tests import MOST_CONSTANTS, ColumnTest, ConditionKind, TableConjuncts
from penstock_server.engines.duckdb.copying import NotOfTheTable
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.engines.duckdb.wire.encoding import decode, encode
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, And, Compare, Comparison, Constant, In, IsNull, Or
from support.policies import table
from support.sealed import Table, sealed, shapes

VECTORS = Path(__file__).parents[2] / "vectors/query/copied_conjuncts.yaml"
CASES = yaml.safe_load(VECTORS.read_text())
COLUMNS = {
    "id": "BIGINT",
    "s": "VARCHAR",
    "d": "DECIMAL(15,2)",
    "day": "DATE",
    "moment": "TIMESTAMP",
    "zone": "TIMESTAMP WITH TIME ZONE",
    "f": "DOUBLE",
    "b": "BOOLEAN",
    "st": "STRUCT(x INTEGER)",
}
T = Table(name="lake.n.t", columns=tuple(COLUMNS.items()), rows=pa.table({}))
SCHEMA = table("lake.n.t", COLUMNS)


def _copied(sql: str) -> tuple[TableConjuncts, ...]:
    connection = sealed()
    try:
        named = parsing.parse(connection, sql).tables
        declaration = binding.declare(connection, shapes([T], [one.parts for one in named]))
        return conjuncts.copied(connection, declaration, sql)
    finally:
        connection.close()


def _written(test: ColumnTest) -> str:
    return " ".join([test.column, test.kind, *(str(value) for value in test.values)])


def _governed(hidden: Mapping[str, tuple[CellCase, ...]] | None = None) -> GovernedTable:
    clear = (CellCase(when=Always(), mask=None),)
    columns = tuple(
        GovernedColumn(column=column, cases=(hidden or {}).get(column.name, clear)) for column in SCHEMA.columns
    )
    return GovernedTable(schema=SCHEMA, columns=columns, rows=())


def _told(*alternatives: tuple[ColumnTest, ...]) -> list[TableConjuncts]:
    return [TableConjuncts(table=SCHEMA.name, alternatives=alternatives)]


def _test(column: str, *values: Constant, kind: ConditionKind = ConditionKind.EQUAL) -> ColumnTest:
    return ColumnTest(column=column, kind=kind, values=values)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_is_copied_is_what_the_rule_says(case: dict[str, object]) -> None:
    assert case.keys() == {"id", "sql", "copied"}
    found = _copied(str(case["sql"]))
    given = sorted(sorted(map(_written, tests)) for one in found for tests in one.alternatives)
    assert given == case["copied"]


def test_past_so_many_constants_nothing_is_copied() -> None:
    few, many = (", ".join(map(str, range(count))) for count in (MOST_CONSTANTS, MOST_CONSTANTS + 1))
    assert _copied(f"select * from t where id in ({few})")
    assert not _copied(f"select * from t where id in ({many})")


def test_a_text_with_quotes_crosses_the_wire_and_the_printer_as_a_value() -> None:
    text = "x' OR '1'='1'; DROP TABLE t; --"
    (found,) = _copied(f"select * from t where s = '{text.replace(chr(39), chr(39) * 2)}'")
    ((test,),) = decode(TableConjuncts, encode(found)).alternatives
    assert test.values == (text,)
    predicate = copying.copied(_governed(), [found])
    assert predicate == Compare(column="s", op=Comparison.EQUAL, value=text)
    source = DatabaseTable(file=Path("/x.duckdb"), schema="n", table="t")
    printed = printing.source_statement(_governed(), ("id",), source, copied=predicate)
    assert printed.count(text.replace("'", "''")) == 1
    connection = sealed()
    assert (
        connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [printed]).fetchall()[0][0].count("SELECT_NODE")
        == 2
    )
    connection.close()


def test_each_form_becomes_a_predicate() -> None:
    made = copying.copied(
        _governed(),
        _told(
            (_test("id", 5), _test("s", "a", "b", kind=ConditionKind.IN)),
            (_test("d", Decimal("1.50"), kind=ConditionKind.LESS), _test("day", kind=ConditionKind.IS_NULL)),
            (_test("moment", datetime(2020, 1, 1), kind=ConditionKind.NOT_EQUAL),),  # noqa: DTZ001 - a TIMESTAMP has no zone
        ),
    )
    assert made == Or(
        operands=(
            And(
                operands=(
                    Compare(column="id", op=Comparison.EQUAL, value=5),
                    In(column="s", values=frozenset({"a", "b"})),
                )
            ),
            And(operands=(Compare(column="d", op=Comparison.LESS, value=Decimal("1.50")), IsNull(column="day"))),
            Compare(column="moment", op=Comparison.NOT_EQUAL, value=datetime(2020, 1, 1)),  # noqa: DTZ001 - as above
        )
    )


def test_a_condition_on_a_cell_that_hangs_on_another_is_left_out() -> None:
    partly = (CellCase(when=Compare(column="id", op=Comparison.LESS, value=5), mask=None),)
    governed = _governed({"s": partly})
    assert copying.copied(governed, _told((_test("s", "x"), _test("id", 7)))) == Compare(
        column="id", op=Comparison.EQUAL, value=7
    )
    assert copying.copied(governed, _told((_test("s", "x"),), (_test("id", 7),))) is None


@pytest.mark.parametrize(
    "test",
    [
        _test("hidden", 1),
        _test("id", "1"),
        _test("id", True),
        _test("id", 2**63),
        _test("s", 5),
        _test("day", datetime(2020, 1, 1)),  # noqa: DTZ001 - a TIMESTAMP has no zone
        _test("moment", date(2020, 1, 1)),
        _test("d", Decimal("0.001")),
        _test("id", 1, 2),
        _test("id"),
        _test("id", kind=ConditionKind.IN),
        _test("id", 1, kind=ConditionKind.IS_NULL),
    ],
    ids=str,
)
def test_what_no_honest_worker_says_is_refused(test: ColumnTest) -> None:
    with pytest.raises(NotOfTheTable):
        copying.copied(_governed(), _told((test,)))


@pytest.mark.parametrize("column", ["f", "zone", "st"])
def test_a_worker_cannot_have_a_condition_copied_on_another_type(column: str) -> None:
    assert copying.copied(_governed(), _told((_test(column, 1.5),))) is None


def test_a_worker_cannot_have_more_constants_copied_than_it_may() -> None:
    values = tuple(range(MOST_CONSTANTS + 1))
    assert copying.copied(_governed(), _told((_test("id", *values, kind=ConditionKind.IN),))) is None


def test_what_is_said_of_another_table_is_not_taken_for_this_one() -> None:
    other = table("lake.n.other", COLUMNS)
    told = [TableConjuncts(table=other.name, alternatives=((_test("id", 1),),))]
    assert copying.copied(_governed(), told) is None
    assert copying.copied(_governed(), _told()) is None
    assert copying.copied(_governed(), _told(())) is None
