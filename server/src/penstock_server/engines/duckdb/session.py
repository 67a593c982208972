"""One caller's statement in one sealed worker, and the source readers that supply it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.base import (
    BoundStatement,
    ResolvedReference,
    ResultCounts,
    StatementLimits,
    TableReference,
)
from penstock_server.engines.duckdb import errors, printing, relations
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import worker_lost
from penstock_server.engines.duckdb.deadline import Deadline
from penstock_server.engines.duckdb.pool import ChildPool
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.engines.duckdb.wire.encoding import decode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, Header
from penstock_server.engines.duckdb.wire.messages import (
    BindReply,
    BindRequest,
    ParseReply,
    ParseRequest,
    ReadOutcome,
    ReadReply,
    ReadRequest,
    RowCount,
    RunRequest,
    SupplyRequest,
)
from penstock_server.errors import LimitExceeded, Reason, Unavailable
from penstock_server.model.decision import GovernedTable
from penstock_server.model.predicate import Constant
from penstock_server.model.resource import TableName

log = logging.getLogger(__name__)

T = TypeVar("T")

_READERS_AT_ONCE = 2
"""One whose table is being loaded, and one that is already reading the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A source reader at work; the worker has not been told of its pipe yet. Both are owned."""

    table: TableName
    columns: tuple[str, ...]
    reader: Child
    read_end: int


class DuckDbSession:
    """Implements `base.StatementSession`. Leaving it kills every process that it holds.

    INVARIANT: the caller's text goes to the sealed worker alone, printed policy statements to readers alone.
    """

    def __init__(
        self,
        *,
        limits: StatementLimits,
        workers: ChildPool,
        readers: ChildPool,
        catalogs: Mapping[str, CatalogSettings],
    ) -> None:
        self._limits = limits
        self._workers = workers
        self._readers = readers
        self._catalogs = catalogs
        self._deadline = Deadline(limits.timeout)
        self._worker: Child | None = None
        self._governed: dict[tuple[str, str, str], GovernedTable] = {}
        self._used: tuple[tuple[TableName, tuple[str, ...]], ...] = ()
        self._reading: deque[_Reading] = deque()
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._rows = self._batches = self._bytes = 0

    async def __aenter__(self) -> Self:
        self._worker = await self._deadline.spend(self._workers.take())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calm()
        if self._worker is not None:
            self._worker.discard()
        while self._reading:
            self._dismiss(self._reading.popleft())

    @property
    def counts(self) -> ResultCounts:
        """What `run` has delivered so far."""
        return ResultCounts(rows=self._rows, batches=self._batches, bytes=self._bytes)

    async def parse(self, sql: str) -> tuple[TableReference, ...]:
        """Parse one read-only statement and give the base tables it names, each distinct spelling once."""
        await self._tell(FrameKind.PARSE, ParseRequest(sql=sql))
        return (await self._hear(FrameKind.PARSED, ParseReply)).tables

    async def bind(self, tables: Sequence[ResolvedReference], parameters: Sequence[Constant | None]) -> BoundStatement:
        """Bind the statement against empty tables of the governed shape; refuse any other scan or function."""
        self._governed = {resolved.table.name.key(): resolved.table for resolved in tables}
        await self._tell(FrameKind.BIND, BindRequest(tables=_shapes(tables), parameters=tuple(parameters)))
        _, schema = await self._next(FrameKind.SCHEMA)
        self._used = (await self._hear(FrameKind.BOUND, BindReply)).used_columns
        return BoundStatement(schema=schema, used_columns=self._used)

    async def supply(self) -> None:
        """Have source readers fill the governed tables with the used columns. No answer bytes exist yet."""
        waiting = deque(self._used)
        while waiting or self._reading:
            while waiting and len(self._reading) < _READERS_AT_ONCE:
                self._reading.append(await self._deadline.spend(self._start_reading(*waiting.popleft())))
            await self._load(self._reading[0])
            self._dismiss(self._reading.popleft())

    async def run(self) -> AsyncIterator[bytes]:
        """Run the verbatim text; yields encapsulated Arrow IPC batch messages of about 1 MiB, none over 2 MiB."""
        await self._tell(FrameKind.RUN, RunRequest(max_rows=self._limits.max_rows))
        while True:
            header, payload = await self._next(FrameKind.BATCH, FrameKind.FINISHED)
            if header.kind is FrameKind.FINISHED:
                if decode(RowCount, payload).rows != self._rows:
                    raise worker_lost("the worker counts other rows than it sent")
                return
            self._rows += header.rows
            self._batches += 1
            self._bytes += header.length
            self._watch_client()
            yield payload
            self._calm()
            if self._stalled:
                raise LimitExceeded(
                    Reason.QUERY_STALLED,
                    "the result was not read for longer than it may rest",
                    limit="query.stall_timeout",
                    value=f"{self._limits.stall_timeout.total_seconds():g}s",
                    hint="read results as they come, or ask for fewer rows",
                )

    async def _start_reading(self, name: TableName, columns: tuple[str, ...]) -> _Reading:
        governed = self._governed.get(name.key())
        if governed is None:
            raise worker_lost("the worker asks for a table that it was not told of")
        request = self._read_request(governed, columns)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        reader: Child | None = None
        try:
            reader = await self._readers.take()
            await reader.channel.send_with_descriptor(FrameKind.READ, request, write_end)
        except BaseException as error:
            os.close(read_end)
            if reader is not None:
                reader.discard()
            if isinstance(error, BrokenConversation):
                raise worker_lost("a source reader is gone") from error
            raise
        finally:
            os.close(write_end)
        return _Reading(table=name, columns=columns, reader=reader, read_end=read_end)

    def _read_request(self, governed: GovernedTable, columns: tuple[str, ...]) -> ReadRequest:
        """Print the policy of one table over where it lies now."""
        try:
            source = relations.locate(self._catalogs[governed.name.catalog], governed.name)
            statement = printing.source_statement(governed, columns, source)
        except (OSError, KeyError, ValueError) as error:
            raise self._unreadable(governed.name, type(error).__name__) from error
        attached = source.file if isinstance(source, relations.DatabaseTable) else None
        return ReadRequest(statement=statement, readable=source.readable, attached=attached)

    async def _load(self, reading: _Reading) -> None:
        worker = self._held()
        request = SupplyRequest(table=reading.table, columns=reading.columns)
        try:
            await self._deadline.spend(worker.channel.send_with_descriptor(FrameKind.SUPPLY, request, reading.read_end))
        except BrokenConversation as error:
            raise worker_lost("the sealed worker is gone") from error
        try:
            taken = await self._hear(FrameKind.SUPPLIED, RowCount)
        except Unavailable as error:
            if error.reason is Reason.TABLE_UNREADABLE:
                await self._require_read(reading, rows=None)
            raise
        await self._require_read(reading, rows=taken.rows)

    async def _require_read(self, reading: _Reading, *, rows: int | None) -> None:
        """Require that the reader came to its end and gave as many rows as the worker took."""
        try:
            reply = await self._deadline.spend(reading.reader.expect(FrameKind.READ_DONE, ReadReply))
        except BrokenConversation as error:
            raise self._unreadable(reading.table, "the source reader is gone") from error
        if reply.outcome is not ReadOutcome.DONE:
            raise self._unreadable(reading.table, reply.fault)
        if reply.rows != rows:
            raise self._unreadable(reading.table, "the stream was cut")

    def _unreadable(self, table: TableName, fault: str) -> Unavailable:
        log.error("table is unreadable", extra={"table": str(table), "fault": fault})
        return errors.unreadable(fault)

    def _dismiss(self, reading: _Reading) -> None:
        os.close(reading.read_end)
        reading.reader.discard()

    async def _tell(self, kind: FrameKind, message: object) -> None:
        try:
            await self._deadline.spend(self._held().channel.send(kind, message))
        except BrokenConversation as error:
            raise worker_lost("the sealed worker is gone") from error

    async def _hear(self, kind: FrameKind, message: type[T]) -> T:
        _, payload = await self._next(kind)
        try:
            return decode(message, payload)
        except BrokenConversation as error:
            raise worker_lost("the sealed worker does not keep to the protocol") from error

    async def _next(self, *kinds: FrameKind) -> tuple[Header, bytes]:
        try:
            header, payload = await self._deadline.spend(self._held().channel.receive())
        except BrokenConversation as error:
            raise worker_lost("the sealed worker is gone") from error
        if header.kind is FrameKind.ERROR:
            raise errors.from_json(payload)
        if header.kind not in kinds:
            raise worker_lost("the sealed worker does not keep to the protocol")
        return header, payload

    def _held(self) -> Child:
        if self._worker is None:
            raise RuntimeError("a statement session is used as a context manager")
        return self._worker

    def _watch_client(self) -> None:
        self._stall_timer = asyncio.get_running_loop().call_later(
            self._limits.stall_timeout.total_seconds(), self._give_up_on_client
        )

    def _give_up_on_client(self) -> None:
        self._stalled = True
        self._held().kill()

    def _calm(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def _shapes(tables: Sequence[ResolvedReference]) -> tuple[TableShape, ...]:
    references: dict[tuple[str, str, str], list[tuple[str, ...]]] = {}
    governed: dict[tuple[str, str, str], GovernedTable] = {}
    for resolved in tables:
        key = resolved.table.name.key()
        governed[key] = resolved.table
        references.setdefault(key, []).append(resolved.reference.parts)
    return tuple(
        TableShape(
            name=table.name,
            references=tuple(dict.fromkeys(references[key])),
            columns=tuple(
                ShapedColumn(name=shaped.column.name, sql_type=shaped.column.type.sql) for shaped in table.columns
            ),
        )
        for key, table in governed.items()
    )
