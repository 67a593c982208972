"""The end of the trail at start: where to go on, and what a crash left behind."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock_server.audit.canonical import parse
from penstock_server.audit.segments import Line, Segment, last_line, lines, list_segments
from penstock_server.audit.verification import BrokenChain, Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """Bytes after the last whole record: written, but never synced and never acknowledged."""

    segment: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where the chain ends: the next entry goes to `offset` of `segment` (None = a new one)."""

    sequence: int
    digest: str
    segment: Segment | None
    offset: int
    torn: Torn | None


def find_end(folder: Path) -> End:
    """Find the end of a chain.

    The last segment is verified line by line, the earlier ones by their first and last lines: a start must not take
    longer as the trail grows. `verify` reads everything.

    Raises:
        BrokenChain: what is there is damaged in a way that no crash of ours leaves behind.
        OSError: the folder cannot be read.
    """
    segments = list_segments(folder)
    walk = Walk()
    for segment in segments[:-1]:
        _follow_ends(segment, walk)
    if not segments:
        return End(sequence=0, digest=walk.digest, segment=None, offset=0, torn=None)
    last = segments[-1]
    if last.first != walk.sequence + 1:
        raise BrokenChain(f"{last.path}: a file with record {walk.sequence + 1} should come before this one")
    torn = _follow(last, walk)
    offset = torn.offset if torn is not None else last.path.stat().st_size
    return End(sequence=walk.sequence, digest=walk.digest, segment=last, offset=offset, torn=torn)


def _follow_ends(segment: Segment, walk: Walk) -> None:
    first = next(lines(segment.path), None)
    final = last_line(segment.path)
    if segment.first != walk.sequence + 1 or first is None or final is None:
        raise BrokenChain(f"{segment.path}: record {walk.sequence + 1} should stand at the start of this file")
    walk.step(segment, first)
    if final.offset == 0:
        return
    try:
        entry = parse(final.content)
    except ValueError as error:
        raise BrokenChain(f"{segment.path}: the last line {error}") from error
    if entry.sequence <= walk.sequence:
        raise BrokenChain(f"{segment.path}: the last line is record {entry.sequence}, which should stand before it")
    walk.sequence, walk.digest = entry.sequence, entry.digest


def _follow(segment: Segment, walk: Walk) -> Torn | None:
    entries = lines(segment.path)
    for line in entries:
        try:
            walk.step(segment, line)
        except BrokenChain:
            if _left_by_a_crash(line, entries):
                return _torn(segment, line)
            raise
    return None


def _left_by_a_crash(line: Line, rest: Iterator[Line]) -> bool:
    """Tell whether the first bad line is what a crash leaves: no line break, or a page that never reached the disk.

    SECURITY: a whole record behind it was acknowledged, so then this is damage, and cutting here would destroy it.
    Records hold no NUL, which is what a page that was never written reads as.
    """
    if line.complete and b"\0" not in line.content:
        return False
    return not any(_is_entry(follower) for follower in rest)


def _is_entry(line: Line) -> bool:
    try:
        parse(line.content)
    except ValueError:
        return False
    return True


def _torn(segment: Segment, line: Line) -> Torn:
    with segment.path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - line.offset
        file.seek(line.offset)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Torn(segment=segment.path.name, offset=line.offset, size=size, sha256=digest)
