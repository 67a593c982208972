"""Finds the tables whose locations overlap a request, in time that grows with what is found and not with the catalog.

`overlaps` says what overlap means; the index gives exactly the tables for which it is true.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from penstock_server.credentials.arns import RequestedArn
from penstock_server.model.resource import S3Location
from penstock_server.model.schema import TableSchema


def overlaps(requested: RequestedArn, location: S3Location) -> bool:
    """Tell whether any key is in both. Compared on raw text; a closing slash of the location makes no difference.

    A location covers the object of its own name and everything below it, and not its siblings: `lake/nyc` covers
    `lake/nyc` and `lake/nyc/a`, not `lake/nyc-2`.
    """
    if requested.location.bucket != location.bucket:
        return False
    below, asked = _below(location), requested.location.key
    if requested.exact:
        return f"{asked}/" == below or asked.startswith(below)
    return asked.startswith(below) or below.startswith(asked)


def within(requested: RequestedArn, location: S3Location) -> bool:
    """Tell whether every requested key is one of the location's, compared as by `overlaps`."""
    if requested.location.bucket != location.bucket:
        return False
    below, asked = _below(location), requested.location.key
    return asked.startswith(below) or (requested.exact and f"{asked}/" == below)


class LocationIndex:
    """The tables of a snapshot by bucket and location; tables that state no location are in none."""

    def __init__(self, tables: Iterable[TableSchema]) -> None:
        self._tables: dict[tuple[str, str], list[TableSchema]] = defaultdict(list)
        sorted_keys: dict[str, set[str]] = defaultdict(set)
        for table in tables:
            if table.location is not None:
                below = _below(table.location)
                self._tables[table.location.bucket, below].append(table)
                sorted_keys[table.location.bucket].add(below)
        self._keys = {bucket: sorted(keys) for bucket, keys in sorted_keys.items()}

    def overlapping(self, requested: RequestedArn) -> tuple[TableSchema, ...]:
        """Give every table whose location overlaps the request."""
        bucket, asked = requested.location.bucket, requested.location.key
        found = set(_folders(f"{asked}/" if requested.exact else asked))
        if not requested.exact:
            found.update(self._beginning(bucket, asked))
        return tuple(table for below in sorted(found) for table in self._tables.get((bucket, below), ()))

    def _beginning(self, bucket: str, prefix: str) -> Iterator[str]:
        keys = self._keys.get(bucket, [])
        for index in range(bisect_left(keys, prefix), len(keys)):
            if not keys[index].startswith(prefix):
                return
            yield keys[index]


def _below(location: S3Location) -> str:
    """Give what every key below a location begins with: its key and one slash, or nothing for a whole bucket."""
    return f"{location.key.removesuffix('/')}/" if location.key else ""


def _folders(text: str) -> Iterator[str]:
    """Give every beginning of a text that ends in a slash, and the empty one."""
    yield ""
    for position, character in enumerate(text):
        if character == "/":
            yield text[: position + 1]
