"""Mutation control of extracts, lists of tables, partitions and masks: each protection, switched off, lets through.

As in `test_protections`: a weaker part is put in the place of one protection, and its attack must then succeed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.engines.duckdb import hive, instance, metadata, parsing, plans, printing, relations, worker
from penstock_server.engines.duckdb.extracts import extract, store
from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey, MemoryFile
from penstock_server.engines.duckdb.extracts.store import ExtractStore, Wanted
from penstock_server.engines.duckdb.relations import ParquetFiles
from penstock_server.engines.duckdb.tree import Tree
from penstock_server.engines.duckdb.wire.frames import BrokenConversation
from penstock_server.errors import PenstockError
from penstock_server.model.decision import GovernedTable
from penstock_server.model.resource import TableName
from support import engine_processes as processes
from support import governed_worlds as worlds
from support.protections import Protection, off
from support.sealed import FLIGHTS, ask

MEMORY = 128 * 1024 * 1024
QUOTA = 64 << 20

# Extracts: a real store over real files, whose extracts are copies of the file as it is when they are made.

Meanwhile = Callable[[Path], None]


def _store(*, meanwhile: Meanwhile = lambda _: None, quota: int = QUOTA, resting: float = 0) -> ExtractStore:
    async def make(wanted: Wanted, key: ExtractKey) -> Extract:
        assert isinstance(wanted.source, ParquetFiles)
        (path,) = wanted.source.files
        rows = pq.read_table(path).num_rows
        file = MemoryFile()
        os.write(file.descriptor, path.read_bytes() if wanted.fingerprint != "few" else b"few")
        file.seal()
        meanwhile(path)
        return Extract(key=key, columns=wanted.columns, rows=rows, file=file)

    return ExtractStore(make, quota_bytes=quota, resting=timedelta(seconds=resting))


def _wanted(path: Path, fingerprint: str = "f", expires_at: datetime | None = None) -> Wanted:
    table = processes.governed()
    source = ParquetFiles(files=(path,))
    return Wanted(table=table, fingerprint=fingerprint, source=source, columns=("id",), expires_at=expires_at)


def _written(path: Path, *ids: int) -> Path:
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), path)
    return path


def _done(work: Coroutine[Any, Any, bool]) -> bool:
    return asyncio.run(work)


def _rows_of_another_state_are_served(folder: Path) -> bool:
    path = _written(folder / "t.parquet", 1, 2)

    async def attack() -> bool:
        kept = _store()
        first = await kept.get(_wanted(path))
        _written(path, 1)
        second = await kept.get(_wanted(path))
        assert first is not None
        assert second is not None
        return second.rows == first.rows

    return _done(attack())


def _an_extract_of_another_decision_is_served(folder: Path) -> bool:
    path = _written(folder / "t.parquet", 1, 2)

    async def attack() -> bool:
        kept = _store()
        return await kept.get(_wanted(path, "all")) is await kept.get(_wanted(path, "few"))

    return _done(attack())


def _an_extract_of_a_file_that_changed_meanwhile_is_kept(folder: Path) -> bool:
    path = _written(folder / "t.parquet", 1, 2)

    async def attack() -> bool:
        kept = _store(meanwhile=lambda changed: void(_written(changed, 3)))
        await kept.get(_wanted(path))
        return kept.kept != ()

    return _done(attack())


def void(_: object) -> None:
    """Drop a value."""


def _an_extract_of_a_file_just_written_is_kept(folder: Path) -> bool:
    path = _written(folder / "t.parquet", 1, 2)

    async def attack() -> bool:
        kept = _store(resting=3600)
        await kept.get(_wanted(path))
        return kept.kept != ()

    return _done(attack())


def _a_decision_outlives_its_end(folder: Path) -> bool:
    path = _written(folder / "t.parquet", 1, 2)

    async def attack() -> bool:
        kept = _store()
        await kept.get(_wanted(path, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        # What was due at once has run when the loop has gone round twice.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return kept.kept != ()

    return _done(attack())


def _what_is_kept_tells_how_much_is_hidden(folder: Path) -> bool:
    """The permitted cells are the same few in both worlds; in one of them the source is large."""
    kept: list[int] = []

    async def attack(path: Path) -> bool:
        made = _store(quota=30_000)
        await made.get(_wanted(path, "few"))
        kept.append(len(made.kept))
        return False

    _done(attack(_written(folder / "small.parquet", 1)))
    _done(attack(_written(folder / "large.parquet", *range(20_000))))
    return kept[0] != kept[1]


def _an_extract_is_written_to(_: Path) -> bool:
    file = MemoryFile()
    os.write(file.descriptor, b"permitted")
    file.seal()
    try:
        os.pwrite(file.descriptor, b"x", 0)
    except PermissionError:
        return False
    return True


def _a_worker_takes_what_can_still_change(_: Path) -> bool:
    descriptor = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    try:
        os.close(worker._slot(descriptor))
    except BrokenConversation as refusal:
        # In this process the slots are taken; a worker that looks at them has taken the file.
        return "not sealed" not in str(refusal)
    return True


def _a_builder_reads_the_source(folder: Path) -> bool:
    (folder / "source.txt").write_text("SECRET")
    made = folder / "made.duckdb"
    duckdb.connect(str(made)).close()
    builder = instance.prepare_builder(memory_bytes=MEMORY)
    descriptor = os.open(made, os.O_RDWR)
    try:
        instance.admit_file(builder, descriptor, name="made")
        builder.execute(f"SELECT content FROM read_text('{folder / 'source.txt'}')").fetchall()
    except duckdb.Error:
        return False
    finally:
        builder.close()
        os.close(descriptor)
    return True


# Statements that list tables.


def _a_list_tells_of_the_process(_: Path) -> bool:
    return ask("select * from pg_catalog.pg_settings").error is None


def _a_list_reads_the_state_of_the_process(_: Path) -> bool:
    connection = instance.open_sealed(memory_bytes=MEMORY)
    try:
        plans.scans(connection, "select * from duckdb_settings()", (), catalog=True)
    except PenstockError:
        return False
    finally:
        connection.close()
    return True


def _a_list_and_rows_meet(_: Path) -> bool:
    connection = instance.open_sealed(memory_bytes=MEMORY)
    try:
        parsing.parse(connection, "select * from flights, information_schema.tables")
    except PenstockError:
        return False
    finally:
        connection.close()
    return True


def _a_list_shows_names_that_are_not_for_the_caller(_: Path) -> bool:
    answer = ask("select table_name from information_schema.tables", tables=(FLIGHTS,))
    return answer.rows != [("flights",)]


# Partitions.


def _a_folder_is_taken_for_a_number(folder: Path) -> bool:
    table = folder / "d" / "t"
    for name in ("n=1", "n=1e3"):
        (table / name).mkdir(parents=True)
        _written(table / name / "1.parquet", 1)
    source = relations.parquet_table(table)
    try:
        printing.source_statement(_partitioned(), ("n",), source)
    except ValueError:
        return False
    return True


def _partitioned() -> GovernedTable:
    (column,) = (one for one in processes.ORDERS.columns if one.name == "id")
    schema = replace(processes.ORDERS, columns=(column, replace(column, name="n")))
    return processes.governed(schema=schema)


# Masks.


def _a_masked_value_crosses(folder: Path) -> bool:
    worlds.build(folder, 50)
    permitted = worlds.governed(folder, "text masks")
    stream = worlds.read(folder, "poison", "native", permitted)
    return any(worlds.CANARY in message for message in stream.messages)


def _without_masks(patch: pytest.MonkeyPatch) -> None:
    """As if the reader gave clear cells, for a mask that is computed behind it."""
    patch.setattr(printing._Printer, "_mask", staticmethod(lambda mask, cell, kind: cell.shown_as(kind)))


def _without_the_decision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "ExtractKey", lambda **parts: ExtractKey(**{**parts, "fingerprint": ""}))


def _without_ends(patch: pytest.MonkeyPatch) -> None:
    real = ExtractStore._keep

    def keep(self: ExtractStore, kept: Extract, table: TableName, *, until: datetime | None) -> None:
        assert until is not None
        real(self, kept, table, until=None)

    patch.setattr(ExtractStore, "_keep", keep)


def _with_every_view(patch: pytest.MonkeyPatch) -> None:
    """The list of views, and the look at the plan behind it."""
    patch.setattr(metadata, "is_relation", lambda parts: parts[0] == "pg_catalog")
    patch.setattr(metadata, "SCANS", metadata.SCANS | {"DUCKDB_SETTINGS"})


def _by_size_of_the_source(patch: pytest.MonkeyPatch) -> None:
    def size(self: ExtractStore) -> int:
        return sum(state.size for kept in self._kept.values() for state in kept.key.version)

    patch.setattr(ExtractStore, "bytes", property(size))


def _with_another_table(patch: pytest.MonkeyPatch) -> None:
    real = metadata.declare

    def declare(connection: duckdb.DuckDBPyConnection, tables: Any, *, catalog: str | None) -> None:
        real(connection, tables, catalog=catalog)
        connection.execute('CREATE TABLE "lake"."nyc"."salaries" (salary INTEGER)')

    patch.setattr(metadata, "declare", declare)


def _lists_and_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tree, "tables", lambda self: () if self.lists_tables else tuple(self._tables))


PROTECTIONS = [
    Protection(
        name="the state of the source is in the key",
        weaken=off(store, "version_of", lambda _: ()),
        attack=_rows_of_another_state_are_served,
    ),
    Protection(
        name="the decision is in the key",
        weaken=_without_the_decision,
        attack=_an_extract_of_another_decision_is_served,
    ),
    Protection(
        name="what changed while it was read is not kept",
        weaken=off(ExtractStore, "_is_as_it_was", lambda *_: True),
        attack=_an_extract_of_a_file_that_changed_meanwhile_is_kept,
    ),
    Protection(
        name="a file has rested before it is trusted",
        weaken=off(store, "rested", lambda *_, **__: True),
        attack=_an_extract_of_a_file_just_written_is_kept,
    ),
    Protection(
        name="an extract ends with its decision",
        weaken=_without_ends,
        attack=_a_decision_outlives_its_end,
    ),
    Protection(
        name="what is kept is counted in permitted bytes",
        weaken=_by_size_of_the_source,
        attack=_what_is_kept_tells_how_much_is_hidden,
    ),
    Protection(
        name="an extract is sealed",
        weaken=off(MemoryFile, "seal", lambda _: None),
        attack=_an_extract_is_written_to,
    ),
    Protection(
        name="all four seals are set",
        weaken=off(extract, "SEALS", 0),
        attack=_an_extract_is_written_to,
    ),
    Protection(
        name="a worker takes sealed files alone",
        weaken=off(worker, "is_sealed", lambda _: True),
        attack=_a_worker_takes_what_can_still_change,
    ),
    Protection(
        name="a builder sees no source",
        weaken=off(instance, "_close_doors", lambda _: None),
        attack=_a_builder_reads_the_source,
    ),
    Protection(
        name="views over the catalog are on a list",
        weaken=_with_every_view,
        attack=_a_list_tells_of_the_process,
    ),
    Protection(
        name="what a list may scan is on a list",
        weaken=off(metadata, "SCANS", metadata.SCANS | {"DUCKDB_SETTINGS"}),
        attack=_a_list_reads_the_state_of_the_process,
    ),
    Protection(
        name="a statement that lists reads nothing else",
        weaken=_lists_and_rows,
        attack=_a_list_and_rows_meet,
    ),
    Protection(
        name="a list is made of what the caller may know of",
        weaken=_with_another_table,
        attack=_a_list_shows_names_that_are_not_for_the_caller,
    ),
    Protection(
        name="values of partitions are checked",
        weaken=off(hive, "fit", lambda *_: True),
        attack=_a_folder_is_taken_for_a_number,
    ),
    Protection(name="masks are computed by the reader", weaken=_without_masks, attack=_a_masked_value_crosses),
]


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda protection: protection.name)
def test_it_holds_its_attack_and_nothing_else_does(
    protection: Protection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protection.require_alone(tmp_path, monkeypatch)
