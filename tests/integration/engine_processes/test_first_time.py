"""The first statement over a table: its rows come inline, with its own conditions copied; the next makes an extract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb import printing
from penstock_server.engines.duckdb import session as sessions
from penstock_server.engines.duckdb.column_tests import ColumnTest, ConditionKind, TableConjuncts
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.extracts.first_time import FirstTimes
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import Reason, Unavailable
from support import engine_processes as processes

QUOTA = 64 << 20
SQL = "SELECT id, region FROM shop.orders WHERE id BETWEEN 100 AND 103 AND region = 'north' ORDER BY id"
NORTH = processes.governed(processes.NORTH)
FOUND = [{"id": 100, "region": "north"}, {"id": 102, "region": "north"}]


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


@pytest.fixture
def catalog(tmp_path: Path) -> CatalogSettings:
    return processes.make_catalog(tmp_path / "lake")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What readers are asked, in order."""
    found: list[str] = []
    real = printing.source_statement

    def noted(*given: object, **named: object) -> str:
        found.append(real(*given, **named))  # type: ignore[arg-type]  # handed on as they are
        return found[-1]

    monkeypatch.setattr(printing, "source_statement", noted)
    return found


async def ask(engine: DuckDbEngine, sql: str = SQL, fingerprint: str = "north") -> list[dict[str, object]]:
    return await processes.answer(engine, sql, NORTH, fingerprint=fingerprint)


async def test_the_first_statement_has_its_conditions_copied_and_no_kept_extract_has_any(
    zygote: processes.Zygote, catalog: CatalogSettings, printed: list[str]
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0, extracts_from=2) as engine:
        assert await ask(engine) == FOUND
        assert not list(engine.extracts.kept)
        assert await ask(engine) == FOUND
        assert [extract.rows for extract in engine.extracts.kept] == [processes.ROWS // 2]
        assert await ask(engine) == FOUND
    first, second = printed
    assert "100" in first
    assert "103" in first
    assert "100" not in second


async def test_an_extract_that_is_there_is_used_the_first_time_too(
    zygote: processes.Zygote, catalog: CatalogSettings, printed: list[str]
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0) as engine:
        assert await ask(engine) == FOUND
        engine._first_times = FirstTimes(extracts_from=2)
        assert await ask(engine) == FOUND
    assert len(printed) == 1


async def test_each_decision_has_a_first_time_of_its_own(
    zygote: processes.Zygote, catalog: CatalogSettings, printed: list[str]
) -> None:
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0, extracts_from=2) as engine:
        await ask(engine, fingerprint="one")
        await ask(engine, fingerprint="other")
        assert not list(engine.extracts.kept)


async def test_more_rows_than_may_come_inline_become_an_extract_at_once(
    zygote: processes.Zygote, catalog: CatalogSettings, monkeypatch: pytest.MonkeyPatch, printed: list[str]
) -> None:
    monkeypatch.setattr(sessions, "_SHARE_OF_MEMORY", processes.MEMORY // 50_000)
    everything = "SELECT count(*) AS n, sum(id) AS s, max(region) AS r FROM shop.orders WHERE id >= 0"
    async with processes.engine(zygote, catalog, extracts=QUOTA, resting=0, extracts_from=2) as engine:
        found = await ask(engine, everything)
        assert [extract.rows for extract in engine.extracts.kept] == [processes.ROWS // 2]
        assert found == await ask(engine, everything)
        assert await ask(engine, fingerprint="other") == FOUND
        assert len(engine.extracts.kept) == 1
    assert len(printed) == 3


async def test_what_is_declined_and_cannot_be_kept_comes_inline_all_the_same(
    zygote: processes.Zygote, catalog: CatalogSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_SHARE_OF_MEMORY", processes.MEMORY // 50_000)
    sql = "SELECT count(*) AS n, sum(id) AS s, max(region) AS r FROM shop.orders"
    async with processes.engine(zygote, catalog, extracts=8192, resting=0, extracts_from=2) as engine:
        (found,) = await ask(engine, sql)
        assert not list(engine.extracts.kept)
    assert found["n"] == processes.ROWS // 2


async def test_a_worker_that_asks_for_a_condition_on_a_hidden_column_is_let_go(
    zygote: processes.Zygote, catalog: CatalogSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = ColumnTest(column="amount", kind=ConditionKind.IS_NULL, values=())
    lie = (TableConjuncts(table=processes.ORDERS.name, alternatives=((hidden,),)),)

    async def lied(_: object) -> tuple[TableConjuncts, ...]:
        return lie

    monkeypatch.setattr(sessions.DuckDbSession, "_conjuncts", lied)
    table = processes.governed(processes.NORTH, columns=("id", "region"))
    async with processes.engine(zygote, catalog) as engine:
        with pytest.raises(Unavailable) as caught:
            await processes.answer(engine, SQL, table)
    assert caught.value.reason is Reason.WORKER_LOST
