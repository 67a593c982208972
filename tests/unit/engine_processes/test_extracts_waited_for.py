"""Extracts that wait for their turn: who goes away before it comes leaves nothing behind; and how many may be held."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.engines.duckdb.extracts import versions
from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey, MemoryFile
from penstock_server.engines.duckdb.extracts.store import ExtractStore, Wanted
from penstock_server.engines.duckdb.relations import ParquetFiles
from support import engine_processes as processes

MANY = 20


class SlowDisk:
    """Makes empty extracts once it is let, and notes for whom it began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.may_end = asyncio.Event()

    async def make(self, wanted: Wanted, key: ExtractKey) -> Extract:
        self.began.append(wanted.fingerprint)
        await self.may_end.wait()
        return Extract(key=key, columns=wanted.columns, rows=0, file=MemoryFile())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.parquet"
    path.write_bytes(b"")
    return path


def wanted(file: Path, fingerprint: str) -> Wanted:
    return Wanted(
        table=processes.governed(),
        fingerprint=fingerprint,
        source=ParquetFiles(files=(file,)),
        columns=("id",),
        expires_at=None,
    )


@pytest.fixture(autouse=True)
async def one_thread() -> AsyncIterator[None]:
    """Files are looked at in one thread, in the order of asking: `let_run` knows when all have been."""
    with ThreadPoolExecutor(1) as executor:
        asyncio.get_running_loop().set_default_executor(executor)
        yield


async def let_run() -> None:
    for _ in range(5):
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(0)


async def test_what_nobody_waits_for_any_more_takes_no_turn_of_others(file: Path) -> None:
    disk = SlowDisk()
    store = ExtractStore(disk.make, quota_bytes=1 << 20)
    gone = [asyncio.create_task(store.get(wanted(file, f"gone {number}"))) for number in range(MANY)]
    await let_run()
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    patient = asyncio.create_task(store.get(wanted(file, "patient")))
    await let_run()
    disk.may_end.set()
    assert await patient is not None
    # What was begun goes on for whoever comes next.
    assert disk.began == ["gone 0", "gone 1", "patient"]
    await store.close()


async def test_who_waits_beside_one_that_goes_away_is_served(file: Path) -> None:
    disk = SlowDisk()
    store = ExtractStore(disk.make, quota_bytes=1 << 20)
    others = [asyncio.create_task(store.get(wanted(file, name))) for name in ("a", "b")]
    impatient, patient = (asyncio.create_task(store.get(wanted(file, "shared"))) for _ in range(2))
    await let_run()
    impatient.cancel()
    await let_run()
    disk.may_end.set()
    assert await patient is not None
    assert disk.began == ["a", "b", "shared"]
    await asyncio.gather(*others)
    await store.close()


async def test_an_extract_that_nobody_waits_for_any_more_can_be_asked_again(file: Path) -> None:
    disk = SlowDisk()
    store = ExtractStore(disk.make, quota_bytes=1 << 20)
    others = [asyncio.create_task(store.get(wanted(file, name))) for name in ("a", "b")]
    await let_run()
    gone = asyncio.create_task(store.get(wanted(file, "again")))
    await let_run()
    gone.cancel()
    again = asyncio.create_task(store.get(wanted(file, "again")))
    await let_run()
    disk.may_end.set()
    assert await again is not None
    await asyncio.gather(*others)
    await store.close()


async def test_what_statements_hold_is_bounded_also_where_it_is_not_kept(file: Path) -> None:
    quota = 100_000

    async def make(wanted: Wanted, key: ExtractKey) -> Extract:
        made = MemoryFile()
        os.truncate(made.descriptor, 90_000)
        return Extract(key=key, columns=wanted.columns, rows=0, file=made)

    store = ExtractStore(make, quota_bytes=quota, resting=timedelta(0))
    held = [await store.get(wanted(file, f"{number}")) for number in range(8)]
    assert [extract is not None for extract in held] == [True, True, True, False, False, False, False, False]
    assert store.bytes <= quota
    assert store.bytes_lent == 2 * 90_000
    del held
    assert await store.get(wanted(file, "later")) is not None
    await store.close()


async def test_closing_ends_what_is_under_way_also_where_a_wider_one_took_its_place(file: Path) -> None:
    disk = SlowDisk()
    store = ExtractStore(disk.make, quota_bytes=1 << 20)
    narrow = asyncio.create_task(store.get(wanted(file, "same")))
    await let_run()
    wide = asyncio.create_task(store.get(replace(wanted(file, "same"), columns=("id", "amount"))))
    await let_run()
    assert disk.began == ["same", "same"]
    await store.close()
    await let_run()
    assert (narrow.done(), wide.done()) == (True, True)


async def test_files_are_looked_at_beside_the_event_loop(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table has tens of thousands of them: on the loop they would stop every other call."""
    looked: set[int] = set()
    real = versions._state

    def state(path: Path, *, follow: bool = True) -> versions.FileState:
        looked.add(threading.get_ident())
        return real(path, follow=follow)

    monkeypatch.setattr(versions, "_state", state)
    disk = SlowDisk()
    disk.may_end.set()
    store = ExtractStore(disk.make, quota_bytes=1 << 20, resting=timedelta(seconds=-60))
    assert await store.get(wanted(file, "one")) is not None
    assert [extract.key.fingerprint for extract in store.kept] == ["one"]
    assert looked
    assert threading.get_ident() not in looked


async def test_what_nobody_asks_for_under_another_policy_is_let_go(file: Path) -> None:
    disk = SlowDisk()
    disk.may_end.set()
    store = ExtractStore(
        disk.make, quota_bytes=1 << 20, resting=timedelta(seconds=-60), doubted_for=timedelta(seconds=1)
    )
    for fingerprint in ("asked again", "not any more"):
        await store.get(wanted(file, fingerprint))
    store.doubt()
    await store.get(wanted(file, "asked again"))
    async with asyncio.timeout(30):
        while len(store.kept) > 1:  # noqa: ASYNC110 - a timer tells nobody
            await asyncio.sleep(0.01)
    assert [extract.key.fingerprint for extract in store.kept] == ["asked again"]
    await store.close()


MIB = 1 << 20


@pytest.mark.parametrize(
    ("grown", "kept", "given"),
    [(MIB, ["small", "large"], True), (3 * MIB // 2, ["large"], True), (5 * MIB // 2, [], False)],
    ids=["within", "what is kept goes first", "then the making ends"],
)
async def test_all_together_is_never_more_than_twice_the_quota(
    file: Path, grown: int, kept: list[str], given: bool
) -> None:
    growing = 0
    may_end = asyncio.Event()

    async def make(asked: Wanted, key: ExtractKey) -> Extract:
        nonlocal growing
        made = MemoryFile()
        if asked.fingerprint == "small":
            os.ftruncate(made.descriptor, MIB)
        else:
            growing = grown
            await may_end.wait()
            growing = 0
        return Extract(key=key, columns=asked.columns, rows=0, file=made)

    store = ExtractStore(make, quota_bytes=MIB, resting=timedelta(seconds=-60), growing=lambda: growing)
    assert await store.get(wanted(file, "small")) is not None
    waiting = asyncio.create_task(store.get(wanted(file, "large")))
    async with asyncio.timeout(30):
        while not growing:
            await let_run()
        while given and len(store.kept) != len(kept) - 1:  # noqa: ASYNC110 - a look tells nobody
            await asyncio.sleep(0.01)
        if given:
            may_end.set()
        found = await waiting
    assert (found is not None) is given
    assert [extract.key.fingerprint for extract in store.kept] == kept
    await store.close()
