"""Printed decisions, run by the engine, against predicates evaluated cell by cell."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from penstock_server.engines.duckdb import instance, printing
from penstock_server.engines.duckdb.relations import DatabaseTable, ParquetFiles, SourceRelation
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable, Mask
from penstock_server.model.masks import ConstantForm
from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily
from support.masks import constant_mask
from support.predicates import INFINITE, Cell, truth

ROWS = 120
MICROSECOND = 10**6
TEXTS = [
    "",
    "a",
    "A",
    "b",
    "ab",
    "a_b",
    "a%b",
    "a\\b",
    "é",
    "e\u0301",
    "Ä",
    "\u212a",
    "k",
    "a ",
    " a",
    "'",
    '"',
    "a\nb",
    "\U0001f600",
    "🙂x",
    "\x01",
]
FLOATS = [0.0, -0.0, 0.1, 0.5, -1.5, 1e308, float("inf"), float("-inf"), float("nan"), 16777216.0, 5e-324]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A column of the test table: its type there and as pinned, what cells it holds, and constants to compare with."""

    name: str
    declared: str
    pinned: ColumnType
    arrow: pa.DataType
    cells: list[Any]
    constants: list[Constant]
    per_one: int = 1

    def oracle(self, stored: Any) -> Cell:
        match stored:
            case None | str() | bool() | float():
                return stored
            case int() if self.pinned.family in (TypeFamily.TIMESTAMP, TypeFamily.TIMESTAMP_TZ) and stored == 2**63 - 1:
                return INFINITE
            case int() | Decimal():
                return Fraction(stored) / self.per_one
        raise TypeError(type(stored).__name__)


def _moments(*, aware: bool) -> list[Constant]:
    base = datetime(2020, 1, 1, tzinfo=UTC if aware else None)
    steps = [0, 1, 499_999, 500_000, 10**6, -1]
    far = [datetime(1, 1, 1, tzinfo=base.tzinfo), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=base.tzinfo)]
    return [*(base + timedelta(microseconds=step) for step in steps), *far]


def _ticks(per_second: int) -> list[int]:
    base = 1_577_836_800 * per_second
    near = {0, 1, -1, per_second // 2, per_second // MICROSECOND or 1}
    return [*(base + step for step in near), 0, -(2**63) + 2 if per_second == MICROSECOND else -per_second, 2**63 - 1]


def _whole(*bounds: int) -> list[Constant]:
    return [0, 1, 5, -1, *bounds, *(bound + 1 for bound in bounds), *(bound - 1 for bound in bounds), 10**45, -(10**45)]


def _kind(sql: str, family: TypeFamily) -> ColumnType:
    return ColumnType(sql=sql, family=family)


GIVEN = [
    Given(
        name="s",
        declared="VARCHAR COLLATE NOCASE",
        pinned=_kind("VARCHAR", TypeFamily.TEXT),
        arrow=pa.string(),
        cells=TEXTS,
        constants=[*TEXTS, "c"],
    ),
    Given(
        name="e",
        declared="ENUM('a', 'A', 'b', 'secret')",
        pinned=_kind("VARCHAR", TypeFamily.TEXT),
        arrow=pa.string(),
        cells=["a", "A", "b"],
        constants=["a", "A", "B", "secret", "no member"],
    ),
    Given(
        name="t",
        declared="TINYINT",
        pinned=_kind("TINYINT", TypeFamily.INTEGER),
        arrow=pa.int8(),
        cells=[-128, -1, 0, 5, 127],
        constants=_whole(-128, 127),
    ),
    Given(
        name="u",
        declared="UBIGINT",
        pinned=_kind("UBIGINT", TypeFamily.INTEGER),
        arrow=pa.uint64(),
        cells=[0, 1, 2**63, 2**64 - 1],
        constants=_whole(2**63, 2**64 - 1),
    ),
    Given(
        name="h",
        declared="HUGEINT",
        pinned=_kind("HUGEINT", TypeFamily.INTEGER),
        arrow=pa.string(),
        cells=[-(2**127), -1, 0, 5, 2**127 - 1],
        constants=_whole(-(2**127), 2**127 - 1),
    ),
    Given(
        name="w",
        declared="DECIMAL(38,0)",
        pinned=_kind("DECIMAL(38,0)", TypeFamily.DECIMAL),
        arrow=pa.decimal128(38, 0),
        cells=[Decimal(10**38 - 1), Decimal(-(10**38) + 1), Decimal(0), Decimal(1)],
        constants=[Decimal("0.5"), Decimal("-0.5"), Decimal(1), Decimal(10**38 - 1), Decimal(10**40), -Decimal(10**40)],
    ),
    Given(
        name="d",
        declared="DECIMAL(5,2)",
        pinned=_kind("DECIMAL(5,2)", TypeFamily.DECIMAL),
        arrow=pa.decimal128(5, 2),
        cells=[Decimal("-999.99"), Decimal("999.99"), Decimal("0.00"), Decimal("0.01"), Decimal("1.50")],
        constants=[Decimal("0.005"), Decimal("0.01"), Decimal("1.5"), Decimal(1000), Decimal("-999.995"), Decimal(0)],
    ),
    Given(
        name="f",
        declared="FLOAT",
        pinned=_kind("FLOAT", TypeFamily.FLOAT),
        arrow=pa.float32(),
        cells=[0.0, -0.0, 0.5, -1.5, 0.10000000149011612, float("inf"), float("-inf"), float("nan"), 16777216.0],
        constants=[0.0, 0.5, 0.1, 0.10000000149011612, 16777216.0, 16777217.0, float("inf"), -1e300],
    ),
    Given(
        name="g",
        declared="DOUBLE",
        pinned=_kind("DOUBLE", TypeFamily.FLOAT),
        arrow=pa.float64(),
        cells=FLOATS,
        constants=[constant for constant in FLOATS if constant == constant],  # noqa: PLR0124 - not NaN
    ),
    Given(
        name="b",
        declared="BOOLEAN",
        pinned=_kind("BOOLEAN", TypeFamily.BOOLEAN),
        arrow=pa.bool_(),
        cells=[True, False],
        constants=[True, False],
    ),
    Given(
        name="y",
        declared="DATE",
        pinned=_kind("DATE", TypeFamily.DATE),
        arrow=pa.date32(),
        cells=[0, 18_262, 18_263, -719_162, 2_932_896],
        constants=[date(1970, 1, 1), date(2020, 1, 1), date(2020, 1, 2), date.min, date.max],
    ),
    Given(
        name="ts",
        declared="TIMESTAMP",
        pinned=_kind("TIMESTAMP", TypeFamily.TIMESTAMP),
        arrow=pa.timestamp("us"),
        cells=_ticks(MICROSECOND),
        constants=_moments(aware=False),
        per_one=MICROSECOND,
    ),
    Given(
        name="tss",
        declared="TIMESTAMP_S",
        pinned=_kind("TIMESTAMP_S", TypeFamily.TIMESTAMP),
        arrow=pa.timestamp("s"),
        cells=_ticks(1)[:-1],
        constants=_moments(aware=False),
    ),
    Given(
        name="tns",
        declared="TIMESTAMP_NS",
        pinned=_kind("TIMESTAMP_NS", TypeFamily.TIMESTAMP),
        arrow=pa.timestamp("ns"),
        cells=[*_ticks(10**9), 2**63 - 2, -(2**63) + 2],
        constants=_moments(aware=False),
        per_one=10**9,
    ),
    Given(
        name="tz",
        declared="TIMESTAMP WITH TIME ZONE",
        pinned=_kind("TIMESTAMP WITH TIME ZONE", TypeFamily.TIMESTAMP_TZ),
        arrow=pa.timestamp("us", "UTC"),
        cells=_ticks(MICROSECOND),
        constants=_moments(aware=True),
        per_one=MICROSECOND,
    ),
]
BY_NAME = {given.name: given for given in GIVEN}

SCHEMA = TableSchema(
    name=TableName(catalog="lake", database="db", table="t"),
    columns=(
        Column(name="row", type=_kind("BIGINT", TypeFamily.INTEGER)),
        *(Column(name=given.name, type=given.pinned) for given in GIVEN),
    ),
    location=None,
)


class Source:
    """The test table once, with the oracle's reading of each row."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, relation: SourceRelation, rows: list[dict[str, Any]]
    ) -> None:
        self.connection = connection
        self.relation = relation
        self.stored = rows
        self.rows: list[Mapping[str, Cell]] = [
            {name: BY_NAME[name].oracle(value) for name, value in row.items()} for row in rows
        ]

    def ask(self, table: GovernedTable, columns: tuple[str, ...] = ("row",)) -> list[tuple[Any, ...]]:
        statement = printing.source_statement(table, columns, self.relation)
        return self.connection.sql(statement).fetchall()

    def values(self, predicates: list[Predicate]) -> list[tuple[Any, ...]]:
        """Give the value of each predicate on each row: many in one statement, as printing puts them into one."""
        printer = printing._Printer(SCHEMA)
        printed = ", ".join(f"({printer.predicate(predicate)})" for predicate in predicates)
        inner = printing._pinned(SCHEMA, printer.read, self.relation)
        return self.connection.sql(f"SELECT {printed} FROM ({inner})").fetchall()


def _rows() -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {given.name: None if chance.random() < 0.15 else chance.choice(given.cells) for given in GIVEN}
        for _ in range(ROWS)
    ]


@pytest.fixture(scope="module", params=["parquet", "two files", "database"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("printing")
    rows = _rows()
    columns = {
        given.name: pa.array(
            [
                str(row[given.name]) if given.name == "h" and row[given.name] is not None else row[given.name]
                for row in rows
            ],
            given.arrow,
        )
        for given in GIVEN
    }
    writer = duckdb.connect(str(folder / "t.duckdb"), config={"threads": 1})
    writer.execute("CREATE SCHEMA db")
    writer.execute(f"CREATE TABLE db.t (row BIGINT, {', '.join(f'{given.name} {given.declared}' for given in GIVEN)})")
    writer.register("given", pa.table({"row": pa.array(range(ROWS), pa.int64()), **columns}))
    writer.execute("INSERT INTO db.t SELECT * FROM given")
    pinned = ", ".join(f"{given.name}::{given.pinned.sql} AS {given.name}" for given in GIVEN if given.name != "h")
    paths = [folder / "1.parquet", folder / "2.parquet"]
    halves = [f"row < {ROWS // 2}", f"row >= {ROWS // 2}"] if request.param == "two files" else ["true"]
    for path, half in zip(paths, halves, strict=False):
        writer.execute(f"COPY (SELECT row, {pinned} FROM db.t WHERE {half}) TO '{path}' (FORMAT parquet)")
    writer.close()
    if request.param == "database":
        connection = instance.open_reader(memory_bytes=1 << 28, database=folder / "t.duckdb")
        relation: SourceRelation = DatabaseTable(file=folder / "t.duckdb", schema="db", table="t")
    else:
        connection = instance.open_reader(memory_bytes=1 << 28, paths=(folder,))
        relation = ParquetFiles(files=tuple(path for path in paths if path.exists()))
        # Parquet has no HUGEINT and rounds TIMESTAMP_S up to another type: these two are the database's alone.
        rows = [{name: value for name, value in row.items() if name not in ABSENT_IN_PARQUET} for row in rows]
    yield Source(connection, relation, rows)
    connection.close()


ABSENT_IN_PARQUET = ("h", "tss")


def governed(*rules: Predicate, columns: tuple[GovernedColumn, ...] = ()) -> GovernedTable:
    row = GovernedColumn(column=SCHEMA.columns[0], cases=(CellCase(when=Always(), mask=None),))
    return GovernedTable(schema=SCHEMA, columns=(row, *columns), rows=rules)


def _leaf(chance: random.Random, names: list[str]) -> Predicate:
    given = BY_NAME[chance.choice(names)]
    constants = given.constants
    match chance.randrange(8):
        case 0:
            return IsNull(column=given.name)
        case 1:
            return Between(column=given.name, low=chance.choice(constants), high=chance.choice(constants))
        case 2:
            return In(column=given.name, values=frozenset(chance.choices(constants, k=chance.randrange(1, 5))))
        case 3 if given.pinned.family is TypeFamily.TEXT:
            return Like(column=given.name, pattern="".join(chance.choices("%_aAbé'", k=chance.randrange(4))))
        case 4:
            return Always() if chance.random() < 0.5 else Never()
        case _:
            return Compare(column=given.name, op=chance.choice(list(Comparison)), value=chance.choice(constants))


def _predicate(chance: random.Random, names: list[str], depth: int) -> Predicate:
    if depth == 0 or chance.random() < 0.3:
        return _leaf(chance, names)
    parts = tuple(_predicate(chance, names, depth - 1) for _ in range(chance.randrange(2, 4)))
    match chance.randrange(5):
        case 0:
            return Not(operand=parts[0])
        case 1:
            return And(operands=parts)
        case 2:
            return Or(operands=parts)
        case 3:
            return AnyTrue(operands=parts)
        case _:
            return AllTrue(operands=parts)


def test_every_comparison_of_every_type_agrees_with_plain_python(source: Source) -> None:
    predicates: list[Predicate] = []
    for name in source.rows[0]:
        given = BY_NAME[name]
        predicates += [
            Compare(column=name, op=op, value=value) for op in Comparison for value in dict.fromkeys(given.constants)
        ]
        predicates.append(IsNull(column=name))
        predicates.append(In(column=name, values=frozenset(given.constants)))
    predicates += [Not(operand=predicate) for predicate in predicates]
    for start in range(0, len(predicates), 100):
        some = predicates[start : start + 100]
        expected = [tuple(truth(predicate, row) for predicate in some) for row in source.rows]
        for predicate, *values in zip(
            some, zip(*source.values(some), strict=True), zip(*expected, strict=True), strict=True
        ):
            assert values[0] == values[1], predicate


@pytest.mark.parametrize("seed", range(3))
def test_random_predicates_agree_with_plain_python(source: Source, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        rules = tuple(_predicate(chance, list(source.rows[0]), 4) for _ in range(chance.randrange(3)))
        expected = [
            (number,) for number, row in enumerate(source.rows) if all(truth(rule, row) is True for rule in rules)
        ]
        assert source.ask(governed(*rules)) == expected, rules


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, printing._HASHED_FROM + more) for name in ("s", "g", "d", "ts") for more in (-1, 0)] + [("s", 5000)],
)
def test_a_long_list_of_values_means_what_a_short_one_means(source: Source, name: str, size: int) -> None:
    fillers: dict[str, list[Constant]] = {
        "s": [f"filler {number}" for number in range(size)],
        "g": [1000.5 + number for number in range(size)],
        "d": [Decimal(number) / 1000 for number in range(size)],
        "ts": [datetime(2030, 1, 1) + timedelta(seconds=number) for number in range(size)],  # noqa: DTZ001 - zone-less
    }
    inside = In(column=name, values=frozenset([*BY_NAME[name].constants[:3], *fillers[name][:-3]]))
    either = Or(operands=(inside, IsNull(column="b")))
    for predicate in (inside, Not(operand=inside), either, Not(operand=either), AnyTrue(operands=(inside, Never()))):
        expected = [(number,) for number, row in enumerate(source.rows) if truth(predicate, row) is True]
        assert source.ask(governed(predicate)) == expected
    case = CellCase(when=Not(operand=inside), mask=None)
    column = GovernedColumn(column=SCHEMA.columns[0], cases=(case,))
    answer = source.ask(GovernedTable(schema=SCHEMA, columns=(column,), rows=()))
    assert answer == [
        (number if truth(Not(operand=inside), row) is True else None,) for number, row in enumerate(source.rows)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_cells_show_the_first_case_that_is_true_and_else_null(source: Source, seed: int) -> None:
    chance = random.Random(seed)
    names = list(source.rows[0])
    masks = {
        "s": constant_mask(BY_NAME["s"].pinned, None, "***"),
        "b": constant_mask(BY_NAME["b"].pinned, False, True),
        "t": constant_mask(BY_NAME["t"].pinned, 0, 0),
        "d": constant_mask(BY_NAME["d"].pinned, None, None),
    }
    for _ in range(10):
        name = chance.choice(list(masks))
        cases = tuple(
            CellCase(when=_predicate(chance, names, 2), mask=masks[name] if chance.random() < 0.5 else None)
            for _ in range(chance.randrange(1, 4))
        )
        column = GovernedColumn(column=Column(name=name, type=BY_NAME[name].pinned), cases=cases)
        rule = _predicate(chance, names, 2)
        answer = source.ask(governed(rule, columns=(column,)), ("row", name))
        expected = []
        for number, (row, stored) in enumerate(zip(source.rows, source.stored, strict=True)):
            if truth(rule, row) is True:
                case = next((case for case in cases if truth(case.when, row) is True), None)
                expected.append((number, None if case is None else _shown(case.mask, stored[name])))
        assert answer == expected, (cases, rule)


def _shown(mask: Mask | None, stored: Any) -> Any:
    if mask is None:
        return stored
    assert isinstance(mask.form, ConstantForm)
    return mask.form.when_null if stored is None else mask.form.otherwise


def test_no_columns_give_one_row_for_each_permitted_row(source: Source) -> None:
    rule = Compare(column="b", op=Comparison.EQUAL, value=True)
    permitted = sum(truth(rule, row) is True for row in source.rows)
    assert source.ask(governed(rule), ()) == [(True,)] * permitted
    assert source.ask(governed(), ()) == [(True,)] * ROWS


def test_the_order_of_rows_is_the_order_of_the_source(source: Source) -> None:
    assert source.ask(governed()) == [(number,) for number in range(ROWS)]


def test_a_layer_that_is_unknown_neither_hides_nor_shows_what_another_decides(source: Source) -> None:
    everything = AnyTrue(operands=(Never(), Always()))
    assert len(source.ask(governed(everything))) == ROWS
    assert source.ask(governed(AllTrue(operands=(Never(), Always())))) == []
    assert source.ask(governed(AnyTrue(operands=()))) == []
    assert source.ask(governed(Not(operand=Never()))) == []
    assert source.ask(governed(Never())) == []


@pytest.mark.parametrize(
    "predicate",
    [
        And(operands=()),
        Or(operands=()),
        AllTrue(operands=()),
        In(column="s", values=frozenset()),
        Like(column="t", pattern="%"),
        Like(column="s", pattern="a\\_b"),
        Compare(column="g", op=Comparison.LESS, value=float("nan")),
        Compare(column="s", op=Comparison.EQUAL, value=1),
        Compare(column="t", op=Comparison.EQUAL, value="1"),
        Compare(column="t", op=Comparison.EQUAL, value=True),
        Compare(column="b", op=Comparison.EQUAL, value=1),
        Compare(column="g", op=Comparison.EQUAL, value="1"),
        Compare(column="ts", op=Comparison.EQUAL, value=datetime(2020, 1, 1, tzinfo=UTC)),
        Compare(column="tz", op=Comparison.EQUAL, value=datetime(2020, 1, 1)),  # noqa: DTZ001 - the mistake
        Compare(column="s", op=Comparison.EQUAL, value="a\x00b"),
        Compare(column="absent", op=Comparison.EQUAL, value=1),
    ],
)
def test_a_predicate_that_does_not_fit_its_column_is_not_printed(predicate: Predicate) -> None:
    relation = ParquetFiles(files=(Path("/x.parquet"),))
    for rule in (predicate, Not(operand=predicate)):
        with pytest.raises(ValueError, match=r"."):
            printing.source_statement(governed(rule), ("row",), relation)


def test_a_column_that_the_decision_does_not_show_is_not_printed() -> None:
    with pytest.raises(ValueError, match="does not show"):
        printing.source_statement(governed(), ("row", "s"), ParquetFiles(files=(Path("/x.parquet"),)))


HOSTILE = [
    "'",
    "''",
    '"',
    '""',
    "a' OR true --",
    '" FROM secret --',
    "; DROP TABLE t; --",
    "$1",
    "?",
    "\\",
    "*/",
    "-- x",
    "\u2028",
    "%",
    "{}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_values_are_only_ever_names_and_values(text: str, tmp_path: Path) -> None:
    file = tmp_path / f"it's {len(text)}.duckdb"
    writer = duckdb.connect(str(file))
    quoted = text.replace('"', '""')
    writer.execute(f'CREATE SCHEMA "{quoted}"; CREATE TABLE "{quoted}"."{quoted}" ("{quoted}" VARCHAR, "row" BIGINT)')
    writer.execute(f'INSERT INTO "{quoted}"."{quoted}" VALUES (?, 1), (?, 2)', [text, "other"])
    writer.close()
    columns = (
        Column(name=text, type=_kind("VARCHAR", TypeFamily.TEXT)),
        Column(name="row", type=_kind("BIGINT", TypeFamily.INTEGER)),
    )
    schema = TableSchema(name=TableName(catalog="lake", database=text, table=text), columns=columns, location=None)
    mask = constant_mask(columns[0].type, None, text)
    cases = (CellCase(when=Compare(column="row", op=Comparison.EQUAL, value=2), mask=mask),)
    table = GovernedTable(
        schema=schema,
        columns=(
            GovernedColumn(column=columns[0], cases=(*cases, CellCase(when=Always(), mask=None))),
            GovernedColumn(column=columns[1], cases=(CellCase(when=Always(), mask=None),)),
        ),
        rows=(),
    )
    connection = instance.open_reader(memory_bytes=1 << 28, database=file)
    relation = DatabaseTable(file=file, schema=text, table=text)
    assert connection.sql(printing.source_statement(table, (text, "row"), relation)).fetchall() == [
        (text, 1),
        (text, 2),
    ]
    rule = In(column=text, values=frozenset([text, *(f"{text}{number}" for number in range(100))]))
    narrowed = GovernedTable(schema=schema, columns=table.columns, rows=(rule,))
    assert connection.sql(printing.source_statement(narrowed, ("row",), relation)).fetchall() == [(1,)]


def test_a_file_whose_types_changed_after_the_pinning_is_a_fault_and_not_rounded(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    column = Column(name="n", type=_kind("BIGINT", TypeFamily.INTEGER))
    schema = TableSchema(name=TableName(catalog="lake", database="d", table="t"), columns=(column,), location=None)
    shown = GovernedColumn(column=column, cases=(CellCase(when=Always(), mask=None),))
    table = GovernedTable(schema=schema, columns=(shown,), rows=())
    files = (tmp_path / "1.parquet", tmp_path / "2.parquet")
    pq.write_table(pa.table({"n": pa.array([1], pa.int64())}), files[0])
    pq.write_table(pa.table({"n": pa.array([1.5])}), files[1])
    connection = instance.open_reader(memory_bytes=1 << 28, paths=(tmp_path,))
    assert connection.sql(printing.source_statement(table, ("n",), ParquetFiles(files=files[:1]))).fetchall() == [(1,)]
    for changed in (files[1:], files, files[::-1]):
        with pytest.raises(duckdb.Error):
            connection.sql(printing.source_statement(table, ("n",), ParquetFiles(files=changed))).fetchall()


MASKED: list[tuple[str, TypeFamily, Constant]] = [
    ("VARCHAR", TypeFamily.TEXT, "***"),
    ("TINYINT", TypeFamily.INTEGER, -1),
    ("UHUGEINT", TypeFamily.INTEGER, 2**128 - 1),
    ("DECIMAL(5,2)", TypeFamily.DECIMAL, Decimal("1.5")),
    ("FLOAT", TypeFamily.FLOAT, 0.5),
    ("DOUBLE", TypeFamily.FLOAT, 0.1),
    ("BOOLEAN", TypeFamily.BOOLEAN, False),
    ("DATE", TypeFamily.DATE, date(2020, 1, 1)),
    ("TIMESTAMP_S", TypeFamily.TIMESTAMP, datetime(2020, 1, 1)),  # noqa: DTZ001 - zone-less
    ("TIMESTAMP_NS", TypeFamily.TIMESTAMP, datetime(2020, 1, 1)),  # noqa: DTZ001 - zone-less
    ("TIMESTAMP WITH TIME ZONE", TypeFamily.TIMESTAMP_TZ, datetime(2020, 1, 1, tzinfo=UTC)),
]


def _masked(sql: str, family: TypeFamily, mask: Mask | None, when: Predicate, tmp_path: Path) -> tuple[str, bool]:
    """Give the type of a NULL cell under one case, and whether it shows what the mask says, or NULL without one."""
    file = tmp_path / "x.duckdb"
    if not file.exists():
        writer = duckdb.connect(str(file))
        writer.execute(f"CREATE TABLE t (x {sql}, y INTEGER); INSERT INTO t VALUES (NULL, 1)")
        writer.close()
    column = Column(name="x", type=_kind(sql, family))
    columns = (column, Column(name="y", type=_kind("INTEGER", TypeFamily.INTEGER)))
    schema = TableSchema(name=TableName(catalog="c", database="main", table="t"), columns=columns, location=None)
    shown = GovernedColumn(column=column, cases=(CellCase(when=when, mask=mask),))
    table = GovernedTable(schema=schema, columns=(shown,), rows=())
    connection = instance.open_reader(memory_bytes=1 << 28, database=file)
    statement = printing.source_statement(table, ("x",), DatabaseTable(file=file, schema="main", table="t"))
    expected = mask.form.when_null if mask is not None and isinstance(mask.form, ConstantForm) else None
    ((kind, shown),) = connection.execute(
        f"SELECT typeof(x), x IS NOT DISTINCT FROM CAST($1 AS {sql}) FROM ({statement})", [expected]
    ).fetchall()
    return str(kind), bool(shown)


@pytest.mark.parametrize(("sql", "family", "constant"), MASKED, ids=[sql for sql, _, _ in MASKED])
def test_a_mask_has_the_type_of_its_column(sql: str, family: TypeFamily, constant: Constant, tmp_path: Path) -> None:
    when = Compare(column="y", op=Comparison.EQUAL, value=1)
    for case in (when, Always()):
        mask = constant_mask(_kind(sql, family), constant, None)
        assert _masked(sql, family, mask, case, tmp_path) == (sql, True)


@pytest.mark.parametrize("sql", ["STRUCT(a INTEGER, b VARCHAR)", "INTEGER[]", "MAP(VARCHAR, INTEGER)", "UUID", "BLOB"])
def test_a_cell_without_a_case_is_null_of_its_type(sql: str, tmp_path: Path) -> None:
    for when in (Never(), Compare(column="y", op=Comparison.EQUAL, value=2)):
        assert _masked(sql, TypeFamily.OTHER, None, when, tmp_path) == (sql, True)
    with pytest.raises(ValueError, match="no constant"):
        _masked(sql, TypeFamily.OTHER, constant_mask(_kind(sql, TypeFamily.OTHER), "x", "x"), Always(), tmp_path)


@pytest.mark.parametrize(
    ("sql", "family", "constant"),
    [
        ("TINYINT", TypeFamily.INTEGER, 128),
        ("DECIMAL(5,2)", TypeFamily.DECIMAL, Decimal("0.001")),
        ("VARCHAR", TypeFamily.TEXT, 1),
        ("BOOLEAN", TypeFamily.BOOLEAN, "true"),
        ("TIMESTAMP_S", TypeFamily.TIMESTAMP, datetime(2020, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001 - zone-less
        ("DOUBLE", TypeFamily.FLOAT, float("nan")),
    ],
)
def test_a_mask_that_is_no_value_of_its_column_is_not_printed(
    sql: str, family: TypeFamily, constant: Constant, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"."):
        _masked(sql, family, constant_mask(_kind(sql, family), constant, constant), Always(), tmp_path)
