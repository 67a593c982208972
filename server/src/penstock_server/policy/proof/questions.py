"""The questions about one table whose answer is a model or none: where does one version show what the other does not?

Each question is a list of formulas, any model of which is an answer. Disjuncts that stand in both versions are not
asked about, so that the work follows the change and not the estate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from penstock_server.policy.proof.confirmation import TableConfirmation, Witness
from penstock_server.policy.proof.differences import Differences
from penstock_server.policy.proof.disclosure import Disclosure, in_words, same_display
from penstock_server.policy.proof.findings import FindingKind
from penstock_server.policy.proof.formulas import FALSE, Formulas, Node
from penstock_server.policy.proof.inputs import MaskInput, Tells
from penstock_server.policy.proof.later_columns import is_later
from penstock_server.policy.proof.rows import Display, Look
from penstock_server.policy.proof.sides import ColumnSide, Shown, Side, shown

Words = tuple[str, str]
"""What is seen in the version that shows less, and in the one that shows more."""

Check = Callable[[TableConfirmation, TableConfirmation, Witness], Words | None]
"""Asks the serving evaluator of the version that shows less, then of the one that shows more; None = it is not so."""

_ABSENT: Final = ColumnSide(clear=frozenset(), masks=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`nodes` are what to find a model of; `check` confirms a witness, in the order (less, more)."""

    kind: FindingKind
    things: tuple[str, ...]
    nodes: tuple[Node, ...]
    check: Check


class Questions:
    """What `more` shows and `less` does not.

    INVARIANT of gains (less = old, more = new): if none of `names`, `rows`, `telling_cells` and `doors` has a model,
    nobody sees more: not the name of a column, no row, and in a row that was seen already no cell that tells more.
    INVARIANT of losses (less = new, more = old): if neither these gains nor `names`, `rows`, `other_cells` and `doors`
    have a model, both versions show the same to everybody.
    """

    def __init__(self, formulas: Formulas, less: Side, more: Side) -> None:
        self._formulas = formulas
        self._less = less
        self._more = more
        self._differences = Differences(formulas, less, more)
        self._turned = Differences(formulas, more, less)

    def names(self) -> Iterator[Question]:
        """Ask whose columns become known."""
        groups: dict[Node, list[str]] = {}
        for column, node in self._more.names.items():
            new = self._formulas.difference(node, self._less.names.get(column, FALSE))
            if new != FALSE:
                groups.setdefault(new, []).append(column)
        for node, columns in groups.items():
            for kind, things in _by_kind(columns, FindingKind.COLUMN):
                yield Question(kind=kind, things=things, nodes=(node,), check=_names_check(things))

    def rows(self) -> Question:
        """Ask which rows become visible."""
        return Question(kind=FindingKind.ROW, things=(), nodes=self._differences.of_rows(), check=_row_check)

    def telling_cells(self, disclosure: Disclosure) -> Iterator[Question]:
        """Ask which cells tell more; where rows become visible too, also in those."""
        for columns, less, more in self._alike():
            if less == more and self._less.rules == self._more.rules:
                continue
            before = shown(less)
            for part in shown(more):
                mask = part.mask
                if mask is None:
                    nodes = self._differences.only_in(part, before, before[:1])
                    yield from self._question(columns, FindingKind.CELL, nodes, _becomes_clear)
                elif disclosure.mask_tells_more(mask, None):
                    covering = [one for one in before if _covers(one, mask, disclosure)]
                    nodes = self._differences.only_in(part, before, covering)
                    yield from self._question(columns, FindingKind.MASK, nodes, disclosure.tells_more)

    def other_cells(self) -> Iterator[Question]:
        """Ask which cells look otherwise, tell they more or less or as much; where rows are lost too, also in those."""
        for columns, less, more in self._alike():
            if less == more and self._less.rules == self._more.rules:
                continue
            mine, others = shown(more), shown(less)
            for part in mine:
                if not _is_null(part.mask):
                    same = [one for one in others if _alike(one.mask, part.mask)]
                    nodes = self._differences.only_in(part, others, same)
                    kind = FindingKind.CELL if part.mask is None else FindingKind.MASK
                    yield from self._question(columns, kind, nodes, _looks_otherwise)
            for part in others:
                # Where less shows a constant and more NULL; all else that less shows there would be one of its gains.
                if part.mask is not None and part.mask.tells is Tells.NOTHING and not part.mask.shows_null:
                    nodes = self._turned.only_in(part, mine, [one for one in mine if not _is_null(one.mask)])
                    yield from self._question(columns, FindingKind.MASK, nodes, _looks_otherwise)

    def doors(self) -> Iterator[Question]:
        """Ask to whom the files of the table are open."""
        for kind, less, more, check in (
            (FindingKind.OPEN_FILES, self._less.full, self._more.full, _full_check),
            (FindingKind.FILES, self._less.files, self._more.files, _files_check),
        ):
            yield Question(kind=kind, things=(), nodes=self._formulas.differences(more, less), check=check)

    def _question(
        self,
        columns: tuple[str, ...],
        kind: FindingKind,
        nodes: tuple[Node, ...],
        holds: Callable[[Display, Display], bool],
    ) -> Iterator[Question]:
        for kind_, things in _by_kind(columns, kind):
            yield Question(kind=kind_, things=things, nodes=nodes, check=_cell_check(things[0], holds))

    def _alike(self) -> Iterator[tuple[tuple[str, ...], ColumnSide, ColumnSide]]:
        """Give the columns by what both versions show of them: one question does for all that are alike."""
        groups: dict[tuple[ColumnSide, ColumnSide], list[str]] = {}
        for column in dict.fromkeys((*self._more.columns, *self._less.columns)):
            pair = self._less.columns.get(column, _ABSENT), self._more.columns.get(column, _ABSENT)
            groups.setdefault(pair, []).append(column)
        for (less, more), columns in groups.items():
            yield tuple(columns), less, more


def _by_kind(columns: Iterable[str], kind: FindingKind) -> Iterator[tuple[FindingKind, tuple[str, ...]]]:
    """Part the columns that there are from those to come."""
    there = tuple(column for column in columns if not is_later(column))
    if there:
        yield kind, there
    for column in columns:
        if is_later(column):
            yield FindingKind.LATER_COLUMNS, (column,)


def _covers(one: Shown, mask: MaskInput, disclosure: Disclosure) -> bool:
    """Tell whether what was shown tells as much as a mask."""
    return one.mask is None or not disclosure.mask_tells_more(mask, one.mask)


def _is_null(mask: MaskInput | None) -> bool:
    return mask is not None and mask.shows_null


def _alike(one: MaskInput | None, other: MaskInput | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.definition == other.definition


def _becomes_clear(more: Display, less: Display) -> bool:
    return more is Look.CLEAR and less is not Look.CLEAR


def _looks_otherwise(more: Display, less: Display) -> bool:
    return not same_display(more, less)


def _names_check(columns: tuple[str, ...]) -> Check:
    def check(less: TableConfirmation, more: TableConfirmation, witness: Witness) -> Words | None:
        shown_more = all(more.names(witness, column) for column in columns)
        shown_less = any(less.names(witness, column) for column in columns)
        return ("nothing", "the name") if shown_more and not shown_less else None

    return check


def _row_check(less: TableConfirmation, more: TableConfirmation, witness: Witness) -> Words | None:
    return ("nothing", "the row") if more.shows_row(witness) and not less.shows_row(witness) else None


def _cell_check(column: str, holds: Callable[[Display, Display], bool]) -> Check:
    def check(less: TableConfirmation, more: TableConfirmation, witness: Witness) -> Words | None:
        mine, others = more.display(witness, column), less.display(witness, column)
        return (in_words(others), in_words(mine)) if holds(mine, others) else None

    return check


def _full_check(less: TableConfirmation, more: TableConfirmation, witness: Witness) -> Words | None:
    return ("a closed location", "an open location") if more.is_full(witness) and not less.is_full(witness) else None


def _files_check(less: TableConfirmation, more: TableConfirmation, witness: Witness) -> Words | None:
    if more.gives_files(witness) and not less.gives_files(witness):
        return "no files", "the files"
    return None
