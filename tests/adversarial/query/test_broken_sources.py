"""A source that cannot be read is one word, whatever lies in its hidden rows."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.engines.duckdb import printing
from penstock_server.engines.duckdb.relations import ParquetFiles
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, In
from penstock_server.model.schema import TableSchema
from support import worlds
from support.worlds import NAME, SCHEMA

ROWS = 400
HUGE = 4 * 1024 * 1024


def _table(columns: tuple[str, ...]) -> GovernedTable:
    schema = TableSchema(
        name=NAME,
        columns=tuple(column for column in SCHEMA.columns if column.name in (*columns, "tenant")),
        location=None,
    )
    shown = tuple(
        GovernedColumn(column=column, cases=(CellCase(when=Always(), mask=None),))
        for column in schema.columns
        if column.name in columns
    )
    # A long list is a join: hidden rows are decoded before they are dropped.
    mine = In(column="tenant", values=frozenset(["a", *(f"tenant {number}" for number in range(100))]))
    return GovernedTable(schema=schema, columns=shown, rows=(mine,))


def _read(folder: Path, world: str, *, memory_bytes: int = 1 << 28) -> bytes:
    statement = printing.source_statement(
        _table(("id", "s")), ("id", "s"), ParquetFiles(files=(worlds.parquet_file(folder, world),))
    )
    return worlds.read(folder, world, "parquet", {"t": statement}, memory_bytes=memory_bytes)["t"]


def _write(folder: Path, world: str, hidden: bytes) -> None:
    tenants = ["b" if number % 7 == 3 else "a" for number in range(ROWS)]
    texts = [hidden if tenant == "b" else b"fine" for tenant in tenants]
    data = pa.array(texts, pa.binary())
    text = pa.Array.from_buffers(pa.string(), ROWS, data.buffers())
    table = pa.table({"id": pa.array(range(ROWS), pa.int64()), "tenant": tenants, "s": text})
    file = worlds.parquet_file(folder, world)
    file.parent.mkdir(parents=True)
    pq.write_table(table, file, use_dictionary=False, row_group_size=64)


UNREADABLE = b"Unavailable TABLE_UNREADABLE the table is unreadable its owner has to mend it at the source"


@pytest.mark.parametrize(
    ("hidden", "memory_bytes"),
    [(b"\xff\xfe-SECRET", 1 << 28), (b"SECRET" + b"x" * HUGE, 20 * 1024 * 1024)],
    ids=["a bad byte in a hidden row", "hidden values too large for the memory"],
)
def test_a_fault_in_a_hidden_row_shows_nothing_of_it(tmp_path: Path, hidden: bytes, memory_bytes: int) -> None:
    _write(tmp_path, "poison", hidden)
    _write(tmp_path, "benign", b"harmless")
    assert _read(tmp_path, "benign", memory_bytes=memory_bytes).count(b"fine") > 0
    assert _read(tmp_path, "poison", memory_bytes=memory_bytes) == UNREADABLE


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "garbage", "footer"])
def test_every_damage_of_a_file_is_the_same_word(tmp_path: Path, damage: str) -> None:
    _write(tmp_path, "poison", b"harmless")
    file = worlds.parquet_file(tmp_path, "poison")
    whole = file.read_bytes()
    match damage:
        case "missing":
            file.unlink()
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "empty":
            file.write_bytes(b"")
        case "garbage":
            file.write_bytes(b"PAR1" + b"\x55" * 500 + b"PAR1")
        case _:
            start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
            file.write_bytes(whole[:start] + b"\x5a" * 40 + whole[start + 40 :])
    assert _read(tmp_path, "poison") == UNREADABLE


def test_a_policy_column_that_is_gone_is_the_same_word(tmp_path: Path) -> None:
    file = worlds.parquet_file(tmp_path, "poison")
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "s": ["x"]}), file)
    assert _read(tmp_path, "poison") == UNREADABLE


def test_a_database_file_that_is_none_is_the_same_word(tmp_path: Path) -> None:
    (tmp_path / "poison.duckdb").write_bytes(b"not a database" * 1000)
    statement = printing.source_statement(_table(("id",)), ("id",), worlds.relation(tmp_path, "poison", "native"))
    assert worlds.read(tmp_path, "poison", "native", {"t": statement})["t"] == UNREADABLE


def test_a_database_file_whose_writer_left_a_log_is_read_with_it(tmp_path: Path) -> None:
    file = tmp_path / "poison.duckdb"
    writer = duckdb.connect(str(file))
    writer.execute("SET checkpoint_threshold = '1GB'; PRAGMA disable_checkpoint_on_shutdown")
    writer.execute("CREATE SCHEMA nyc; CREATE TABLE nyc.t (id BIGINT, tenant VARCHAR)")
    writer.execute("INSERT INTO nyc.t VALUES (42, 'a'), (43, 'b')")
    writer.close()
    assert (tmp_path / "poison.duckdb.wal").exists()
    relation = worlds.relation(tmp_path, "poison", "native")
    assert len(relation.readable) == 2
    statement = printing.source_statement(_table(("id",)), ("id",), relation)
    stream = worlds.read(tmp_path, "poison", "native", {"t": statement})["t"]
    assert (42).to_bytes(8, "little") in stream
    assert (43).to_bytes(8, "little") not in stream
