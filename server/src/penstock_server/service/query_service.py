"""penstock.v1.QueryService."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

from penstock.v1 import query_service_pb2 as messages

from penstock_server.broker.query_door import QueryBroker
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.query.requests import QueryHeader, QueryPart, QueryProgress, QueryRequest, QueryTrailer
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.framing import record_batch_message
from penstock_server.service.methods import Method, StreamMethod, UnaryMethod
from penstock_server.service.packing import applied_policy, duration, span
from penstock_server.service.parameters import names, parameters

NAME = "penstock.v1.QueryService"

_LAST_PATIENCE = timedelta(seconds=1)
"""The door notices a stalled client first; what is left to us are its last messages."""


class QueryService:
    """Runs SQL. `patience` is how long an answer may wait for a client that does not read."""

    def __init__(self, broker: QueryBroker, *, patience: timedelta) -> None:
        self._broker = broker
        self._patience = patience

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            StreamMethod(name=f"/{NAME}/ExecuteQuery", request=messages.ExecuteQueryRequest, answer=self.execute_query),
            UnaryMethod(
                name=f"/{NAME}/DescribeQuery", request=messages.DescribeQueryRequest, answer=self.describe_query
            ),
        )

    async def execute_query(self, request: messages.ExecuteQueryRequest, call: Call) -> None:
        """Run one statement and stream its answer."""
        asked = QueryRequest(
            sql=request.sql,
            catalog=request.catalog or None,
            parameters=parameters(request.parameters),
            parameter_names=names(request.parameters),
            timeout=span("timeout", request.timeout) if request.HasField("timeout") else None,
            progress=request.progress,
        )
        async with aclosing(self._broker.execute(caller_of(call), asked)) as parts:
            async for part in parts:
                await self._send(call, _message(part))

    async def describe_query(
        self, request: messages.DescribeQueryRequest, call: Call
    ) -> messages.DescribeQueryResponse:
        """Describe a statement's answer."""
        described = await self._broker.describe(
            caller_of(call),
            QueryRequest(
                sql=request.sql,
                catalog=request.catalog or None,
                parameters=parameters(request.parameters),
                parameter_names=names(request.parameters),
                timeout=None,
            ),
        )
        return messages.DescribeQueryResponse(
            schema=described.schema,
            applied_policies=[applied_policy(applied.table, applied.shaping) for applied in described.applied],
            policy_version=described.policy_version,
        )

    async def _send(self, call: Call, message: bytes) -> None:
        try:
            async with asyncio.timeout((self._patience + _LAST_PATIENCE).total_seconds()):
                await call.send(message)
        except TimeoutError:
            raise LimitExceeded(
                Reason.QUERY_STALLED,
                "the answer was not read in time",
                limit="query.stall_timeout",
                value=f"{self._patience.total_seconds():g} s",
                hint="read the answer as it comes, or ask for less",
            ) from None


def _message(part: QueryPart) -> bytes:
    match part:
        case bytes():
            return record_batch_message(part)
        case QueryProgress():
            progress = messages.QueryProgress(table=str(part.table))
            return messages.ExecuteQueryResponse(progress=progress).SerializeToString()
        case QueryHeader():
            header = messages.QueryHeader(
                schema=part.schema,
                applied_policies=[applied_policy(applied.table, applied.shaping) for applied in part.applied],
                policy_version=part.policy_version,
                query_id=part.query_id,
            )
            return messages.ExecuteQueryResponse(header=header).SerializeToString()
        case QueryTrailer():
            trailer = messages.QueryTrailer(
                row_count=part.row_count, batch_count=part.batch_count, engine_time=duration(part.engine_time)
            )
            return messages.ExecuteQueryResponse(trailer=trailer).SerializeToString()
