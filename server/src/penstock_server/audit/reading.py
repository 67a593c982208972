"""Reads entries back, for auditors; blocking."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from penstock_server.audit.canonical import parse
from penstock_server.audit.segments import lines, list_segments
from penstock_server.model.audit import AuditEntry


def read_entries(folder: Path, *, after: int, up_to: int, limit: int) -> tuple[AuditEntry, ...]:
    """Give up to `limit` entries with sequences from `after + 1` to `up_to`, oldest first.

    Each digest is checked, but not that one entry follows from another: `verify` does that.

    Raises:
        ValueError: an entry has been changed.
        OSError: the folder cannot be read.
    """
    found: list[AuditEntry] = []
    wanted = min(up_to, after + limit)
    segments = list_segments(folder)
    # Not strict: of no segments at all there is no last one either.
    for segment, follower in zip(segments, (*segments[1:], None), strict=False):
        start = after + len(found) + 1
        if start > wanted:
            break
        if follower is not None and follower.first <= start:
            continue
        # Sequences have no gaps, so the place in the file is known without reading what is skipped.
        skipped = start - segment.first
        if skipped < 0:
            raise ValueError(f"record {start} is missing")
        for line in islice(lines(segment.path), skipped, skipped + wanted - start + 1):
            entry = parse(line.content)
            if entry.sequence != after + len(found) + 1:
                raise ValueError(f"record {after + len(found) + 1} is missing")
            found.append(entry)
    if after + len(found) < wanted:
        raise ValueError(f"record {after + len(found) + 1} is missing")
    return tuple(found)
