"""Where the rows of a table lie: an explicit list of Parquet files, or a table of a DuckDB file.

Front and inspector use it alike, so what is read is what was inspected. Imports neither DuckDB nor Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.model.resource import TableName

SOURCE = "source"
"""The name under which a reader attaches a DuckDB file."""

SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFiles:
    """Files with one schema, in the order in which they are read; never empty."""

    files: tuple[Path, ...]

    @property
    def readable(self) -> tuple[Path, ...]:
        """The paths that a reader of this relation must be able to open."""
        return self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTable:
    """A table of a DuckDB file."""

    file: Path
    schema: str
    table: str

    @property
    def readable(self) -> tuple[Path, ...]:
        """The paths that a reader of this relation must be able to open."""
        return database_paths(self.file)


SourceRelation = ParquetFiles | DatabaseTable


def locate(catalog: CatalogSettings, name: TableName) -> SourceRelation:
    """Find where a table of a catalog lies now; `name` is spelled as the catalog spells it.

    Raises:
        FileNotFoundError: there is no such file any more.
    """
    match catalog.kind:
        case CatalogKind.DATABASE:
            return DatabaseTable(file=catalog.path, schema=name.database, table=name.table)
        case CatalogKind.PARQUET:
            return ParquetFiles(files=parquet_files(catalog.path / name.database / name.table))


def parquet_files(stem: Path) -> tuple[Path, ...]:
    """Give the files of the table `stem`: `stem.parquet`, or `stem/*.parquet` by name.

    Raises:
        FileNotFoundError: there are none.
    """
    single = stem.with_name(stem.name + SUFFIX)
    if single.is_file():
        return (single,)
    files = tuple(sorted(part for part in stem.iterdir() if is_data_file(part)))
    if not files:
        raise FileNotFoundError(f"no Parquet file in {stem}")
    return files


def is_data_file(path: Path) -> bool:
    """Say whether a file holds rows; hidden and unfinished ones (`.x`, `_x`) do not."""
    return path.name.endswith(SUFFIX) and not path.name.startswith((".", "_")) and path.is_file()


def database_paths(file: Path) -> tuple[Path, ...]:
    """Give the paths that DuckDB opens for a database file: the write-ahead log too, if one was left."""
    log = file.with_name(file.name + ".wal")
    return (file, log) if log.exists() else (file,)
