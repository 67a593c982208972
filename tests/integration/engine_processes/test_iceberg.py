"""Iceberg tables through a Glue catalog: the current snapshot, by field id, or refused with the reason."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.model.predicate import Compare, Comparison
from penstock_server.model.schema import TableSchema
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, StringType
from support import engine_processes as processes
from support import object_lake
from support.engine_processes import governed
from support.iceberg_lake import IcebergLake, iceberg_lake

ROWS = pa.table(
    {
        "id": pa.array(range(1000), pa.int32()),
        "region": ["north" if number % 2 else "south" for number in range(1000)],
        "amount": [number * 0.5 for number in range(1000)],
    }
)


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with object_lake.stand_in() as url:
        yield url


@pytest.fixture
def lake(aws_url: str) -> Iterator[IcebergLake]:
    with iceberg_lake(aws_url) as made:
        yield made


@asynccontextmanager
async def engine_of(zygote: processes.Zygote, lake: IcebergLake, **changes: Any) -> AsyncIterator[DuckDbEngine]:
    async with processes.engine(
        zygote, lake.catalog, stores=lake.stores, registries=lake.registries, **changes
    ) as engine:
        yield engine


async def schema_of(engine: DuckDbEngine, name: str) -> TableSchema:
    (schema,) = [table for table in (await engine.inspect()).tables if table.name.table == name]
    return schema


async def rows(engine: DuckDbEngine, schema: TableSchema, columns: str, *rules: Any, **extract: Any) -> list[Any]:
    sql = f"select {columns} from {schema.name.table} order by all"
    async with engine.session(processes.limits()) as session:
        bound = await processes.prepare(session, sql, governed(*rules, schema=schema), **extract)
        described = bound.schema or await session.schema()
        arrow = pa.ipc.read_schema(pa.py_buffer(described))
        batches = [pa.ipc.read_record_batch(pa.py_buffer(batch), arrow) async for batch in session.run()]
    return [tuple(row.values()) for row in pa.Table.from_batches(batches, arrow).to_pylist()]


async def test_the_current_snapshot_is_read_under_the_policy(zygote: processes.Zygote, lake: IcebergLake) -> None:
    table = lake.create("orders", ROWS)
    async with engine_of(zygote, lake, extracts=64 << 20) as engine:
        schema = await schema_of(engine, "orders")
        assert [(column.name, column.type.sql) for column in schema.columns] == [
            ("id", "INTEGER"),
            ("region", "VARCHAR"),
            ("amount", "DOUBLE"),
        ]
        assert str(schema.location) == f"s3://{lake.bucket}/orders"
        north = Compare(column="region", op=Comparison.EQUAL, value="north")
        assert await rows(engine, schema, "count(*), sum(amount)", north) == [(500, 125_000.0)]
        assert await rows(engine, schema, "count(*)", north, fingerprint="f") == [(500,)]
        table.append(ROWS.slice(0, 10))
        assert await rows(engine, schema, "count(*)", north) == [(505,)]
        assert await rows(engine, schema, "count(*)", north, fingerprint="f") == [(505,)]
        table.overwrite(ROWS.slice(0, 4))
        assert await rows(engine, schema, "count(*)", north, fingerprint="f") == [(2,)]


async def test_worlds_that_differ_in_hidden_cells_give_the_bytes_of_a_file(
    zygote: processes.Zygote, lake: IcebergLake, tmp_path: Path
) -> None:
    hidden = pc.equal(ROWS["region"], "south")
    others = pa.table(
        {
            "id": pc.if_else(hidden, pa.scalar(10**9, pa.int32()), ROWS["id"]),
            "region": pc.if_else(hidden, pa.scalar("HIDDEN-" * 1000), ROWS["region"]),
            "amount": pc.if_else(hidden, pa.scalar(1e300), ROWS["amount"]),
        }
    )
    lake.create("benign", ROWS)
    lake.create("poison", others)
    lake.create("absent", ROWS.filter(pc.invert(hidden)))
    north = Compare(column="region", op=Comparison.EQUAL, value="north")
    statements = (
        "select * from {t}",
        "select region, count(*), sum(amount), max(id) from {t} group by all",
        "select id, amount from {t} where amount > 100 order by id desc limit 7",
    )

    async def told(engine: DuckDbEngine, schema: TableSchema) -> list[list[bytes]]:
        found = []
        for sql in statements:
            async with engine.session(processes.limits()) as session:
                named = sql.replace("{t}", schema.name.table)
                await processes.prepare(session, named, governed(north, schema=schema))
                found.append([batch async for batch in session.run()])
        return found

    async with engine_of(zygote, lake) as engine:
        tables = {table.name.table: table for table in (await engine.inspect()).tables}
        worlds = [await told(engine, tables[name]) for name in ("benign", "poison", "absent")]
    (tmp_path / "db").mkdir()
    pq.write_table(ROWS, tmp_path / "db/benign.parquet")
    local = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path, location=None)
    async with processes.engine(zygote, local) as engine:
        file = await told(engine, await schema_of(engine, "benign"))
    assert worlds == [file] * 3
    assert not any(b"HIDDEN" in batch for world in worlds for batches in world for batch in batches)


async def test_columns_are_found_by_field_id(zygote: processes.Zygote, lake: IcebergLake) -> None:
    table = lake.create("orders", ROWS.slice(0, 2))
    with table.update_schema() as update:
        update.rename_column("region", "area")
        update.delete_column("amount")
    with table.update_schema() as update:
        update.add_column("amount", lake_type("string"))
        update.add_column("region", lake_type("string"))
        update.update_column("id", lake_type("long"))
    new = pa.table({"id": pa.array([2**40], pa.int64()), "area": ["east"], "amount": ["much"], "region": ["new"]})
    lake.load("orders").append(new)
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        assert await rows(engine, schema, "id, area, amount, region") == [
            (0, "south", None, None),
            (1, "north", None, None),
            (2**40, "east", "much", "new"),
        ]
        secret = Compare(column="region", op=Comparison.EQUAL, value="north")
        assert await rows(engine, schema, "id", secret) == []  # the old column of that name is another one


def lake_type(name: str) -> Any:
    return {"string": StringType(), "long": LongType()}[name]


async def test_a_table_whose_columns_have_changed_is_unreadable_until_they_are_bound_anew(
    zygote: processes.Zygote, lake: IcebergLake
) -> None:
    table = lake.create("orders", ROWS)
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        with table.update_schema() as update:
            update.rename_column("region", "area")
            update.rename_column("amount", "region")
        with pytest.raises(Unavailable) as raised:
            await rows(engine, schema, "count(*)")
        assert raised.value.reason is Reason.TABLE_UNREADABLE
        assert "reload the policy" in raised.value.detail
        again = await schema_of(engine, "orders")
        assert await rows(engine, again, "max(region)") == [(499.5,)]


@pytest.mark.slow
async def test_partitions_may_change_between_snapshots(zygote: processes.Zygote, lake: IcebergLake) -> None:
    table = lake.create("orders", ROWS)
    with table.update_spec() as update:
        update.add_identity("region")
    lake.load("orders").append(ROWS)
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        north = Compare(column="region", op=Comparison.EQUAL, value="north")
        assert await rows(engine, schema, "count(*), min(region)", north) == [(1000, "north")]


def add_deletes(lake: IcebergLake, name: str, content: DataFileContent, gone: pa.Table) -> None:
    """Add a file of deletes to a table, as a merge-on-read writer does."""
    table = lake.load(name)
    io, metadata, snapshot = table.io, table.metadata, table.current_snapshot()
    assert snapshot is not None
    path = f"s3://{lake.bucket}/{name}/data/deletes-{content}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(gone, sink)
    body = sink.getvalue().to_pybytes()
    lake.s3.put_object(Bucket=lake.bucket, Key=f"{name}/data/deletes-{content}.parquet", Body=body)
    file = DataFile.from_args(
        content=content,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=gone.num_rows,
        file_size_in_bytes=len(body),
        equality_ids=[1] if content is DataFileContent.EQUALITY_DELETES else None,
    )
    file.spec_id = 0

    class Deletes(ManifestWriterV2):
        def content(self) -> ManifestContent:
            return ManifestContent.DELETES

    number = snapshot.snapshot_id + 1
    output = io.new_output(f"s3://{lake.bucket}/{name}/metadata/deletes-{content}.avro")
    with Deletes(metadata.spec(), metadata.schema(), output, number, "deflate") as writer:
        writer.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=number, data_file=file))
    listing = f"s3://{lake.bucket}/{name}/metadata/list-{content}.avro"
    sequence = metadata.last_sequence_number + 1
    with write_manifest_list(2, io.new_output(listing), number, snapshot.snapshot_id, sequence, "deflate") as manifests:
        manifests.add_manifests([*snapshot.manifests(io), writer.to_manifest_file()])

    def change(told: dict[str, Any]) -> None:
        (last,) = [each for each in told["snapshots"] if each["snapshot-id"] == snapshot.snapshot_id]
        told["snapshots"].append({**last, "snapshot-id": number, "sequence-number": sequence, "manifest-list": listing})
        told["current-snapshot-id"] = number
        told["last-sequence-number"] = sequence
        told["refs"]["main"]["snapshot-id"] = number

    rewrite_metadata(lake, name, change)


async def test_rows_that_are_deleted_by_position_are_not_read(zygote: processes.Zygote, lake: IcebergLake) -> None:
    table = lake.create("orders", ROWS.slice(0, 100))
    table.append(ROWS.slice(100, 100))
    path = min(task.file.file_path for task in table.scan().plan_files())
    add_deletes(
        lake, "orders", DataFileContent.POSITION_DELETES, pa.table({"file_path": [path] * 3, "pos": [0, 1, 99]})
    )
    first = table.io.new_input(path)
    held = pq.read_table(pa.BufferReader(first.open().read())).column("id").to_pylist()
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        found = [row[0] for row in await rows(engine, schema, "id")]
    assert sorted(set(range(200)) - set(found)) == sorted([held[0], held[1], held[99]])


async def test_equality_deletes_are_refused(
    zygote: processes.Zygote, lake: IcebergLake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.create("orders", ROWS)
    lake.create("plain", ROWS)
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        add_deletes(lake, "orders", DataFileContent.EQUALITY_DELETES, pa.table({"id": pa.array([1], pa.int32())}))
        with pytest.raises(Unavailable) as raised:
            await rows(engine, schema, "count(*)")
    assert raised.value.reason is Reason.TABLE_UNREADABLE
    assert "equality deletes" in raised.value.detail


async def test_no_property_of_a_table_leads_elsewhere(zygote: processes.Zygote, lake: IcebergLake) -> None:
    hostile = {
        "py-io-impl": "os.system",
        "s3.endpoint": "http://127.0.0.1:1",
        "s3.region": "us-gov-west-1",
        "s3.access-key-id": "AKIAEVIL",
        "client.region": "nowhere-1",
        "write.object-storage.enabled": "true",
    }
    lake.create("orders", ROWS)
    rewrite_metadata(lake, "orders", lambda metadata: metadata["properties"].update(hostile))
    told = lake.glue.get_table(DatabaseName=lake.database, Name="orders")["Table"]
    kept = {part: told[part] for part in ("Name", "StorageDescriptor", "TableType")}
    parameters = {**hostile, **told["Parameters"]}
    lake.glue.update_table(DatabaseName=lake.database, TableInput={**kept, "Parameters": parameters})
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "orders")
        assert await rows(engine, schema, "count(*)") == [(1000,)]


def rewrite_metadata(lake: IcebergLake, name: str, change: Any) -> None:
    """Let a table have changed metadata, as one who may write it could."""
    told = lake.glue.get_table(DatabaseName=lake.database, Name=name)["Table"]
    location = told["Parameters"]["metadata_location"]
    key = location.removeprefix(f"s3://{lake.bucket}/")
    metadata = json.loads(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read())
    change(metadata)
    lake.s3.put_object(Bucket=lake.bucket, Key=f"{key}.json", Body=json.dumps(metadata).encode())
    kept = {part: told[part] for part in ("Name", "StorageDescriptor", "TableType")}
    parameters = {**told["Parameters"], "metadata_location": f"{location}.json"}
    lake.glue.update_table(DatabaseName=lake.database, TableInput={**kept, "Parameters": parameters})


async def test_a_table_that_names_the_files_of_another_one_is_refused(
    zygote: processes.Zygote, lake: IcebergLake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lake.create("secrets", ROWS)
    lake.create("mine", ROWS)
    told = lake.glue.get_table(DatabaseName=lake.database, Name="secrets")["Table"]["Parameters"]["metadata_location"]
    theirs = json.loads(
        lake.s3.get_object(Bucket=lake.bucket, Key=told.removeprefix(f"s3://{lake.bucket}/"))["Body"].read()
    )

    def change(metadata: dict[str, Any]) -> None:
        metadata["snapshots"] = theirs["snapshots"]
        metadata["current-snapshot-id"] = theirs["current-snapshot-id"]
        metadata["refs"] = theirs["refs"]

    rewrite_metadata(lake, "mine", change)
    async with engine_of(zygote, lake) as engine:
        assert [table.name.table for table in (await engine.inspect()).tables] == ["secrets"]
    assert any("not below its location" in str(getattr(record, "fault", "")) for record in caplog.records)


async def test_a_table_that_is_moved_onto_another_one_is_unreadable(
    zygote: processes.Zygote, lake: IcebergLake
) -> None:
    lake.create("secrets", ROWS)
    lake.create("mine", ROWS.slice(0, 1))
    async with engine_of(zygote, lake) as engine:
        schema = await schema_of(engine, "mine")
        assert await rows(engine, schema, "count(*)") == [(1,)]
        theirs = lake.glue.get_table(DatabaseName=lake.database, Name="secrets")["Table"]
        moved = {part: theirs[part] for part in ("StorageDescriptor", "TableType", "Parameters")}
        lake.glue.update_table(DatabaseName=lake.database, TableInput={"Name": "mine", **moved})
        with pytest.raises(Unavailable):
            await rows(engine, schema, "count(*)")


async def test_a_table_within_another_one_is_refused(zygote: processes.Zygote, lake: IcebergLake) -> None:
    lake.create("outer", ROWS)
    lake.writer.create_table((lake.database, "inner"), ROWS.schema, location=f"s3://{lake.bucket}/outer/inner")
    async with engine_of(zygote, lake) as engine:
        with pytest.raises(ConfigurationError, match="inner` lies within"):
            await engine.inspect()


@pytest.mark.slow
async def test_what_is_not_available_is_left_out_with_its_reason(
    zygote: processes.Zygote, lake: IcebergLake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lake.create("nested", pa.table({"x": [[1, 2]]}))
    lake.writer.create_table((lake.database, "empty"), ROWS.schema, location=f"s3://{lake.bucket}/empty")
    lake.create("plain", ROWS)
    lake.create("newer", ROWS)
    rewrite_metadata(lake, "newer", lambda metadata: metadata.update({"format-version": 3, "next-row-id": 0}))
    async with engine_of(zygote, lake) as engine:
        assert [table.name.table for table in (await engine.inspect()).tables] == ["plain"]
    told = [record for record in caplog.records if hasattr(record, "fault")]
    faults = {str(getattr(record, "table", "")).rpartition(".")[2]: str(record.fault) for record in told}
    assert "list" in faults["nested"]
    assert "no snapshot" in faults["empty"]
    assert "format version 3" in faults["newer"] or "cannot be read" in faults["newer"]
