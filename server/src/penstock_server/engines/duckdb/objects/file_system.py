"""The reader's end: objects as files of a read-only file system that DuckDB opens.

DuckDB: takes a file system of Python that is an instance of `fsspec.AbstractFileSystem`, and calls `glob`,
`unstrip_protocol`, `open`, `size` and `modified` of it; which paths may be opened is decided by `allowed_paths` and
`enable_external_access` as for any file (2.0.0). The class is stood in for here, because the package itself brings an
event loop and TLS, which no child may have.
"""

from __future__ import annotations

import os
import sys
import types
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import duckdb

from penstock_server.engines.duckdb.objects import ranges
from penstock_server.engines.duckdb.objects.paths import PROTOCOL, ObjectPath
from penstock_server.engines.duckdb.objects.ranges import Range

_TAIL_BYTES: Final = 64 * 1024
_AHEAD_BYTES: Final = 1024 * 1024
_PART_BYTES: Final = 4 * 1024 * 1024
"""A longer range is brought in parts of this size, side by side."""

_KEPT_BYTES: Final = 64 * 1024 * 1024
_UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotBrought(OSError):
    """The courier did not bring a range, or is gone; the front knows why."""


class _FileSystem:
    """What `fsspec.AbstractFileSystem` is taken to be in a reader."""


class Bringer:
    """Asks the courier for ranges, and keeps a bounded amount of what came."""

    def __init__(self, descriptor: int, sizes: Sequence[int]) -> None:
        # Read and written as a file: to look what kind of socket it is would take calls that no child may make.
        self._descriptor = descriptor
        self._sizes = tuple(sizes)
        self._kept: OrderedDict[int, list[tuple[int, bytes]]] = OrderedDict()
        self._kept_bytes = 0
        self._tailed: set[int] = set()

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Give a range of an object, cut at its end. Raises NotBrought."""
        length = min(length, self._sizes[number] - offset)
        if length <= 0:
            return b""
        found = self._find(number, offset, length)
        if found is None and number not in self._tailed:
            # The footer is what is asked first of every file; those of the next files are asked along with it.
            self._bring_tails(number)
            found = self._find(number, offset, length)
        if found is None:
            ahead = min(max(length, _AHEAD_BYTES), self._sizes[number] - offset)
            data = self._bring(number, offset, ahead)
            self._keep(number, offset, data)
            found = data[:length]
        return found

    def _find(self, number: int, offset: int, length: int) -> bytes | None:
        for start, data in self._kept.get(number, ()):
            if start <= offset and offset + length <= start + len(data):
                self._kept.move_to_end(number)
                return data[offset - start : offset - start + length]
        return None

    def _bring_tails(self, number: int) -> None:
        numbers = [other for other in range(number, len(self._sizes)) if other not in self._tailed]
        wanted = []
        for other in numbers[: ranges.MOST_RANGES]:
            self._tailed.add(other)
            length = min(self._sizes[other], _TAIL_BYTES)
            if length:
                wanted.append(Range(number=other, offset=self._sizes[other] - length, length=length))
        for part, data in zip(wanted, self._ask(wanted), strict=True):
            self._keep(part.number, part.offset, data)

    def _bring(self, number: int, offset: int, length: int) -> bytes:
        parts = [
            Range(number=number, offset=start, length=min(_PART_BYTES, offset + length - start))
            for start in range(offset, offset + length, _PART_BYTES)
        ]
        at_once = ranges.MOST_BYTES // _PART_BYTES
        brought = [
            data for first in range(0, len(parts), at_once) for data in self._ask(parts[first : first + at_once])
        ]
        return brought[0] if len(brought) == 1 else b"".join(brought)

    def _ask(self, wanted: list[Range]) -> list[bytes]:
        if not wanted:
            return []
        try:
            rest = memoryview(ranges.question(wanted))
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            return [self._answer(part.length) for part in wanted]
        except NotBrought:
            raise
        except OSError as error:
            raise NotBrought("the courier is gone") from error

    def _answer(self, length: int) -> bytes:
        if ranges.MARK.unpack(self._exactly(ranges.MARK.size)) != (ranges.GIVEN,):
            raise NotBrought("a range was not brought")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = bytearray(count)
        view, taken = memoryview(data), 0
        while taken < count:
            got = os.readv(self._descriptor, [view[taken:]])
            if not got:
                raise NotBrought("the courier is gone")
            taken += got
        return bytes(data)

    def _keep(self, number: int, offset: int, data: bytes) -> None:
        if len(data) > _KEPT_BYTES // 4:
            return  # read once, in order
        self._kept.setdefault(number, []).append((offset, data))
        self._kept.move_to_end(number)
        self._kept_bytes += len(data)
        while self._kept_bytes > _KEPT_BYTES:
            other, gone = self._kept.popitem(last=False)
            self._kept_bytes -= sum(len(part) for _, part in gone)
            self._tailed.discard(other)


@dataclass(slots=True, kw_only=True)
class _OpenObject:
    bringer: Bringer
    number: int
    size: int
    position: int = field(default=0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, length: int = -1) -> bytes:
        wanted = self.size - self.position if length < 0 else length
        data = self.bringer.read(self.number, self.position, wanted)
        self.position += len(data)
        return data

    def close(self) -> None:
        return


class ObjectFileSystem(_FileSystem):
    """These objects and no other, to be read."""

    protocol = PROTOCOL
    async_impl = False

    def __init__(self, objects: Sequence[ObjectPath], bringer: Bringer) -> None:
        self._numbers = {found.path: number for number, found in enumerate(objects)}
        self._sizes = tuple(found.size for found in objects)
        self._bringer = bringer

    def glob(self, path: str) -> list[str]:
        """Give the path itself where there is such an object: nothing here is a pattern."""
        return [path] if path in self._numbers else []

    def unstrip_protocol(self, path: str) -> str:
        """Give a path with its protocol, which all have already."""
        return path

    def open(self, path: str, mode: str = "rb") -> _OpenObject:
        """Open an object. Raises FileNotFoundError, PermissionError."""
        if mode != "rb":
            raise PermissionError("objects are read only")
        number = self._number(path)
        return _OpenObject(bringer=self._bringer, number=number, size=self._sizes[number])

    def size(self, path: str) -> int:
        """Give the size of an object in bytes. Raises FileNotFoundError."""
        return self._sizes[self._number(path)]

    def modified(self, path: str) -> datetime:
        """Give one time for all: an object does not change while it is read."""
        self._number(path)
        return _UNDATED

    def _number(self, path: str) -> int:
        number = self._numbers.get(path)
        if number is None:
            raise FileNotFoundError("no object of this table")
        return number


def register(connection: duckdb.DuckDBPyConnection, objects: Sequence[ObjectPath], descriptor: int) -> ObjectFileSystem:
    """Let an instance open these objects, brought over the socket behind a descriptor."""
    stand_in = types.ModuleType("fsspec")
    stand_in.AbstractFileSystem = _FileSystem  # type: ignore[attr-defined]  # a module made here
    sys.modules["fsspec"] = stand_in
    bringer = Bringer(descriptor, [found.size for found in objects])
    made = ObjectFileSystem(objects, bringer)
    connection.register_filesystem(made)
    return made
