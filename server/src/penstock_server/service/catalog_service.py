"""penstock.v1.CatalogService."""

from __future__ import annotations

from penstock.v1 import catalog_service_pb2 as messages

from penstock_server.broker.catalog import CatalogBroker, VisibleTable
from penstock_server.model.decision import TableDecision, TableDescribed
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import applied_policy, described_columns, governed_columns
from penstock_server.service.paging import PageTokens

NAME = "penstock.v1.CatalogService"


class CatalogService:
    """Shows the tables that the caller may know of."""

    def __init__(self, broker: CatalogBroker, pages: PageTokens) -> None:
        self._broker = broker
        self._pages = pages

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(name=f"/{NAME}/ListTables", request=messages.ListTablesRequest, answer=self.list_tables),
            UnaryMethod(name=f"/{NAME}/GetTable", request=messages.GetTableRequest, answer=self.get_table),
        )

    async def list_tables(self, request: messages.ListTablesRequest, call: Call) -> messages.ListTablesResponse:
        """List the caller's tables."""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question=request.pattern)
        tables = await self._broker.list_tables(caller_of(call), request.pattern, page)
        return messages.ListTablesResponse(
            tables=[_visible_table(table) for table in tables.items],
            next_page_token=self._pages.token(call, end=tables.end, question=request.pattern),
        )

    async def get_table(self, request: messages.GetTableRequest, call: Call) -> messages.GetTableResponse:
        """Describe one table."""
        table = await self._broker.get_table(caller_of(call), request.name)
        return messages.GetTableResponse(table=_visible_table(table))


def _visible_table(table: VisibleTable) -> messages.VisibleTable:
    match table:
        case TableDecision():
            return messages.VisibleTable(
                name=str(table.table.name),
                columns=governed_columns(table.table, table.shaping),
                queryable=True,
                rows_filtered=table.shaping.rows_filtered,
                applied_policy=applied_policy(table.table.name, table.shaping),
            )
        case TableDescribed():
            return messages.VisibleTable(name=str(table.schema.name), columns=described_columns(table.columns))
