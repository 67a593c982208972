"""One caller's statement in one sealed worker, and the source readers that supply it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from penstock_server.engines.base import (
    BoundStatement,
    KnownTable,
    ResolvedReference,
    ResultCounts,
    StatementLimits,
    TableReference,
)
from penstock_server.engines.duckdb import copying, errors
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.column_tests import TableConjuncts
from penstock_server.engines.duckdb.control import worker_lost
from penstock_server.engines.duckdb.copying import NotOfTheTable
from penstock_server.engines.duckdb.deadline import Deadline
from penstock_server.engines.duckdb.extracts.extract import Extract
from penstock_server.engines.duckdb.extracts.first_time import FirstTimes
from penstock_server.engines.duckdb.extracts.layout import SLOTS
from penstock_server.engines.duckdb.extracts.store import ExtractStore, Wanted
from penstock_server.engines.duckdb.pool import ChildPool
from penstock_server.engines.duckdb.reading import SourceReading, unreadable
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape, VisibleTable
from penstock_server.engines.duckdb.sources import Sources
from penstock_server.engines.duckdb.wire.encoding import decode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, Header
from penstock_server.engines.duckdb.wire.messages import (
    AttachRequest,
    BindReply,
    BindRequest,
    ConjunctsReply,
    ConjunctsRequest,
    ParseReply,
    ParseRequest,
    RowCount,
    RunRequest,
    SupplyRequest,
)
from penstock_server.errors import LimitExceeded, Reason, Unavailable
from penstock_server.model.decision import GovernedTable
from penstock_server.model.objects import ObjectFault
from penstock_server.model.predicate import Constant, Predicate
from penstock_server.model.resource import TableName

T = TypeVar("T")

_MOST_LISTED = 5_000

_SHARE_OF_MEMORY = 8
"""Which part of a worker's memory a table may take that comes inline because it is asked for the first time."""

_TELLS_AFTER_SECONDS = 0.5
"""How long a statement waits for an extract before its caller is told."""

_READERS_AT_ONCE = 2
"""One whose table is being loaded, and one that is already reading the next."""


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
        extracts: ExtractStore,
        sources: Sources,
        first_times: FirstTimes,
    ) -> None:
        self._limits = limits
        self._workers = workers
        self._readers = readers
        self._extracts = extracts
        self._sources = sources
        self._first_times = first_times
        self._deadline = Deadline(limits.timeout)
        self._worker: Child | None = None
        self._governed: dict[tuple[str, str, str], ResolvedReference] = {}
        self._used: tuple[tuple[TableName, tuple[str, ...]], ...] = ()
        self._reading: deque[SourceReading] = deque()
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._lists_tables = False
        self._schema = b""
        self._running = False
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
            self._reading.popleft().dismiss()

    @property
    def counts(self) -> ResultCounts:
        """What `run` has delivered so far."""
        return ResultCounts(rows=self._rows, batches=self._batches, bytes=self._bytes)

    async def parse(self, sql: str) -> tuple[TableReference, ...]:
        """Parse one read-only statement and give the base tables it names, each distinct spelling once."""
        await self._tell(FrameKind.PARSE, ParseRequest(sql=sql))
        reply = await self._hear(FrameKind.PARSED, ParseReply)
        self._lists_tables = reply.lists_tables
        return reply.tables

    @property
    def lists_tables(self) -> bool:
        """Whether the parsed statement asks which tables there are, and thus names none."""
        return self._lists_tables

    async def bind(
        self,
        tables: Sequence[ResolvedReference],
        parameters: Sequence[Constant | None],
        *,
        names: Sequence[str] = (),
        visible: Sequence[KnownTable] = (),
        catalog: str | None = None,
    ) -> BoundStatement:
        """Bind the statement against empty tables of the governed shape; refuse any other scan or function."""
        if len(visible) > _MOST_LISTED:
            raise _too_many_tables()
        self._governed = {resolved.table.name.key(): resolved for resolved in tables}
        request = BindRequest(
            tables=_shapes(tables),
            parameters=tuple(parameters),
            visible=tuple(_visible(known) for known in visible),
            catalog=catalog,
            names=tuple(names),
        )
        await self._tell(FrameKind.BIND, request)
        _, self._schema = await self._next(FrameKind.SCHEMA)
        self._used = (await self._hear(FrameKind.BOUND, BindReply)).used_columns
        return BoundStatement(schema=self._schema, used_columns=self._used)

    async def supply(self, *, building: Callable[[TableName], None] | None = None) -> None:
        """Attach extracts of the governed tables, or have source readers fill them with the used columns."""
        wanted = await self._deadline.spend(
            asyncio.gather(*(self._wanted(name, columns) for name, columns in self._used))
        )
        early = [self._is_early(one) for one in wanted]
        most_bytes = self._limits.memory_bytes // _SHARE_OF_MEMORY
        first = [one for one, is_early in zip(wanted, early, strict=True) if is_early]
        wanted = [one for one, is_early in zip(wanted, early, strict=True) if not is_early]
        wanted += await self._supply_inline(first, most_bytes=most_bytes)
        found = await self._deadline.spend(asyncio.gather(*(self._extract(one, building) for one in wanted)))
        inline: list[Wanted] = []
        slots = len(SLOTS)
        for one, extract in zip(wanted, found, strict=True):
            if extract is None or not slots:
                inline.append(one)
            else:
                slots -= 1
                await self._attach(extract, one.table.name)
        await self._supply_inline(inline, most_bytes=None)

    async def schema(self) -> bytes:
        """Give the schema of the answer; where binding could not tell it, begin to run the statement for it."""
        if not self._schema:
            await self._begin()
            _, self._schema = await self._next(FrameKind.SCHEMA)
        return self._schema

    async def _begin(self) -> None:
        if not self._running:
            self._running = True
            await self._tell(FrameKind.RUN, RunRequest(max_rows=self._limits.max_rows))

    async def run(self) -> AsyncIterator[bytes]:
        """Run the verbatim text; yields encapsulated Arrow IPC batch messages of about 1 MiB, none over 2 MiB."""
        await self.schema()
        await self._begin()
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

    async def _wanted(self, name: TableName, columns: tuple[str, ...]) -> Wanted:
        resolved = self._governed.get(name.key())
        if resolved is None:
            raise worker_lost("the worker asks for a table that it was not told of")
        table = resolved.table
        try:
            source = await self._sources.locate(table.name)
        except ObjectFault as error:
            raise unreadable(table.name, str(error)) from error
        except (OSError, KeyError, ValueError) as error:
            raise unreadable(table.name, type(error).__name__) from error
        return Wanted(
            table=table,
            fingerprint=resolved.fingerprint or "",
            source=source,
            columns=columns,
            expires_at=resolved.expires_at,
        )

    async def _extract(self, wanted: Wanted, building: Callable[[TableName], None] | None) -> Extract | None:
        """Give an extract, kept or made; None where the rows have to come inline."""
        if not wanted.fingerprint:
            return None
        telling = None
        if building is not None:
            telling = asyncio.get_running_loop().call_later(_TELLS_AFTER_SECONDS, building, wanted.table.name)
        try:
            return await self._extracts.get(wanted, reader=self)
        except OSError as error:
            raise unreadable(wanted.table.name, type(error).__name__) from error
        finally:
            if telling is not None:
                telling.cancel()

    async def _attach(self, extract: Extract, table: TableName) -> None:
        request = AttachRequest(table=table, columns=extract.columns)
        await self._hand_over(FrameKind.ATTACH, request, extract.file.descriptor)
        if (await self._hear(FrameKind.ATTACHED, RowCount)).rows != extract.rows:
            raise worker_lost("an extract has other rows than were written to it")

    def _is_early(self, wanted: Wanted) -> bool:
        """Tell whether the rows should come inline before an extract is made of them."""
        key = wanted.table.name.key()
        if not wanted.fingerprint or self._extracts.holds(key, wanted.fingerprint):
            return False
        return self._first_times.is_early((key, wanted.fingerprint))

    async def _supply_inline(self, tables: Sequence[Wanted], *, most_bytes: int | None) -> list[Wanted]:
        """Have readers fill tables; give those of which more than `most_bytes` would have come, and nothing did.

        INVARIANT: what is counted is the canonical stream, permitted cells alone.
        """
        told = await self._conjuncts() if tables else ()
        waiting, loading, declined = deque(tables), deque[Wanted](), list[Wanted]()
        while waiting or self._reading:
            while waiting and len(self._reading) < _READERS_AT_ONCE:
                wanted = waiting.popleft()
                start = SourceReading.start(
                    self._readers, wanted.table, wanted.columns, wanted.source, copied=_copied(wanted.table, told)
                )
                self._reading.append(await self._deadline.spend(start))
                loading.append(wanted)
            taken = await self._load(self._reading[0], most_bytes)
            self._reading.popleft().dismiss()
            wanted = loading.popleft()
            if not taken:
                declined.append(wanted)
        return declined

    async def _conjuncts(self) -> tuple[TableConjuncts, ...]:
        """Give what the statement itself asks of its tables' rows, as the worker says."""
        await self._tell(FrameKind.CONJUNCTS, ConjunctsRequest())
        return (await self._hear(FrameKind.CONJOINED, ConjunctsReply)).tables

    async def _load(self, reading: SourceReading, most_bytes: int | None) -> bool:
        """Have the worker take a table; False where it was more than it was to take."""
        request = SupplyRequest(table=reading.table, columns=reading.columns, most_bytes=most_bytes)
        await self._hand_over(FrameKind.SUPPLY, request, reading.read_end)
        try:
            header, payload = await self._next(FrameKind.SUPPLIED, FrameKind.DECLINED)
        except Unavailable as error:
            if error.reason is Reason.TABLE_UNREADABLE:
                await self._deadline.spend(reading.require_whole(rows=None))
            raise
        if header.kind is FrameKind.DECLINED:
            return False
        await self._deadline.spend(reading.require_whole(rows=_message(RowCount, payload).rows))
        return True

    async def _hand_over(self, kind: FrameKind, message: object, descriptor: int) -> None:
        channel = self._held().channel
        try:
            await self._deadline.spend(channel.send_with_descriptor(kind, message, descriptor))
        except BrokenConversation as error:
            raise worker_lost("the sealed worker is gone") from error

    async def _tell(self, kind: FrameKind, message: object) -> None:
        try:
            await self._deadline.spend(self._held().channel.send(kind, message))
        except BrokenConversation as error:
            raise worker_lost("the sealed worker is gone") from error

    async def _hear(self, kind: FrameKind, message: type[T]) -> T:
        _, payload = await self._next(kind)
        return _message(message, payload)

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


def _message(kind: type[T], payload: bytes) -> T:
    try:
        return decode(kind, payload)
    except BrokenConversation as error:
        raise worker_lost("the sealed worker does not keep to the protocol") from error


def _copied(table: GovernedTable, told: Sequence[TableConjuncts]) -> Predicate | None:
    try:
        return copying.copied(table, told)
    except NotOfTheTable as error:
        raise worker_lost("the sealed worker does not keep to the protocol") from error


def _visible(known: KnownTable) -> VisibleTable:
    columns = tuple(ShapedColumn(name=column.name, sql_type=column.type.sql) for column in known.columns)
    return VisibleTable(name=known.name, columns=columns)


def _too_many_tables() -> LimitExceeded:
    return LimitExceeded(
        Reason.SQL_TOO_LARGE,
        "you may know of more tables than a statement can list",
        limit="listed_tables",
        value=str(_MOST_LISTED),
        hint="list them with `penstock tables`, page by page",
    )


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
