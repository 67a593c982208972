"""Processes that are killed, and what their statements and their survivors do then."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from typing import NoReturn

import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import Reason, Unavailable
from support import engine_processes as processes
from support.engine_processes import governed, limits

ENDLESS = "SELECT sum(a.range * b.range + a.range % 7) AS s FROM range(1000000) a, range(1000000) b"


async def test_a_killed_worker_is_one_statement_lost(engine: DuckDbEngine) -> None:
    async with engine.session(limits()) as session:
        await processes.prepare(session, ENDLESS)
        running = asyncio.ensure_future(anext(session.run()))
        worker = processes.worker_of(session)
        await processes.until(lambda: processes.cpu_seconds(worker) > 0.1, within=20, what="it works")
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await running
    assert caught.value.reason is Reason.WORKER_LOST
    assert caught.value.retry_after_seconds is not None
    assert await processes.answer(engine, "SELECT 1 AS one") == [{"one": 1}]


async def test_workers_killed_while_they_wait_are_replaced(engine: DuckDbEngine) -> None:
    for _ in range(3):
        await processes.until(lambda: engine._workers.ready == 1, within=10, what="a worker waits")
        worker = engine._workers._ready[0]
        os.kill(worker.process, signal.SIGKILL)
        while worker.alive:  # without the event loop, so that nobody has noticed yet
            pass
        assert await processes.answer(engine, "SELECT 1 AS one") == [{"one": 1}]


async def test_a_killed_reader_never_looks_like_a_shorter_table(engine: DuckDbEngine) -> None:
    await processes.until(lambda: engine._readers.ready == 1, within=10, what="a reader waits")
    reader = engine._readers._ready[0].process
    os.kill(reader, signal.SIGSTOP)
    async with engine.session(limits()) as session:
        preparing = asyncio.ensure_future(
            processes.prepare(session, "SELECT count(*) AS n FROM shop.orders", governed())
        )
        await processes.until(lambda: processes.waits_on_pipe(session), within=10, what="the worker reads the pipe")
        os.kill(reader, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await preparing
    assert caught.value.reason is Reason.TABLE_UNREADABLE


async def test_a_lost_zygote_takes_its_children_and_its_statements(catalog: CatalogSettings) -> None:
    with processes.zygote(ZYGOTE) as lost:
        async with processes.engine(lost, catalog, ahead=2) as engine:
            async with engine.session(limits()) as session:
                await processes.prepare(session, ENDLESS)
                running = asyncio.ensure_future(anext(session.run()))
                await processes.until(lambda: engine._workers.ready == 2, within=10, what="workers wait")
                children = processes.children(lost.pid)
                os.kill(lost.pid, signal.SIGKILL)
                with pytest.raises(Unavailable) as caught:
                    await running
            await processes.until(
                lambda: all(processes.state(child) == "gone" for child in children), within=2, what="no child is left"
            )
            assert not engine.ready
    assert caught.value.reason is Reason.WORKER_LOST


async def test_statements_wait_for_the_next_zygote(catalog: CatalogSettings, zygote: processes.Zygote) -> None:
    with processes.zygote(ZYGOTE) as lost:
        async with processes.engine(lost, catalog) as engine:
            assert await processes.answer(engine, "SELECT 1 AS one") == [{"one": 1}]
            os.kill(lost.pid, signal.SIGKILL)
            await processes.until(lambda: not engine._control.attached, within=2, what="the loss is noticed")
            waiting = asyncio.ensure_future(processes.answer(engine, "SELECT 2 AS two"))
            await asyncio.sleep(0.05)
            engine.attach(zygote.control.dup())
            assert await waiting == [{"two": 2}]


async def test_without_a_zygote_a_statement_is_refused_after_a_while(catalog: CatalogSettings) -> None:
    async with processes.engine(None, catalog) as engine:
        engine._control._patience = 0.1
        with pytest.raises(Unavailable) as caught:
            await processes.answer(engine, "SELECT 1 AS one")
    assert caught.value.reason is Reason.WORKER_LOST


async def test_children_end_with_the_engine(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, ahead=2) as engine:
        await processes.until(lambda: engine._workers.ready == 2, within=10, what="workers wait")
        before = len(os.listdir("/proc/self/fd"))
    assert processes.children(zygote.pid) == []
    assert len(os.listdir("/proc/self/fd")) < before


async def test_a_zygote_ignores_the_signals_of_a_terminal_and_ends_with_its_socket(catalog: CatalogSettings) -> None:
    with processes.zygote(ZYGOTE) as started:
        async with processes.engine(started, catalog) as engine:
            assert await processes.answer(engine, "SELECT 1 AS one") == [{"one": 1}]
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(started.pid, number)
            assert await processes.answer(engine, "SELECT 2 AS two") == [{"two": 2}]
        assert os.getsid(started.pid) == started.pid
        started.control.close()
        await processes.until(lambda: processes.state(started.pid) == "gone", within=5, what="the zygote ends")


async def test_a_front_that_was_out_of_descriptors_opens_processes_ahead_again(
    zygote: processes.Zygote, catalog: CatalogSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes.engine(zygote, catalog) as engine:
        await processes.until(lambda: engine._workers.ready == 1, within=10, what="a worker waits")
        refused: list[int] = []

        def exhausted() -> NoReturn:
            refused.append(errno.EMFILE)
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as out:
            out.setattr("penstock_server.engines.duckdb.control.socket.socketpair", exhausted)
            (await engine._workers.take()).discard()
            await processes.until(lambda: bool(refused), within=10, what="no worker can be opened ahead")
            with pytest.raises(Unavailable) as raised:
                await engine._workers.take()
            assert raised.value.reason is Reason.WORKER_LOST
        await processes.until(lambda: engine.ready, within=10, what="a worker waits again")
