"""Is the trail whole? Every line read back, every digest computed again, every link followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock_server.audit.canonical import GENESIS, parse
from penstock_server.audit.segments import Line, Segment, lines, list_segments
from penstock_server.model.audit import AuditCheckpoint, AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The verdict. `entries` counts from the start up to the first broken place, which `broken` tells, or "".

    `digest` is that of the last good entry. `unfinished_bytes` follow the last line break: a record that is being
    written, or was torn by a crash; it was never acknowledged. A chain cannot show that its own end was cut away:
    that takes a checkpoint that was kept elsewhere.
    """

    entries: int
    digest: str
    unfinished_bytes: int
    broken: str

    @property
    def ok(self) -> bool:
        """Whether everything that is there is as it was written."""
        return not self.broken


class BrokenChain(Exception):
    """A place where the chain does not hold; the text is `FILE:LINE: what`."""


@dataclass(slots=True)
class Walk:
    """Follows a chain line by line; `sequence` and `digest` are those of the last good entry."""

    sequence: int = 0
    digest: str = GENESIS

    def step(self, segment: Segment, line: Line) -> AuditEntry:
        """Take the next line.

        Raises:
            BrokenChain: it is not the entry that must follow.
        """
        place = f"{segment.path}:{line.number}"
        try:
            entry = parse(line.content)
        except ValueError as error:
            raise BrokenChain(f"{place}: this line {error}") from error
        if entry.sequence != self.sequence + 1:
            raise BrokenChain(f"{place}: record {self.sequence + 1} should stand here, not {entry.sequence}")
        if entry.previous_digest != self.digest:
            raise BrokenChain(f"{place}: record {entry.sequence} does not follow from the one before it")
        self.sequence, self.digest = entry.sequence, entry.digest
        return entry


def verify(folder: Path, *, checkpoint: AuditCheckpoint | None = None) -> Verification:
    """Verify a folder, whether or not a service is writing to it.

    With a checkpoint, the chain must also hold that entry with that digest.

    Raises:
        OSError: the folder or one of its files cannot be read.
    """
    walk = Walk()
    unfinished = 0
    broken = ""
    try:
        for segment, line in _all_lines(folder, walk):
            if not line.complete:
                unfinished = len(line.content)
                continue
            entry = walk.step(segment, line)
            if checkpoint is not None and entry.sequence == checkpoint.sequence:
                _compare(entry, checkpoint, segment, line)
        _reach(walk, checkpoint, folder)
    except BrokenChain as error:
        broken = str(error)
    return Verification(entries=walk.sequence, digest=walk.digest, unfinished_bytes=unfinished, broken=broken)


def _all_lines(folder: Path, walk: Walk) -> Iterator[tuple[Segment, Line]]:
    segments = list_segments(folder)
    for segment in segments:
        if segment.first != walk.sequence + 1:
            raise BrokenChain(f"{segment.path}: a file with record {walk.sequence + 1} should come before this one")
        for line in lines(segment.path):
            if not line.complete and segment is not segments[-1]:
                raise BrokenChain(f"{segment.path}:{line.number}: this line is not a complete record")
            yield segment, line


def _compare(entry: AuditEntry, checkpoint: AuditCheckpoint, segment: Segment, line: Line) -> None:
    if entry.digest != checkpoint.digest:
        what = "is not the one of the checkpoint; the chain was written anew"
        raise BrokenChain(f"{segment.path}:{line.number}: record {entry.sequence} {what}")


def _reach(walk: Walk, checkpoint: AuditCheckpoint | None, folder: Path) -> None:
    if checkpoint is not None and walk.sequence < checkpoint.sequence:
        raise BrokenChain(f"{folder}: the end is missing: the checkpoint names record {checkpoint.sequence}")
