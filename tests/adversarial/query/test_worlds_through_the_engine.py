"""The worlds through the whole engine: zygote, sandboxed readers, pipes, sealed workers, relayed frames."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb import errors
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import PenstockError
from penstock_server.model.decision import GovernedTable
from support import engine_processes as processes
from support import object_lake, worlds
from support.worlds import STORAGES, WORLDS, Outcome

VECTORS = Path(__file__).parents[2] / "vectors/query"
CHANNELS = [probe for probes in yaml.safe_load((VECTORS / "channels.yaml").read_text()).values() for probe in probes]
STATEMENTS: list[str] = yaml.safe_load((VECTORS / "statements.yaml").read_text())
EVERY = [sql.replace("{t}", "nyc.t") for sql in (*(probe["sql"] for probe in CHANNELS), *STATEMENTS)]
SOME = [
    *(sql.replace("{t}", "lake.nyc.t") for sql in (probe["sql"] for probe in CHANNELS[::5])),
    "select * from nyc.t where id < 30000",
    "select ssn from nyc.t",
    "select cast('a' || s as int) from nyc.t",
    "select id, v + 0 as v, v || 'x' as z from nyc.t",
]


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


async def ask(engine: DuckDbEngine, table: GovernedTable, sql: str, fingerprint: str | None = None) -> Outcome:
    try:
        async with engine.session(processes.limits(timeout=120)) as session:
            references = await session.parse(sql)
            resolved = [
                ResolvedReference(reference=reference, table=table, fingerprint=fingerprint) for reference in references
            ]
            bound = await session.bind(resolved, ())
            await session.supply()
            batches = [batch async for batch in session.run()]
    except PenstockError as error:
        return Outcome(schema=b"", batches=b"", error=(errors.to_json(error).decode(),))
    return Outcome(schema=bound.schema, batches=b"".join(batches), error=())


Places = list[tuple[str, str]]
"""Worlds with the storage in which each is asked."""

EVERYWHERE: Places = [(world, storage) for world in WORLDS for storage in STORAGES]
ON_S3: Places = [("poison", "s3"), ("benign", "parquet"), ("absent", "s3")]
IN_TURN: Places = [("poison", "native"), ("benign", "parquet"), ("absent", "native")]


@asynccontextmanager
async def engine_over(
    zygote: processes.Zygote, folder: Path, world: str, storage: str, **changes: Any
) -> AsyncIterator[DuckDbEngine]:
    """An engine over one world in one storage; on S3 it is that of the Parquet files."""
    if storage != "s3":
        async with processes.engine(zygote, worlds.catalog(folder, world, storage), **changes) as engine:
            yield engine
        return
    with object_lake.stand_in() as url, object_lake.lake(url) as lake:
        lake.fill(folder / world)
        async with processes.engine(zygote, lake.catalog, stores={"lake": lake.store}, **changes) as engine:
            yield engine


@pytest.mark.parametrize("policy", ["rows", "cells"])
async def test_objects_give_the_same_bytes_as_files_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare(zygote, folder, policy, SOME[::2], ON_S3)
    await compare_extracts(zygote, folder, policy, SOME[::3], ON_S3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("policy", ["rows", "list", "cells"])
async def test_every_statement_over_objects_gives_the_same_bytes_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare(zygote, folder, policy, EVERY, ON_S3)
    await compare_extracts(zygote, folder, policy, EVERY, ON_S3)


async def compare(zygote: processes.Zygote, folder: Path, policy: str, statements: list[str], places: Places) -> None:
    table = worlds.policies()[policy]
    expected: list[Outcome] = []
    for world, storage in places:
        if (policy, world) == ("cells", "absent"):
            continue  # without a rule on rows the number of rows is permitted, and differs
        async with engine_over(zygote, folder, world, storage) as engine:
            outcomes = [await ask(engine, table, sql) for sql in statements]
        expected = expected or outcomes
        for sql, outcome, first in zip(statements, outcomes, expected, strict=True):
            assert outcome == first, (world, storage, sql)
            assert worlds.CANARY_TEXT not in outcome.schema + outcome.batches, (world, storage, sql)
    assert any(outcome.error for outcome in expected)
    assert sum(len(outcome.batches) for outcome in expected) > 100_000


@pytest.mark.parametrize("policy", ["rows", "cells"])
async def test_some_statements_give_the_same_bytes_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare(zygote, folder, policy, SOME, IN_TURN)


async def compare_extracts(
    zygote: processes.Zygote, folder: Path, policy: str, statements: list[str], places: Places
) -> None:
    """Compare answers over kept extracts, and the extracts themselves."""
    table = worlds.policies()[policy]
    expected: list[Outcome] = []
    held: list[list[bytes]] = []
    for world, storage in places:
        if (policy, world) == ("cells", "absent"):
            continue  # as above
        async with engine_over(zygote, folder, world, storage, extracts=256 << 20, resting=0) as engine:
            await ask(engine, table, "select * from nyc.t", policy)
            outcomes = [await ask(engine, table, sql, policy) for sql in statements]
            kept = [os.pread(one.file.descriptor, one.file.size, 0) for one in engine.extracts.kept]
        expected = expected or outcomes
        held.append(kept)
        assert len(kept) == 1
        assert worlds.CANARY_TEXT not in kept[0], (world, storage)
        for sql, outcome, first in zip(statements, outcomes, expected, strict=True):
            assert outcome == first, (world, storage, sql)
            assert worlds.CANARY_TEXT not in outcome.schema + outcome.batches, (world, storage, sql)
    # The file itself holds a random number of its own, and nothing else that differs.
    assert len({len(kept[0]) for kept in held}) == 1


@pytest.mark.parametrize("policy", ["rows", "cells"])
async def test_some_statements_over_kept_extracts_give_the_same_bytes_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare_extracts(zygote, folder, policy, SOME, IN_TURN)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("policy", ["rows", "list", "cells"])
async def test_every_statement_over_kept_extracts_gives_the_same_bytes_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare_extracts(zygote, folder, policy, EVERY, EVERYWHERE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("policy", ["rows", "list", "cells"])
async def test_every_statement_gives_the_same_bytes_in_all_worlds(
    zygote: processes.Zygote, folder: Path, policy: str
) -> None:
    await compare(zygote, folder, policy, EVERY, EVERYWHERE)


async def test_an_inspection_of_any_world_pins_the_same_names_and_types(zygote: processes.Zygote, folder: Path) -> None:
    found = set()
    for world in WORLDS:
        for storage in STORAGES:
            async with processes.engine(zygote, worlds.catalog(folder, world, storage)) as engine:
                (schema,) = (await engine.inspect()).tables
                found.add(schema)
    assert found == {worlds.SCHEMA}
