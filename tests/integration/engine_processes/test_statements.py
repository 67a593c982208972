"""A statement from text to batches, over real processes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.errors import ConfigurationError, LimitExceeded, NotFound, QueryError, Reason, Unavailable
from support import engine_processes as processes
from support.engine_processes import NORTH, ROWS, governed, limits


async def test_a_statement_sees_the_permitted_rows_alone(engine: DuckDbEngine) -> None:
    rows = await processes.answer(
        engine, "SELECT count(*) AS n, min(region) AS low, max(region) AS high FROM shop.orders", governed(NORTH)
    )
    assert rows == [{"n": ROWS // 2, "low": "north", "high": "north"}]


async def test_a_column_that_is_not_granted_does_not_exist(engine: DuckDbEngine) -> None:
    with pytest.raises(QueryError) as caught:
        await processes.answer(engine, "SELECT amount FROM shop.orders", governed(columns=("id", "region")))
    assert caught.value.reason is Reason.COLUMN_NOT_FOUND


async def test_a_table_that_was_not_given_does_not_exist(engine: DuckDbEngine) -> None:
    async with engine.session(limits()) as session:
        await session.parse("SELECT * FROM shop.orders")
        with pytest.raises((QueryError, NotFound)) as caught:
            await session.bind([], [])
    assert caught.value.reason in (Reason.SQL_BINDING, Reason.TABLE_NOT_FOUND)


async def test_rows_can_be_counted_without_naming_a_column(engine: DuckDbEngine) -> None:
    rows = await processes.answer(engine, "SELECT count(*) AS n FROM lake.shop.orders", governed(NORTH))
    assert rows == [{"n": ROWS // 2}]


async def test_a_table_may_stand_in_a_statement_twice(engine: DuckDbEngine) -> None:
    sql = "SELECT count(*) AS n FROM shop.orders a JOIN lake.shop.orders b ON a.id = b.id + 2"
    rows = await processes.answer(engine, sql, governed(NORTH))
    assert rows == [{"n": ROWS // 2 - 1}]


async def test_tables_are_supplied_one_after_the_other_and_joined(engine: DuckDbEngine) -> None:
    sql = (
        "SELECT r.manager, count(*) AS n FROM shop.orders o JOIN shop.regions r ON o.region = r.name "
        "GROUP BY r.manager ORDER BY r.manager"
    )
    rows = await processes.answer(engine, sql, governed(), governed(schema=processes.REGIONS))
    assert rows == [{"manager": "Nia", "n": ROWS // 2}, {"manager": "Sol", "n": ROWS // 2}]


async def test_a_fault_in_one_of_two_tables_gives_no_answer(zygote: processes.Zygote, tmp_path: Path) -> None:
    broken = processes.make_catalog(tmp_path / "lake")
    processes.cut(broken.path / "shop" / "regions" / "1.parquet")
    sql = "SELECT count(*) AS n FROM shop.orders, shop.regions"
    async with processes.engine(zygote, broken) as made:
        with pytest.raises(Unavailable) as caught:
            await processes.answer(made, sql, governed(), governed(schema=processes.REGIONS))
    assert caught.value.reason is Reason.TABLE_UNREADABLE


async def test_every_kind_of_value_leaves_a_sealed_process(engine: DuckDbEngine) -> None:
    sql = (
        "SELECT id = 2 AS b, NULL::BOOLEAN AS n, {'a': true, 'l': [false, NULL]} AS s, 1.5::DECIMAL(38, 3) AS d, "
        "1::HUGEINT AS h, 'x'::BLOB AS x, TIME '10:00' AS t, INTERVAL 1 DAY AS i FROM shop.orders WHERE id IN (2, 4)"
    )
    first, second = await processes.answer(engine, sql, governed(NORTH))
    assert (first["b"], second["b"], first["n"], first["s"]) == (True, False, None, {"a": True, "l": [False, None]})
    assert (str(first["d"]), str(first["h"]), first["x"]) == ("1.500", "1", b"x")


async def test_parameters_reach_the_statement(engine: DuckDbEngine) -> None:
    sql = "SELECT id FROM shop.orders WHERE id > ? AND region = ? LIMIT 1"
    rows = await processes.answer(engine, sql, governed(), parameters=(10, "south"))
    assert rows == [{"id": 11}]


async def test_batches_are_bounded_and_counted(engine: DuckDbEngine) -> None:
    async with engine.session(limits()) as session:
        bound = await processes.prepare(session, "SELECT o.*, repeat('x', 500) AS pad FROM shop.orders o", governed())
        messages = [message async for message in session.run()]
        counts = session.counts
    assert max(map(len, messages)) <= 2 << 20
    assert len(messages) > 5
    assert (counts.rows, counts.batches, counts.bytes) == (ROWS, len(messages), sum(map(len, messages)))
    assert len(processes.decoded(bound, messages)) == ROWS


async def test_the_bound_schema_is_that_of_the_batches(engine: DuckDbEngine) -> None:
    async with engine.session(limits()) as session:
        bound = await processes.prepare(session, "SELECT id, region FROM shop.orders LIMIT 1", governed())
        (message,) = [message async for message in session.run()]
    schema = pa.ipc.read_schema(pa.py_buffer(bound.schema))
    assert schema.names == ["id", "region"]
    pa.ipc.read_record_batch(pa.py_buffer(message), schema).validate(full=True)


async def test_too_many_rows_are_an_error_and_never_a_cut(engine: DuckDbEngine) -> None:
    with pytest.raises(LimitExceeded) as caught:
        await processes.answer(engine, "SELECT id FROM shop.orders", governed(), within=limits(max_rows=ROWS - 1))
    assert (caught.value.reason, caught.value.value) == (Reason.ROW_LIMIT, str(ROWS - 1))
    assert len(await processes.answer(engine, "SELECT id FROM shop.orders", governed(), within=limits(max_rows=ROWS)))


async def test_a_row_larger_than_a_message_is_an_error(engine: DuckDbEngine) -> None:
    with pytest.raises(LimitExceeded) as caught:
        await processes.answer(engine, "SELECT repeat('x', 3000000) AS wide")
    assert caught.value.limit == "row_bytes"


async def test_a_fault_while_running_comes_after_the_rows_before_it(engine: DuckDbEngine) -> None:
    sql = f"SELECT CASE WHEN id = {ROWS - 1} THEN error('at the end') ELSE repeat('x', 500) END AS c FROM shop.orders"
    async with engine.session(limits()) as session:
        await processes.prepare(session, sql, governed())
        with pytest.raises(QueryError) as caught:
            async for _ in session.run():
                pass
    assert caught.value.reason is Reason.SQL_EXECUTION


async def test_the_catalog_is_inspected_in_a_process_of_its_own(engine: DuckDbEngine) -> None:
    snapshot = await engine.inspect()
    assert snapshot.tables == (processes.ORDERS, processes.REGIONS)


async def test_a_catalog_with_half_a_file_is_refused_with_its_name(
    zygote: processes.Zygote, catalog: CatalogSettings, tmp_path: Path
) -> None:
    whole = (catalog.path / "shop" / "orders.parquet").read_bytes()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "broken.parquet").write_bytes(whole[: len(whole) // 2])
    broken = CatalogSettings(name="broken", kind=CatalogKind.PARQUET, path=tmp_path, location=None)
    async with processes.engine(zygote, broken) as made:
        with pytest.raises(ConfigurationError, match="broken"):
            await made.inspect()


async def test_a_missing_catalog_folder_is_refused(zygote: processes.Zygote, tmp_path: Path) -> None:
    missing = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path / "nowhere", location=None)
    async with processes.engine(zygote, missing) as made:
        with pytest.raises(ConfigurationError, match="nowhere"):
            await made.inspect()


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
async def test_a_source_that_broke_after_inspection_is_unreadable_and_nothing_more(
    zygote: processes.Zygote, tmp_path: Path, damage: str
) -> None:
    made_catalog = processes.make_catalog(tmp_path / "lake")
    file = made_catalog.path / "shop" / "orders.parquet"
    match damage:
        case "cut":
            processes.cut(file)
        case "gone":
            file.unlink()
        case _:
            file.write_bytes(b"PAR1 secret words PAR1")
    async with processes.engine(zygote, made_catalog) as made:
        with pytest.raises(Unavailable) as caught:
            await processes.answer(made, "SELECT * FROM shop.orders", governed())
    assert caught.value.reason is Reason.TABLE_UNREADABLE
    assert caught.value.message == "the table is unreadable"
    assert "secret" not in caught.value.detail


async def test_a_duckdb_file_is_a_source_too(zygote: processes.Zygote, tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "sales.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.orders AS SELECT range AS id, CASE WHEN range % 2 = 0 THEN 'north' ELSE 'south' END "
            "AS region, range * 0.5::DOUBLE AS amount FROM range(1000)"
        )
    catalog = CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=file, location=None)
    async with processes.engine(zygote, catalog) as made:
        assert (await made.inspect()).tables == (processes.ORDERS,)
        rows = await processes.answer(made, "SELECT count(*) AS n, sum(id) AS s FROM shop.orders", governed(NORTH))
    assert rows == [{"n": 500, "s": 249500}]


async def test_values_of_an_enum_leave_as_text(engine: DuckDbEngine) -> None:
    # Arrow loads its compute functions to decode a dictionary, which no child can do by itself.
    kind = "ENUM('low', 'high')"
    sql = f"SELECT 'high'::{kind} AS a, ['low'::{kind}, NULL] AS b, {{'x': 'low'::{kind}}} AS c, NULL::{kind} AS d"
    rows = await processes.answer(engine, sql)
    assert rows == [{"a": "high", "b": ["low", None], "c": {"x": "low"}, "d": None}]
