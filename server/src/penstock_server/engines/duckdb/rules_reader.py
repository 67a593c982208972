"""Asks the query of a rules dataset: one statement in a sealed worker, as for a caller, over whole tables of a catalog.

It goes the way of every statement, with the same parser, functions, barriers and budgets; what differs is whose rows
it sees: those that the broker itself may read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Final

from penstock_server.engines.base import ResolvedReference, StatementLimits, StatementSession, TableReference
from penstock_server.engines.duckdb import errors
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import ZygoteControl, worker_lost
from penstock_server.engines.duckdb.pool import open_child
from penstock_server.engines.duckdb.wire.encoding import decode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, Header
from penstock_server.engines.duckdb.wire.messages import ChildKind, ListReply, Opening
from penstock_server.errors import LimitExceeded, QueryError, Reason
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always
from penstock_server.model.resource import fold
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot, TableSchema, TypeFamily

TIMEOUT: Final = timedelta(minutes=2)
"""Longest a rules query may take, in engine time."""
MAX_ROWS: Final = 1_000_000
MAX_BYTES: Final = 256 * 1024 * 1024
"""Most text of a result."""

_LISTING_SECONDS: Final = 60.0
_PARTS: Final = 3


class DuckDbRulesReader:
    """Implements `model.ports.RulesReader` with the sessions and the zygote of an engine."""

    def __init__(
        self,
        *,
        session: Callable[[StatementLimits], StatementSession],
        control: ZygoteControl,
        opening: Opening,
        catalogs: frozenset[str],
    ) -> None:
        self._session = session
        self._control = control
        self._opening = opening
        self._catalogs = catalogs

    async def query_rules(self, sql: str, *, catalog: str, snapshot: CatalogSnapshot) -> QueriedRules:
        """Run one statement over the tables of one catalog. Raises as `RulesReader.query_rules`."""
        if catalog not in self._catalogs:
            raise QueryError(
                Reason.SQL_BINDING,
                f"no catalog `{catalog}` is configured",
                hint="write one of those under `catalogs`, in its spelling",
            )
        limits = StatementLimits(
            timeout=TIMEOUT, stall_timeout=TIMEOUT, memory_bytes=self._opening.memory_bytes, max_rows=MAX_ROWS
        )
        async with self._session(limits) as session:
            references = await session.parse(sql)
            bound = await session.bind(_resolved(references, catalog, snapshot), ())
            # From here on the statement has seen rows.
            try:
                await session.supply()
                return await self._listed(session, bound.schema)
            except QueryError as error:
                raise _failed(error.reason) from None

    async def _listed(self, session: StatementSession, schema: bytes) -> QueriedRules:
        lister = await open_child(self._control, ChildKind.RULES_LISTER, self._opening)
        batches = session.run()
        try:
            listing = _Listing(lister)
            await listing.begin(schema)
            async for batch in batches:
                await listing.add(batch)
        finally:
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()
            lister.discard()
        return await asyncio.to_thread(listing.rules)


class _Listing:
    """What a lister has said of a result so far."""

    def __init__(self, lister: Child) -> None:
        self._lister = lister
        self._columns: tuple[tuple[str, TypeFamily], ...] = ()
        self._parts: list[bytes] = []
        self._bytes = 0

    async def begin(self, schema: bytes) -> None:
        """Tell the lister what comes."""
        _, payload = await self._asked(FrameKind.LIST, schema, FrameKind.LISTED)
        try:
            columns = decode(ListReply, payload).columns
        except BrokenConversation as error:
            raise worker_lost("the rules lister does not keep to the protocol") from error
        self._columns = tuple((column.name, column.family) for column in columns)

    async def add(self, batch: bytes) -> None:
        """Have a batch listed."""
        _, lines = await self._asked(FrameKind.BATCH, batch, FrameKind.LINES)
        self._bytes += len(lines)
        if self._bytes > MAX_BYTES:
            raise LimitExceeded(
                Reason.ROW_LIMIT,
                "the result of a rules query is too large",
                limit="rules_bytes",
                value=str(MAX_BYTES),
                hint="give each rule once, and only the columns of the rules",
            )
        self._parts.append(lines)

    def rules(self) -> QueriedRules:
        """Give all of it. Takes seconds for a million rows: call it off the event loop."""
        header = ",".join(_cell(name) for name, _ in self._columns).encode()
        rows = sorted(set(b"".join(self._parts).split(b"\n")) - {b""})
        return QueriedRules(columns=self._columns, text=b"\n".join((header, *rows)) + b"\n")

    async def _asked(self, kind: FrameKind, payload: bytes, answer: FrameKind) -> tuple[Header, bytes]:
        try:
            async with asyncio.timeout(_LISTING_SECONDS):
                await self._lister.channel.send_bytes(kind, payload)
                header, said = await self._lister.channel.receive()
        except (BrokenConversation, TimeoutError) as error:
            raise worker_lost("the rules lister is gone") from error
        if header.kind is FrameKind.ERROR:
            raise errors.from_json(said)
        if header.kind is not answer:
            raise worker_lost("the rules lister does not keep to the protocol")
        return header, said


def _resolved(
    references: Sequence[TableReference], catalog: str, snapshot: CatalogSnapshot
) -> tuple[ResolvedReference, ...]:
    tables = [table for table in snapshot.tables if table.name.catalog == catalog]
    return tuple(
        ResolvedReference(reference=reference, table=_whole(_named(reference, tables))) for reference in references
    )


def _named(reference: TableReference, tables: Sequence[TableSchema]) -> TableSchema:
    """Find the table that a name of one to three parts means."""
    parts = tuple(fold(part) for part in reference.parts)
    found = [table for table in tables if 1 <= len(parts) <= _PARTS and table.name.key()[-len(parts) :] == parts]
    if len(found) == 1:
        return found[0]
    written = ".".join(reference.parts)
    what = "means more than one table" if found else "is no table"
    raise QueryError(
        Reason.SQL_BINDING,
        f"`{written}` {what} of the catalog",
        position=reference.position,
        hint="write it as `database.table`",
    )


def _whole(schema: TableSchema) -> GovernedTable:
    clear = (CellCase(when=Always(), mask=None),)
    columns = tuple(GovernedColumn(column=column, cases=clear) for column in schema.columns)
    return GovernedTable(schema=schema, columns=columns, rows=())


def _failed(reason: Reason) -> QueryError:
    """Give the one error of a query that failed on rows.

    SECURITY: what the driver says then may name a value of a table, and logs have other readers than that table.
    """
    return QueryError(
        reason,
        "the query failed on the rows of its tables",
        hint="run it by hand, and write it so that no value can make it fail; no value may hold a line break, or be a "
        "text without a character",
    )


def _cell(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(character in name for character in '",\n\r') else name
