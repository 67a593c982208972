"""penstock.v1.OperationsService."""

from __future__ import annotations

from typing import Final

from penstock.v1 import operations_service_pb2 as messages

from penstock_server.broker.operations import OperationsBroker
from penstock_server.engines.duckdb.extracts.usage import KeptExtract
from penstock_server.query.running import Phase, RunningStatement
from penstock_server.service.access_service import asked_principal
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp
from penstock_server.service.paging import PageTokens

NAME: Final = "penstock.v1.OperationsService"

_PHASES: Final = {
    Phase.WAITING: messages.QUERY_PHASE_WAITING,
    Phase.PREPARING: messages.QUERY_PHASE_PREPARING,
    Phase.ANSWERING: messages.QUERY_PHASE_ANSWERING,
}


class OperationsService:
    """Shows what runs and what is kept."""

    def __init__(self, broker: OperationsBroker, pages: PageTokens) -> None:
        self._broker = broker
        self._pages = pages

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(name=f"/{NAME}/ListQueries", request=messages.ListQueriesRequest, answer=self.list_queries),
            UnaryMethod(name=f"/{NAME}/CancelQuery", request=messages.CancelQueryRequest, answer=self.cancel_query),
            UnaryMethod(name=f"/{NAME}/ListExtracts", request=messages.ListExtractsRequest, answer=self.list_extracts),
            UnaryMethod(name=f"/{NAME}/WarmExtract", request=messages.WarmExtractRequest, answer=self.warm_extract),
            UnaryMethod(name=f"/{NAME}/DropExtracts", request=messages.DropExtractsRequest, answer=self.drop_extracts),
        )

    async def list_queries(self, request: messages.ListQueriesRequest, call: Call) -> messages.ListQueriesResponse:
        """List statements under way."""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question="queries")
        found = await self._broker.list_queries(caller_of(call), page)
        return messages.ListQueriesResponse(
            queries=[_query(item) for item in found.items],
            next_page_token=self._pages.token(call, end=found.end, question="queries"),
        )

    async def cancel_query(self, request: messages.CancelQueryRequest, call: Call) -> messages.CancelQueryResponse:
        """End a statement."""
        await self._broker.cancel_query(caller_of(call), request.query_id)
        return messages.CancelQueryResponse()

    async def list_extracts(self, request: messages.ListExtractsRequest, call: Call) -> messages.ListExtractsResponse:
        """List extracts."""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question="extracts")
        found = await self._broker.list_extracts(caller_of(call), page)
        return messages.ListExtractsResponse(
            extracts=[_extract(item) for item in found.items],
            next_page_token=self._pages.token(call, end=found.end, question="extracts"),
        )

    async def warm_extract(self, request: messages.WarmExtractRequest, call: Call) -> messages.WarmExtractResponse:
        """Make an extract."""
        kept = await self._broker.warm_extract(caller_of(call), request.table, asked_principal(request.principal))
        return messages.WarmExtractResponse(kept=kept)

    async def drop_extracts(self, request: messages.DropExtractsRequest, call: Call) -> messages.DropExtractsResponse:
        """Let extracts go."""
        dropped = await self._broker.drop_extracts(caller_of(call), request.extract_id)
        return messages.DropExtractsResponse(dropped_count=dropped)


def _query(found: RunningStatement) -> messages.RunningQuery:
    return messages.RunningQuery(
        query_id=found.id,
        issuer=found.principal.issuer,
        subject=found.principal.subject,
        username=found.principal.username or "",
        phase=_PHASES[found.phase],
        start_time=timestamp(found.began_at),
        tables=found.tables,
    )


def _extract(found: KeptExtract) -> messages.KeptExtract:
    return messages.KeptExtract(
        extract_id=found.id,
        table=str(found.table),
        columns=found.columns,
        size_bytes=found.bytes,
        create_time=timestamp(found.made_at),
        hit_count=found.hits,
        reader_count=found.readers,
    )
