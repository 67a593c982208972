"""Which tables a listing of objects holds: laid out as in a folder of Parquet files, and read as those are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock_server.engines.duckdb import hive
from penstock_server.engines.duckdb.objects.paths import parts_of
from penstock_server.engines.duckdb.relations import SUFFIX, ObjectFiles
from penstock_server.model.objects import StoredObject
from penstock_server.model.resource import S3Location


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTable:
    """A table of a listing, by the names of its folders."""

    database: str
    table: str
    files: ObjectFiles


def listed_tables(
    uri: S3Location, objects: Sequence[StoredObject], complain: Callable[[str], None]
) -> list[ListedTable]:
    """Give the tables below `uri`, by name; what is none is told to `complain`. Hidden entries are left out."""
    folders: dict[tuple[str, str], list[StoredObject]] = {}
    singles: dict[tuple[str, str], list[StoredObject]] = {}
    for stored in objects:
        database, _, rest = stored.key.removeprefix(uri.key).partition("/")
        name, slash, _ = rest.partition("/")
        if _hidden(database) or _hidden(name) or stored.key.endswith("/"):
            continue
        if not rest:
            complain(f"`{database}` is no folder; tables lie in a folder that is their database")
        elif slash:
            folders.setdefault((database, name), []).append(stored)
        elif name.endswith(SUFFIX):
            singles[database, name.removesuffix(SUFFIX)] = [stored]
        else:
            complain(f"`{database}/{name}` is neither a folder nor a Parquet file")
    for database, table in sorted(folders.keys() & singles.keys()):
        complain(f"`{database}/{table}` is a folder and a file; keep one of them")
    return list(_tables(uri, {**folders, **singles}, complain))


def _tables(
    uri: S3Location, listed: Mapping[tuple[str, str], Sequence[StoredObject]], complain: Callable[[str], None]
) -> Iterator[ListedTable]:
    for (database, table), found in sorted(listed.items()):
        try:
            files = files_of(S3Location(bucket=uri.bucket, key=f"{uri.key}{database}/{table}"), found)
        except FileNotFoundError:
            complain(f"`{database}/{table}` holds no Parquet file")
        except ValueError as error:
            complain(f"`{database}/{table}`: {error}")
        else:
            yield ListedTable(database=database, table=table, files=files)


def files_of(stem: S3Location, objects: Sequence[StoredObject]) -> ObjectFiles:
    """Give the files of the table `stem`: `stem.parquet`, else `stem/*.parquet` or `stem/key=value/.../*.parquet`.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the folders are no partitions, or a key means something else to the engine.
    """
    single = S3Location(bucket=stem.bucket, key=f"{stem.key}{SUFFIX}")
    folder = S3Location(bucket=stem.bucket, key=f"{stem.key}/")
    chosen = [stored for stored in objects if stored.key == single.key]
    within = single if chosen else folder
    if not chosen:
        chosen = list(_data_files(folder, objects))
    if not chosen:
        raise FileNotFoundError("no Parquet file")
    # DuckDB: takes these for patterns, also in a list of files (2.0.0).
    if any(letter in stored.key for stored in chosen for letter in "*?["):
        raise ValueError("a key holds one of `*?[`, which the engine takes for a pattern; rename the object")
    paths = {parts_of(stored): stored for stored in chosen}
    root = parts_of(StoredObject(bucket=stem.bucket, key=stem.key, size=0, etag=""))
    ordered = sorted(paths)
    return ObjectFiles(
        objects=tuple(paths[path] for path in ordered),
        within=within,
        partitions=None if within is single else hive.partitions(root, ordered),
    )


def _data_files(folder: S3Location, objects: Sequence[StoredObject]) -> Iterator[StoredObject]:
    for stored in objects:
        below = stored.key.removeprefix(folder.key)
        if below == stored.key or any(_hidden(part) for part in below.split("/")):
            continue
        if below.endswith(SUFFIX):
            yield stored


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))
