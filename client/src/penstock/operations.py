"""What runs and what is kept at the server, by `Broker.operations`: for administrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.calls import Calls
from penstock.pages import PAGE_SIZE, all_of
from penstock.portal import Portal
from penstock.v1 import access_service_pb2, operations_service_pb2_grpc
from penstock.v1 import operations_service_pb2 as messages


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningQuery:
    """A statement under way; never its text. `phase` is `waiting`, `preparing` or `answering`."""

    query_id: str
    issuer: str
    subject: str
    username: str
    phase: str
    started_at: datetime
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptExtract:
    """Permitted cells of a table that are kept; `readers` = how many statements hold them now."""

    extract_id: str
    table: str
    columns: tuple[str, ...]
    size_bytes: int
    created_at: datetime
    hits: int
    readers: int


class AsyncOperations:
    """Every method raises `PenstockError` or a subclass: `AccessDenied` where the caller is no administrator."""

    def __init__(self, calls: Calls) -> None:
        """Take what makes the calls; use `Broker.operations`."""
        self._calls = calls

    async def queries(self) -> tuple[RunningQuery, ...]:
        """Give the statements under way, those that wait too."""
        return await all_of(
            lambda token: self._calls.unary(
                lambda c: operations_service_pb2_grpc.OperationsServiceStub(c).ListQueries,
                messages.ListQueriesRequest(page_size=PAGE_SIZE, page_token=token),
            ),
            lambda page: map(_query, page.queries),
        )

    async def cancel_query(self, query_id: str) -> None:
        """End a statement; its caller is told that an administrator did. Raises NotFound where it is over."""
        request = messages.CancelQueryRequest(query_id=query_id)
        await self._calls.unary(lambda c: operations_service_pb2_grpc.OperationsServiceStub(c).CancelQuery, request)

    async def extracts(self) -> tuple[KeptExtract, ...]:
        """Give the extracts that are kept."""
        return await all_of(
            lambda token: self._calls.unary(
                lambda c: operations_service_pb2_grpc.OperationsServiceStub(c).ListExtracts,
                messages.ListExtractsRequest(page_size=PAGE_SIZE, page_token=token),
            ),
            lambda page: map(_extract, page.extracts),
        )

    async def warm_extract(
        self, table: str, *, username: str, groups: Sequence[str] = (), issuer: str = "", subject: str = ""
    ) -> bool:
        """Make the extract of a table for somebody, and for all whose decision is equal; False where it is not kept."""
        principal = access_service_pb2.ExplainedPrincipal(
            issuer=issuer, username=username, subject=subject, groups=groups
        )
        request = messages.WarmExtractRequest(table=table, principal=principal)
        answer = await self._calls.unary(
            lambda c: operations_service_pb2_grpc.OperationsServiceStub(c).WarmExtract, request
        )
        return bool(answer.kept)

    async def drop_extracts(self, extract_id: str = "") -> int:
        """Let one extract go, or all; gives how many. Raises NotFound where there is none of this id."""
        request = messages.DropExtractsRequest(extract_id=extract_id)
        answer = await self._calls.unary(
            lambda c: operations_service_pb2_grpc.OperationsServiceStub(c).DropExtracts, request
        )
        return int(answer.dropped_count)


class Operations:
    """Its methods are those of `AsyncOperations`, and wait."""

    def __init__(self, operations: AsyncOperations, portal: Portal) -> None:
        """Take the calls to wait for; use `Broker.operations`."""
        self._operations = operations
        self._portal = portal

    def queries(self) -> tuple[RunningQuery, ...]:
        """Give the statements under way, those that wait too."""
        return self._portal.run(self._operations.queries())

    def cancel_query(self, query_id: str) -> None:
        """End a statement; its caller is told that an administrator did."""
        self._portal.run(self._operations.cancel_query(query_id))

    def extracts(self) -> tuple[KeptExtract, ...]:
        """Give the extracts that are kept."""
        return self._portal.run(self._operations.extracts())

    def warm_extract(
        self, table: str, *, username: str, groups: Sequence[str] = (), issuer: str = "", subject: str = ""
    ) -> bool:
        """Make the extract of a table for somebody, and for all whose decision is equal; False where it is not kept."""
        return self._portal.run(
            self._operations.warm_extract(table, username=username, groups=groups, issuer=issuer, subject=subject)
        )

    def drop_extracts(self, extract_id: str = "") -> int:
        """Let one extract go, or all; gives how many."""
        return self._portal.run(self._operations.drop_extracts(extract_id))


def _query(found: messages.RunningQuery) -> RunningQuery:
    return RunningQuery(
        query_id=found.query_id,
        issuer=found.issuer,
        subject=found.subject,
        username=found.username,
        phase=messages.QueryPhase.Name(found.phase).removeprefix("QUERY_PHASE_").lower(),
        started_at=found.start_time.ToDatetime(UTC),
        tables=tuple(found.tables),
    )


def _extract(found: messages.KeptExtract) -> KeptExtract:
    return KeptExtract(
        extract_id=found.extract_id,
        table=found.table,
        columns=tuple(found.columns),
        size_bytes=found.size_bytes,
        created_at=found.create_time.ToDatetime(UTC),
        hits=found.hit_count,
        readers=found.reader_count,
    )
