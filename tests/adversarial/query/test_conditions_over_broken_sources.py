"""Which conditions a statement brings along does not tell whether its source can be read.

A cell that the engine cannot decode, or that is too large for a reader, makes a table unreadable. If a condition of a
caller's could keep the reader from that cell, whether it is read would tell what else stands in its hidden row.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.engines.duckdb import printing
from penstock_server.engines.duckdb.relations import ParquetFiles
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, And, Compare, Comparison, In, Predicate
from penstock_server.model.schema import TableSchema
from support import worlds
from support.worlds import NAME, SCHEMA

ROWS = 400
HUGE = 4 * 1024 * 1024
BROKEN = 10
HIDDEN = {"poison": 5_000, "benign": 7}
"""By world, what stands beside the broken cell in a hidden row."""

POLICIES: Mapping[str, Predicate] = {
    "one value": Compare(column="tenant", op=Comparison.EQUAL, value="a"),
    # A long list is a join: hidden rows are decoded before they are dropped.
    "a long list": In(column="tenant", values=frozenset(["a", *(f"tenant {number}" for number in range(100))])),
}


def _compared(column: str, op: Comparison, value: int | str) -> Predicate:
    return Compare(column=column, op=op, value=value)


CONDITIONS: Mapping[str, Predicate] = {
    "greater": _compared("v", Comparison.GREATER, 1_000),
    "greater than all": _compared("v", Comparison.GREATER, 6_000),
    "less": _compared("v", Comparison.LESS, 50),
    "equal": _compared("v", Comparison.EQUAL, 5_000),
    "in": In(column="v", values=frozenset([5_000, 5_001])),
    "in many": In(column="v", values=frozenset(range(4_950, 5_050))),
    "both": And(operands=(_compared("v", Comparison.EQUAL, 7), _compared("s", Comparison.NOT_EQUAL, "x"))),
    "of the row": _compared("id", Comparison.GREATER, 200),
}


def _table(rows: tuple[Predicate, ...]) -> GovernedTable:
    columns = tuple(column for column in SCHEMA.columns if column.name in ("id", "s", "v", "tenant"))
    shown = tuple(
        GovernedColumn(column=column, cases=(CellCase(when=Always(), mask=None),))
        for column in columns
        if column.name != "tenant"
    )
    return GovernedTable(schema=TableSchema(name=NAME, columns=columns, location=None), columns=shown, rows=rows)


def _write(folder: Path, world: str, broken: bytes) -> None:
    texts = pa.array([broken if row == BROKEN else b"fine" for row in range(ROWS)], pa.binary())
    table = pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "tenant": ["b" if row % 7 == 3 else "a" for row in range(ROWS)],
            "s": pa.Array.from_buffers(pa.string(), ROWS, texts.buffers()),
            "v": pa.array([HIDDEN[world] if row == BROKEN else row % 100 for row in range(ROWS)], pa.int32()),
        }
    )
    file = worlds.parquet_file(folder, world)
    file.parent.mkdir(parents=True)
    pq.write_table(table, file, use_dictionary=False, row_group_size=64)


def _read(folder: Path, world: str, policy: str) -> dict[str, bytes]:
    """Read a world once under each condition, and once under none, in one process."""
    source = ParquetFiles(files=(worlds.parquet_file(folder, world),))
    table = _table((POLICIES[policy],))
    statements = {
        name: printing.source_statement(table, ("id", "s", "v"), source, copied=copied)
        for name, copied in {"none": None, **CONDITIONS}.items()
    }
    return worlds.read(folder, world, "parquet", statements, memory_bytes=1 << 28)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("broken")
    for world in HIDDEN:
        _write(made, world, b"\xff\xfe-SECRET")
    return made


@pytest.mark.parametrize("policy", POLICIES)
def test_whether_a_broken_table_is_read_hangs_on_no_condition(folder: Path, policy: str) -> None:
    poison, benign = (_read(folder, world, policy) for world in HIDDEN)
    assert poison == benign
    unreadable = {name for name, given in poison.items() if b"TABLE_UNREADABLE" in given}
    assert unreadable in (set(), set(poison))
    if not unreadable:
        assert len(poison["of the row"]) < len(poison["none"]), "the condition leaves nothing out"
