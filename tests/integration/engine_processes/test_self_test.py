"""The test of the barriers before serving: it is red as soon as one of them is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb import printing, two_worlds
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.sandbox import confinement, kernel, landlock
from penstock_server.errors import ConfigurationError, Unavailable
from penstock_server.model.decision import CellCase, GovernedTable
from penstock_server.model.predicate import Always
from support import engine_processes as processes


async def test_nothing_is_inspected_before_the_barriers_are_tried(
    engine: DuckDbEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await engine.inspect()
    (record,) = [record for record in caplog.records if record.message == "barriers hold"]
    assert record.__dict__["attempts"] > 15
    assert set(record.__dict__["barriers"]) == set(confinement.Barrier)


@pytest.fixture
def clean() -> Iterator[None]:
    """What a probe that got through has written."""
    yield
    for file in Path("/tmp").glob("penstock-probe*"):
        file.unlink()


@pytest.mark.parametrize(
    ("missing", "breach"),
    [
        ("landlock", "open a source"),
        ("landlock", "open a file of the system"),
        ("seccomp", "make a network socket"),
        ("seccomp", "fork"),
        ("seccomp", "hold the front's process"),
        ("seccomp", "execute a program"),
        ("everything", "open a source"),
        ("everything", "signal the zygote"),
        ("seccomp", "hold the process of another sealed process"),
        ("seccomp", "copy the memory of another sealed process"),
        ("doors", "find files by SQL"),
    ],
)
@pytest.mark.usefixtures("clean")
async def test_a_missing_barrier_stops_the_service(catalog: CatalogSettings, missing: str, breach: str) -> None:
    with processes.zygote((*processes.WEAK_ZYGOTE, missing)) as weak:
        async with processes.engine(weak, catalog) as engine:
            with pytest.raises(ConfigurationError) as caught:
                await engine.inspect()
    assert breach in str(caught.value)


async def test_a_kernel_without_landlock_serves_nothing(engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(ConfigurationError, match="Landlock"):
        await engine.inspect()


async def test_an_unknown_processor_serves_nothing(engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match="riscv64"):
        await engine.inspect()


EXTRACTS = 64 << 20


async def test_two_worlds_are_compared_inline_and_over_extracts(zygote: processes.Zygote) -> None:
    async with processes.engine(zygote, extracts=EXTRACTS) as engine:
        assert await engine.prove_worlds_alike() == 2 * len(two_worlds.STATEMENTS)


async def test_without_extracts_they_are_compared_inline(zygote: processes.Zygote) -> None:
    async with processes.engine(zygote) as engine:
        assert await engine.prove_worlds_alike() == len(two_worlds.STATEMENTS)


def without_rows(table: GovernedTable) -> GovernedTable:
    return replace(table, rows=())


def without_cases(table: GovernedTable) -> GovernedTable:
    clear = (CellCase(when=Always(), mask=None),)
    return replace(table, columns=tuple(replace(column, cases=clear) for column in table.columns))


@pytest.mark.parametrize("weaken", [without_rows, without_cases])
async def test_rows_or_cells_that_are_not_hidden_stop_the_service(
    zygote: processes.Zygote, monkeypatch: pytest.MonkeyPatch, weaken: Callable[[GovernedTable], GovernedTable]
) -> None:
    real = printing.source_statement
    monkeypatch.setattr(
        printing, "source_statement", lambda table, *given, **named: real(weaken(table), *given, **named)
    )
    async with processes.engine(zygote) as engine:
        with pytest.raises(ConfigurationError, match="differently"):
            await engine.prove_worlds_alike()


async def test_worlds_that_cannot_be_read_stop_the_service(
    zygote: processes.Zygote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(two_worlds, "WORLDS", (tmp_path, tmp_path))
    async with processes.engine(zygote) as engine:
        with pytest.raises((ConfigurationError, Unavailable)):
            await engine.prove_worlds_alike()


def test_the_worlds_differ_in_what_is_hidden_alone() -> None:
    permitted = """SELECT id, CASE WHEN grade = 'open' THEN (name, amount, tags) END FROM '{}'
                   WHERE region = 'ours' ORDER BY id"""
    hidden = "SELECT * FROM '{}' WHERE region <> 'ours' OR grade <> 'open'"
    files = [world / "penstock" / "cells.parquet" for world in two_worlds.WORLDS]
    with duckdb.connect() as connection:
        one, two = ([connection.execute(sql.format(file)).fetchall() for sql in (permitted, hidden)] for file in files)
    assert one[0] == two[0]
    assert len(one[0]) == 400
    assert not set(map(str, one[1])) & set(map(str, two[1]))
    assert len(one[1]) != len(two[1])
