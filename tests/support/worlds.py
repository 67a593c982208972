"""Worlds that agree on every permitted cell and on nothing else, and the processes that read and ask them.

`poison` holds secrets in its hidden cells, `benign` holds harmless values there, `absent` lacks the hidden rows. Of
each there is a Parquet file and a DuckDB file. Readers and workers are processes of their own, as in the product; the
weak enforcement, a view over the base in the process that runs the statement, is here and nowhere else.

Adapted from the measurements behind the design of the query door: 70,000 rows, hidden where the id is 3 modulo 7.
"""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import binding, canonical, errors, instance, parsing, running
from penstock_server.engines.duckdb.relations import DatabaseTable, ParquetFiles, SourceRelation
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.errors import Reason
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, Compare, Comparison, In
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily, struct_type

ROWS = 70_000
WORLDS = ("poison", "benign", "absent")
STORAGES = ("native", "parquet")
NAME = TableName(catalog="lake", database="nyc", table="t")
MEMORY_BYTES = 512 * 1024 * 1024

CANARY_TEXT = b"SECRET"
CANARY_NUMBERS = range(1_000_000, 1_000_000 + ROWS)
"""Numbers that stand in hidden cells of the poisoned world alone."""

HIDDEN = "i % 7 = 3"

VIEW_FORMS = {
    "naive": "CREATE VIEW ... ",
    "OFFSET 0": "CREATE VIEW ... OFFSET 0",
    "secure": "CREATE SECURE VIEW ... ",
    "secure, OFFSET 0": "CREATE SECURE VIEW ... OFFSET 0",
}
"""Views of DuckDB that somebody might take for a protection."""

TYPES: dict[str, ColumnType] = {
    "id": ColumnType(sql="BIGINT", family=TypeFamily.INTEGER),
    "g": ColumnType(sql="INTEGER", family=TypeFamily.INTEGER),
    "tenant": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT),
    "ssn": ColumnType(sql="INTEGER", family=TypeFamily.INTEGER),
    "s": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT),
    "p": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT),
    "k": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT),
    "v": ColumnType(sql="INTEGER", family=TypeFamily.INTEGER),
    "w": ColumnType(sql="INTEGER", family=TypeFamily.INTEGER),
    "h": ColumnType(sql="BIGINT", family=TypeFamily.INTEGER),
    "nn": ColumnType(sql="INTEGER", family=TypeFamily.INTEGER),
    "d": ColumnType(sql="DOUBLE", family=TypeFamily.FLOAT),
    "f": ColumnType(sql="DOUBLE", family=TypeFamily.FLOAT),
    "dc": ColumnType(sql="DECIMAL(16,2)", family=TypeFamily.DECIMAL),
    "ts": ColumnType(sql="TIMESTAMP", family=TypeFamily.TIMESTAMP),
    "l": ColumnType(sql="INTEGER[]", family=TypeFamily.OTHER),
    "st": struct_type(
        (
            Column(name="a", type=ColumnType(sql="INTEGER", family=TypeFamily.INTEGER)),
            Column(name="b", type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)),
        )
    ),
}
EXCLUDED = ("tenant", "ssn")
OPEN = ("id", "g")
"""Columns that the policy on cells leaves as they are."""

SCHEMA = TableSchema(
    name=NAME, columns=tuple(Column(name=name, type=kind) for name, kind in TYPES.items()), location=None
)
VISIBLE = tuple(name for name in TYPES if name not in EXCLUDED)


def _body(world: str) -> str:
    def pick(secret: str, harmless: str) -> str:
        return f"CASE WHEN {HIDDEN} THEN {secret if world == 'poison' else harmless} ELSE {harmless} END"

    where = f"WHERE NOT ({HIDDEN})" if world == "absent" else ""
    kinds = "ENUM('open', 'closed', 'TopSECRETProject')" if world == "poison" else "ENUM('open', 'closed')"
    secret_kind = f"'TopSECRETProject'::{kinds}" if world == "poison" else "NULL"
    return f"""SELECT i::BIGINT AS id, (i % 50)::INTEGER AS g, CASE WHEN {HIDDEN} THEN 'b' ELSE 'a' END AS tenant,
      ({"1000000 + i" if world == "poison" else "7"})::INTEGER AS ssn,
      {pick("'SECRET-' || i", "(i % 1000)::VARCHAR")} AS s,
      {pick("CASE WHEN i % 2 = 0 THEN 'Merger-SECRET' ELSE 'Layoff-SECRET' END", "'routine'")} AS p,
      ({pick(secret_kind, f"(CASE WHEN i % 2 = 0 THEN 'open' ELSE 'closed' END)::{kinds}")})::{kinds} AS k,
      ({pick("1000000 + i", "i % 100")})::INTEGER AS v,
      ({pick("(i * 7919) % 1000003", "i % 100")})::INTEGER AS w,
      ({pick("1", "0")})::BIGINT AS h,
      {pick("NULL", "1")}::INTEGER AS nn,
      ({pick("7.25", "0.1")})::DOUBLE AS d,
      (sin(i) * 1e6)::DOUBLE AS f,
      ({pick("99999999999999.99", "(i % 100)::DECIMAL(16,2)")})::DECIMAL(16,2) AS dc,
      {pick("TIMESTAMP '9999-12-31'", "TIMESTAMP '2020-01-01' + to_days((i % 300)::INTEGER)")} AS ts,
      {pick("[1, 2, 999999]", "[1, 2, (i % 10)::INTEGER]")} AS l,
      {pick("{'a': 1, 'b': 'SECRET'}", "{'a': (i % 10)::INTEGER, 'b': 'x'}")} AS st
      FROM range({ROWS}) r(i) {where}"""


def build(folder: Path) -> None:
    """Write all worlds."""
    for world in WORLDS:
        writer = duckdb.connect(str(folder / f"{world}.duckdb"), config={"threads": 1})
        writer.execute(f"CREATE SCHEMA nyc; CREATE TABLE nyc.t AS {_body(world)}; CHECKPOINT")
        columns = ", ".join(f"{name}::VARCHAR AS {name}" if name == "k" else name for name in TYPES)
        target = parquet_file(folder, world)
        target.parent.mkdir(parents=True)
        writer.execute(f"COPY (SELECT {columns} FROM nyc.t) TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 20480)")
        writer.close()


def parquet_file(folder: Path, world: str) -> Path:
    return folder / world / "nyc" / "t.parquet"


def catalog(folder: Path, world: str, storage: str) -> CatalogSettings:
    """The world as a catalog of the configuration."""
    if storage == "native":
        return CatalogSettings(
            name=NAME.catalog, kind=CatalogKind.DATABASE, path=folder / f"{world}.duckdb", location=None
        )
    return CatalogSettings(name=NAME.catalog, kind=CatalogKind.PARQUET, path=folder / world, location=None)


def relation(folder: Path, world: str, storage: str) -> SourceRelation:
    if storage == "native":
        return DatabaseTable(file=folder / f"{world}.duckdb", schema="nyc", table="t")
    return ParquetFiles(files=(parquet_file(folder, world),))


def policies() -> dict[str, GovernedTable]:
    """Give the governed tables: by a literal, by a long list, and cell by cell."""
    mine = Compare(column="tenant", op=Comparison.EQUAL, value="a")
    listed = In(column="tenant", values=frozenset(["a", *(f"tenant {number}" for number in range(200))]))
    whole = (CellCase(when=Always(), mask=None),)
    shown = tuple(
        GovernedColumn(column=column, cases=whole) for column in SCHEMA.columns if column.name not in EXCLUDED
    )
    cells = tuple(
        GovernedColumn(
            column=column.column,
            cases=whole if column.column.name in OPEN else (CellCase(when=mine, mask=None),),
        )
        for column in shown
    )
    return {
        "rows": GovernedTable(schema=SCHEMA, columns=shown, rows=(mine,)),
        "list": GovernedTable(schema=SCHEMA, columns=shown, rows=(listed,)),
        "cells": GovernedTable(schema=SCHEMA, columns=cells, rows=()),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What leaves a worker: the bytes of an answer, or an error as a caller sees it."""

    schema: bytes
    batches: bytes
    error: tuple[str, ...]

    @property
    def canaries(self) -> list[str]:
        """Secrets of the poisoned world within the bytes or the text."""
        text = " ".join(self.error).encode()
        found = [CANARY_TEXT.decode()] if CANARY_TEXT in self.schema + self.batches + text else []
        words = memoryview(self.batches[: len(self.batches) // 4 * 4]).cast("i")
        # 0x100000 is a length that Arrow itself writes.
        numbers = {word for word in words if word in CANARY_NUMBERS} - {0x100000}
        return [*found, *(str(number) for number in sorted(numbers)[:5])]


def _child(function: str, task: dict[str, Any]) -> bytes:
    """Run a function of this module in a process of its own; give what it wrote."""
    command = [sys.executable, "-c", f"from support import worlds; worlds.{function}()"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    with tempfile.NamedTemporaryFile() as output:
        task = {**task, "output": output.name}
        done = subprocess.run(
            command, input=json.dumps(task).encode(), capture_output=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        assert done.stdout == b"", done.stdout[:1000]
        return Path(output.name).read_bytes()


def read(
    folder: Path, world: str, storage: str, statements: dict[str, str], *, memory_bytes: int = MEMORY_BYTES
) -> dict[str, bytes]:
    """Run printed statements in a source reader; give the canonical stream of each, or the word `unreadable`."""
    source = relation(folder, world, storage)
    task = {
        "statements": statements,
        "paths": [str(path) for path in source.readable],
        "database": str(source.file) if isinstance(source, DatabaseTable) else None,
        "memory_bytes": memory_bytes,
    }
    output = _child("reader_main", task)
    streams: dict[str, bytes] = {}
    for name in statements:
        (length,) = struct.unpack_from("<Q", output)
        streams[name], output = output[8 : 8 + length], output[8 + length :]
    return streams


def reader_main() -> None:
    task = json.load(sys.stdin)
    with Path(task["output"]).open("wb") as output:
        for statement in task["statements"].values():
            stream = _read_one(task, statement)
            output.write(struct.pack("<Q", len(stream)) + stream)


def _read_one(task: dict[str, Any], statement: str) -> bytes:
    database = task["database"]
    try:
        connection = instance.open_reader(
            memory_bytes=task["memory_bytes"],
            paths=tuple(map(Path, task["paths"])) if database is None else (),
            database=None if database is None else Path(database),
        )
        result = connection.sql(statement).to_arrow_reader(canonical.FRAME_ROWS)
        parts = [canonical.canonical_schema(result.schema).serialize().to_pybytes()]
        parts += canonical.batches(result, message_bytes=None)
    except Exception as error:  # noqa: BLE001 - as the reader of the product does
        failed = errors.unreadable(error)
        return f"{type(failed).__name__} {failed.reason} {failed.message} {failed.hint}".encode()
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def _parts(stream: bytes) -> list[bytes]:
    parts, start = [], 0
    while start < len(stream):
        (length,) = struct.unpack_from("<Q", stream, start)
        parts.append(stream[start + 8 : start + 8 + length])
        start += 8 + length
    return parts


def ask(stream: Path, statements: list[str]) -> list[Outcome]:
    """Run a caller's statements in a sealed worker over one canonical stream."""
    return _outcomes(_child("worker_main", {"stream": str(stream), "statements": statements}))


def ask_views(
    folder: Path,
    world: str,
    storage: str,
    policy: str,
    statements: list[str],
    *,
    scrubbed: bool = False,
    form: str = "OFFSET 0",
) -> list[Outcome]:
    """Run a caller's statements over a view of the base in one process: the enforcement that must be seen to leak.

    `form` is one of `VIEW_FORMS`. `scrubbed` sends the answer through the canonical stream, which is all of the product
    that it then has.
    """
    task = {
        "base": str(folder / f"{world}.duckdb" if storage == "native" else parquet_file(folder, world)),
        "storage": storage,
        "policy": policy,
        "statements": statements,
        "scrubbed": scrubbed,
        "form": form,
    }
    return _outcomes(_child("views_main", task))


def _outcomes(output: bytes) -> list[Outcome]:
    found: list[Outcome] = pickle.loads(output)
    return found


def worker_main() -> None:
    task = json.load(sys.stdin)
    schema, *messages = _parts(Path(task["stream"]).read_bytes())
    arrow = pa.ipc.read_schema(pa.py_buffer(schema))
    batches = [pa.ipc.read_record_batch(pa.py_buffer(message), arrow) for message in messages]
    shape = TableShape(
        name=NAME,
        references=((NAME.database, NAME.table), (NAME.table,)),
        columns=tuple(ShapedColumn(name=name, sql_type=TYPES[name].sql) for name in VISIBLE),
    )

    def opened() -> tuple[duckdb.DuckDBPyConnection, binding.Declaration]:
        connection = instance.open_sealed(memory_bytes=MEMORY_BYTES)
        declaration = binding.declare(connection, (shape,))
        binding.publish(connection, declaration, NAME, VISIBLE, pa.RecordBatchReader.from_batches(arrow, batches))
        return connection, declaration

    connection, declaration = opened()
    found: list[Outcome] = []
    for sql in task["statements"]:
        try:
            parsed = parsing.parse(connection, sql)
            bound = running.bind(connection, declaration, parsed, ())
            schema, sent = running.answer(connection, declaration, parsed, (), bound)
            found.append(Outcome(schema=schema, batches=b"".join(sent), error=()))
        except Exception as error:  # noqa: BLE001 - as the worker of the product does
            failed = errors.translate(error, sql=sql, memory_bytes=MEMORY_BYTES)
            text = (type(failed).__name__, str(failed.reason), failed.message, failed.hint, str(failed.metadata))
            found.append(Outcome(schema=b"", batches=b"", error=text))
            if failed.reason is Reason.INTERNAL:  # the instance may be invalid; the product ends the process
                connection.close()
                connection, declaration = opened()
    Path(task["output"]).write_bytes(pickle.dumps(found))


def _sent(result: pa.RecordBatchReader, *, scrubbed: bool) -> bytes:
    if scrubbed:
        return b"".join(canonical.batches(result, message_bytes=None))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, result.schema) as writer:
        for batch in result:
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def views_main() -> None:
    task = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    mine = "tenant = 'a'"
    columns = ", ".join(
        f"CASE WHEN {mine} THEN {name} END AS {name}" if task["policy"] == "cells" and name not in OPEN else name
        for name in VISIBLE
    )
    native = task["storage"] == "native"
    base = "source.nyc.t" if native else f"'{task['base']}'"
    where = "" if task["policy"] == "cells" else f"WHERE {mine}"
    found: list[Outcome] = []
    for sql in task["statements"]:
        connection = duckdb.connect(config={"threads": 1})
        if native:
            connection.execute(f"ATTACH '{task['base']}' AS source (READ_ONLY)")
        secure, _, end = VIEW_FORMS[task["form"]].partition(" ... ")
        connection.execute(f"{secure} t AS SELECT {columns} FROM {base} {where} {end}")
        try:
            # By way of the DB-API: the rows lie in memory once more, and their NULL slots hold what lay there before.
            result = connection.execute(sql).to_arrow_reader(canonical.FRAME_ROWS)
            assert result is not None
            sent = _sent(result, scrubbed=task["scrubbed"])
            schema = result.schema.serialize().to_pybytes()
            found.append(Outcome(schema=schema, batches=sent, error=()))
        except Exception as error:  # noqa: BLE001 - whatever a caller would be told
            found.append(Outcome(schema=b"", batches=b"", error=(type(error).__name__, str(error))))
        connection.close()
    Path(task["output"]).write_bytes(pickle.dumps(found))
