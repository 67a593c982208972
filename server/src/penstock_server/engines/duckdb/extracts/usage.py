"""What is told of extracts: to operators of each that is kept, and to metrics of all."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey
from penstock_server.model.resource import TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptExtract:
    """An extract that is kept, as an administrator sees it: never its key, nor anything of whose decision it is of.

    `bytes` are those of permitted cells as they are stored, `hits` how often it was served without being made,
    `readers` how many statements hold it now.
    """

    id: str
    table: TableName
    columns: tuple[str, ...]
    bytes: int
    made_at: datetime
    hits: int
    readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractFigures:
    """Counts since the start.

    `hits` were served as they were kept, `misses` had to be made or waited for; `unkept` are those of them for which
    there was no room. `build_seconds` is the time of all that were `built`.
    """

    hits: int = 0
    misses: int = 0
    unkept: int = 0
    built: int = 0
    build_seconds: float = 0.0
    evicted: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Use:
    id: str
    table: TableName
    made_at: datetime
    hits: int = 0
    readers: weakref.WeakSet[object] = field(default_factory=weakref.WeakSet)


class ExtractUsage:
    """Counts for one store."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._uses: dict[ExtractKey, _Use] = {}
        self.figures = ExtractFigures()

    def kept(self, extract: Extract, table: TableName) -> None:
        """Note that an extract is kept from now on."""
        identifier = f"e{next(self._numbers):08}"
        self._uses[extract.key] = _Use(id=identifier, table=table, made_at=datetime.now(UTC))

    def gone(self, key: ExtractKey) -> None:
        """Note that it is kept no longer."""
        self._uses.pop(key, None)

    def read(self, key: ExtractKey, reader: object | None) -> None:
        """Note that a reader holds an extract, for as long as the reader lives."""
        use = self._uses.get(key)
        if use is not None and reader is not None:
            use.readers.add(reader)

    def hit(self, key: ExtractKey) -> None:
        """Count one that was served as it was kept."""
        self.figures = replace(self.figures, hits=self.figures.hits + 1)
        if key in self._uses:
            self._uses[key].hits += 1

    def missed(self) -> None:
        """Count one that was not there."""
        self.figures = replace(self.figures, misses=self.figures.misses + 1)

    def unkept(self) -> None:
        """Count one for which there was no room."""
        self.figures = replace(self.figures, unkept=self.figures.unkept + 1)

    def built(self, seconds: float) -> None:
        """Count one that was made."""
        figures = self.figures
        self.figures = replace(figures, built=figures.built + 1, build_seconds=figures.build_seconds + seconds)

    def evicted(self) -> None:
        """Count one that was let go because others needed its room."""
        self.figures = replace(self.figures, evicted=self.figures.evicted + 1)

    def key_of(self, identifier: str) -> ExtractKey | None:
        """Find the key of a kept extract."""
        return next((key for key, use in self._uses.items() if use.id == identifier), None)

    def shown(self, extract: Extract) -> KeptExtract:
        """Give a kept extract as an administrator sees it."""
        use = self._uses[extract.key]
        return KeptExtract(
            id=use.id,
            table=use.table,
            columns=extract.columns,
            bytes=extract.file.size,
            made_at=use.made_at,
            hits=use.hits,
            readers=len(use.readers),
        )
