"""The source reader: runs one printed policy statement over one table's files and sends what it permits, and ends.

It never sees a caller's text. What crosses is the canonical stream on a pipe that it can only write to, and, to the
front, how many rows there were. Whatever goes wrong is one word for the front: the text of an error could hold cells.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from penstock_server.engines.duckdb import canonical, instance
from penstock_server.engines.duckdb.conversation import Conversation, GivenObjects
from penstock_server.engines.duckdb.sandbox import confinement, privileges
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import ReadOutcome, ReadReply, ReadRequest
from penstock_server.engines.duckdb.wire.pipes import PipeWriter

OPEN_FILES = 4096
KEPT_CAPABILITIES = frozenset({privileges.READ_ANY_FILE})


def serve(stream: FrameStream) -> None:
    """Serve one reading on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        opening = conversation.open(open_files=OPEN_FILES, kept_capabilities=KEPT_CAPABILITIES, may_read=True)
        connection = instance.prepare_reader(memory_bytes=opening.memory_bytes)
        _exercise(connection)
        conversation.opened()
        asked, given = conversation.expect_source(FrameKind.READ, ReadRequest)
        conversation.answer(FrameKind.READ_DONE, _read(connection, asked.message, given, PipeWriter(asked.pipe())))
    except BrokenConversation:
        return


def _exercise(connection: duckdb.DuckDBPyConnection) -> None:
    """Touch what a reading will touch, so that its page faults are paid ahead of it."""
    rows = connection.sql("SELECT 1 AS one, 'x' AS two WHERE TRUE IS TRUE").to_arrow_reader(canonical.FRAME_ROWS)
    list(canonical.batches(rows, message_bytes=None))


def _read(
    connection: duckdb.DuckDBPyConnection, request: ReadRequest, given: GivenObjects, pipe: PipeWriter
) -> ReadReply:
    try:
        confinement.narrow(request.readable)
        _emit(connection, request, given, pipe)
    except BrokenConversation:
        return ReadReply(outcome=ReadOutcome.STOPPED, rows=pipe.rows, fault="")
    except Exception as error:  # noqa: BLE001 - the edge of the source: every fault is one answer
        return ReadReply(outcome=ReadOutcome.FAULT, rows=pipe.rows, fault=type(error).__name__)
    return ReadReply(outcome=ReadOutcome.DONE, rows=pipe.rows, fault="")


def _emit(connection: duckdb.DuckDBPyConnection, request: ReadRequest, given: GivenObjects, pipe: PipeWriter) -> None:
    instance.admit_source(
        connection,
        paths=request.readable,
        database=request.attached,
        objects=given.objects,
        courier=given.courier,
    )
    result = connection.sql(request.statement).to_arrow_reader(canonical.FRAME_ROWS)
    schema = canonical.canonical_schema(result.schema)
    pipe.schema(schema.serialize().to_pybytes())
    for message in canonical.batches(result, message_bytes=None):
        pipe.chunk(message, int(pa.ipc.read_record_batch(pa.py_buffer(message), schema).num_rows))
    pipe.end()
