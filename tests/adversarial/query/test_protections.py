"""Mutation control: each protection of the SQL side, switched off, lets its attack through.

A protection whose absence nothing notices is no protection, or has no test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import (
    binding,
    canonical,
    canonical_arrays,
    errors,
    functions,
    inspection,
    instance,
    nesting,
    parsing,
    pinned_types,
    plans,
    printing,
    relation_printing,
)
from penstock_server.engines.duckdb.relations import DatabaseTable, ParquetFiles
from penstock_server.errors import ConfigurationError, PenstockError, Reason
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, AnyTrue, Compare, Comparison, Never, Not, Predicate
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily
from support.protections import Protection, off
from support.sealed import FLIGHTS, ask, sealed, shapes, supply

MEMORY = 128 * 1024 * 1024


def _column(name: str, sql: str, family: TypeFamily) -> Column:
    return Column(name=name, type=ColumnType(sql=sql, family=family))


def _table(columns: tuple[Column, ...], *rows: Predicate) -> GovernedTable:
    schema = TableSchema(name=TableName(catalog="c", database="main", table="t"), columns=columns, location=None)
    whole = (CellCase(when=Always(), mask=None),)
    return GovernedTable(
        schema=schema, columns=tuple(GovernedColumn(column=column, cases=whole) for column in columns), rows=rows
    )


def _database(folder: Path, *statements: str) -> Path:
    file = folder / "x.duckdb"
    writer = duckdb.connect(str(file))
    for statement in statements:
        writer.execute(statement)
    writer.close()
    return file


def _read(file: Path, table: GovernedTable, columns: tuple[str, ...]) -> list[tuple[object, ...]]:
    reader = instance.open_reader(memory_bytes=MEMORY, database=file)
    relation = DatabaseTable(file=file, schema="main", table="t")
    return reader.sql(printing.source_statement(table, columns, relation)).fetchall()


def _under_a_null_leaves(_: Path) -> bool:
    valid = np.packbits([True, False], bitorder="little").tobytes()
    array = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(valid), pa.py_buffer(np.array([1, 0x5EC2E7], np.int64).tobytes())]
    )
    batch = pa.RecordBatch.from_arrays([array], names=["x"])
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    return (0x5EC2E7).to_bytes(8, "little") in b"".join(canonical.batches(reader, message_bytes=None))


def _entries_of_a_dictionary_leave(folder: Path) -> bool:
    file = _database(folder, "CREATE TABLE t (k ENUM('seen', 'SECRET'))", "INSERT INTO t VALUES ('seen')")
    reader = instance.open_reader(memory_bytes=MEMORY, database=file)
    catalog = CatalogSettings(name="c", kind=CatalogKind.DATABASE, path=file, location=None)
    (schema,) = inspection.inspect(reader, catalog)
    return "SECRET" in schema.columns[0].type.sql


def _a_collation_widens_a_rule(folder: Path) -> bool:
    file = _database(folder, "CREATE TABLE t (s VARCHAR COLLATE NOCASE)", "INSERT INTO t VALUES ('A'), ('a')")
    column = _column("s", "VARCHAR", TypeFamily.TEXT)
    return len(_read(file, _table((column,), Compare(column="s", op=Comparison.EQUAL, value="a")), ("s",))) > 1


def _not_a_number_passes_a_rule(folder: Path) -> bool:
    file = _database(folder, "CREATE TABLE t (x DOUBLE)", "INSERT INTO t VALUES ('nan'), (0)")
    column = _column("x", "DOUBLE", TypeFamily.FLOAT)
    rule = Compare(column="x", op=Comparison.GREATER, value=0.5)
    return _read(file, _table((column,), rule), ("x",)) != []


def _an_unknown_layer_hides_what_another_shows(folder: Path) -> bool:
    file = _database(folder, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    column = _column("x", "INTEGER", TypeFamily.INTEGER)
    rule = Not(operand=AnyTrue(operands=(Never(),)))
    return _read(file, _table((column,), rule), ("x",)) == []


def _a_changed_type_is_rounded(folder: Path) -> bool:
    pq.write_table(pa.table({"n": [1.5]}), folder / "1.parquet")
    return _rounded(folder, folder / "1.parquet")


def _a_changed_file_is_rounded(folder: Path) -> bool:
    pq.write_table(pa.table({"n": pa.array([1], pa.int64())}), folder / "1.parquet")
    pq.write_table(pa.table({"n": [1.5]}), folder / "2.parquet")
    return _rounded(folder, folder / "1.parquet", folder / "2.parquet")


def _rounded(folder: Path, *files: Path) -> bool:
    reader = instance.open_reader(memory_bytes=MEMORY, paths=(folder,))
    table = _table((_column("n", "BIGINT", TypeFamily.INTEGER),))
    try:
        return bool(reader.sql(printing.source_statement(table, ("n",), ParquetFiles(files=files))).fetchall())
    except duckdb.Error:
        return False


def _state_of_the_process_is_read(_: Path) -> bool:
    return ask("select count(*) from duckdb_settings()").error is None


def _a_setting_is_read(_: Path) -> bool:
    return ask("select current_setting('memory_limit')").error is None


def _a_plan_scans_what_was_not_declared(_: Path) -> bool:
    connection = sealed()
    declaration = binding.declare(connection, ())
    try:
        binding.bind(connection, declaration, "select name from duckdb_settings()", ())
    except PenstockError:
        return False
    return True


def _a_statement_within_a_statement_writes(_: Path) -> bool:
    sql = "with x as (insert into flights values (9, 'x', 1) returning *) select * from x"
    try:
        parsing.parse(sealed(), sql)
    except PenstockError:
        return False
    return True


def _the_engine_is_ended_by_a_text(_: Path) -> bool:
    check = "nesting.check = lambda sql: None" if nesting.check.__name__ != "check" else "pass"
    program = (
        "from penstock_server.engines.duckdb import instance, nesting, parsing\n"
        f"{check}\n"
        "try:\n"
        "    parsing.parse(instance.open_sealed(memory_bytes=1 << 28), 'select ' + '@ ' * 120_000 + '1')\n"
        "except Exception:\n"
        "    pass\n"
    )
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode != 0


def _a_column_that_was_not_supplied_is_null(_: Path) -> bool:
    connection = sealed()
    declaration = binding.declare(connection, shapes((FLIGHTS,), [("flights",)]))
    binding.publish(connection, declaration, FLIGHTS.table_name, ("id",), supply(FLIGHTS, ("id",)))
    try:
        connection.execute("select carrier from flights").fetchall()
    except duckdb.Error:
        return False
    return True


def _a_file_is_read(folder: Path) -> bool:
    (folder / "x.txt").write_text("SECRET")
    try:
        sealed().execute(f"SELECT content FROM read_text('{folder / 'x.txt'}')").fetchall()
    except duckdb.Error:
        return False
    return True


def _a_setting_is_changed(_: Path) -> bool:
    try:
        sealed().execute("SET TimeZone = 'America/New_York'")
    except duckdb.Error:
        return False
    return True


def _a_variable_of_python_is_read(_: Path) -> bool:
    variable = pa.table({"a": [1]})
    try:
        sealed().execute("SELECT * FROM variable").fetchall()
    except duckdb.Error:
        return False
    assert variable.num_rows == 1
    return True


def _a_number_changes_on_its_way_out(_: Path) -> bool:
    answer = ask("select 340282366920938463463374607431768211455::uhugeint as x")
    if answer.error is not None:
        return False
    ((number,),) = answer.rows
    return int(number) != 2**128 - 1


def _a_hugeint_changes_its_meaning(_: Path) -> bool:
    return ask("select 170141183460469231731687303715884105727::hugeint as x").error is None


def _text_of_a_fault_is_shown(_: Path) -> bool:
    error = errors.translate(duckdb.IOException("IO Error: /secret/path"), sql="", memory_bytes=0)
    return "secret" in error.message


def _names_that_collide_are_accepted(folder: Path) -> bool:
    (folder / "d").mkdir()
    pq.write_table(pa.table([[1], [2]], names=["ssn", "SSN"]), folder / "d/t.parquet")
    catalog = CatalogSettings(name="c", kind=CatalogKind.PARQUET, path=folder, location=None)
    try:
        inspection.inspect(instance.open_reader(memory_bytes=MEMORY, paths=(folder,)), catalog)
    except ConfigurationError:
        return False
    return True


def _without_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inspection, "_check_names", lambda *_: True)
    patch.setattr(inspection, "_own_names", lambda *_: (["ssn", "SSN_1"], []))


def _without_functions_and_plan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(functions, "is_allowed", lambda *_, **__: True)
    patch.setattr(plans, "OPERATORS", plans.OPERATORS | {"DUCKDB_SETTINGS"})


def _with_enums(patch: pytest.MonkeyPatch) -> None:
    real = pinned_types._sql
    patch.setattr(
        pinned_types, "_sql", lambda kind: str(kind) if pinned_types._identity(kind) == "enum" else real(kind)
    )


def _layers_without_is_true(patch: pytest.MonkeyPatch) -> None:
    def join(self: printing._Printer, word: str, operands: tuple[Predicate, ...]) -> str:
        return word.join(f"({self.predicate(operand)})" for operand in operands)

    patch.setattr(printing._Printer, "_layers", join)


def _with_variables(patch: pytest.MonkeyPatch) -> None:
    kept = {key: value for key, value in instance._STARTUP.items() if key != "python_enable_replacements"}
    patch.setattr(instance, "_STARTUP", kept)
    # Closed doors hold it too.
    patch.setattr(instance, "_close_doors", lambda connection: None)


PROTECTIONS = [
    Protection(
        name="slots of NULLs are zeroed",
        weaken=off(canonical_arrays, "_fixed_width", lambda array: array),
        attack=_under_a_null_leaves,
    ),
    Protection(name="an ENUM is pinned as text", weaken=_with_enums, attack=_entries_of_a_dictionary_leave),
    Protection(
        name="text compares by code points",
        weaken=off(printing, "_comparable", lambda column: f'"{column.name}"'),
        attack=_a_collation_widens_a_rule,
    ),
    Protection(
        name="NaN is UNKNOWN",
        weaken=off(printing, "_comparable", lambda column: f'"{column.name}"'),
        attack=_not_a_number_passes_a_rule,
    ),
    Protection(
        name="layers are joined by IS TRUE",
        weaken=_layers_without_is_true,
        attack=_an_unknown_layer_hides_what_another_shows,
    ),
    Protection(
        name="types are those that were pinned",
        weaken=off(printing, "_same_type", lambda column: "TRUE"),
        attack=_a_changed_type_is_rounded,
    ),
    Protection(
        name="files of one table agree",
        weaken=off(relation_printing, "same_files", lambda source: ""),
        attack=_a_changed_file_is_rounded,
    ),
    Protection(
        name="functions are on a list",
        weaken=off(functions, "is_allowed", lambda *_, **__: True),
        attack=_a_setting_is_read,
    ),
    Protection(
        name="functions are on a list and the plan is looked at",
        weaken=_without_functions_and_plan,
        attack=_state_of_the_process_is_read,
    ),
    Protection(
        name="the plan is looked at",
        weaken=off(plans, "OPERATORS", plans.OPERATORS | {"DUCKDB_SETTINGS"}),
        attack=_a_plan_scans_what_was_not_declared,
    ),
    Protection(
        name="kinds of query nodes are on a list",
        weaken=lambda patch: patch.setattr("penstock_server.engines.duckdb.tree.QUERY_NODES", _Everything()),
        attack=_a_statement_within_a_statement_writes,
    ),
    Protection(
        name="depth is counted before the engine parses",
        weaken=off(nesting, "check", lambda sql: None),
        attack=_the_engine_is_ended_by_a_text,
    ),
    Protection(
        name="a column that was not supplied fails",
        weaken=off(binding, "_UNSUPPLIED", "CAST(NULL AS {type})"),
        attack=_a_column_that_was_not_supplied_is_null,
    ),
    Protection(
        name="no access outside", weaken=off(instance, "_close_doors", lambda connection: None), attack=_a_file_is_read
    ),
    Protection(
        name="settings are locked",
        weaken=off(instance, "_close_doors", lambda connection: None),
        attack=_a_setting_is_changed,
    ),
    Protection(
        name="no variables of Python",
        weaken=_with_variables,
        attack=_a_variable_of_python_is_read,
    ),
    Protection(
        name="results that Arrow cannot say are refused",
        weaken=off(pinned_types, "INEXACT_IN_ANSWERS", {}),
        attack=_a_number_changes_on_its_way_out,
    ),
    Protection(
        name="decimals are within their precision",
        weaken=off(canonical_arrays, "_check_decimal", lambda *_: None),
        attack=_a_hugeint_changes_its_meaning,
    ),
    Protection(
        name="faults of the engine have a fixed text",
        weaken=lambda patch: patch.setitem(errors.MEANING, "IOException", Reason.SQL_EXECUTION),
        attack=_text_of_a_fault_is_shown,
    ),
    Protection(name="names that collide are refused", weaken=_without_names, attack=_names_that_collide_are_accepted),
]


class _Everything(frozenset[str]):
    def __contains__(self, item: object) -> bool:
        return True


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda protection: protection.name)
def test_it_holds_its_attack_and_nothing_else_does(
    protection: Protection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protection.require_alone(tmp_path, monkeypatch)
