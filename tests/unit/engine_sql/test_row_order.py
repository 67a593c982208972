"""`order: canonical`: what is given does not depend on the order in which the source has its rows."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from penstock_server.engines.duckdb import canonical, instance, printing
from penstock_server.engines.duckdb.relations import ParquetFiles
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily

(ODD_NAN,) = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))
KINDS = {
    "d": ColumnType(sql="DOUBLE", family=TypeFamily.FLOAT),
    "s": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT),
    "l": ColumnType(sql="DOUBLE[]", family=TypeFamily.OTHER),
}
ROWS = [
    {"d": d, "s": s, "l": nested}
    for d in (0.0, -0.0, None, 1.5, float("nan"), ODD_NAN)
    for s in ("a", "B", "é", "", None)
    for nested in ([0.0], [-0.0], [], None)
]


def stream(folder: Path, rows: list[dict[str, object]], *, ordered: bool) -> bytes:
    file = folder / "t.parquet"
    kinds = pa.schema({"d": pa.float64(), "s": pa.string(), "l": pa.list_(pa.float64())})
    pq.write_table(pa.Table.from_pylist(rows, schema=kinds), file)
    columns = tuple(Column(name=name, type=kind) for name, kind in KINDS.items())
    clear = (CellCase(when=Always(), mask=None),)
    schema = TableSchema(name=TableName(catalog="lake", database="a", table="t"), columns=columns, location=None)
    table = GovernedTable(
        schema=schema, columns=tuple(GovernedColumn(column=column, cases=clear) for column in columns), rows=()
    )
    source = replace(ParquetFiles(files=(file,)), ordered=ordered)
    reader = instance.open_reader(memory_bytes=128 << 20, paths=(file,))
    result = reader.sql(printing.source_statement(table, tuple(KINDS), source)).to_arrow_reader(canonical.FRAME_ROWS)
    found = b"".join(canonical.batches(result, message_bytes=None))
    reader.close()
    return found


def test_shuffled_rows_give_the_same_bytes_in_canonical_order_and_only_there(tmp_path: Path) -> None:
    shuffled = list(ROWS)
    random.Random(7).shuffle(shuffled)
    assert stream(tmp_path, ROWS, ordered=True) == stream(tmp_path, shuffled, ordered=True)
    assert stream(tmp_path, ROWS, ordered=False) != stream(tmp_path, shuffled, ordered=False)


def test_intervals_that_are_equal_but_not_the_same_stand_in_one_order(tmp_path: Path) -> None:
    from penstock_server.engines.duckdb.row_order import ordered

    kind = ColumnType(sql="INTERVAL", family=TypeFamily.OTHER)
    told = []
    for values in ("(INTERVAL 1 MONTH), (INTERVAL 30 DAY)", "(INTERVAL 30 DAY), (INTERVAL 1 MONTH)"):
        statement = ordered(f"SELECT i FROM (VALUES {values}) AS v(i)", [Column(name="i", type=kind)])
        told.append(duckdb.execute(f"SELECT list(i::VARCHAR) FROM ({statement})").fetchall())
    assert told[0] == told[1]
