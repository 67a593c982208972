"""A statement that waits until what is kept of a table has been made tells its caller so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import penstock
import pytest
from penstock.cli import progress as client_progress
from penstock_server.engines.duckdb import session
from penstock_server.engines.duckdb.engine import EngineBudgets
from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey
from penstock_server.engines.duckdb.extracts.store import Wanted
from penstock_server.query.requests import QueryHeader, QueryProgress
from support import query_stand
from support.query_stand import analyst, context, request, standing
from support.server import ServerProcess, running_server
from support.small_lake import token_for


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    query = "{timeout: 60s, memory: 256MiB, concurrency: 2, extracts: {memory: 64MiB}}"
    with running_server(tmp_path_factory.mktemp("keeping"), query=query) as running:
        yield running


def _keeping_budgets(*, memory_bytes: int, threads: int, workers_ahead: int, readers_ahead: int) -> EngineBudgets:
    return EngineBudgets(
        memory_bytes=memory_bytes,
        threads=threads,
        workers_ahead=workers_ahead,
        readers_ahead=readers_ahead,
        extract_bytes=64 << 20,
    )


async def test_progress_comes_before_the_header_and_names_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_TELLS_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(query_stand, "EngineBudgets", _keeping_budgets)
    may_end = asyncio.Event()
    async with standing(tmp_path) as stand:
        real = stand.engine.extracts._make

        async def slow(wanted: Wanted, key: ExtractKey) -> Extract:
            await may_end.wait()
            return await real(wanted, key)

        monkeypatch.setattr(stand.engine.extracts, "_make", slow)
        told: list[object] = []
        asked = replace(request("select count(carrier) from nyc.flights"), progress=True)
        async with contextlib.aclosing(stand.door.execute(analyst(), asked, context("waits"))) as parts:
            async for part in parts:
                told.append(part)
                if isinstance(part, QueryProgress):
                    assert await stand.records("waits") == []
                    may_end.set()
    progress = [part for part in told if isinstance(part, QueryProgress)]
    assert {str(part.table) for part in progress} == {"lake.nyc.flights"}
    assert isinstance(told[told.index(progress[0]) + 1], QueryHeader)


def test_the_client_reads_answers_with_and_without_progress(keeping: ServerProcess) -> None:
    with penstock.connect(keeping.address, token=token_for("alice")) as alice:
        for _ in range(3):
            told: list[str] = []
            rows = alice.query("select count(*) from nyc.numbers", progress=told.append).rows()
            assert rows == [(200_000,)]
            assert set(told) <= {"lake.nyc.numbers"}


def test_the_command_tells_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_progress.telling() is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert client_progress.telling() is not None
