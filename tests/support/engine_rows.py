"""Random worlds in DuckDB: their tables in a database file, and what the printed decision reads out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from penstock_server.engines.duckdb import instance, printing
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.decision import GovernedTable

from support.random_policies import World


class EngineRows:
    """The tables of some worlds in one database file, each world in a schema of its own."""

    def __init__(self, database: Path, worlds: list[World]) -> None:
        self._database = database
        writer = duckdb.connect(str(database))
        for number, world in enumerate(worlds):
            writer.execute(f'CREATE SCHEMA "{number}"')
            _write(writer, str(number), world)
        writer.close()
        self._reader = instance.open_reader(memory_bytes=1 << 28, database=database)

    def read(self, world: int, table: GovernedTable) -> list[tuple[Any, ...]]:
        """Give the permitted cells of a governed table, as the product reads them: by Arrow."""
        relation = DatabaseTable(file=self._database, schema=str(world), table=str(table.schema.name))
        columns = [column.column.name for column in table.columns]
        answer = self._reader.sql(printing.source_statement(table, columns, relation)).to_arrow_table()
        # One list a column: two columns of one name cannot be.
        return list(zip(*answer.to_pydict().values(), strict=True))

    def close(self) -> None:
        """Close the reader; the file stays."""
        self._reader.close()


def plain(row: tuple[Any, ...]) -> str:
    """Give a row so that equal rows are equal texts: NaN equals itself here, and -0.0 is 0.0."""
    return repr(tuple(map(_cell, row)))


def _cell(cell: Any) -> Any:
    match cell:
        case dict():
            return {name: _cell(value) for name, value in cell.items()}
        case float():
            return cell + 0.0
        case Decimal():
            return cell.normalize() + 0
        case datetime() if cell.tzinfo is not None:
            return cell.astimezone(UTC)
        case _:
            return cell


def _write(writer: duckdb.DuckDBPyConnection, schema: str, world: World) -> None:
    for name, columns in world.columns.items():
        declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        writer.execute(f'CREATE TABLE "{schema}"."{name}" ({declared})')
        rows = [[row[column] for column in columns] for row in world.rows[name]]
        writer.executemany(f'INSERT INTO "{schema}"."{name}" VALUES ({", ".join("?" for _ in columns)})', rows)
