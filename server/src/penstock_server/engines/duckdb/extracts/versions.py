"""The state of a source: which files a table lies in, and what the file system or the object store says of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.engines.duckdb.relations import (
    DatabaseTable,
    IcebergFiles,
    ObjectFiles,
    ParquetFiles,
    SourceRelation,
    database_paths,
)
from penstock_server.model.objects import StoredObject

RESTING: Final = timedelta(seconds=2)
"""How long a file must have rested. A file that is written twice within one tick of the file system's clock (up to two
seconds) and keeps its size looks the same before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file as the file system tells it; times are nanoseconds since 1970."""

    path: Path
    size: int
    modified: int
    changed: int
    device: int
    inode: int


SourceVersion = tuple[FileState | StoredObject, ...]
"""Equal versions hold equal rows, in equal order, if the files had rested (`rested`).

Objects need no rest: every range is read of the version whose ETag was listed, or not at all."""


def version_of(source: SourceRelation) -> SourceVersion:
    """Tell the state of a source now.

    Raises:
        OSError: a file is gone.
    """
    match source:
        case ParquetFiles(files=files):
            return tuple(_state(file) for file in files)
        case DatabaseTable(file=file):
            return tuple(_state(path) for path in database_paths(file))
        case ObjectFiles(objects=objects) | IcebergFiles(objects=objects):
            return objects


def surroundings_of(source: SourceRelation) -> SourceVersion:
    """Tell the state of what leads to the files now: links on the way to them, and the folders of Parquet files.

    A file that takes another's place for a while, by a link or with its folder, leaves the version of the other as it
    was; what led to it has changed.

    Raises:
        OSError: something on the way is gone.
    """
    if isinstance(source, ObjectFiles | IcebergFiles):
        return ()
    paths = source.files if isinstance(source, ParquetFiles) else database_paths(source.file)
    folders = {path.parent for path in paths}
    ways = {*paths, *folders, *(above for folder in folders for above in folder.parents)}
    links = [_state(way, follow=False) for way in sorted(ways) if way.is_symlink()]
    return (*links, *(_state(folder) for folder in sorted(folders) if isinstance(source, ParquetFiles)))


def rested(version: SourceVersion, *, now: int, resting: timedelta) -> bool:
    """Tell whether no file had been touched for this long before `now`, in nanoseconds since 1970."""
    last = now - int(resting.total_seconds() * 1e9)
    return all(max(state.modified, state.changed) < last for state in version if isinstance(state, FileState))


def _state(path: Path, *, follow: bool = True) -> FileState:
    told = os.stat(path, follow_symlinks=follow)
    return FileState(
        path=path,
        size=told.st_size,
        modified=told.st_mtime_ns,
        changed=told.st_ctime_ns,
        device=told.st_dev,
        inode=told.st_ino,
    )
