"""Worlds that differ in hidden partitions alone: whole folders, their files, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, AnyTrue, Compare, Comparison, IsNull, Predicate
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily
from support import engine_processes as processes

NAME = TableName(catalog="lake", database="d", table="t")
COLUMNS = {
    "id": ("BIGINT", TypeFamily.INTEGER),
    "v": ("VARCHAR", TypeFamily.TEXT),
    "year": ("BIGINT", TypeFamily.INTEGER),
    "region": ("VARCHAR", TypeFamily.TEXT),
}
CANARY = b"canary-of-a-hidden-folder"

STATEMENTS = [
    "select * from d.t",
    "select count(*), min(year), max(year), min(region), max(region), approx_count_distinct(v) from d.t",
    "select year, region, count(*) from d.t group by all order by all",
    "select stats(year)::varchar, stats(region)::varchar, stats(v)::varchar from d.t limit 1",
    "select * from d.t where year = 2030",
    "select typeof(year), typeof(region) from d.t limit 1",
    "summarize d.t",
    "describe d.t",
    "select * from d.t using sample 3 rows (reservoir, 7)",
    "select cast(region || 'x' as int) from d.t",
]


def _part(values: list[str]) -> pa.Table:
    return pa.table({"id": pa.array(range(len(values)), pa.int64()), "v": values})


VISIBLE = {
    "year=2023/region=north": _part(["a", "b", "a"] * 500),
    "year=2024/region=north": _part(["c"] * 700),
    "year=2024/region=__HIVE_DEFAULT_PARTITION__": _part(["nobody's"] * 10),
}
HIDDEN = {
    "poison": {
        "year=2022/region=south": _part([CANARY.decode()] * 3_000),
        "year=2030/region=canary-of-a-hidden-folder": _part(["x"] * 100),
        "year=2023/region=zulu": _part([CANARY.decode() * 50] * 200),
    },
    "benign": {"year=2022/region=south": _part(["a"])},
    "absent": {},
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    for world, hidden in HIDDEN.items():
        for folder, part in {**VISIBLE, **hidden}.items():
            write(root / world / "d/t" / folder / "1.parquet", part)
    return root


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


def write(file: Path, part: pa.Table) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(part, file)


def governed(rows: Predicate) -> GovernedTable:
    columns = tuple(Column(name=name, type=ColumnType(sql=sql, family=f)) for name, (sql, f) in COLUMNS.items())
    return GovernedTable(
        schema=TableSchema(name=NAME, columns=columns, location=None),
        columns=tuple(GovernedColumn(column=column, cases=(CellCase(when=Always(), mask=None),)) for column in columns),
        rows=(rows,),
    )


NORTH = AnyTrue(
    operands=(
        Compare(column="region", op=Comparison.EQUAL, value="north"),
        IsNull(column="region"),
    )
)


async def answers(zygote: processes.Zygote, folder: Path, table: GovernedTable) -> Mapping[str, bytes]:
    catalog = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=folder, location=None)
    given: dict[str, bytes] = {}
    async with processes.engine(zygote, catalog) as engine:
        for sql in STATEMENTS:
            async with engine.session(processes.limits(timeout=60)) as session:
                references = await session.parse(sql)
                await session.bind([ResolvedReference(reference=one, table=table) for one in references], ())
                try:
                    await session.supply()
                    given[sql] = b"".join([batch async for batch in session.run()])
                except Exception as error:  # noqa: BLE001 - an error is an answer too
                    given[sql] = repr((type(error), str(error))).encode()
    return given


async def test_hidden_partitions_change_no_byte(zygote: processes.Zygote, lake: Path) -> None:
    first = await answers(zygote, lake / "absent", governed(NORTH))
    assert b"north" in first["select * from d.t"]
    for world in ("benign", "poison"):
        given = await answers(zygote, lake / world, governed(NORTH))
        assert given == first, world
        assert all(CANARY not in answer for answer in given.values())


async def test_the_worlds_are_told_apart_where_everything_is_permitted(zygote: processes.Zygote, lake: Path) -> None:
    first = await answers(zygote, lake / "absent", governed(Always()))
    given = await answers(zygote, lake / "poison", governed(Always()))
    assert all(given[sql] != first[sql] for sql in STATEMENTS[:3])
    assert CANARY in given["select * from d.t"]


@pytest.mark.parametrize(
    "folder", ["year=1e3/region=north", "year=2024", "year=2024/region=a=b", "year=2024/region=a/more=1"]
)
async def test_a_partition_that_came_later_and_does_not_fit_is_one_fixed_error(
    zygote: processes.Zygote, tmp_path: Path, folder: str
) -> None:
    for visible, part in VISIBLE.items():
        write(tmp_path / "d/t" / visible / "1.parquet", part)
    write(tmp_path / "d/t" / folder / "1.parquet", _part(["x"]))
    catalog = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path, location=None)
    async with processes.engine(zygote, catalog) as engine, engine.session(processes.limits(timeout=60)) as session:
        references = await session.parse("select id from d.t")
        await session.bind([ResolvedReference(reference=one, table=governed(NORTH)) for one in references], ())
        with pytest.raises(Unavailable) as raised:
            await session.supply()
    assert raised.value.reason is Reason.TABLE_UNREADABLE
    assert "1e3" not in str(raised.value)
