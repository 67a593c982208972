"""How a reader's statement names the rows of a source: files, objects, a snapshot, or a table of an attached file.

Imports neither DuckDB nor Arrow.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock_server.engines.duckdb import hive
from penstock_server.engines.duckdb.hive import Partitions
from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.objects.paths import PROTOCOL
from penstock_server.engines.duckdb.relations import (
    SOURCE,
    DatabaseTable,
    IcebergFiles,
    ObjectFiles,
    ParquetFiles,
    SourceRelation,
)
from penstock_server.model.schema import TableSchema

_FILE, _ROW = '"file of a row\x1f"', '"number of a row\x1f"'
"""Names beside the columns of a table; none of them is selected, and none can be asked for."""

PARQUET_OPTIONS = "binary_as_string = false, file_row_number = false, filename = false, union_by_name = false"
"""How Parquet files are read, at inspection as at reading."""


def same_files(source: SourceRelation) -> str:
    """Print the statement that fails where the files of a table differ: the engine would convert all to the first."""
    match source:
        case ParquetFiles() | ObjectFiles() if len(source.paths) > 1:
            return (
                "SELECT CASE WHEN count(DISTINCT shape) > 1 THEN error('the files of the table differ') END FROM ("  # noqa: S608 - quoted
                "SELECT list((name, duckdb_type, num_children)) AS shape "
                f"FROM parquet_schema({_listed(source.paths)}) WHERE column_id > 0 GROUP BY file_name); "
            )
        case _:
            return ""


def relation(source: SourceRelation, schema: TableSchema) -> str:
    """Print what stands behind FROM.

    Raises:
        ValueError: the partitions are no longer the pinned ones.
    """
    match source:
        case ParquetFiles() | ObjectFiles():
            keys = _hive_options(source.partitions, schema)
            return f"read_parquet({_listed(source.paths)}, {PARQUET_OPTIONS}, {keys})"
        case IcebergFiles():
            return _snapshot(source)
        case DatabaseTable():
            return f"{quoted(SOURCE)}.{quoted(source.schema)}.{quoted(source.table)}"


def _snapshot(source: IcebergFiles) -> str:
    """Print the rows of a snapshot that are not deleted: columns by field id, NULL where a file is older than one."""
    fields = ", ".join(
        f"{field.number}: {{name: {text_literal(field.column.name)}, type: {text_literal(field.column.type.sql)}, "
        "default_value: NULL}"
        for field in source.plan.fields
    )
    options = "binary_as_string = false, hive_partitioning = false, union_by_name = false"
    files = f"read_parquet({_listed(source.plan.data)}, schema = MAP {{{fields}}}, {options})"
    if not source.plan.deletes:
        return files
    deleted = f"read_parquet({_listed(source.plan.deletes)}, {options})"
    # Names of a file and of the number of a row in it: DuckDB has them as `filename` and `file_row_number`.
    return (
        f"(SELECT data.* FROM (SELECT *, filename AS {_FILE}, file_row_number AS {_ROW} FROM {files}) AS data "  # noqa: S608 - quoted
        f"WHERE NOT EXISTS (SELECT 1 FROM {deleted} AS gone WHERE "
        f"regexp_replace(gone.file_path, '^s3[an]?://', '{PROTOCOL}://') = data.{_FILE} AND gone.pos = data.{_ROW}))"
    )


def _hive_options(partitions: Partitions | None, schema: TableSchema) -> str:
    """Print the types of the keys as they are pinned; a folder that came since and does not fit them is a fault."""
    if partitions is None:
        return "hive_partitioning = false"
    types: list[str] = []
    for key, values in zip(partitions.keys, partitions.values, strict=True):
        column = schema.column(key)
        if column is None or not hive.fit(values, column.type.sql):
            raise ValueError("the partitions are no longer those that were inspected")
        types.append(f"{quoted(key)}: {column.type.sql}")
    return f"hive_partitioning = true, hive_types_autocast = false, hive_types = {{{', '.join(types)}}}"


def _listed(files: Sequence[str]) -> str:
    return "[" + ", ".join(text_literal(file) for file in files) + "]"
