"""Structs of which fields are left out, as DuckDB gives them: the same golden vectors as without any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import inspection, instance, printing
from penstock_server.engines.duckdb.identifiers import quoted
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.decision import GovernedTable
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, TableSchema
from support.policies import column_type
from support.struct_vectors import STRUCT_VECTORS, StructVector


def _write(case: StructVector, database: Path) -> None:
    connection = duckdb.connect(str(database))
    declared = ", ".join(f"{quoted(column)} {kind}" for column, kind in case.columns.items())
    connection.execute(f"CREATE TABLE t ({declared})")
    places = ", ".join(f"CAST(? AS {kind})" for kind in case.columns.values())
    connection.executemany(f"INSERT INTO t VALUES ({places})", case.rows)
    connection.close()


def _read(database: Path, table: GovernedTable) -> tuple[list[str], list[list[Any]]]:
    """Give types and rows, by Arrow as the product reads them."""
    connection = instance.open_reader(memory_bytes=1 << 28, database=database)
    columns = [column.column.name for column in table.columns]
    relation = DatabaseTable(file=database, schema="main", table="t")
    statement = printing.source_statement(table, columns, relation)
    types = [str(kind) for kind in connection.sql(f"SELECT * FROM ({statement})").types]
    found = connection.sql(statement).to_arrow_table().to_pylist()
    connection.close()
    return types, [list(row.values()) for row in found]


@pytest.mark.parametrize("case", STRUCT_VECTORS, ids=lambda case: case.id)
def test_the_engine_shows_exactly_the_fields_of_the_vector(case: StructVector, tmp_path: Path) -> None:
    database = tmp_path / "lake.duckdb"
    _write(case, database)
    types, rows = _read(database, case.decision(tmp_path).table)
    assert rows == case.expected.rows
    written = duckdb.connect()
    expected = [str(written.sql(f"SELECT CAST(NULL AS {kind})").types[0]) for kind in case.expected.columns.values()]
    assert types == expected


def test_inspection_knows_a_struct_by_its_fields(tmp_path: Path) -> None:
    database = tmp_path / "lake.duckdb"
    connection = duckdb.connect(str(database))
    kind = 'STRUCT("City" VARCHAR, e ENUM(\'x\'), t STRUCT("a.b" DECIMAL(6,2)), l STRUCT(k INTEGER)[])'
    connection.execute(f"CREATE TABLE t (s {kind})")
    connection.close()
    catalog = CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=database, location=None)
    (found,) = inspection.inspect(instance.open_reader(memory_bytes=1 << 28, database=database), catalog)
    inner = 'STRUCT("a.b" DECIMAL(6,2))'
    expected = column_type(f'STRUCT("City" VARCHAR, "e" VARCHAR, "t" {inner}, "l" STRUCT("k" INTEGER)[])')
    assert found == TableSchema(
        name=TableName(catalog="lake", database="main", table="t"),
        columns=(Column(name="s", type=expected),),
        location=None,
    )
    assert [cell.name for cell in found.cells()] == ["s\0City", "s\0e", "s\0t\0a.b", "s\0l"]
