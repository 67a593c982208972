"""Settings of the instances: what is closed stays closed, also for somebody who got past everything else."""

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.engines.duckdb import instance
from penstock_server.engines.duckdb.extracts.layout import SLOTS, descriptor_path

MEMORY = 64 * 1024 * 1024

WANTED = {
    "TimeZone": "UTC",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "allow_unsigned_extensions": "false",
    "allowed_directories": "[]",
    "arrow_lossless_conversion": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "default_collation": "binary",
    "enable_external_access": "false",
    "enable_progress_bar": "false",
    "lock_configuration": "true",
    "memory_limit": "64.0 MiB",
    "preserve_insertion_order": "true",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "threads": "1",
}


def _settings(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = connection.execute("SELECT name, value FROM duckdb_settings()").fetchall()
    return {str(name): str(value) for name, value in rows}


def test_a_sealed_instance_is_set_as_it_must_be() -> None:
    settings = _settings(instance.open_sealed(memory_bytes=MEMORY))
    assert {name: settings[name] for name in WANTED} == WANTED
    paths = {f"{descriptor_path(slot)}{log}" for slot in SLOTS for log in ("", ".wal")}
    # The engine resolves links where it may read them.
    allowed = settings["allowed_paths"].replace(f"/proc/{os.getpid()}/", "/proc/self/")
    assert set(allowed.strip("[]").split(", ")) == paths


def test_a_reader_differs_only_in_what_it_may_read_how_exactly_it_writes_and_by_no_statistics(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    reader = _settings(instance.open_reader(memory_bytes=MEMORY, paths=(tmp_path / "x.parquet", tmp_path / "folder")))
    sealed = _settings(instance.open_sealed(memory_bytes=MEMORY))
    differing = {name for name in sealed if sealed[name] != reader[name]}
    # How many threads read files ahead is no matter of safety.
    differing.discard("async_threads")
    what_it_may_read = {"allowed_configs", "allowed_directories", "allowed_paths"}
    assert differing == what_it_may_read | {"arrow_lossless_conversion", "disabled_optimizers"}
    assert reader["disabled_optimizers"] == "statistics_propagation"
    assert reader["allowed_configs"] == "[]"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1]}), file)
    return file


HOSTILE = [
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM glob('/*')",
    "ATTACH '{folder}/y.duckdb'",
    "COPY (SELECT 1) TO '{folder}/y.csv'",
    "EXPORT DATABASE '{folder}/z'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '1TB'",
    "SET threads = 8",
    "SET TimeZone = 'America/New_York'",
    "SET default_collation = 'nocase'",
    "SET temp_directory = '{folder}'",
    "SET allowed_paths = ['{file}']",
    "SET python_enable_replacements = true",
    "RESET enable_external_access",
    "PRAGMA enable_profiling",
    "SET log_query_path = '{folder}/log'",
    "SELECT * FROM file_of_python",
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_even_a_free_hand_in_a_sealed_instance_opens_nothing(statement: str, parquet: Path) -> None:
    file_of_python = pa.table({"a": [1]})
    connection = instance.open_sealed(memory_bytes=MEMORY)
    with pytest.raises(duckdb.Error):
        connection.execute(statement.format(file=parquet, folder=parquet.parent)).fetchall()
    assert sorted(path.name for path in parquet.parent.iterdir()) == ["x.parquet"]
    assert file_of_python.num_rows == 1


def test_a_reader_reads_its_files_and_no_others(parquet: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [2]}), other)
    connection = instance.open_reader(memory_bytes=MEMORY, paths=(parquet,))
    assert connection.execute(f"SELECT a FROM read_parquet('{parquet}')").fetchall() == [(1,)]
    for statement in (f"SELECT * FROM read_parquet('{other}')", *(text for text in HOSTILE if text.startswith("SET"))):
        with pytest.raises(duckdb.Error):
            connection.execute(statement.format(file=other, folder=tmp_path)).fetchall()


def test_a_reader_cannot_write_to_the_database_that_it_reads(tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    duckdb.connect(str(file)).execute("CREATE TABLE t AS SELECT 1 AS a")
    connection = instance.open_reader(memory_bytes=MEMORY, database=file)
    assert connection.execute("SELECT a FROM source.main.t").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error):
        connection.execute("INSERT INTO source.main.t VALUES (2)")


def test_a_function_of_the_database_does_not_shadow_one_of_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    duckdb.connect(str(file)).execute("CREATE MACRO abs(x) AS 'SECRET'; CREATE TABLE t AS SELECT -1 AS a")
    connection = instance.open_reader(memory_bytes=MEMORY, database=file)
    assert connection.execute("SELECT abs(a) FROM source.main.t").fetchall() == [(1,)]


def test_nothing_is_spilled_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connection = instance.open_sealed(memory_bytes=MEMORY)
    with pytest.raises(duckdb.OutOfMemoryException):
        connection.execute("SELECT i, random() r FROM range(20000000) t(i) ORDER BY r").fetchall()
    assert list(tmp_path.iterdir()) == []


def test_timestamps_without_a_zone_are_utc() -> None:
    connection = instance.open_sealed(memory_bytes=MEMORY)
    ((seconds,),) = connection.execute("SELECT epoch(TIMESTAMP '1970-01-01'::TIMESTAMPTZ)").fetchall()
    assert seconds == 0
