"""A statement ends once in the audit, whenever its caller goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

import pytest
from penstock_server.engines.base import BoundStatement, ResultCounts, StatementLimits, StatementSession
from penstock_server.errors import NotFound, PenstockError, Reason
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import SystemClock
from penstock_server.model.request import RequestContext
from penstock_server.query.requests import QueryRequest
from penstock_server.query.resolution import Resolution
from penstock_server.query.statement import Statement
from support.transports import principal

BOUND = BoundStatement(schema=b"", used_columns=())


class SlowTrail:
    """A sink that takes a record at once and says that it is durable when told to."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.taken = asyncio.Event()
        self.durable = asyncio.Event()

    async def record(self, record: AuditRecord) -> None:
        self.records.append(record)
        self.taken.set()
        await self.durable.wait()

    @property
    def events(self) -> list[tuple[Event, Outcome]]:
        return [(record.event, record.outcome) for record in self.records]


class Delivered:
    """What an engine's session tells of its progress."""

    counts = ResultCounts(rows=3, batches=1, bytes=10)


def statement(trail: SlowTrail) -> Statement:
    return Statement(
        principal=principal("alice"),
        request=QueryRequest(sql="select 1", catalog=None, parameters=(), timeout=None),
        context=RequestContext(request_id="r", peer_address="127.0.0.1", client_certificate=None),
        limits=StatementLimits(
            timeout=timedelta(seconds=1), stall_timeout=timedelta(seconds=1), memory_bytes=1, max_rows=None
        ),
        audit=trail,
        clock=SystemClock(),
    )


async def cancelled_while(trail: SlowTrail, one: Statement, work: Callable[[], Awaitable[None]]) -> None:
    """Cancel the task in which `work` waits for its record."""

    async def within() -> None:
        async with one.failures_recorded():
            await work()

    trail.taken.clear()
    task = asyncio.create_task(within())
    await trail.taken.wait()
    task.cancel()
    trail.durable.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def admission(one: Statement) -> AuditRecord:
    resolution = Resolution(references=(), decisions=())
    return one.records.admitted(Event.QUERY_ADMITTED, resolution, BOUND)


async def test_a_caller_who_leaves_while_it_is_admitted_leaves_an_admitted_and_a_broken_off_statement() -> None:
    trail = SlowTrail()
    one = statement(trail)
    session = cast("StatementSession", Delivered())
    await cancelled_while(trail, one, lambda: one.admit(admission(one), session))
    assert trail.events == [(Event.QUERY_ADMITTED, Outcome.ALLOWED), (Event.QUERY_FINISHED, Outcome.FAILED)]


async def test_a_caller_who_leaves_while_the_end_is_recorded_leaves_one_end() -> None:
    trail = SlowTrail()
    one = statement(trail)
    trail.durable.set()
    await one.admit(admission(one), cast("StatementSession", Delivered()))
    trail.durable.clear()
    await cancelled_while(trail, one, one.finish)
    assert trail.events == [(Event.QUERY_ADMITTED, Outcome.ALLOWED), (Event.QUERY_FINISHED, Outcome.ALLOWED)]


async def test_a_refusal_names_the_table_that_it_is_about() -> None:
    trail = SlowTrail()
    trail.durable.set()
    one = statement(trail)
    with pytest.raises(PenstockError):
        async with one.failures_recorded():
            raise NotFound(Reason.TABLE_NOT_FOUND, "there is no table `a.b`", metadata=(("table", "a.b"),))
    assert [record.resources for record in trail.records] == [("a.b",)]
