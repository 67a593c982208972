"""What the query door asks of an engine: one statement at a time, in steps that the door orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from penstock_server.model.decision import GovernedTable
from penstock_server.model.predicate import Constant
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLimits:
    """Bounds of one statement. `memory_bytes` is the engine's budget; `max_rows` None = no bound, past it an error."""

    timeout: timedelta
    stall_timeout: timedelta
    memory_bytes: int
    max_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReference:
    """A base table as the statement names it, in its own spelling: one, two or three parts.

    `position` is the 0-based character offset in the statement, or None where the parser gives none.
    """

    parts: tuple[str, ...]
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedReference:
    """A reference that names a table which this principal may query.

    The sealed worker offers the relation under its full name and under the shorter forms that the statement uses.
    `fingerprint` is that of the decision: equal ones share what was made of the table, for no
    longer than `expires_at`; None = nothing is shared.
    """

    reference: TableReference
    table: GovernedTable
    fingerprint: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTable:
    """A table that the caller may know of, with its visible columns, in their governed types."""

    name: TableName
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundStatement:
    """What the bound plan tells: the result's schema and the columns that each table must supply.

    `schema` is an encapsulated Arrow IPC schema message; it is empty where the columns are known only once the tables
    are supplied. `used_columns` pairs each table with column names in the
    catalog's spelling; it may be empty (`count(*)`).
    """

    schema: bytes
    used_columns: tuple[tuple[TableName, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCounts:
    """What a finished statement delivered."""

    rows: int
    batches: int
    bytes: int


class StatementSession(Protocol):
    """One caller's statement in one sealed process. Every method raises QueryError, LimitExceeded or Unavailable.

    Used as an async context manager; leaving it kills the process, whatever state it is in.
    """

    async def parse(self, sql: str) -> tuple[TableReference, ...]:
        """Parse one read-only statement and give the base tables it names, each distinct spelling once."""
        ...

    @property
    def lists_tables(self) -> bool:
        """Whether the parsed statement asks which tables there are, and thus names none."""
        ...

    async def bind(
        self,
        tables: Sequence[ResolvedReference],
        parameters: Sequence[Constant | None],
        *,
        names: Sequence[str] = (),
        visible: Sequence[KnownTable] = (),
        catalog: str | None = None,
    ) -> BoundStatement:
        """Bind the statement against empty tables of the governed shape; refuse any other scan or function.

        `names` are those of the parameters, in the same order, or none where they have numbers.
        `visible` is what a statement that asks which tables there are is told of, `catalog` where names without one
        are looked up.
        """
        ...

    async def supply(self, *, building: Callable[[TableName], None] | None = None) -> None:
        """Have source readers fill the governed tables with the used columns. No answer bytes exist yet.

        `building` is told of a table for which the statement has waited a while, because what is kept of it is made.
        """
        ...

    async def schema(self) -> bytes:
        """Give the schema of the answer, as a message; comes after `supply`, and begins to run where it must."""
        ...

    def run(self) -> AsyncIterator[bytes]:
        """Run the verbatim text; yields encapsulated Arrow IPC batch messages of about 1 MiB, none over 2 MiB."""
        ...

    @property
    def counts(self) -> ResultCounts:
        """What `run` has delivered so far."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class QueryEngine(Protocol):
    """Makes statement sessions."""

    def session(self, limits: StatementLimits) -> StatementSession:
        """Give a session; the process behind it is taken from the warm pool on entry."""
        ...
