"""Extracts: made once, found by fingerprint, state of the source and columns, and never when they should not be."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.extracts.extract import SEALS, Extract, ExtractKey
from penstock_server.engines.duckdb.extracts.store import Wanted
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import Reason, Unavailable
from support import engine_processes as processes

QUOTA = 64 << 20
SQL = "SELECT region, count(*) AS n, sum(amount) AS s FROM shop.orders GROUP BY region ORDER BY ALL"
EVERYTHING = processes.governed()
NORTH = processes.governed(processes.NORTH)
REGIONS = processes.governed(schema=processes.REGIONS)


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


@pytest.fixture
def catalog(tmp_path: Path) -> CatalogSettings:
    return processes.make_catalog(tmp_path / "lake")


async def ask(engine: DuckDbEngine, sql: str, fingerprint: str | None = "all") -> list[dict[str, object]]:
    table = NORTH if fingerprint == "north" else EVERYTHING
    return await processes.answer(engine, sql, table, REGIONS, fingerprint=fingerprint)


def only(engine: DuckDbEngine) -> Extract:
    (extract,) = engine.extracts.kept
    return extract


def content(extract: Extract) -> bytes:
    return os.pread(extract.file.descriptor, extract.file.size, 0)


async def test_an_extract_answers_as_the_source_does_and_is_made_once(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        inline = await ask(engine, SQL, None)
        assert engine.extracts.kept == ()
        assert await ask(engine, SQL) == inline
        made = only(engine)
        assert (made.columns, made.rows) == (("region", "amount"), processes.ROWS)
        for sql in (SQL, "SELECT region, count(*) AS n, sum(amount) AS s FROM shop.orders GROUP BY ALL ORDER BY ALL"):
            assert await ask(engine, sql) == inline
        assert await ask(engine, "SELECT count(*) AS n FROM shop.orders") == [{"n": processes.ROWS}]
        assert only(engine) is made


async def test_people_at_the_same_time_wait_for_one_extract(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        answers = await asyncio.gather(*(ask(engine, SQL) for _ in range(3)))
        assert answers[0] == answers[1] == answers[2]
        only(engine)


async def test_another_decision_has_another_extract(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, SQL)
        assert [row["region"] for row in await ask(engine, SQL, "north")] == ["north"]
        assert [extract.rows for extract in engine.extracts.kept] == [processes.ROWS, processes.ROWS // 2]


async def test_columns_that_are_asked_later_widen_the_extract(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, "SELECT count(*) AS n FROM shop.orders")
        assert only(engine).columns == ()
        assert await ask(engine, "SELECT max(amount) AS m FROM shop.orders") == [{"m": (processes.ROWS - 1) / 2}]
        assert only(engine).columns == ("amount",)
        assert await ask(engine, "SELECT max(id) AS m FROM shop.orders") == [{"m": processes.ROWS - 1}]
        assert only(engine).columns == ("id", "amount")


async def test_a_source_that_changed_is_read_anew_and_the_stale_extract_is_gone(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    count = "SELECT count(*) AS n FROM shop.regions"
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        assert await ask(engine, count) == [{"n": 2}]
        first = only(engine)
        (catalog.path / "shop/regions/1.parquet").unlink()
        assert await ask(engine, count) == [{"n": 1}]
        assert only(engine) is not first
        # The same size, at the same time of writing: what the file system changes with every write still tells.
        file = catalog.path / "shop/regions/0.parquet"
        before = file.stat()
        duckdb.sql(f"COPY (SELECT 'south' AS name, 'Sol' AS manager) TO '{file}'")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        assert await ask(engine, "SELECT name FROM shop.regions") == [{"name": "south"}]


async def test_what_was_made_of_a_file_that_has_not_rested_is_not_kept(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=3600) as engine:
        assert len(await ask(engine, SQL)) == 2
        assert engine.extracts.kept == ()


@pytest.mark.parametrize("place", ["shop/orders.parquet", "shop"])
async def test_what_was_made_while_a_link_led_elsewhere_is_not_kept(
    zygote: processes.Zygote, catalog: CatalogSettings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    link = catalog.path / place
    here, there = (link.with_name(f".{name}") for name in ("here", "there"))
    link.rename(here)
    link.symlink_to(here)
    (shutil.copytree if here.is_dir() else shutil.copy)(here, there)
    other = there / "orders.parquet" if there.is_dir() else there
    body = "SELECT 1::BIGINT AS id, 'elsewhere' AS region, 1.0::DOUBLE AS amount"
    duckdb.sql(f"COPY ({body}) TO '{other}' (FORMAT parquet)")
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        make = engine.extracts._make

        async def meanwhile(wanted: Wanted, key: ExtractKey) -> Extract:
            _lead(link, there)
            try:
                return await make(wanted, key)
            finally:
                _lead(link, here)

        with monkeypatch.context() as swapping:
            swapping.setattr(engine.extracts, "_make", meanwhile)
            assert [row["region"] for row in await ask(engine, SQL)] == ["elsewhere"]
        assert [row["region"] for row in await ask(engine, SQL)] == ["north", "south"]


def _lead(link: Path, target: Path) -> None:
    """Let a link lead elsewhere, at once and without a gap."""
    fresh = link.with_name(".fresh")
    fresh.symlink_to(target)
    fresh.rename(link)


async def test_an_extract_is_sealed_before_anybody_reads_it(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, SQL)
        descriptor = only(engine).file.descriptor
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == SEALS
        with pytest.raises(PermissionError):
            os.pwrite(descriptor, b"x", 0)


async def test_a_worker_refuses_an_extract_that_could_still_change(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, SQL)
        kept = only(engine)
        unsealed = os.memfd_create("unsealed")
        os.write(unsealed, content(kept))
        os.dup2(unsealed, kept.file.descriptor)
        os.close(unsealed)
        with pytest.raises(Unavailable) as raised:
            await ask(engine, SQL)
        assert raised.value.reason is Reason.WORKER_LOST


async def test_an_extract_holds_permitted_cells_alone(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, "SELECT * FROM shop.orders", "north")
        north = content(only(engine))
        engine.extracts.drop()
        await ask(engine, "SELECT * FROM shop.orders")
        assert b"north" in north
        assert b"south" not in north
        assert b"south" in content(only(engine))


async def test_what_does_not_fit_comes_inline(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=64 << 10, resting=0) as engine:
        assert len(await ask(engine, "SELECT * FROM shop.orders")) == processes.ROWS
        assert len(await ask(engine, "SELECT * FROM shop.orders")) == processes.ROWS
        assert engine.extracts.kept == ()


async def test_the_longest_unused_goes_first(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        for fingerprint in ("a", "b", "c"):
            await ask(engine, SQL, fingerprint)
        size = only_size(engine)
    async with processes.engine(zygote, catalog, extracts=2 * size + size // 2, resting=0) as engine:
        for fingerprint in ("a", "b", "a", "c"):
            await ask(engine, SQL, fingerprint)
        assert [extract.key.fingerprint for extract in engine.extracts.kept] == ["a", "c"]
        assert engine.extracts.bytes == 2 * size


def only_size(engine: DuckDbEngine) -> int:
    (size,) = {extract.file.size for extract in engine.extracts.kept}
    return size


async def test_an_extract_that_was_let_go_is_closed_with_its_last_reader(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        await ask(engine, SQL)
        descriptor = only(engine).file.descriptor
        async with engine.session(processes.limits()) as session:
            await processes.prepare(session, SQL, EVERYTHING, fingerprint="all")
            engine.extracts.drop()
            assert len([batch async for batch in session.run()]) == 1
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


async def test_an_extract_ends_with_the_decision_that_it_was_made_for(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        soon = datetime.now(UTC) + timedelta(seconds=3)
        async with engine.session(processes.limits()) as session:
            await processes.prepare(session, SQL, EVERYTHING, fingerprint="all", expires_at=soon)
            only(engine)
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.1)
        assert engine.extracts.kept == ()


async def test_an_extract_that_was_let_go_is_closed_long_before_its_decision_ends(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        for fingerprint in ("one", "another"):
            async with engine.session(processes.limits()) as session:
                later = datetime.now(UTC) + timedelta(hours=1)
                await processes.prepare(session, SQL, EVERYTHING, fingerprint=fingerprint, expires_at=later)
        first, second = (weakref.ref(extract.file) for extract in engine.extracts.kept)
        # A wider one takes the place of the first, a change of the source that of the second.
        await ask(engine, "SELECT max(id) AS m FROM shop.orders", "one")
        assert first() is None
        assert second() is not None
        os.utime(catalog.path / "shop/orders.parquet")
        await ask(engine, SQL, "third")
        assert second() is None


async def test_joins_take_some_tables_as_extracts_and_others_inline(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    sql = "SELECT manager, count(*) AS n FROM shop.orders JOIN shop.regions ON region = name GROUP BY ALL ORDER BY ALL"
    half = processes.ROWS // 2
    expected = [{"manager": "Nia", "n": half}, {"manager": "Sol", "n": half}]
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        for _ in range(2):
            assert await ask(engine, sql) == expected
        assert len(engine.extracts.kept) == 2
    # One of them fits.
    async with processes.engine(zygote, catalog, extracts=300 << 10, resting=0) as engine:
        for _ in range(2):
            assert await ask(engine, sql) == expected


async def test_a_table_that_cannot_be_read_is_the_same_error_for_everybody_who_waits(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    (catalog.path / "shop/orders.parquet").write_bytes(b"PAR1 no more PAR1")
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        failed = await asyncio.gather(*(ask(engine, SQL) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in failed)
        assert {error.reason for error in failed if isinstance(error, Unavailable)} == {Reason.TABLE_UNREADABLE}
        assert engine.extracts.kept == ()


async def test_a_caller_that_goes_away_leaves_the_extract_to_the_others(
    zygote: processes.Zygote, catalog: CatalogSettings
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        impatient = asyncio.create_task(ask(engine, SQL))
        patient = asyncio.create_task(ask(engine, SQL))
        await asyncio.wait((impatient,), timeout=0.05)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        assert len(await patient) == 2
        only(engine)
