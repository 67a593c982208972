"""PIVOT without its values: the same statement with a value of ours, which the parser's tree can hold.

The engine runs such a statement as several, the first of which looks for the values; it can neither serialize nor bind
it. With `(column) IN ('...')` for each column whose values are to be found it is an ordinary statement, over the same
tables, functions and columns: that one is checked and bound. The caller's own text runs over what was supplied for it.

SECURITY: the tree must hold as many of our values within PIVOTs as were put in, and nowhere else; so a text in which
words of a PIVOT mean something else is refused, not misread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb import errors, nesting
from penstock_server.engines.duckdb.nesting import Mark
from penstock_server.errors import QueryError, Reason

VALUE = "penstock: to be found"
"""What stands for the values."""

_AFTER = f"\n) IN ('{VALUE}') "
_PIVOTS = frozenset({"pivot", "pivot_wider"})
_ENDS_OF_SOURCE = frozenset({"select", "from", "where", "using", "group", "order", "limit", "union", ";", ")"})
_ENDS = frozenset(
    {"using", "group", "order", "limit", "offset", "union", "intersect", "except", "having", "qualify", ";", ")"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The caller's text, and with our values, `values` of them; `inserted` pairs byte offsets in it with lengths."""

    written: str
    sql: str
    values: int
    inserted: tuple[tuple[int, int], ...]

    def position(self, position: int | None) -> int | None:
        """Give the character offset in the caller's text for one in the completed text."""
        if position is None:
            return None
        return errors.character_position(self.written, self.origin(len(self.sql[:position].encode("utf-8"))))

    def references(self, tables: Sequence[TableReference]) -> tuple[TableReference, ...]:
        """Give references to tables with their positions in the caller's text."""
        return tuple(TableReference(parts=table.parts, position=self.position(table.position)) for table in tables)

    @contextmanager
    def positions(self) -> Iterator[None]:
        """Let errors about the completed text be about the caller's."""
        try:
            yield
        except QueryError as error:
            raise self._about_caller(error) from None
        except duckdb.Error as error:
            raised = errors.translate(error, sql=self.sql, memory_bytes=0)
            raise (self._about_caller(raised) if isinstance(raised, QueryError) else raised) from None

    def _about_caller(self, error: QueryError) -> QueryError:
        return QueryError(
            error.reason,
            error.message,
            position=self.position(error.position),
            hint=error.hint,
            metadata=tuple(pair for pair in error.metadata if pair[0] != "position"),
            detail=error.detail,
        )

    def check(self, statement: dict[str, Any]) -> None:
        """Require that a tree holds our values where they were meant to stand.

        Raises:
            QueryError: words of a PIVOT mean something else here (`SQL_NOT_READ_ONLY`).
        """
        if found(statement) != (self.values, self.values):
            raise unknown_values()

    def origin(self, offset: int) -> int:
        """Give the byte offset in the caller's text for one in the completed text."""
        added = 0
        for place, length in self.inserted:
            if place + added >= offset:
                break
            added += min(length, offset - place - added)
        return offset - added


def complete(sql: str) -> Completed | None:
    """Put a value of ours for each column of a PIVOT that has none; None where there is no such PIVOT."""
    marks = list(nesting.marks(sql))
    pieces = [piece for index, mark in enumerate(marks) if mark.text in _PIVOTS for piece in _without(marks, index + 1)]
    if not pieces:
        return None
    data = sql.encode("utf-8")
    inserted = [put for begin, end in pieces for put in ((begin, b"("), (end, _AFTER.encode()))]
    inserted.sort(key=lambda put: put[0])
    parts, before = [], 0
    for place, text in inserted:
        parts += [data[before:place], text]
        before = place
    return Completed(
        written=sql,
        sql=b"".join([*parts, data[before:]]).decode("utf-8"),
        values=len(pieces),
        inserted=tuple((place, len(text)) for place, text in inserted),
    )


def _without(marks: Sequence[Mark], start: int) -> Iterator[tuple[int, int]]:
    """Give where each column without values begins and ends, behind the ON of the PIVOT before `start`."""
    level = [(index, mark) for index, mark in _same_level(marks, start)]
    on = _the_on(level)
    if on is None:
        return
    begin: Mark | None = None
    valued, last = False, None
    for _, mark in level[on + 1 :]:
        if mark.text in _ENDS or mark.text == ",":
            if begin is not None and last is not None and not valued:
                yield begin.offset, mark.offset
            begin, last, valued = None, None, False
            if mark.text != ",":
                return
            continue
        begin, last = begin or mark, mark
        valued = valued or mark.text == "in"
    if begin is not None and not valued:
        yield begin.offset, marks[-1].end


def _the_on(level: Sequence[tuple[int, Mark]]) -> int | None:
    for place, (_, mark) in enumerate(level):
        if mark.text == "on":
            return place
        if mark.text in _ENDS_OF_SOURCE:
            return None
    return None


def _same_level(marks: Sequence[Mark], start: int) -> Iterator[tuple[int, Mark]]:
    """Give the marks outside of brackets that open behind `start`, up to one that closes before it.

    A bracket that opens stands for what it holds.
    """
    depth = 0
    for index in range(start, len(marks)):
        mark = marks[index]
        if mark.text in ("(", "[", "{"):
            if depth == 0:
                yield index, mark
            depth += 1
        elif mark.text in (")", "]", "}"):
            if depth == 0:
                yield index, mark
                return
            depth -= 1
        elif depth == 0:
            yield index, mark


def found(statement: dict[str, Any]) -> tuple[int, int]:
    """Count our value in a tree: as the only value of a column of a PIVOT, and anywhere."""
    pivots = anywhere = 0
    pending: list[Any] = [statement]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            anywhere += part.get("kind") == "STRING" and part.get("text") == VALUE
            if part.get("type") == "PIVOT":
                pivots += sum(_is_ours(column) for column in part["pivots"])
            pending += part.values()
    return pivots, anywhere


def _is_ours(column: dict[str, Any]) -> bool:
    entries = column["entries"]
    star = entries[0].get("star_expr") or {} if len(entries) == 1 else {}
    return isinstance(star.get("literal"), dict) and star["literal"].get("text") == VALUE


def unknown_values() -> QueryError:
    """Give the error of a PIVOT whose values cannot be found."""
    return QueryError(
        Reason.SQL_NOT_READ_ONLY,
        "`PIVOT` in this form is not available in this version",
        hint="name the values: `on column in (...)`",
    )
