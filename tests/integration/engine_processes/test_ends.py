"""How statements end early: cancelled, too slow, too large, unread; and what is left behind: nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.predicate import Compare, Comparison
from support import engine_processes as processes
from support.engine_processes import NORTH, governed, limits

ENDLESS = "SELECT sum(a.range * b.range + a.range % 7) AS s FROM range(1000000) a, range(1000000) b"
ONE_LONG_CALL = "SELECT levenshtein(repeat('a', 60000), repeat('b', 60000)) AS d"
STREAM = "SELECT o.*, repeat('x', 500) AS pad FROM shop.orders o, range(50)"


async def cancel_one(engine: DuckDbEngine) -> float:
    """Cancel an endless statement at work; gives the seconds until its process is gone."""
    clock = asyncio.get_running_loop()
    async with engine.session(limits()) as session:
        await processes.prepare(session, ENDLESS)
        worker = processes.worker_of(session)
        running = asyncio.ensure_future(anext(session.run()))
        await processes.until(lambda: processes.cpu_seconds(worker) > 0.1, within=20, what="it works")
        began = clock.time()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await processes.until(lambda: processes.state(worker) == "gone", within=5, what="it stops")
    return clock.time() - began


async def test_a_cancelled_statement_stops_within_100_milliseconds(engine: DuckDbEngine) -> None:
    durations = sorted([await cancel_one(engine) for _ in range(3)])
    assert durations[1] < 0.1


async def test_the_deadline_ends_even_one_long_call(engine: DuckDbEngine) -> None:
    """DuckDB looks at interrupts between vectors only; a kill needs no cooperation."""
    async with engine.session(limits(timeout=1.0)) as session:
        await processes.prepare(session, ONE_LONG_CALL)
        worker = processes.worker_of(session)
        with pytest.raises(LimitExceeded) as caught:
            await anext(session.run())
    assert (caught.value.reason, caught.value.value) == (Reason.QUERY_TIMEOUT, "1s")
    await processes.until(lambda: processes.state(worker) == "gone", within=1, what="the worker ends")


async def test_the_deadline_counts_all_steps_together(engine: DuckDbEngine) -> None:
    with pytest.raises(LimitExceeded) as caught:
        async with engine.session(limits(timeout=0.0001)) as session:
            await session.parse("SELECT 1")
    assert caught.value.reason is Reason.QUERY_TIMEOUT


async def test_a_reader_past_the_deadline_ends_too(engine: DuckDbEngine) -> None:
    readers = engine._readers
    await processes.until(lambda: readers.ready == 1, within=10, what="a reader is opened ahead")
    reader = readers._ready[0].process
    os.kill(reader, signal.SIGSTOP)
    with pytest.raises(LimitExceeded) as caught:
        await processes.answer(engine, "SELECT id FROM shop.orders", governed(), within=limits(timeout=0.5))
    assert caught.value.reason is Reason.QUERY_TIMEOUT
    await processes.until(lambda: processes.state(reader) == "gone", within=2, what="the reader ends")


async def test_waiting_for_the_client_is_no_engine_time(engine: DuckDbEngine) -> None:
    async with engine.session(limits(timeout=1.0)) as session:
        await processes.prepare(session, "SELECT o.*, repeat('x', 500) AS pad FROM shop.orders o", governed())
        slept = 0
        async for _ in session.run():
            if slept < 2:
                await asyncio.sleep(0.6)
                slept += 1
        assert slept == 2
        assert session.counts.rows == processes.ROWS


async def test_a_client_that_does_not_read_loses_its_worker(engine: DuckDbEngine) -> None:
    async with engine.session(limits(stall=0.3)) as session:
        await processes.prepare(session, STREAM, governed())
        worker = processes.worker_of(session)
        stream = session.run()
        await anext(stream)
        await processes.until(lambda: processes.state(worker) == "gone", within=3, what="the worker is given up")
        with pytest.raises(LimitExceeded) as caught:
            await anext(stream)
    assert caught.value.reason is Reason.QUERY_STALLED


async def test_too_much_memory_is_one_statement_s_error(engine: DuckDbEngine) -> None:
    sql = "SELECT string_agg(repeat('x', 1000) || range, '') AS s FROM range(4000000)"
    with pytest.raises(LimitExceeded) as caught:
        await processes.answer(engine, sql)
    assert caught.value.reason is Reason.QUERY_MEMORY
    assert await processes.answer(engine, "SELECT 1 AS one") == [{"one": 1}]


async def test_permitted_rows_that_do_not_fit_are_the_statement_s_limit(
    zygote: processes.Zygote, tmp_path: Path
) -> None:
    """Not a fault of the source: what counts is what is permitted, and that is the caller's to narrow."""
    catalog = processes.make_catalog(tmp_path / "lake")
    processes.widen(catalog, kilobytes=20, rows=8_000)
    sql = "SELECT max(length(region)) AS longest FROM shop.orders"
    async with processes.engine(zygote, catalog, memory=64 << 20) as made:
        narrow = processes.limits(memory=64 << 20)
        with pytest.raises(LimitExceeded) as caught:
            await processes.answer(made, sql, governed(), within=narrow)
        few = governed(Compare(column="id", op=Comparison.LESS, value=100))
        assert await processes.answer(made, sql, few, within=narrow) == [{"longest": 20_000}]
    assert caught.value.reason is Reason.QUERY_MEMORY


async def test_a_statement_cannot_have_another_memory_than_the_workers(engine: DuckDbEngine) -> None:
    with pytest.raises(ValueError, match="memory"):
        engine.session(limits(memory=64 << 20))


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(engine: DuckDbEngine) -> None:
    workers = []
    for _ in range(3):
        async with engine.session(limits()) as session:
            await processes.prepare(session, STREAM, governed())
            workers.append(processes.worker_of(session))
            await anext(session.run())
    await processes.until(
        lambda: all(processes.state(worker) == "gone" for worker in workers), within=2, what="all workers end"
    )


async def test_many_statements_leave_no_descriptor_and_no_process(
    engine: DuckDbEngine, zygote: processes.Zygote
) -> None:
    def open_here() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def settle() -> None:
        await processes.until(
            lambda: len(processes.children(zygote.pid)) == 2, within=10, what="one worker and one reader wait"
        )

    await processes.answer(engine, "SELECT count(*) AS n FROM shop.orders", governed(NORTH))
    await settle()
    before, zygote_before = open_here(), len(os.listdir(f"/proc/{zygote.pid}/fd"))
    for number in range(15):
        if number % 5 == 4:
            async with engine.session(limits()) as session:
                await processes.prepare(session, STREAM, governed())
                await anext(session.run())
        else:
            await processes.answer(engine, "SELECT count(*) AS n FROM shop.orders", governed(NORTH))
    await settle()
    await processes.until(lambda: open_here() <= before, within=2, what="every descriptor is closed")
    assert len(os.listdir(f"/proc/{zygote.pid}/fd")) == zygote_before
