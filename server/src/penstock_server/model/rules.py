"""What a query gave that makes a rules dataset."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.schema import TypeFamily


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueriedRules:
    """The result of a rules query as the text of a CSV, UTF-8, its rows sorted and each of them once.

    The first line holds the names of `columns`, which pair each with the family of its type. Equal results are equal
    texts, in whatever order the engine gave their rows. It does not print what it holds.
    """

    columns: tuple[tuple[str, TypeFamily], ...]
    text: bytes
