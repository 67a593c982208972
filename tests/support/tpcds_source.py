"""Writes the tables and the 99 queries of TPC-DS, with an older DuckDB whose extension a Python package carries.

Run by itself, in an environment of its own, with `duckdb` and `duckdb-extension-tpcds` of one version:

    uv run --no-project --with duckdb==1.5.5 --with duckdb-extension-tpcds==1.5.5 tpcds_source.py FOLDER SCALE

Source: https://duckdb.org/docs/stable/core_extensions/tpcds
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import duckdb_extension_tpcds  # type: ignore[import-not-found]  # in the environment of this script alone


def write(folder: Path, scale: str) -> None:
    """Write `TABLE.parquet` for each table, and `queries.json`: number to text."""
    extensions = Path(duckdb_extension_tpcds.__file__).parent / "extensions"
    (extension,) = extensions.rglob("tpcds.duckdb_extension")
    connection = duckdb.connect(config={"allow_unsigned_extensions": True, "threads": 1})
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"CALL dsdgen(sf={float(scale)})")
    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        connection.execute(f"COPY {table} TO '{folder / table}.parquet'")
    queries = dict(connection.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall())
    (folder / "queries.json").write_text(json.dumps(queries))


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
