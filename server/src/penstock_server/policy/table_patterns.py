"""How policy files name tables: `catalog.database.table`, `catalog.database.*`, `catalog.*`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock_server.model.resource import TableName, fold

# A part is a plain name, or any name in double quotes with "" for a quote.
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^\s".*?:/\\]+)|(\*)')
_FORMS: Final = "`catalog.database.table`, `catalog.database.*` or `catalog.*`"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePattern:
    """A table, all tables of a database (`table` None), or all of a catalog (`database` None too)."""

    catalog: str
    database: str | None
    table: str | None

    def matches(self, name: TableName) -> bool:
        """Tell whether a table is meant; names compare ASCII case-insensitively."""
        return all(mine is None or mine == other for mine, other in zip(self.key(), name.key(), strict=True))

    def key(self) -> tuple[str, str | None, str | None]:
        """The folded name, equal for all spellings of one pattern."""
        database = None if self.database is None else fold(self.database)
        return fold(self.catalog), database, None if self.table is None else fold(self.table)

    def scope(self) -> tuple[str, ...]:
        """The parts that are named, folded."""
        return tuple(part for part in self.key() if part is not None)

    @property
    def exact(self) -> bool:
        """Whether it names one table."""
        return self.table is not None

    def __str__(self) -> str:
        parts = (self.catalog, self.database, self.table)
        named = [_quoted(part) for part in parts if part is not None]
        return ".".join(named if len(named) == len(parts) else [*named, "*"])


def parse_table_pattern(text: str) -> TablePattern:
    """Read the name of a table or a wildcard.

    Raises:
        ValueError: it has no such form; the text goes well after the name in backticks.
    """
    if text.startswith("s3://"):
        raise ValueError(f"is no table; write S3 objects as an ARN, `arn:aws:s3:::{text.removeprefix('s3://')}`")
    parts: list[str | None] = []
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f"is no table; write {_FORMS}, other names in double quotes")
        quoted, plain, _ = match.groups()
        parts.append(quoted.replace('""', '"') if quoted is not None else plain)
        position = match.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise ValueError(f"is no table; write {_FORMS}: `*` stands for a whole last part")
        position += 1
    return _pattern(parts)


def _pattern(parts: list[str | None]) -> TablePattern:
    catalog, *rest = parts
    if catalog is None or not rest or None in rest[:-1] or len(rest) > 2:
        raise ValueError(f"is no table; write {_FORMS}")
    if rest[-1] is None:
        return TablePattern(catalog=catalog, database=rest[0] if len(rest) == 2 else None, table=None)
    if len(rest) == 1:
        raise ValueError(f"names no table; write {_FORMS}")
    return TablePattern(catalog=catalog, database=rest[0], table=rest[1])


def _quoted(part: str) -> str:
    match = _PART.fullmatch(part)
    return part if match is not None and match[2] is not None else '"' + part.replace('"', '""') + '"'
