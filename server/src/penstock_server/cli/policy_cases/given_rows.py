"""What is seen of given rows, by the real engine: reader, sealed worker and sandbox, as the query door uses them.

The rows are written into a DuckDB file of their own, with the types of the table; the decision then is enforced on that
file in place of the real one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from penstock_server.cli.policy_cases.cases import Rows, RowSource
from penstock_server.cli.private_engine import MEMORY_BYTES, private_engine
from penstock_server.config.document import ListNode, MapNode, Node
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference, StatementLimits
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.identifiers import quoted
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import GovernedTable
from penstock_server.model.resource import fold
from penstock_server.policy.problems import Problems

_LIMITS: Final = StatementLimits(
    timeout=timedelta(seconds=60), stall_timeout=timedelta(seconds=60), memory_bytes=MEMORY_BYTES, max_rows=None
)
_NO_EXTENSIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

CellValue = str | None | list["CellValue"] | dict[str, "CellValue"]
"""A cell as it goes to the engine, which casts it to the type of its column."""

Cells = tuple[str | None, ...]
"""The cells of a row as the engine writes them as text, in the order of the visible columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsQuestion:
    """Rows of a table that somebody may read."""

    table: GovernedTable
    rows: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAnswer:
    """What is seen and what was expected, each in any order; `columns` are the visible ones."""

    columns: tuple[str, ...]
    seen: tuple[Cells, ...]
    expected: tuple[Cells, ...]


async def see_rows(questions: Sequence[RowsQuestion]) -> tuple[RowsAnswer, ...]:
    """Give what is seen of the rows of each question.

    Raises:
        ConfigurationError: rows do not fit their table, each as `FILE:LINE: what`.
        Unavailable: no process can be had.
    """
    if not questions:
        return ()
    problems = Problems()
    with tempfile.TemporaryDirectory(prefix="penstock-cases-") as folder, duckdb.connect(config=_NO_EXTENSIONS) as text:
        text.execute("SET TimeZone = 'UTC'")
        catalogs: list[CatalogSettings] = []
        expected: list[tuple[Cells, ...]] = []
        for number, question in enumerate(questions):
            path = Path(folder) / f"{number}.duckdb"
            _write(path, question, problems)
            expected.append(_expected(text, question, problems))
            name = f"case{number}"
            catalogs.append(CatalogSettings(name=name, kind=CatalogKind.DATABASE, path=path, location=None))
        problems.raise_if_any()
        answers: list[RowsAnswer] = []
        async with private_engine(tuple(catalogs)) as engine:
            for catalog, question, rows in zip(catalogs, questions, expected, strict=True):
                seen = await _seen(engine, catalog.name, question.table)
                answers.append(RowsAnswer(columns=_columns(question.table), seen=seen, expected=rows))
        return tuple(answers)


def _columns(table: GovernedTable) -> tuple[str, ...]:
    return tuple(governed.column.name for governed in table.columns)


async def _seen(engine: DuckDbEngine, catalog: str, table: GovernedTable) -> tuple[Cells, ...]:
    """Run one statement over the governed table, as the query door does."""
    named = replace(table, schema=replace(table.schema, name=replace(table.schema.name, catalog=catalog)))
    name = named.schema.name
    cells = ", ".join(f"CAST({quoted(column)} AS VARCHAR)" for column in _columns(named))
    sql = f"SELECT {cells} FROM {quoted(name.catalog)}.{quoted(name.database)}.{quoted(name.table)}"  # noqa: S608 - quoted
    async with engine.session(_LIMITS) as session:
        references = await session.parse(sql)
        bound = await session.bind([ResolvedReference(reference=one, table=named) for one in references], ())
        await session.supply()
        stream = bound.schema + b"".join([batch async for batch in session.run()])
    answer = pa.ipc.open_stream(stream).read_all()
    return tuple(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def _write(path: Path, question: RowsQuestion, problems: Problems) -> None:
    schema = question.table.schema
    columns = {fold(column.name): column for column in schema.columns}
    target = f"{quoted(schema.name.database)}.{quoted(schema.name.table)}"
    with duckdb.connect(str(path), config=_NO_EXTENSIONS) as writer:
        writer.execute("SET TimeZone = 'UTC'")
        writer.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema.name.database)}")
        declared = ", ".join(f"{quoted(column.name)} {column.type.sql}" for column in schema.columns)
        writer.execute(f"CREATE TABLE {target} ({declared})")
        casts = ", ".join(f"CAST(? AS {column.type.sql})" for column in schema.columns)
        for row in question.rows.given:
            values = _values(row, columns, problems, what=f"the table `{schema.name}` has no column")
            try:
                writer.execute(
                    f"INSERT INTO {target} VALUES ({casts})",  # noqa: S608 - quoted, and types of the catalog
                    [values.get(fold(column.name)) for column in schema.columns],
                )
            except duckdb.Error as error:
                _note(row, error, problems)


def _expected(text: duckdb.DuckDBPyConnection, question: RowsQuestion, problems: Problems) -> tuple[Cells, ...]:
    visible = {fold(governed.column.name): governed.column for governed in question.table.columns}
    casts = ", ".join(f"CAST(CAST(? AS {column.type.sql}) AS VARCHAR)" for column in visible.values())
    found: list[Cells] = []
    for row in question.rows.seen:
        values = _values(row, visible, problems, what=f"of `{question.table.schema.name}` is seen no column")
        try:
            answer = text.execute(f"SELECT {casts}", [values.get(key) for key in visible]).fetchone()
        except duckdb.Error as error:
            _note(row, error, problems)
        else:
            found.append(() if answer is None else tuple(answer))
    return tuple(found)


def _values(row: RowSource, known: Mapping[str, object], problems: Problems, *, what: str) -> dict[str, CellValue]:
    values: dict[str, CellValue] = {}
    for cell in row:
        if fold(cell.column) not in known:
            problems.add(cell.node.place, f"{what} `{cell.column}`; correct the name")
        elif fold(cell.column) in values:
            problems.add(cell.node.place, f"the column `{cell.column}` stands twice in one row; remove one")
        else:
            values[fold(cell.column)] = _value(cell.node)
    return values


def _value(node: Node) -> CellValue:
    """Give what a cell says: texts, which are cast to the type of their column, and lists and structs of them."""
    match node:
        case ListNode():
            return [_value(item) for item in node.items]
        case MapNode():
            return {entry.key: _value(entry.node) for entry in node.entries}
        case _:
            return None if node.value is None else node.text


def _note(row: RowSource, error: duckdb.Error, problems: Problems) -> None:
    if not row:
        raise ConfigurationError((f"a row without cells is refused: {error}",)) from error
    first = str(error).splitlines()[0]
    problems.add(row[0].node.place, f"the row does not fit the table: {first}")


def rows_in_words(columns: Iterable[str], rows: Iterable[Cells]) -> tuple[str, ...]:
    """Give each row in one line."""
    names = tuple(columns)
    return tuple(
        "{" + ", ".join(f"{name}: {_shown(cell)}" for name, cell in zip(names, row, strict=True)) + "}" for row in rows
    )


def _shown(cell: str | None) -> str:
    return "NULL" if cell is None else repr(cell)
