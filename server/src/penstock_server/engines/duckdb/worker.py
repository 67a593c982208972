"""The sealed worker: runs one caller's statement, verbatim, over what source readers sent it, and ends.

It holds no source, network, secret or policy text, and cannot get any: the barriers stand before DuckDB opens. It
answers the front step by step: PARSE, BIND, SUPPLY or ATTACH for each table, RUN. A step that fails is answered by an
error, and then the worker ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pyarrow as pa

from penstock_server.engines.base import BoundStatement
from penstock_server.engines.duckdb import binding, canonical, conjuncts, errors, instance, metadata, parsing, running
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.extracts.extract import is_sealed
from penstock_server.engines.duckdb.extracts.layout import SLOTS
from penstock_server.engines.duckdb.signature import Values
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import (
    AttachRequest,
    BindReply,
    BindRequest,
    ConjunctsReply,
    ConjunctsRequest,
    Opening,
    ParseReply,
    ParseRequest,
    RowCount,
    RunRequest,
    SupplyDeclined,
    SupplyRequest,
)
from penstock_server.engines.duckdb.wire.pipes import PipeReader
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.resource import TableName

OPEN_FILES = 64


def serve(stream: FrameStream) -> None:
    """Serve one statement on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        opening = confined(conversation)
        worker = SealedWorker(conversation, opening)
        conversation.opened()
        worker.serve()
    except BrokenConversation:
        return  # the front let go of this worker, or asks for what there is not: either way nothing more is said


def confined(conversation: Conversation) -> Opening:
    """Begin a sealed child: its budgets come, then every barrier stands. Raises as `Conversation.open`."""
    return conversation.open(open_files=OPEN_FILES, kept_capabilities=frozenset(), may_read=False)


class SealedWorker:
    """The steps of one statement, in their order."""

    def __init__(self, conversation: Conversation, opening: Opening) -> None:
        self._conversation = conversation
        self._memory_bytes = opening.memory_bytes
        self._connection = instance.open_sealed(memory_bytes=opening.memory_bytes, threads=opening.threads)
        self._exercise()
        self._sql = ""

    def serve(self) -> None:
        """Answer each step; an error is the last answer.

        Raises:
            BrokenConversation: the front is gone or does not keep to the order.
        """
        request = self._conversation.expect(FrameKind.PARSE, ParseRequest).message
        self._sql = request.sql
        try:
            parsed = self._parse()
            declaration, values, bound = self._bind(parsed)
            for _ in declaration.tables:
                self._take(declaration)
            self._run(parsed, declaration, values, bound)
        except BrokenConversation:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the engine: everything becomes an error of ours
            self._conversation.fail(errors.translate(error, sql=self._sql, memory_bytes=self._memory_bytes))

    def _exercise(self) -> None:
        """Touch what a statement will touch, so that its page faults are paid ahead of it."""
        parsing.parse(self._connection, "SELECT 1 AS one")
        list(canonical.batches(self._connection.sql("SELECT 1 AS one").to_arrow_reader(), message_bytes=None))

    def _parse(self) -> parsing.ParsedStatement:
        parsed = parsing.parse(self._connection, self._sql)
        reply = ParseReply(tables=parsed.tables, lists_tables=parsed.lists_tables)
        self._conversation.answer(FrameKind.PARSED, reply)
        return parsed

    def _bind(self, parsed: parsing.ParsedStatement) -> tuple[binding.Declaration, Values, BoundStatement]:
        request = self._conversation.expect(FrameKind.BIND, BindRequest).message
        if parsed.lists_tables:
            metadata.declare(self._connection, request.visible, catalog=request.catalog)
            declaration = binding.Declaration(tables=(), lists_tables=True)
        else:
            declaration = binding.declare(self._connection, request.tables)
        values = request.values()
        bound = running.bind(self._connection, declaration, parsed, values)
        self._conversation.give(FrameKind.SCHEMA, bound.schema, rows=0)
        self._conversation.answer(FrameKind.BOUND, BindReply(used_columns=bound.used_columns))
        return declaration, values, bound

    def _take(self, declaration: binding.Declaration) -> None:
        """Take the rows of one table: as an extract, or as they come."""
        kinds: dict[FrameKind, type[SupplyRequest | AttachRequest | ConjunctsRequest]] = {
            FrameKind.SUPPLY: SupplyRequest,
            FrameKind.ATTACH: AttachRequest,
            FrameKind.CONJUNCTS: ConjunctsRequest,
        }
        asked = self._conversation.expect_one_of(kinds)
        match asked.message:
            case AttachRequest(table=table, columns=columns):
                rows = binding.attach(self._connection, declaration, table, columns, _slot(asked.pipe()))
                self._conversation.answer(FrameKind.ATTACHED, RowCount(rows=rows))
            case SupplyRequest(table=table, columns=columns, most_bytes=most_bytes):
                self._supply(declaration, table, columns, PipeReader(asked.pipe(), most_bytes=most_bytes))
            case ConjunctsRequest():
                told = conjuncts.copied(self._connection, declaration, self._sql)
                self._conversation.answer(FrameKind.CONJOINED, ConjunctsReply(tables=told))
                self._take(declaration)

    def _supply(
        self, declaration: binding.Declaration, table: TableName, columns: tuple[str, ...], pipe: PipeReader
    ) -> None:
        try:
            source = _incoming(pipe)
            taken = binding.publish(self._connection, declaration, table, columns, source)
        except Exception as error:
            if pipe.full:
                self._conversation.answer(FrameKind.DECLINED, SupplyDeclined())
                return self._take(declaration)
            if pipe.broken:  # the source's fault; anything else is the statement's, such as too little memory
                raise errors.unreadable("the stream was cut") from error
            raise
        if taken != pipe.rows:
            raise errors.internal("the engine took other rows than came")
        return self._conversation.answer(FrameKind.SUPPLIED, RowCount(rows=taken))

    def _run(
        self, parsed: parsing.ParsedStatement, declaration: binding.Declaration, values: Values, bound: BoundStatement
    ) -> None:
        request = self._conversation.expect(FrameKind.RUN, RunRequest).message
        schema, messages = running.answer(self._connection, declaration, parsed, values, bound)
        if not bound.schema:
            self._conversation.give(FrameKind.SCHEMA, schema, rows=0)
        expected = pa.ipc.read_schema(pa.py_buffer(schema))
        rows = 0
        for message in messages:
            count = _row_count(message, expected)
            rows += count
            if request.max_rows is not None and rows > request.max_rows:
                raise _too_many_rows(request.max_rows)
            self._conversation.give(FrameKind.BATCH, message, rows=count)
        self._conversation.answer(FrameKind.FINISHED, RowCount(rows=rows))


def _slot(descriptor: int) -> int:
    """Move a memory file to one of the slots; what could still be changed is refused.

    Raises:
        BrokenConversation: it is not sealed, or there is no slot left.
    """
    if not is_sealed(descriptor):
        raise BrokenConversation("an extract that is not sealed")
    slot = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, SLOTS.start)
    os.close(descriptor)
    if slot not in SLOTS:
        raise BrokenConversation("more extracts than slots")
    return slot


def _incoming(pipe: PipeReader) -> pa.RecordBatchReader:
    schema = pa.ipc.read_schema(pa.py_buffer(pipe.schema()))

    def arriving() -> Iterator[pa.RecordBatch]:
        for chunk in pipe.chunks():
            yield pa.ipc.read_record_batch(pa.py_buffer(chunk), schema)

    return pa.RecordBatchReader.from_batches(schema, arriving())


def _row_count(message: bytes, schema: pa.Schema) -> int:
    return int(pa.ipc.read_record_batch(pa.py_buffer(message), schema).num_rows)


def _too_many_rows(bound: int) -> LimitExceeded:
    return LimitExceeded(
        Reason.ROW_LIMIT,
        "the result has more rows than a statement may give",
        limit="query.max_rows",
        value=str(bound),
        hint="add a filter or a LIMIT, or aggregate",
    )
