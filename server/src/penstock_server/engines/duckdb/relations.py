"""Where the rows of a table lie: an explicit list of Parquet files or objects, or a table of a DuckDB file.

A folder of folders is a table partitioned as Hive does it (`year=2024/month=1/a.parquet`): what a folder's name says is
a column of the rows below it.

`ordered` = rows are given in the canonical order of their values, not in that of the source.

Front and inspector use it alike, so what is read is what was inspected. Imports neither DuckDB nor Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import hive
from penstock_server.engines.duckdb.hive import Partitions
from penstock_server.engines.duckdb.iceberg.plan import IcebergPlan
from penstock_server.engines.duckdb.objects.paths import path_of
from penstock_server.model.objects import StoredObject
from penstock_server.model.ports import ObjectStore
from penstock_server.model.resource import S3Location, TableName

SOURCE = "source"
"""The name under which a reader attaches a DuckDB file."""

SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFiles:
    """Files with one schema, in the order in which they are read; never empty.

    `partitions` is None where no folder's name says anything.
    """

    files: tuple[Path, ...]
    partitions: Partitions | None = None
    ordered: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files as statements of a reader name them."""
        return tuple(str(file) for file in self.files)

    @property
    def readable(self) -> tuple[Path, ...]:
        """The paths that a reader of this relation must be able to open."""
        return self.files if self.partitions is None else (Path(self.partitions.root),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTable:
    """A table of a DuckDB file."""

    file: Path
    schema: str
    table: str
    ordered: bool = False

    @property
    def readable(self) -> tuple[Path, ...]:
        """The paths that a reader of this relation must be able to open."""
        return database_paths(self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFiles:
    """Objects with one schema, as they were listed, in the order in which they are read; never empty.

    `within` is what they all lie below, and no other table does. `store` brings them, in the front; None elsewhere.
    """

    objects: tuple[StoredObject, ...]
    within: S3Location
    partitions: Partitions | None = None
    store: ObjectStore | None = field(default=None, compare=False, repr=False)
    ordered: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The objects as statements of a reader name them."""
        return tuple(path_of(stored) for stored in self.objects)

    @property
    def readable(self) -> tuple[Path, ...]:
        """No path of this machine."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergFiles:
    """The data and positional delete files of one snapshot of an Iceberg table, and its columns by field id.

    `objects` are all of them; `plan` names them by their paths. The rest is as in `ObjectFiles`.
    """

    plan: IcebergPlan
    objects: tuple[StoredObject, ...]
    within: S3Location
    store: ObjectStore = field(compare=False, repr=False)
    ordered: bool = False

    @property
    def readable(self) -> tuple[Path, ...]:
        """No path of this machine."""
        return ()


SourceRelation = ParquetFiles | DatabaseTable | ObjectFiles | IcebergFiles


def locate(catalog: CatalogSettings, name: TableName) -> SourceRelation:
    """Find where a table of a catalog lies now; `name` is spelled as the catalog spells it.

    Raises:
        FileNotFoundError: there is no such file any more.
    """
    match catalog.kind:
        case CatalogKind.DATABASE:
            return DatabaseTable(file=catalog.path, schema=name.database, table=name.table)
        case CatalogKind.PARQUET:
            return parquet_table(catalog.path / name.database / name.table)
        case CatalogKind.S3 | CatalogKind.GLUE:
            raise ValueError("a table on S3 is listed, not looked for here")


def parquet_table(stem: Path) -> ParquetFiles:
    """Give the files of the table `stem`: `stem.parquet`, `stem/*.parquet`, or `stem/key=value/.../*.parquet`, by path.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the folders are no partitions, or a name means something else to the engine.
    """
    single = stem.with_name(stem.name + SUFFIX)
    files = (single,) if single.is_file() else _files_below(stem)
    if not files:
        raise FileNotFoundError(f"no Parquet file in {stem}")
    # DuckDB: takes these for patterns, also in a list of files (2.0.0).
    if any(letter in str(file) for file in files for letter in "*?["):
        raise ValueError("a path holds one of `*?[`, which the engine takes for a pattern; rename it")
    return ParquetFiles(files=files, partitions=None if files == (single,) else hive.partitions(stem, files))


def _files_below(folder: Path) -> tuple[Path, ...]:
    """Give the data files in a folder and in the folders below it, by path; hidden ones (`.x`, `_x`) are left out."""
    found: list[Path] = []
    for part in folder.iterdir():
        if part.is_dir() and not part.name.startswith((".", "_")):
            found.extend(_files_below(part))
        elif is_data_file(part):
            found.append(part)
    return tuple(sorted(found))


def is_data_file(path: Path) -> bool:
    """Say whether a file holds rows; hidden and unfinished ones (`.x`, `_x`) do not."""
    return path.name.endswith(SUFFIX) and not path.name.startswith((".", "_")) and path.is_file()


def database_paths(file: Path) -> tuple[Path, ...]:
    """Give the paths that DuckDB opens for a database file: the write-ahead log too, if one was left."""
    log = file.with_name(file.name + ".wal")
    return (file, log) if log.exists() else (file,)
