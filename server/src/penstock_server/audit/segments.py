"""The files of the trail: segments named by the sequence of their first entry, such as `0000000000000001.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_server.audit.canonical import MAX_LINE_BYTES

SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""A segment that has grown past this is followed by another."""

_NAME: Final = re.compile(r"([0-9]{16})\.jsonl", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Segment:
    """A file of consecutive entries, of which the first has sequence `first`."""

    first: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with its break, or what follows the last break; `offset` is where it starts, `number` counts from 1."""

    number: int
    offset: int
    content: bytes

    @property
    def complete(self) -> bool:
        """Whether the line ends with its break."""
        return self.content.endswith(b"\n")


def segment_path(folder: Path, first: int) -> Path:
    """Give the file of the segment that begins with this sequence."""
    return folder / f"{first:016d}.jsonl"


def list_segments(folder: Path) -> tuple[Segment, ...]:
    """Give the segments in their order.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(Segment(first=int(match[1]), path=path))
    return tuple(sorted(found))


def lines(path: Path) -> Iterator[Line]:
    """Give the lines of a segment, in memory one at a time; one that is too long comes cut, and thus incomplete.

    Raises:
        OSError: the file cannot be read.
    """
    number, offset = 0, 0
    with path.open("rb") as file:
        while content := file.readline(MAX_LINE_BYTES):
            number += 1
            yield Line(number=number, offset=offset, content=content)
            offset += len(content)


def last_line(path: Path) -> Line | None:
    """Give the last line of a segment without reading the rest; its `number` is 0, since nothing counted. None = empty.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - MAX_LINE_BYTES)
        file.seek(start)
        tail = file.read(size - start)
    if not tail:
        return None
    cut = tail.rfind(b"\n", 0, len(tail) - 1) + 1
    return Line(number=0, offset=start + cut, content=tail[cut:])
