"""A source reader at work on one table, as the front holds it."""

from __future__ import annotations

import logging
import os
from typing import Self

from penstock_server.engines.duckdb import failures, printing
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import worker_lost
from penstock_server.engines.duckdb.objects.courier import Courier, courier_of
from penstock_server.engines.duckdb.pool import ChildPool
from penstock_server.engines.duckdb.relations import DatabaseTable, IcebergFiles, ObjectFiles, SourceRelation
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind
from penstock_server.engines.duckdb.wire.messages import ReadOutcome, ReadReply, ReadRequest
from penstock_server.engines.duckdb.wire.pipes import open_pipe
from penstock_server.errors import Unavailable
from penstock_server.model.decision import GovernedTable
from penstock_server.model.predicate import Predicate
from penstock_server.model.resource import TableName

log = logging.getLogger(__name__)


class SourceReading:
    """A reader with its statement. Owns the child and `read_end`, the pipe on which the canonical stream comes.

    INVARIANT: what goes to a reader is printed from a decision; no text of a caller ever does.
    """

    def __init__(
        self,
        *,
        table: TableName,
        columns: tuple[str, ...],
        reader: Child,
        read_end: int,
        courier: Courier | None = None,
    ) -> None:
        self.table = table
        self.columns = columns
        self.read_end = read_end
        self._reader = reader
        self._courier = courier

    @classmethod
    async def start(
        cls,
        readers: ChildPool,
        governed: GovernedTable,
        columns: tuple[str, ...],
        source: SourceRelation,
        *,
        copied: Predicate | None,
    ) -> Self:
        """Have a reader begin with `columns` of a table; `copied` as in `printing.source_statement`.

        Raises:
            Unavailable: the table cannot be read (`TABLE_UNREADABLE`), or no reader can be had (`WORKER_LOST`).
        """
        request = _request(governed, columns, source, copied)
        read_end, write_end = open_pipe()
        reader: Child | None = None
        courier: Courier | None = None
        try:
            courier = _courier(source)
            reader = await readers.take()
            if courier is not None:
                await courier.hand_to(reader)
            await reader.channel.send_with_descriptor(FrameKind.READ, request, write_end)
        except BaseException as error:
            os.close(read_end)
            if reader is not None:
                reader.discard()
            if courier is not None:
                courier.end()
            if isinstance(error, BrokenConversation):
                raise worker_lost("a source reader is gone") from error
            raise
        finally:
            os.close(write_end)
        return cls(table=governed.name, columns=columns, reader=reader, read_end=read_end, courier=courier)

    async def require_whole(self, *, rows: int | None) -> None:
        """Require that the reader came to its end and gave as many rows as were taken; None = it must have failed.

        Raises:
            Unavailable: it did not (`TABLE_UNREADABLE`).
        """
        try:
            reply = await self._reader.expect(FrameKind.READ_DONE, ReadReply)
        except BrokenConversation as error:
            raise unreadable(self.table, "the source reader is gone") from error
        if reply.outcome is not ReadOutcome.DONE:
            told = None if self._courier is None else self._courier.fault
            raise unreadable(self.table, reply.fault if told is None else told)
        if reply.rows != rows:
            raise unreadable(self.table, "the stream was cut")

    def dismiss(self) -> None:
        """End the reader, whatever it does."""
        os.close(self.read_end)
        self._reader.discard()
        if self._courier is not None:
            self._courier.end()


def _courier(source: SourceRelation) -> Courier | None:
    """Give who brings the objects of a source; None where it lies on this machine."""
    if not isinstance(source, ObjectFiles | IcebergFiles) or source.store is None:
        return None
    return courier_of(source.store, source.objects, within=source.within)


def unreadable(table: TableName, fault: str) -> Unavailable:
    """Give the one error of a table that cannot be read, and tell the operator which; `fault` holds no cell."""
    log.error("table is unreadable", extra={"table": str(table), "fault": fault})
    return failures.unreadable(fault)


def _request(
    governed: GovernedTable, columns: tuple[str, ...], source: SourceRelation, copied: Predicate | None
) -> ReadRequest:
    """Print the policy of one table over where it lies now."""
    try:
        statement = printing.source_statement(governed, columns, source, copied=copied)
    except ValueError as error:
        raise unreadable(governed.name, type(error).__name__) from error
    attached = source.file if isinstance(source, DatabaseTable) else None
    return ReadRequest(statement=statement, readable=source.readable, attached=attached)
