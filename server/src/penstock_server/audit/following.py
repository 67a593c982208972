"""Reads a whole trail from its files, whether or not a service is writing to it; blocking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from penstock_server.audit.canonical import parse
from penstock_server.audit.segments import lines, list_segments
from penstock_server.model.audit import AuditEntry


def entries_of(folder: Path) -> Iterator[tuple[AuditEntry, bytes]]:
    """Give each entry with its line, oldest first; an unfinished record at the end is left out.

    Each digest is checked, but not that one entry follows from another: `verify` does that.

    Raises:
        ValueError: a line is no entry, or was changed; the text is `FILE:LINE: what`.
        OSError: the folder cannot be read.
    """
    segments = list_segments(folder)
    for segment in segments:
        for line in lines(segment.path):
            if not line.complete and segment == segments[-1]:
                return
            try:
                entry = parse(line.content)
            except ValueError as error:
                raise ValueError(f"{segment.path}:{line.number}: this line {error}") from error
            yield entry, line.content
