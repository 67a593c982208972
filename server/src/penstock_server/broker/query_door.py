"""The query door as the service sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from penstock_server.broker.callers import Caller
from penstock_server.query.door import QueryDoor
from penstock_server.query.requests import QueryDescription, QueryPart, QueryRequest


class QueryBroker:
    """Answers QueryService; the door decides and records each statement itself."""

    def __init__(self, *, door: QueryDoor) -> None:
        self._door = door

    def execute(self, caller: Caller, request: QueryRequest) -> AsyncGenerator[QueryPart, None]:
        """Run a statement; the iterator must be closed by who opened it. Raises as `QueryDoor.execute`."""
        return self._door.execute(caller.principal, request, caller.context)

    async def describe(self, caller: Caller, request: QueryRequest) -> QueryDescription:
        """Describe a statement's answer. Raises as `QueryDoor.describe`."""
        return await self._door.describe(caller.principal, request, caller.context)
