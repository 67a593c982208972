"""What a policy says of the form of a rules dataset, and where its rows stand for messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import Place
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.problems import Problems

FIELD_TYPES: Final[Mapping[str, TypeFamily]] = {
    "text": TypeFamily.TEXT,
    "integer": TypeFamily.INTEGER,
    "decimal": TypeFamily.DECIMAL,
    "boolean": TypeFamily.BOOLEAN,
    "date": TypeFamily.DATE,
}
"""What may stand under `types`, and the columns that it goes with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFormat:
    """Extensions of QuickSight's form, each off unless the entry asks for it.

    `types` are those of fields that are no text; `note_columns` where columns named `note:...` are comments.
    """

    types: Mapping[str, TypeFamily]
    note_columns: bool


PLAIN: Final = RulesFormat(types={}, note_columns=False)
"""QuickSight's own form."""


_LONGEST_SHOWN: Final = 100


def shortened(text: str) -> str:
    """Give a text for a message, cut where it is absurdly long: a cell may have megabytes."""
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


class RowError(ValueError):
    """What is wrong with one row; `told` says it without any value of the row."""

    def __init__(self, message: str, *, told: str | None = None) -> None:
        super().__init__(message)
        self.told = message if told is None else told


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOfFile:
    """The rows are lines of a file, which its owner may read: a message may name a value."""

    source: str

    def header_place(self) -> Place:
        """Give where the header stands."""
        return Place(source=self.source, line=1, column=1)

    def note(self, line: int, error: RowError, problems: Problems) -> None:
        """Note what is wrong with a line."""
        problems.add(Place(source=self.source, line=line, column=1), str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOfQuery:
    """The rows are the sorted result of a query, data that the reader of a message may not see."""

    place: Place

    def header_place(self) -> Place:
        """Give where the policy states the query."""
        return self.place

    def note(self, line: int, error: RowError, problems: Problems) -> None:
        """Note what is wrong with a row: row 1 of the result follows the names of its columns.

        SECURITY: no value of the result gets into a message; logs and reports have other readers than the table.
        """
        where = "the columns of the result" if line == 1 else f"row {line - 1} of the sorted result"
        problems.add(self.place, f"{where}: {error.told}")


RowPlaces = RowsOfFile | RowsOfQuery
