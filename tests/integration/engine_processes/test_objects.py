"""Parquet on S3: read by processes that have neither network nor credential, as it was listed or not at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.objects import SourceRole
from penstock_server.aws.sts import AssumedSession, AssumeRole, SecurityTokenService
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.objects import ranges
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.model.clock import SystemClock
from penstock_server.model.decision import GovernedTable
from penstock_server.model.objects import ObjectFault, StoredObject
from penstock_server.model.predicate import Compare, Comparison
from penstock_server.model.resource import S3Location
from support import engine_processes as processes
from support import object_lake
from support.engine_processes import NORTH, governed
from support.object_lake import Lake

TOTAL = "select count(*), sum(amount), min(region), max(id) from shop.orders"


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with object_lake.stand_in() as url:
        yield url


@pytest.fixture
def lake(aws_url: str, tmp_path: Path) -> Iterator[Lake]:
    processes.make_catalog(tmp_path / "lake")
    with object_lake.lake(aws_url) as made:
        made.fill(tmp_path / "lake")
        yield made


async def answer(engine: DuckDbEngine, sql: str, *tables: GovernedTable, fingerprint: str | None = None) -> list[bytes]:
    async with engine.session(processes.limits()) as session:
        await processes.prepare(session, sql, *tables, fingerprint=fingerprint)
        return [batch async for batch in session.run()]


async def refusal(engine: DuckDbEngine, *tables: GovernedTable) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        await answer(engine, TOTAL, *tables)
    return raised.value


async def test_a_catalog_on_s3_has_the_tables_of_the_same_folder(
    zygote: processes.Zygote, lake: Lake, tmp_path: Path
) -> None:
    lake.put(".hidden/x.parquet", b"")
    lake.put("shop/_unfinished.parquet", b"")
    lake.put("shop/regions/_SUCCESS", b"")
    local = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path / "lake", location=None)
    sql = "select * from shop.orders where amount < 5000"
    async with processes.engine(zygote, local) as here:
        expected, told = await here.inspect(), await answer(here, sql, governed(NORTH))
    async with processes.engine(zygote, lake.catalog, stores={"lake": lake.store}) as there:
        found = await there.inspect()
        assert await answer(there, sql, governed(NORTH)) == told
    assert [(table.name, table.columns) for table in found.tables] == [
        (table.name, table.columns) for table in expected.tables
    ]
    assert [table.location for table in found.tables] == [
        S3Location(bucket=lake.bucket, key="curated/shop/orders.parquet"),
        S3Location(bucket=lake.bucket, key="curated/shop/regions"),
    ]


async def test_folders_of_keys_are_columns_and_those_shut_out_are_not_fetched(
    zygote: processes.Zygote, lake: Lake, tmp_path: Path
) -> None:
    rows = 300_000
    for year in (2023, 2024):
        file = tmp_path / f"{year}.parquet"
        duckdb.sql(f"COPY (SELECT range AS id, hash(range + {year})::VARCHAR AS v FROM range({rows})) TO '{file}'")
        lake.put(f"shop/trips/year={year}/0.parquet", file.read_bytes())
    seen = Counted(lake)
    async with processes.engine(zygote, lake.catalog, stores={"lake": seen}) as engine:
        snapshot = await engine.inspect()
        (schema,) = [table for table in snapshot.tables if table.name.table == "trips"]
        assert [(column.name, column.type.sql) for column in schema.columns] == [
            ("id", "BIGINT"),
            ("v", "VARCHAR"),
            ("year", "BIGINT"),
        ]
        seen.bytes.clear()
        only = Compare(column="year", op=Comparison.EQUAL, value=2024)
        await answer(engine, "select max(v), count(*) from shop.trips", governed(only, schema=schema))
    shut_out = sum(seen.bytes.get("curated/shop/trips/year=2023/0.parquet", []))
    assert 0 < shut_out <= 64 * 1024  # its footer
    assert sum(seen.bytes["curated/shop/trips/year=2024/0.parquet"]) > 1024 * 1024


class Counted:
    """The store, and how many bytes it gave of which object; `before` is called ahead of every range."""

    def __init__(self, lake: Lake) -> None:
        self._store = lake.store
        self.bytes: dict[str, list[int]] = {}
        self.before: Any = lambda stored: None

    async def listed(self, prefix: S3Location) -> Any:
        return await self._store.listed(prefix)

    async def read(self, stored: StoredObject, *, offset: int, length: int, within: S3Location) -> bytes:
        self.before(stored)
        self.bytes.setdefault(stored.key, []).append(length)
        return await self._store.read(stored, offset=offset, length=length, within=within)


async def test_an_object_that_is_replaced_while_it_is_read_is_a_fault(
    zygote: processes.Zygote, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Counted(lake)
    other = lake.client.get_object(Bucket=lake.bucket, Key="curated/shop/regions/0.parquet")["Body"].read()
    seen.before = lambda stored: lake.put("shop/orders.parquet", other)
    async with processes.engine(zygote, lake.catalog, stores={"lake": seen}) as engine:
        refused = await refusal(engine, governed())
    assert (refused.reason, refused.message) == (Reason.TABLE_UNREADABLE, "the table is unreadable")
    assert "PreconditionFailed" in refused.detail
    assert any("PreconditionFailed" in str(getattr(record, "fault", "")) for record in caplog.records)


async def test_what_s3_refuses_or_lacks_is_one_error_and_the_operator_is_told(
    zygote: processes.Zygote, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    seen = Counted(lake)

    def fail(text: str) -> None:
        def before(stored: StoredObject) -> None:
            raise ObjectFault(text)

        seen.before = before

    errors = []
    async with processes.engine(zygote, lake.catalog, stores={"lake": seen}) as engine:
        for text in ("s3:GetObject: AccessDenied", "s3:GetObject: SlowDown", "s3:GetObject: NoSuchKey"):
            fail(text)
            refused = await refusal(engine, governed())
            assert refused.detail == text
            errors.append((refused.reason, refused.message, refused.hint))
        seen.before = lambda stored: None
        lake.put("shop/orders.parquet", b"PAR1 cut")
        refused = await refusal(engine, governed())
        errors.append((refused.reason, refused.message, refused.hint))
        lake.client.delete_object(Bucket=lake.bucket, Key="curated/shop/orders.parquet")
        refused = await refusal(engine, governed())
        errors.append((refused.reason, refused.message, refused.hint))
    assert len(set(errors)) == 1
    assert sum(record.message == "table is unreadable" for record in caplog.records) == 5


async def test_an_extract_of_objects_is_kept_until_one_of_them_changes(
    zygote: processes.Zygote, lake: Lake, tmp_path: Path
) -> None:
    seen = Counted(lake)
    sql = "select count(*), max(manager) from shop.regions"
    async with processes.engine(zygote, lake.catalog, extracts=64 << 20, stores={"lake": seen}) as engine:
        regions = governed(schema=processes.REGIONS)
        first = await answer(engine, sql, regions, fingerprint="f")
        seen.bytes.clear()
        assert await answer(engine, sql, regions, fingerprint="f") == first
        assert not seen.bytes
        assert len(engine.extracts.kept) == 1
        duckdb.sql(f"COPY (SELECT 'south' AS name, 'Zoe' AS manager) TO '{tmp_path}/1.parquet'")
        lake.put("shop/regions/1.parquet", (tmp_path / "1.parquet").read_bytes())
        assert await answer(engine, sql, regions, fingerprint="f") != first
        lake.put("shop/regions/2.parquet", (tmp_path / "1.parquet").read_bytes())
        assert seen.bytes
        seen.bytes.clear()
        await answer(engine, sql, regions, fingerprint="f")
        assert "curated/shop/regions/2.parquet" in seen.bytes


async def test_what_a_listing_cannot_tell_apart_is_refused_at_inspection(zygote: processes.Zygote, lake: Lake) -> None:
    body = lake.client.get_object(Bucket=lake.bucket, Key="curated/shop/orders.parquet")["Body"].read()
    lake.put("shop/orders/0.parquet", body)
    lake.put("shop/trips//0.parquet", body)
    lake.put("shop/notes.txt", b"x")
    lake.put("readme.parquet", body)
    lake.put("shop/broken.parquet", b"PAR1")
    async with processes.engine(zygote, lake.catalog, stores={"lake": lake.store}) as engine:
        with pytest.raises(ConfigurationError) as raised:
            await engine.inspect()
    told = "\n".join(raised.value.problems)
    for part in (
        "`shop/orders` is a folder and a file",
        "`shop/trips`: a key has an empty part",
        "`shop/notes.txt` is neither a folder nor a Parquet file",
        "`readme.parquet` is no folder",
        "broken.parquet cannot be read",
    ):
        assert part in told
    assert all(f"s3://{lake.bucket}/curated/" in problem for problem in raised.value.problems)


async def test_a_range_outside_what_a_reader_was_given_is_not_brought() -> None:
    for body in (
        ranges.RANGE.pack(1, 0, 1),  # no such object
        ranges.RANGE.pack(0, 99, 2),  # past its end
        ranges.RANGE.pack(0, 2**63, 1),
        ranges.RANGE.pack(0, 0, 0),
    ):
        with pytest.raises(ranges.BadQuestion):
            ranges.asked(body, (100,))
    with pytest.raises(ranges.BadQuestion):
        ranges.asked(ranges.RANGE.pack(0, 0, 2**26) * 2, (2**30,))


async def test_the_store_gives_nothing_outside_its_table(lake: Lake) -> None:
    (stored,) = await lake.store.listed(S3Location(bucket=lake.bucket, key="curated/shop/orders.parquet"))
    with pytest.raises(ObjectFault, match="outside its table"):
        await lake.store.read(
            stored, offset=0, length=4, within=S3Location(bucket=lake.bucket, key="curated/shop/orders")
        )


async def test_a_table_is_read_by_a_session_for_its_objects_alone(
    zygote: processes.Zygote, aws_url: str, tmp_path: Path
) -> None:
    processes.make_catalog(tmp_path / "lake")
    asked: list[AssumeRole] = []
    clients = AwsClients(boto3.session.Session("ASIATEST", "test", "test"), endpoint_url=aws_url)

    class Sts(SecurityTokenService):
        async def assume_role(self, request: AssumeRole) -> AssumedSession:
            asked.append(request)
            return await super().assume_role(request)

    role = SourceRole(
        Sts(clients, region="eu-west-1"),
        arn="arn:aws:iam::111122223333:role/penstock-lake-source",
        external_id=None,
        clock=SystemClock(),
    )
    with object_lake.lake(aws_url, role=role) as made:
        made.fill(tmp_path / "lake")
        async with processes.engine(zygote, made.catalog, stores={"lake": made.store}) as engine:
            for _ in range(2):
                await answer(engine, TOTAL, governed())
    clients.close()
    told = [json.loads(request.policy)["Statement"][0] for request in asked]
    bucket = f"arn:aws:s3:::{made.bucket}"
    listings = [statement for statement in told if statement["Action"] == "s3:ListBucket"]
    assert {statement["Condition"]["StringLike"]["s3:prefix"] for statement in listings} == {
        "curated/shop/orders/*",
        "curated/shop/orders.parquet*",
    }
    assert [statement["Resource"] for statement in told if statement["Action"] == "s3:GetObject"] == [
        f"{bucket}/curated/shop/orders.parquet"
    ]
    assert len(told) == 3  # each once, for both statements
