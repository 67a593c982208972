"""Reads metadata, manifest list and manifests of an Iceberg table with pyiceberg's readers, over a courier's ranges.

SECURITY: only the readers of pyiceberg are used, on a file access of our own. No catalog, `FileIO` or property of it is
ever looked up, so nothing that stands in a table names an endpoint, a region, a credential or a class to load.

Source: https://iceberg.apache.org/spec/
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, Final

from duckdb.sqltypes import DuckDBPyType
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent, ManifestEntry, read_manifest_list
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadataUtil, TableMetadataV1, TableMetadataV2
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from penstock_server.engines.duckdb.iceberg.footers import Listed, Refused
from penstock_server.engines.duckdb.iceberg.plan import IcebergField, IcebergPlan
from penstock_server.engines.duckdb.objects.file_system import ObjectFileSystem
from penstock_server.engines.duckdb.objects.paths import PROTOCOL
from penstock_server.engines.duckdb.pinned_types import pinned
from penstock_server.model.schema import Column

_SCHEME: Final = re.compile(r"s3[an]?://")
_VIRTUAL: Final = frozenset({"filename", "file_row_number"})
_MOST_FILES: Final = 100_000
_TYPES: Final[dict[type[IcebergType], str]] = {
    BinaryType: "BLOB",
    BooleanType: "BOOLEAN",
    DateType: "DATE",
    DoubleType: "DOUBLE",
    FixedType: "BLOB",
    FloatType: "FLOAT",
    IntegerType: "INTEGER",
    LongType: "BIGINT",
    StringType: "VARCHAR",
    TimestampType: "TIMESTAMP",
    TimestamptzType: "TIMESTAMP WITH TIME ZONE",
    TimeType: "TIME",
    UUIDType: "UUID",
}


Check = Callable[[Sequence[Listed], Sequence[IcebergField]], None]
"""Looks at the footers of data files. Raises Refused."""


class _FileAccess(FileIO):
    """The objects that the planner was given, whole; others are not there."""

    def __init__(self, objects: ObjectFileSystem) -> None:
        super().__init__({})
        self._objects = objects

    def new_input(self, location: str) -> _Input:
        return _Input(self._objects, path_of_location(location))

    def new_output(self, location: str) -> OutputFile:
        raise PermissionError("nothing is written")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise PermissionError("nothing is deleted")


class _Input(InputFile):
    def __init__(self, objects: ObjectFileSystem, path: str) -> None:
        super().__init__(path)
        self._objects = objects

    def __len__(self) -> int:
        return self._objects.size(self.location)

    def exists(self) -> bool:
        return bool(self._objects.glob(self.location))

    def open(self, seekable: bool = True) -> InputStream:
        with_bytes: Any = BytesIO(self._objects.open(self.location).read())
        stream: InputStream = with_bytes
        return stream


def path_of_location(location: str) -> str:
    """Give the path of a reader for a location that a file of the table names."""
    return _SCHEME.sub(f"{PROTOCOL}://", location, count=1)


def plan(objects: ObjectFileSystem, metadata: str, check: Check) -> IcebergPlan:
    """Read the current snapshot of a table; `check` looks at the footers of its data files.

    Raises:
        Refused: it has what this version does not read, or names a file that is not below its location.
        Exception: a file of it is broken.
    """
    try:
        text = objects.open(metadata).read()
        text = gzip.decompress(text) if metadata.endswith(".gz.metadata.json") else text
        table = TableMetadataUtil.parse_raw(text.decode())
        if not isinstance(table, TableMetadataV1 | TableMetadataV2):
            raise Refused(f"format version {table.format_version} is not available in this version")
        fields = tuple(_fields(table.schema()))
        data, deletes = _files(table, objects)
    except FileNotFoundError as error:
        raise Refused("a file that it names is not below its location, or is gone") from error
    if not data:
        raise Refused("the current snapshot has no file")
    if deletes and any(field.column.name.lower() in _VIRTUAL for field in fields):
        raise Refused("a column has the name of one by which the engine finds deleted rows; compact the table")
    check(data, fields)
    paths = sorted(listed.path for listed in data)
    return IcebergPlan(fields=fields, data=tuple(paths), deletes=tuple(sorted(deletes)))


def _files(table: TableMetadataV1 | TableMetadataV2, objects: ObjectFileSystem) -> tuple[list[Listed], list[str]]:
    """Give the data files and the positional delete files of the current snapshot."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        raise Refused("the table has no snapshot yet")
    if snapshot.manifest_list is None:
        raise Refused("a snapshot without a list of manifests is not available in this version")
    identities = {spec.spec_id: _identities(spec) for spec in table.partition_specs}
    files = _FileAccess(objects)
    data: list[Listed] = []
    deletes: list[str] = []
    for manifest in read_manifest_list(files.new_input(snapshot.manifest_list)):
        for entry in manifest.fetch_manifest_entry(files):
            path = _file(entry, objects)
            if manifest.content == ManifestContent.DELETES:
                deletes.append(path)
            else:
                data.append(Listed(path=path, required=identities[manifest.partition_spec_id]))
            if len(data) + len(deletes) > _MOST_FILES:
                raise Refused("more files than a table may have")
    return data, deletes


def _identities(spec: PartitionSpec) -> frozenset[int]:
    return frozenset(field.source_id for field in spec.fields if isinstance(field.transform, IdentityTransform))


def _fields(schema: Schema) -> Iterator[IcebergField]:
    seen: dict[str, str] = {}
    for field in schema.fields:
        kind = field.field_type
        decimal = f"DECIMAL({kind.precision},{kind.scale})" if isinstance(kind, DecimalType) else ""
        sql = decimal or _TYPES.get(type(kind), "")
        if not sql:
            raise Refused(
                f"column `{field.name}` is of type {kind}, which is not available from Iceberg in this version"
            )
        key = unicodedata.normalize("NFKC", field.name).casefold()
        if key in seen or not field.name or "\x00" in field.name:
            raise Refused(f"column `{field.name}` has no name, or one that some engine takes for that of another one")
        seen[key] = field.name
        yield IcebergField(number=field.field_id, column=Column(name=field.name, type=pinned(DuckDBPyType(sql))))


def _file(entry: ManifestEntry, objects: ObjectFileSystem) -> str:
    file = entry.data_file
    if file.file_format != FileFormat.PARQUET:
        raise Refused(f"files of {file.file_format} are not available in this version")
    if file.content == DataFileContent.EQUALITY_DELETES:
        raise Refused("equality deletes are not available in this version; compact the table")
    path = path_of_location(file.file_path)
    # SECURITY: only what was listed below the table's location; whoever may write one table must not make it show
    # files of another one (test_a_table_that_names_the_files_of_another_one_is_refused).
    if not objects.glob(path):
        raise FileNotFoundError(path)
    if any(letter in path for letter in "*?["):
        raise Refused("a path holds one of `*?[`, which the engine takes for a pattern")
    return path
