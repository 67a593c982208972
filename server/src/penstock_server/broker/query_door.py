"""The query door as the service sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from penstock_server.broker.callers import Caller
from penstock_server.query.door import QueryDoor
from penstock_server.query.explanations import QueryExplanation
from penstock_server.query.requests import OtherPrincipal, QueryDescription, QueryPart, QueryRequest


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

    async def explain(self, caller: Caller, request: QueryRequest) -> QueryExplanation:
        """Explain a statement of the caller's own. Raises as `QueryDoor.execute`."""
        return await self._door.explain(caller.principal, request, caller.context)

    async def explain_of_other(self, caller: Caller, request: QueryRequest, other: OtherPrincipal) -> QueryExplanation:
        """Explain a statement as somebody else's; the caller has been found an administrator."""
        return await self._door.explain_of_other(caller.principal, request, caller.context, other)
