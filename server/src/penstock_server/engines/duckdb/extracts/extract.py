"""One extract: a sealed memory file, and what it holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from dataclasses import dataclass
from typing import Final

from penstock_server.engines.duckdb.extracts.versions import SourceVersion

SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""All that fixes a memory file for good. Source: Linux, fcntl(2), File Sealing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractKey:
    """What an extract was made from: equal keys mean equal cells, for each column that it holds."""

    table: tuple[str, str, str]
    fingerprint: str
    version: SourceVersion


class MemoryFile:
    """An empty file without a name, closed with the last reference to it; whoever still maps it keeps its pages."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("penstock-extract", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._closing = weakref.finalize(self, os.close, self.descriptor)

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return os.fstat(self.descriptor).st_size

    def seal(self) -> None:
        """Fix the content for good; nobody may hold it mapped for writing. Raises OSError: somebody does."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, SEALS)

    def close(self) -> None:
        """Close it now."""
        self._closing()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extract:
    """The permitted cells of `columns`, in the order of the governed table; no column = one for each permitted row."""

    key: ExtractKey
    columns: tuple[str, ...]
    rows: int
    file: MemoryFile

    def holds(self, columns: tuple[str, ...]) -> bool:
        """Tell whether these columns are in it."""
        return set(columns) <= set(self.columns)


def is_sealed(descriptor: int) -> bool:
    """Tell whether a descriptor is that of a memory file which nobody can change."""
    with contextlib.suppress(OSError):
        return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
    return False
