"""Every pinned type crosses from a reader to a worker with its values intact, at every level of nesting."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import binding, canonical, inspection, instance, printing, relations
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always
from penstock_server.model.schema import TableSchema
from support.sealed import sealed

VALUES = {
    "TINYINT": ["-128", "127"],
    "UTINYINT": ["255"],
    "SMALLINT": ["-32768"],
    "USMALLINT": ["65535"],
    "INTEGER": ["-2147483648"],
    "UINTEGER": ["4294967295"],
    "BIGINT": ["-9223372036854775808"],
    "UBIGINT": ["18446744073709551615"],
    "HUGEINT": ["-170141183460469231731687303715884105728", "170141183460469231731687303715884105727"],
    "UHUGEINT": ["340282366920938463463374607431768211455"],
    "DECIMAL(4,1)": ["-999.9"],
    "DECIMAL(9,2)": ["9999999.99"],
    "DECIMAL(18,3)": ["999999999999999.999"],
    "DECIMAL(38,10)": ["-9999999999999999999999999999.9999999999"],
    "FLOAT": ["1.17549435e-38", "nan", "-inf", "-0.0"],
    "DOUBLE": ["5e-324", "nan", "inf", "-0.0"],
    "BOOLEAN": ["true", "false"],
    "VARCHAR": ["", "é🙂", "x" * 5000],
    "BLOB": ["\\x00\\xFF", ""],
    "BIT": ["10101", "0"],
    "UUID": ["00000000-0000-0000-0000-0000000000ff", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "DATE": ["0001-01-01", "9999-12-31", "infinity", "5877641-06-24 (BC)"],
    "TIME": ["00:00:00", "23:59:59.999999", "24:00:00"],
    "TIME WITH TIME ZONE": ["12:34:56.789+05:30", "00:00:00-15:59:59"],
    "TIMESTAMP": ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "infinity", "-infinity"],
    "TIMESTAMP_S": ["2020-01-01 00:00:01", "200000-01-01 00:00:00"],
    "TIMESTAMP_MS": ["2020-01-01 00:00:00.001"],
    "TIMESTAMP_NS": ["2020-01-01 00:00:00.000000001", "1700-01-01 00:00:00"],
    "TIMESTAMP WITH TIME ZONE": ["2020-01-01 00:00:00+00", "infinity"],
    "INTERVAL": ["1 month 2 days 3 microseconds", "-1 year"],
    "JSON": ['{"a": [1, null]}', "null"],
    "ENUM('open', 'closed')": ["open", "closed"],
}


Cells = list[tuple[object, ...]]


def _crossed(tmp_path: Path, columns: dict[str, list[str]]) -> dict[str, tuple[Cells, Cells]]:
    """Send one column of each type from a file through a reader into a sealed instance.

    `columns` are SQL literals by declared type. Gives what each held before and after, as text in the pinned type.
    """
    file = tmp_path / "x.duckdb"
    height = max(map(len, columns.values()))
    padded = [[*rows, *["NULL"] * (height - len(rows))] for rows in columns.values()]
    writer = duckdb.connect(str(file), config={"threads": 1})
    writer.execute("SET TimeZone='UTC'")
    declared = ", ".join(f"x{index} {kind}" for index, kind in enumerate(columns))
    writer.execute(f"CREATE TABLE t (row INTEGER, {declared})")
    for number, row in enumerate(zip(*padded, strict=True)):
        writer.execute(f"INSERT INTO t VALUES ({number}, {', '.join(row)})")
    writer.close()
    catalog = CatalogSettings(name="ware", kind=CatalogKind.DATABASE, path=file, location=None)
    reader = instance.open_reader(memory_bytes=1 << 28, database=file)
    (schema,) = inspection.inspect(reader, catalog)
    worker = sealed()
    _supply(reader, worker, schema, catalog)
    found = {}
    for kind, column in zip(columns, schema.columns[1:], strict=True):
        name, pinned = column.name, column.type.sql
        cells = f"CAST({name}::{pinned} AS VARCHAR), {name} IS NULL, typeof({name}::{pinned})"
        found[kind] = (
            reader.execute(f"SELECT {cells} FROM source.main.t ORDER BY row").fetchall(),
            worker.execute(
                f"SELECT CAST({name} AS VARCHAR), {name} IS NULL, typeof({name}) FROM t ORDER BY row"
            ).fetchall(),
        )
    return found


def _supply(
    reader: duckdb.DuckDBPyConnection,
    worker: duckdb.DuckDBPyConnection,
    schema: TableSchema,
    catalog: CatalogSettings,
) -> None:
    names = tuple(column.name for column in schema.columns)
    whole = (CellCase(when=Always(), mask=None),)
    shown = tuple(GovernedColumn(column=column, cases=whole) for column in schema.columns)
    table = GovernedTable(schema=schema, columns=shown, rows=())
    statement = printing.source_statement(table, names, relations.locate(catalog, schema.name))
    result = reader.sql(statement).to_arrow_reader(canonical.FRAME_ROWS)
    sent = canonical.canonical_schema(result.schema).serialize().to_pybytes()
    messages = list(canonical.batches(result, message_bytes=None))
    received = pa.ipc.read_schema(pa.py_buffer(sent))
    batches = [pa.ipc.read_record_batch(pa.py_buffer(message), received) for message in messages]
    shape = TableShape(
        name=schema.name,
        references=(("t",),),
        columns=tuple(ShapedColumn(name=column.name, sql_type=column.type.sql) for column in schema.columns),
    )
    declaration = binding.declare(worker, (shape,))
    binding.publish(worker, declaration, schema.name, names, pa.RecordBatchReader.from_batches(received, batches))


def test_values_of_every_type_cross_unchanged(tmp_path: Path) -> None:
    columns = {kind: ["NULL", *(f"'{value}'::{kind}" for value in values)] for kind, values in VALUES.items()}
    for kind, (before, after) in _crossed(tmp_path, columns).items():
        assert after == before, kind
        assert [missing for _, missing, _ in before].count(False) == len(VALUES[kind])


def _nested(form: str, kind: str, value: str) -> tuple[str, list[str]]:
    match form:
        case "list":
            return f"{kind}[]", [f"[{value}, NULL]", "[]", "[NULL]"]
        case "struct":
            rows = [f"{{'a b': {value}, 'c': 1}}", f"{{'a b': NULL::{kind}, 'c': NULL}}"]
            return f'STRUCT("a b" {kind}, c INTEGER)', rows
        case "map":
            return f"MAP(INTEGER, {kind})", [f"map {{1: {value}, 2: NULL}}", "map {}"]
        case "array":
            return f"{kind}[2]", [f"[{value}, NULL]", "[NULL, NULL]"]
        case _:
            rows = [f"[{{'l': [{{'m': map {{'k': [{value}, NULL]}}}}, NULL]}}, NULL]", "[{'l': NULL}]"]
            return f"STRUCT(l STRUCT(m MAP(VARCHAR, {kind}[]))[])[]", rows


@pytest.mark.parametrize("form", ["list", "struct", "map", "array", "deep"])
def test_nested_values_of_every_type_cross_unchanged(tmp_path: Path, form: str) -> None:
    columns = {}
    for kind, values in VALUES.items():
        declared, rows = _nested(form, kind, f"'{values[-1]}'::{kind}")
        columns[declared] = ["NULL", *(f"{row}::{declared}" for row in rows), "NULL"]
    for declared, (before, after) in _crossed(tmp_path, columns).items():
        assert after == before, declared
        assert [missing for _, missing, _ in before].count(False) == len(columns[declared]) - 2
