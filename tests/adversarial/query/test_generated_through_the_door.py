"""Generated statements through the whole door: decided, bound, supplied by readers and extracts, run, audited.

Each world has a door of its own, with the same policy; what a caller gets must be the same from all, to the byte.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from penstock_server.audit.log import AuditLog
from penstock_server.broker.policies import Policies
from penstock_server.engines.duckdb import errors
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.launch import ZYGOTE, private_zygote
from penstock_server.errors import PenstockError
from penstock_server.model.clock import SystemClock
from penstock_server.query.door import QueryDoor
from penstock_server.query.requests import QueryHeader
from support import generated_statements as generated
from support import governed_worlds as worlds
from support.query_stand import Stand, request, run, settings

MEMORY = 256 * 1024 * 1024
ROWS = 2_000
SEED = 900


@contextlib.asynccontextmanager
async def _door(folder: Path, place: Path, world: str, storage: str, *, extracts: int) -> AsyncIterator[Stand]:
    place.mkdir()  # noqa: ASYNC240 - nothing else runs yet
    budgets = EngineBudgets(memory_bytes=MEMORY, threads=1, workers_ahead=2, readers_ahead=1, extract_bytes=extracts)
    clock, policies = SystemClock(), Policies()
    audit = AuditLog.open(place / "audit", clock)
    with private_zygote(ZYGOTE) as control:
        engine = DuckDbEngine(catalogs=(worlds.catalog(folder, world, storage),), budgets=budgets)
        engine.attach(control)
        async with engine:
            door = QueryDoor(engine=engine, policies=policies, audit=audit, clock=clock, settings=settings())
            yield Stand(door=door, engine=engine, policies=policies, audit=audit, folder=place)
    await audit.close()


async def _answer(stand: Stand, number: int, sql: str) -> tuple[bytes, ...]:
    try:
        header, *parts = await run(stand, f"r{number}", request(sql))
    except PenstockError as error:
        return (errors.to_json(error),)
    assert isinstance(header, QueryHeader)
    return (header.schema, *(part for part in parts if isinstance(part, bytes)))


async def _compare(folder: Path, work: Path, policy: str, count: int, *, extracts: int, seed: int) -> tuple[int, int]:
    permitted = worlds.governed(work, policy)
    columns = {shown.column.name: shown.column.type.sql for shown in permitted.columns}
    asked = generated.statements(seed, count, columns)
    expected: list[tuple[bytes, ...]] = []
    compared = 0
    for world, storage in zip(worlds.worlds_of(policy), worlds.STORAGES, strict=False):
        async with _door(folder, work / f"{policy} {world} {extracts}", world, storage, extracts=extracts) as stand:
            (stand.folder / "rules.csv").write_text(worlds.RULES_FILE)
            await stand.replace_policy(f"version: 1\n{worlds.POLICIES[policy]}\n")
            given = [
                await _answer(stand, number, one.sql.replace("from t", "from nyc.t"))
                for number, one in enumerate(asked)
            ]
        for one, answer, first in zip(asked, given, expected or given, strict=True):
            assert answer == first, (seed, policy, world, storage, one.sql)
            assert not any(worlds.CANARY in part for part in answer), (seed, policy, world, storage, one.sql)
        compared += len(given) if expected else 0
        expected = expected or given
    return compared, sum(len(answer) > 1 for answer in expected)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("generated")
    worlds.build(made, ROWS)
    return made


async def test_some_generated_statements_find_no_difference(folder: Path, tmp_path: Path) -> None:
    compared, answered = await _compare(folder, tmp_path, "text masks", 5, extracts=0, seed=SEED)
    assert compared == 10
    assert answered > 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("policy", worlds.POLICIES)
async def test_five_hundred_comparisons_find_no_difference(folder: Path, tmp_path: Path, policy: str) -> None:
    # Ten policies: 2 x 15 x (8 x 2 + 2 x 1) = 540.
    for extracts in (0, 64 << 20):
        compared, answered = await _compare(folder, tmp_path, policy, 15, extracts=extracts, seed=SEED + extracts % 7)
        assert compared == 15 * (len(worlds.worlds_of(policy)) - 1)
        assert answered > 5
