"""Statements that ask which tables there are: SHOW, information_schema, pg_catalog and the `duckdb_*()` functions.

They run over empty tables of all that the caller may know of, in an instance that holds nothing else; so what the
engine says of its own catalog is what the policy says. Such a statement reads no rows, and cannot read any beside.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.shapes import VisibleTable
from penstock_server.model.resource import fold

RELATIONS = frozenset(
    {
        ("information_schema", "character_sets"),
        ("information_schema", "columns"),
        ("information_schema", "constraint_column_usage"),
        ("information_schema", "key_column_usage"),
        ("information_schema", "referential_constraints"),
        ("information_schema", "schemata"),
        ("information_schema", "table_constraints"),
        ("information_schema", "tables"),
        ("information_schema", "views"),
        ("pg_catalog", "pg_attribute"),
        ("pg_catalog", "pg_class"),
        ("pg_catalog", "pg_database"),
        ("pg_catalog", "pg_namespace"),
        ("pg_catalog", "pg_tables"),
        ("pg_catalog", "pg_type"),
        ("pg_catalog", "pg_views"),
    }
)
"""Views of the engine over its own catalog; those over settings and functions are not among them."""

FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_databases",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
    }
)
"""Table functions over the engine's own catalog."""

SHOW_TYPES = frozenset({"SHOW_FROM", "SHOW_SPECIAL"})
"""SHOW TABLES [FROM ...], SHOW ALL TABLES, SHOW DATABASES, SHOW SCHEMAS, and DESCRIBE alone."""

SCANS = frozenset({*(name.upper() for name in FUNCTIONS), "DUCKDB_INDEXES", "DUCKDB_SEQUENCES"})
"""What the plans of such statements read."""


def is_relation(parts: Sequence[str]) -> bool:
    """Tell whether a name is that of a view over the catalog."""
    return tuple(fold(part) for part in parts) in RELATIONS


def declare(connection: duckdb.DuckDBPyConnection, tables: Sequence[VisibleTable], *, catalog: str | None) -> None:
    """Create the tables that a caller may know of, empty; names without a catalog are those of `catalog`."""
    for name in dict.fromkeys(table.name.catalog for table in tables):
        connection.execute(f"ATTACH ':memory:' AS {quoted(name)}")
    places = dict.fromkeys(f"{quoted(table.name.catalog)}.{quoted(table.name.database)}" for table in tables)
    for place in places:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")
    for table in tables:
        columns = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in table.columns)
        place = f"{quoted(table.name.catalog)}.{quoted(table.name.database)}"
        connection.execute(f"CREATE TABLE {place}.{quoted(table.name.table)} ({columns})")
    chosen = [place for place in places if catalog is None or fold(place).startswith(f"{fold(quoted(catalog))}.")]
    if chosen:
        # SHOW TABLES lists what stands on the search path.
        connection.execute(f"SET search_path={text_literal(','.join(chosen))}")
