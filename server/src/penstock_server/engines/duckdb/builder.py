"""The builder: writes one table's canonical stream into a memory file as a DuckDB database, and ends.

It is sealed as a worker is, but that it may write through descriptors that it was given. It sees permitted cells alone:
what a source decoded beside them never was in its memory, so no residue of it can be in the file.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from penstock_server.engines.duckdb import instance
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.extracts.layout import PRESENT, TABLE
from penstock_server.engines.duckdb.identifiers import quoted
from penstock_server.engines.duckdb.shapes import ShapedColumn
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import BuildOutcome, BuildReply, BuildRequest, FillRequest
from penstock_server.engines.duckdb.wire.pipes import PipeReader

OPEN_FILES = 64

_FILE = "penstock_extract"


def serve(stream: FrameStream) -> None:
    """Serve one building on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        opening = conversation.open(
            open_files=OPEN_FILES, kept_capabilities=frozenset(), may_read=False, may_write_descriptors=True
        )
        connection = instance.prepare_builder(memory_bytes=opening.memory_bytes)
        _exercise(connection)
        conversation.opened()
        asked = conversation.expect(FrameKind.BUILD, BuildRequest)
        supply = conversation.expect(FrameKind.FILL, FillRequest)
        reply = _build(connection, asked.message.columns, asked.pipe(), PipeReader(supply.pipe()))
        conversation.answer(FrameKind.BUILT, reply)
    except BrokenConversation:
        return


def _exercise(connection: duckdb.DuckDBPyConnection) -> None:
    """Touch what a building will touch, so that its page faults are paid ahead of it."""
    connection.execute("CREATE TEMP TABLE warm AS SELECT 1 AS one, 'x' AS two; DROP TABLE warm")


def _build(
    connection: duckdb.DuckDBPyConnection, columns: tuple[ShapedColumn, ...], descriptor: int, pipe: PipeReader
) -> BuildReply:
    try:
        instance.admit_file(connection, descriptor, name=_FILE)
        rows = _write(connection, columns, pipe)
    except Exception as error:  # noqa: BLE001 - the edge of the engine: every fault is one word
        return BuildReply(outcome=_outcome(error, pipe), rows=0)
    return BuildReply(outcome=BuildOutcome.DONE if rows == pipe.rows else BuildOutcome.FAULT, rows=rows)


def _outcome(error: Exception, pipe: PipeReader) -> BuildOutcome:
    if pipe.broken:
        return BuildOutcome.CUT
    # DuckDB: past the limit on the size it is any of four classes, by where the write stood (2.0.0).
    if isinstance(error, MemoryError | duckdb.Error):
        return BuildOutcome.DOES_NOT_FIT
    return BuildOutcome.FAULT


def _write(connection: duckdb.DuckDBPyConnection, columns: tuple[ShapedColumn, ...], pipe: PipeReader) -> int:
    listed = columns or (ShapedColumn(name=PRESENT, sql_type="BOOLEAN"),)
    arriving = _arriving(pipe, [column.name for column in listed])
    table = f"{quoted(_FILE)}.main.{quoted(TABLE)}"
    connection.register("penstock_supply", arriving)
    # DuckDB: one transaction, and then it writes no log beside the file: there is no place for one.
    connection.execute("BEGIN")
    kept = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in listed)
    connection.execute(f"CREATE TABLE {table} ({kept})")
    ((rows,),) = connection.execute(f"INSERT INTO {table} SELECT * FROM penstock_supply").fetchall()  # noqa: S608 - quoted
    connection.execute("COMMIT")
    connection.unregister("penstock_supply")
    connection.execute(f"DETACH {quoted(_FILE)}")
    return int(rows)


def _arriving(pipe: PipeReader, names: list[str]) -> pa.RecordBatchReader:
    schema = pa.ipc.read_schema(pa.py_buffer(pipe.schema()))
    if len(schema) != len(names):
        raise BrokenConversation("other columns than were asked for")
    renamed = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])

    def batches() -> Iterator[pa.RecordBatch]:
        for chunk in pipe.chunks():
            yield pa.ipc.read_record_batch(pa.py_buffer(chunk), schema).rename_columns(names)

    return pa.RecordBatchReader.from_batches(renamed, batches())
