"""How an extract is made: a source reader's canonical stream, written to a memory file by a builder."""

from __future__ import annotations

from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import worker_lost
from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey, MemoryFile
from penstock_server.engines.duckdb.extracts.store import DoesNotFit, Wanted
from penstock_server.engines.duckdb.pool import ChildPool
from penstock_server.engines.duckdb.reading import SourceReading
from penstock_server.engines.duckdb.shapes import ShapedColumn
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind
from penstock_server.engines.duckdb.wire.messages import BuildOutcome, BuildReply, BuildRequest, FillRequest


class ExtractMaker:
    """Makes extracts with readers and builders from these pools."""

    def __init__(self, *, readers: ChildPool, builders: ChildPool) -> None:
        self._readers = readers
        self._builders = builders
        self._growing: set[MemoryFile] = set()

    @property
    def growing(self) -> int:
        """How many bytes of files are being written."""
        return sum(file.size for file in self._growing)

    async def make(self, wanted: Wanted, key: ExtractKey) -> Extract:
        """Make an extract of the wanted columns.

        Raises:
            DoesNotFit: it grew larger than a builder may write, or needed more memory than it has.
            Unavailable: the table cannot be read (`TABLE_UNREADABLE`), or a process was lost (`WORKER_LOST`).
        """
        file = MemoryFile()
        builder = await self._builders.take()
        self._growing.add(file)
        try:
            rows = await self._fill(builder, file, wanted)
        except BaseException:
            self._growing.discard(file)
            file.close()
            raise
        finally:
            builder.discard()
        # SECURITY: nobody reads it before its writer is gone and it is sealed.
        try:
            await builder.ended()
            file.seal()
        finally:
            self._growing.discard(file)
        return Extract(key=key, columns=wanted.columns, rows=rows, file=file)

    async def _fill(self, builder: Child, file: MemoryFile, wanted: Wanted) -> int:
        # INVARIANT: what is kept serves every statement under the decision, so no condition of one is copied.
        reading = await SourceReading.start(self._readers, wanted.table, wanted.columns, wanted.source, copied=None)
        try:
            request = BuildRequest(columns=stored_columns(wanted))
            await builder.channel.send_with_descriptor(FrameKind.BUILD, request, file.descriptor)
            await builder.channel.send_with_descriptor(FrameKind.FILL, FillRequest(), reading.read_end)
            reply = await builder.expect(FrameKind.BUILT, BuildReply)
            match reply.outcome:
                case BuildOutcome.DONE:
                    await reading.require_whole(rows=reply.rows)
                case BuildOutcome.CUT:
                    await reading.require_whole(rows=None)
                case BuildOutcome.DOES_NOT_FIT:
                    raise DoesNotFit
                case BuildOutcome.FAULT:
                    raise worker_lost("a builder failed")
        except BrokenConversation as error:
            raise worker_lost("a builder is gone") from error
        else:
            return reply.rows
        finally:
            reading.dismiss()


def stored_columns(wanted: Wanted) -> tuple[ShapedColumn, ...]:
    """Give the columns as they stand in the file: `c` and their number in the governed table."""
    return tuple(
        ShapedColumn(name=f"c{number}", sql_type=governed.column.type.sql)
        for number, governed in enumerate(wanted.table.columns)
        if governed.column.name in wanted.columns
    )
