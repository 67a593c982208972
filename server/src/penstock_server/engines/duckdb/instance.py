"""DuckDB instances as they must stand before anybody's text reaches them.

The order matters: what is set after `enable_external_access=false` may be refused, and after `lock_configuration` is.
Every setting is stated, also where it repeats a default: an upgrade that changes a default must not change us.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from penstock_server.engines.duckdb.extracts.layout import SLOTS, descriptor_path
from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.objects import file_system
from penstock_server.engines.duckdb.objects.paths import ObjectPath
from penstock_server.engines.duckdb.relations import SOURCE

_STARTUP: dict[str, str | bool | int | float | list[str]] = {
    "access_mode": "automatic",
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "allow_unsigned_extensions": False,
    "arrow_large_buffer_size": False,
    "arrow_output_list_view": False,
    "arrow_output_version": "1.0",
    "async_threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # SECURITY: any other collation would make text predicates match more than the policy says.
    "default_collation": "binary",
    "default_null_order": "nulls_last",
    "default_order": "asc",
    "dialect_compatibility_mode": "none",
    "enable_external_file_cache": False,
    "errors_as_json": True,
    "explain_output": "all",
    "ieee_floating_point_ops": True,
    "integer_division": False,
    "preserve_insertion_order": True,
    "preserve_identifier_case": "preserve_case",
    # SECURITY: names in SQL would find variables of this Python process.
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
    "show_behavior": "table",
}


def open_sealed(*, memory_bytes: int, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Open the instance in which a caller's text will run: no file, no network, nothing to spill to.

    `memory_bytes` bounds what it holds: past it the statement fails. More than one thread makes the order of
    ungrouped rows, and the last digits of floating-point sums, differ from run to run.
    """
    connection = _open({"temp_directory": "", "memory_limit": f"{memory_bytes}B", "threads": threads})
    connection.execute("SET arrow_lossless_conversion=false")
    # `binding` alone switches optimizers, to learn the used columns, and `metadata` alone sets a search path; no text
    # of a caller can reach a SET.
    connection.execute("SET allowed_configs=['disabled_optimizers','search_path']")
    # Memory files that the process is given later; a caller's statement can name no file at all.
    # DuckDB: looks for a log beside each; there never is one (2.0.0).
    paths = [f"{descriptor_path(slot)}{log}" for slot in SLOTS for log in ("", ".wal")]
    listed = ", ".join(text_literal(path) for path in paths)
    connection.execute(f"SET allowed_paths=[{listed}]")
    _close_doors(connection)
    return connection


def attach_slot(connection: duckdb.DuckDBPyConnection, slot: int, *, name: str) -> None:
    """Attach the memory file in a slot, to be read."""
    connection.execute(f"ATTACH {text_literal(descriptor_path(slot))} AS {quoted(name)} (READ_ONLY)")


def prepare_builder(*, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open the instance that writes an extract, ahead of it."""
    connection = _open({"temp_directory": "", "memory_limit": f"{memory_bytes}B", "threads": 1})
    # DuckDB: with both, a transaction is written to the file alone and never to a log beside it (2.0.0).
    connection.execute("SET auto_checkpoint_skip_wal_threshold=0")
    connection.execute("SET wal_autocheckpoint='1B'")
    return connection


def admit_file(connection: duckdb.DuckDBPyConnection, descriptor: int, *, name: str) -> None:
    """Attach the memory file behind a descriptor to a builder's instance, to be written; then close its doors."""
    # DuckDB: may not ask about the path, so it takes the file for a new one; told the type, it does not look (2.0.0).
    connection.execute(f"ATTACH {text_literal(descriptor_path(descriptor))} AS {quoted(name)} (TYPE duckdb)")
    _close_doors(connection)


def open_reader(
    *,
    memory_bytes: int,
    paths: tuple[Path, ...] = (),
    database: Path | None = None,
    objects: tuple[ObjectPath, ...] = (),
    courier: int | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open the instance that reads a source: files at or in `paths`, the DuckDB file `database`, or `objects` only.

    One thread, so that the order and the cut of what it reads are functions of the data. A DuckDB file is attached
    read-only as `SOURCE` and never stands on the search path, so no name of it can shadow a function.
    """
    connection = prepare_reader(memory_bytes=memory_bytes)
    admit_source(connection, paths=paths, database=database, objects=objects, courier=courier)
    return connection


def prepare_reader(*, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open a reader's instance ahead of its source, with no thread beside the caller's.

    INVARIANT: Landlock binds the calling thread alone, and a reader's rights are narrowed to its table after this.
    """
    connection = _open({"async_threads": 0, "memory_limit": f"{memory_bytes}B", "temp_directory": "", "threads": 1})
    connection.execute("SET arrow_lossless_conversion=true")
    # SECURITY: a condition that a caller brings along would be decided by the least and the greatest value of hidden
    # rows, and nothing read (test_whether_a_broken_table_is_read_hangs_on_no_condition).
    connection.execute("SET disabled_optimizers='statistics_propagation'")
    return connection


def admit_source(
    connection: duckdb.DuckDBPyConnection,
    *,
    paths: tuple[Path, ...],
    database: Path | None,
    objects: tuple[ObjectPath, ...] = (),
    courier: int | None = None,
) -> file_system.ObjectFileSystem | None:
    """Let a prepared instance read files at or in `paths`, the DuckDB file `database`, or objects; close its doors.

    `courier` is the descriptor of the socket on which the objects are brought; it is owned from here on. Gives
    the objects as files, None where there are none.
    """
    files = None if courier is None else file_system.register(connection, objects, courier)
    for setting, listed in (
        ("allowed_directories", [str(path) for path in paths if path.is_dir()]),
        ("allowed_paths", [*(str(path) for path in paths if not path.is_dir()), *(found.path for found in objects)]),
    ):
        connection.execute(f"SET {setting}=[{', '.join(map(text_literal, listed))}]")
    if database is not None:
        connection.execute(f"ATTACH {text_literal(str(database))} AS {quoted(SOURCE)} (READ_ONLY)")
    _close_doors(connection)
    return files


def _open(settings: dict[str, str | bool | int | float | list[str]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={**_STARTUP, **settings})
    # SECURITY: in any other zone a bare timestamp names another instant.
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET Calendar='gregorian'")
    # DuckDB: prints its progress to standard output after two seconds unless told not to (2.0.0).
    connection.execute("SET enable_progress_bar=false")
    connection.execute("SET enable_progress_bar_print=false")
    return connection


def _close_doors(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
