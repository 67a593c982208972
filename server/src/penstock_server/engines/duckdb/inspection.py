"""What tables a catalog has and which types their columns have, read once and pinned.

Refuses what would defeat the policy later: names that the engine cannot tell apart, macros and views in a catalog
file, generated columns, files of one table that differ, types that have no exact form on the way to a worker. Runs in
a child of its own: a broken file may take the process with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import duckdb
from duckdb.sqltypes import DuckDBPyType

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import relations, signature
from penstock_server.engines.duckdb.binding import EXTRACT, STORE
from penstock_server.engines.duckdb.hive import Partitions
from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.objects.tables import listed_tables
from penstock_server.engines.duckdb.pinned_types import UnpinnableType, pinned
from penstock_server.engines.duckdb.relation_printing import PARQUET_OPTIONS
from penstock_server.engines.duckdb.relations import SOURCE
from penstock_server.errors import ConfigurationError
from penstock_server.model.objects import StoredObject
from penstock_server.model.resource import S3Location, TableName, fold
from penstock_server.model.schema import Column, ColumnType, TableSchema

RESERVED_CATALOGS = frozenset({"memory", "system", "temp", SOURCE, STORE})
"""Names that the engine, or we, use for something else."""

_ENGINE_DATABASES = frozenset({"information_schema", "pg_catalog"})
"""DuckDB: has these in every catalog, and lets nothing be made in them (2.0.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One table as it lies in the source."""

    database: str
    table: str
    relation: relations.SourceRelation


class _Problems:
    """Collects what is wrong, so that an operator mends all of it at once."""

    def __init__(self, catalog: CatalogSettings) -> None:
        self._where = f"catalog `{catalog.name}` ({catalog.place})"
        self.found: list[str] = []

    def add(self, problem: str) -> None:
        self.found.append(f"{self._where}: {problem}")


def inspect(
    connection: duckdb.DuckDBPyConnection, catalog: CatalogSettings, objects: Sequence[StoredObject] = ()
) -> tuple[TableSchema, ...]:
    """Give every table of a catalog with its pinned columns, by name.

    `connection` is a reader's: with the catalog's files or `objects` allowed, or its database attached.

    Raises:
        ConfigurationError: what cannot be read or must not be used, each with its place.
    """
    problems = _Problems(catalog)
    if fold(catalog.name) in RESERVED_CATALOGS or fold(catalog.name).startswith(EXTRACT):
        problems.add(f"the engine needs the name `{catalog.name}` itself; choose another one")
    try:
        found = _found(connection, catalog, objects, problems)
        _check_names("database", sorted({table.database for table in found}), problems)
        schemas = [schema for table in found if (schema := _schema(connection, catalog, table, problems)) is not None]
    except OSError as error:
        problems.add(f"cannot be read ({error.strerror}); check the path and its rights")
        schemas = []
    except duckdb.Error as error:
        problems.add(f"cannot be read ({type(error).__name__}); is it a DuckDB file that this version can open?")
        schemas = []
    _check_tables(schemas, problems)
    if not schemas and not problems.found:
        problems.add(
            "holds no table; expected `<database>/<table>.parquet` or `<database>/<table>/*.parquet`, perhaps in "
            "folders `key=value`"
        )
    if problems.found:
        raise ConfigurationError(tuple(problems.found))
    return tuple(sorted(schemas, key=lambda schema: schema.name))


def _found(
    connection: duckdb.DuckDBPyConnection,
    catalog: CatalogSettings,
    objects: Sequence[StoredObject],
    problems: _Problems,
) -> list[_Found]:
    match catalog.kind:
        case CatalogKind.PARQUET:
            return _parquet_tables(catalog, problems)
        case CatalogKind.S3 | CatalogKind.GLUE:
            return _object_tables(catalog, objects, problems)
        case CatalogKind.DATABASE:
            return _tables(connection, catalog, problems)


def readable(catalog: CatalogSettings) -> tuple[Path, ...]:
    """Give the paths that inspecting a catalog, or reading from it, opens."""
    match catalog.kind:
        case CatalogKind.PARQUET:
            return (catalog.path,)
        case CatalogKind.DATABASE:
            return relations.database_paths(catalog.path)
        case CatalogKind.S3 | CatalogKind.GLUE:
            return ()


def _parquet_tables(catalog: CatalogSettings, problems: _Problems) -> list[_Found]:
    if not catalog.path.is_dir():
        problems.add("is no folder; check the path")
        return []
    return [found for folder in _entries(catalog.path) for found in _tables_of(catalog.path / folder, problems)]


def _object_tables(catalog: CatalogSettings, objects: Sequence[StoredObject], problems: _Problems) -> list[_Found]:
    if catalog.s3 is None:
        return []
    found = []
    for listed in listed_tables(catalog.s3.uri, objects, problems.add):
        if fold(listed.database) in _ENGINE_DATABASES:
            problems.add(f"the engine needs the name `{listed.database}` itself; rename the folder")
        else:
            found.append(_Found(database=listed.database, table=listed.table, relation=listed.files))
    return found


def _entries(folder: Path) -> Iterator[str]:
    return iter(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith((".", "_"))))


def _tables_of(folder: Path, problems: _Problems) -> Iterator[_Found]:
    if not folder.is_dir():
        problems.add(f"`{folder.name}` is no folder; tables lie in a folder that is their database")
        return
    if fold(folder.name) in _ENGINE_DATABASES:
        problems.add(f"the engine needs the name `{folder.name}` itself; rename the folder")
        return
    for name in _entries(folder):
        path = folder / name
        table = name.removesuffix(relations.SUFFIX)
        if path.is_dir() and (folder / f"{name}{relations.SUFFIX}").exists():
            problems.add(f"`{folder.name}/{name}` is a folder and a file; keep one of them")
        elif path.is_dir() or (table != name and relations.is_data_file(path)):
            try:
                relation = relations.parquet_table(folder / table)
            except FileNotFoundError:
                problems.add(f"`{folder.name}/{name}` holds no Parquet file")
            except ValueError as error:
                problems.add(f"`{folder.name}/{name}`: {error}")
            else:
                yield _Found(database=folder.name, table=table, relation=relation)
        else:
            problems.add(f"`{folder.name}/{name}` is neither a folder nor a Parquet file")


def _tables(connection: duckdb.DuckDBPyConnection, catalog: CatalogSettings, problems: _Problems) -> list[_Found]:
    """Give the tables of the attached file, and refuse what else it holds."""
    for kind, query in (
        (
            "macro",
            "SELECT schema_name, function_name FROM duckdb_functions() WHERE database_name = $1 AND NOT internal",
        ),
        ("view", "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal"),
    ):
        for schema, name in connection.execute(f"{query} ORDER BY ALL", [SOURCE]).fetchall():
            problems.add(f"`{schema}.{name}` is a {kind}; a {kind} in a catalog file could change what a query reads")
    rows = connection.execute(
        "SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE database_name = $1 AND NOT internal "
        "ORDER BY ALL",
        [SOURCE],
    ).fetchall()
    generated = _generated(connection)
    for schema, table, _ in rows:
        for column in generated.get((schema, table), ()):
            problems.add(f"`{schema}.{table}.{column}` is a generated column; it could show a column that is excluded")
    return [
        _Found(
            database=schema,
            table=table,
            relation=relations.DatabaseTable(file=catalog.path, schema=schema, table=table),
        )
        for schema, table, _ in rows
    ]


def _generated(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[str]]:
    rows = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = $1 AND NOT internal AND is_generated ORDER BY ALL",
        [SOURCE],
    ).fetchall()
    found: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in rows:
        found.setdefault((schema, table), []).append(column)
    return found


def _schema(
    connection: duckdb.DuckDBPyConnection, catalog: CatalogSettings, found: _Found, problems: _Problems
) -> TableSchema | None:
    place = f"{found.database}.{found.table}"
    columns = _columns(connection, found.relation, place, problems)
    if columns is None:
        return None
    if not _check_names(f"column of `{place}`", [name for name, _ in columns], problems):
        return None
    typed: list[Column] = []
    for name, kind in columns:
        try:
            typed.append(Column(name=name, type=pinned(kind)))
        except UnpinnableType as error:
            problems.add(f"`{place}.{name}`: {error}")
    named = [_check_fields(f"{place}.{column.name}", column.type, problems) for column in typed]
    if not all(named):
        return None
    return TableSchema(
        name=TableName(catalog=catalog.name, database=found.database, table=found.table),
        columns=tuple(typed),
        location=_location(catalog, found),
    )


def _columns(
    connection: duckdb.DuckDBPyConnection, relation: relations.SourceRelation, place: str, problems: _Problems
) -> list[tuple[str, DuckDBPyType]] | None:
    """Give names and types as the source states them; None where it cannot be read."""
    match relation:
        case relations.DatabaseTable(schema=schema, table=table):
            return _described(connection, f"{quoted(SOURCE)}.{quoted(schema)}.{quoted(table)}")
        case relations.IcebergFiles():
            return [(field.column.name, DuckDBPyType(field.column.type.sql)) for field in relation.plan.fields]
        case relations.ParquetFiles() | relations.ObjectFiles():
            first: list[tuple[str, DuckDBPyType]] | None = None
            files = relation.paths
            for file in files:
                columns = _file_columns(connection, file, place, problems)
                if columns is None:
                    return None
                if first is not None and columns != first:
                    name, other = PurePosixPath(file).name, PurePosixPath(files[0]).name
                    problems.add(f"`{place}`: {name} has other columns or types than {other}; rewrite it")
                    return None
                first = columns
            return [*(first or ()), *_keys(relation.partitions)]


def _keys(partitions: Partitions | None) -> list[tuple[str, DuckDBPyType]]:
    """Give the columns that the names of folders make; they stand behind those of the files, as in Hive and Glue."""
    if partitions is None:
        return []
    return [(key, DuckDBPyType(kind)) for key, kind in zip(partitions.keys, partitions.types(), strict=True)]


def _file_columns(
    connection: duckdb.DuckDBPyConnection, file: str, place: str, problems: _Problems
) -> list[tuple[str, DuckDBPyType]] | None:
    name_of_file = PurePosixPath(file).name
    try:
        own, nested = _own_names(connection, file)
        relation = f"read_parquet([{text_literal(file)}], {PARQUET_OPTIONS}, hive_partitioning = false)"
        columns = _described(connection, relation)
    except duckdb.Error as error:
        problems.add(f"`{place}`: {name_of_file} cannot be read ({type(error).__name__}); is it a whole Parquet file?")
        return None
    # DuckDB: columns whose names collide are renamed (`ssn`, `SSN_1`), and would escape an exclusion; so are fields
    # of a struct (2.0.0).
    if not _check_names(f"column of `{place}`", own, problems):
        return None
    named = [_check_names(f"field of `{place}.{within}`", names, problems) for within, names in nested]
    if not all(named):
        return None
    if own != [name for name, _ in columns]:
        problems.add(
            f"`{place}`: the engine gives the columns of {name_of_file} other names than the file; rename them"
        )
        return None
    return columns


def _own_names(connection: duckdb.DuckDBPyConnection, file: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Give the names of a file's columns as the file states them, and of all fields with where they stand.

    The schema of a file is a tree, listed depth first.
    """
    rows = connection.execute(f"SELECT name, num_children FROM parquet_schema({text_literal(file)})").fetchall()  # noqa: S608 - quoted
    root: list[str] = []
    nested: list[tuple[str, list[str]]] = []
    unfinished: list[tuple[str, list[str], int]] = [("", root, int(rows[0][1] or 0))]
    for name, children in rows[1:]:
        while unfinished[-1][2] == len(unfinished[-1][1]):
            unfinished.pop()
        within, names, _ = unfinished[-1]
        names.append(str(name))
        if children:
            inner = f"{within}.{name}" if within else str(name)
            nested.append((inner, []))
            unfinished.append((inner, nested[-1][1], int(children)))
    return root, nested


def _described(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, DuckDBPyType]]:
    signed = signature.signature(connection, f"SELECT * FROM {relation}")  # noqa: S608 - quoted names
    return list(zip(signed.names, signed.types, strict=True))


def _check_tables(schemas: Sequence[TableSchema], problems: _Problems) -> None:
    databases = {schema.name.database for schema in schemas}
    for database in sorted(databases):
        names = [schema.name.table for schema in schemas if schema.name.database == database]
        _check_names(f"table of `{database}`", names, problems)


def _check_names(kind: str, names: Iterable[str], problems: _Problems) -> bool:
    """Refuse names that fold together: by ASCII as the engine does, or by Unicode as people and other engines do."""
    seen: dict[str, str] = {}
    good = True
    for name in names:
        key = unicodedata.normalize("NFKC", name).casefold()
        if key in seen:
            problems.add(f"{kind}: `{seen[key]}` and `{name}` are one name in some engine; rename one")
            good = False
        if "\x00" in name or not name:
            problems.add(f"{kind}: a name is empty or holds NUL; rename it")
            good = False
        seen[key] = name
    return good


def _check_fields(place: str, kind: ColumnType, problems: _Problems) -> bool:
    """Refuse fields of a struct whose names fold together, at every level."""
    good = _check_names(f"field of `{place}`", [part.name for part in kind.fields], problems)
    return all([good, *(_check_fields(f"{place}.{part.name}", part.type, problems) for part in kind.fields)])


def _location(catalog: CatalogSettings, found: _Found) -> S3Location | None:
    """Give where the table lies for the credential doors: laid out there as here."""
    if catalog.location is None or catalog.kind is CatalogKind.DATABASE:
        return catalog.location
    prefix = catalog.location.key.rstrip("/")
    match found.relation:
        case relations.ObjectFiles(within=within):
            is_file = within.key.endswith(relations.SUFFIX)
        case _:
            is_file = not (catalog.path / found.database / found.table).is_dir()
    name = f"{found.table}{relations.SUFFIX}" if is_file else found.table
    return S3Location(
        bucket=catalog.location.bucket, key="/".join(part for part in (prefix, found.database, name) if part)
    )
