"""The questions about one table whose answer is a model or none: where does one version show what the other does not?

Each question is a list of formulas, any model of which is an answer. Disjuncts that stand in both versions are not
asked about, so that the work follows the change and not the estate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from penstock_server.policy.proof.confirmation import TableConfirmation, Witness
from penstock_server.policy.proof.disclosure import Disclosure, in_words, same_display
from penstock_server.policy.proof.findings import FindingKind
from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Node
from penstock_server.policy.proof.inputs import MaskInput, Tells
from penstock_server.policy.proof.later_columns import LATER_COLUMNS
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
        nodes = self._difference(self._more.rows, self._less.rows)
        return Question(kind=FindingKind.ROW, things=(), nodes=nodes, check=_row_check)

    def telling_cells(self, disclosure: Disclosure, *, beside_new_rows: bool) -> Iterator[Question]:
        """Ask which cells tell more; where rows become visible too, in rows only that are seen in both versions."""
        within = self._rows_of_less() if beside_new_rows else TRUE
        for columns, less, more in self._alike():
            clear = self._difference(more.clear, less.clear)
            for kind, things in _by_kind(columns, FindingKind.CELL):
                yield self._question(kind, things, clear, within, _becomes_clear)
            if more.masks and (less != more or self._less.rules != self._more.rules):
                yield from self._telling_masks(columns, disclosure, within)

    def other_cells(self, *, beside_new_rows: bool) -> Iterator[Question]:
        """Ask which cells look otherwise, tell they more or less or as much."""
        within = self._rows_of_less() if beside_new_rows else TRUE
        for columns, less, more in self._alike():
            if less == more and self._less.rules == self._more.rules:
                continue
            mine = [part for part in shown(self._formulas, self._more, columns[0]) if not _is_null(part.mask)]
            others = [part for part in shown(self._formulas, self._less, columns[0]) if not _is_null(part.mask)]
            for part in mine:
                same = self._formulas.disjunction([one.where for one in others if _alike(one.mask, part.mask)])
                nodes = self._formulas.differences(part.where, same)
                base = FindingKind.CELL if part.mask is None else FindingKind.MASK
                for kind, things in _by_kind(columns, base):
                    yield self._question(kind, things, nodes, within, _looks_otherwise)
            yield from self._appearing(columns, mine, others)

    def _appearing(
        self, columns: tuple[str, ...], mine: Sequence[Shown], others: Sequence[Shown]
    ) -> Iterator[Question]:
        """Ask where less shows a constant and more NULL; all else that less shows there would be one of its gains."""
        formulas = self._formulas
        constants = [part.where for part in others if part.mask is not None and part.mask.tells is Tells.NOTHING]
        appearing = formulas.differences(
            formulas.disjunction(constants), formulas.disjunction([part.where for part in mine])
        )
        rows = formulas.conjunction((formulas.disjunction(self._more.rows), self._more.rules))
        for kind, things in _by_kind(columns, FindingKind.MASK):
            yield self._question(kind, things, appearing, rows, _looks_otherwise)

    def doors(self) -> Iterator[Question]:
        """Ask to whom the files of the table are open."""
        for kind, less, more, check in (
            (FindingKind.OPEN_FILES, self._less.full, self._more.full, _full_check),
            (FindingKind.FILES, self._less.files, self._more.files, _files_check),
        ):
            yield Question(kind=kind, things=(), nodes=self._formulas.differences(more, less), check=check)

    def _telling_masks(self, columns: tuple[str, ...], disclosure: Disclosure, within: Node) -> Iterator[Question]:
        formulas = self._formulas
        before = shown(formulas, self._less, columns[0])
        for part in shown(formulas, self._more, columns[0]):
            mask = part.mask
            if mask is None or not disclosure.mask_tells_more(mask, None):
                continue
            covered = formulas.disjunction(
                [one.where for one in before if one.mask is None or not disclosure.mask_tells_more(mask, one.mask)]
            )
            nodes = formulas.differences(part.where, covered)
            for kind, things in _by_kind(columns, FindingKind.MASK):
                yield self._question(kind, things, nodes, within, disclosure.tells_more)

    def _question(
        self,
        kind: FindingKind,
        things: tuple[str, ...],
        nodes: Iterable[Node],
        within: Node,
        holds: Callable[[Display, Display], bool],
    ) -> Question:
        return Question(
            kind=kind,
            things=things,
            nodes=tuple(self._formulas.conjunction((node, within)) for node in nodes),
            check=_cell_check(things[0], holds),
        )

    def _difference(self, more: frozenset[Node], less: frozenset[Node]) -> tuple[Node, ...]:
        """Give formulas that together say "a filter of more holds, with its rules, and none of less with its own"."""
        formulas = self._formulas
        none_of_less = formulas.conjunction([formulas.negation(node) for node in less])
        standing = {part for node in less for part in formulas.alternatives(node)}
        nodes = [
            formulas.conjunction((part, self._more.rules, none_of_less))
            for node in sorted(more - less)
            for part in formulas.alternatives(node)
            if part not in standing
        ]
        if self._more.rules != self._less.rules:
            kept = set(formulas.alternatives(self._less.rules))
            without_rules = formulas.negation(self._less.rules)
            any_of_more = formulas.disjunction(more)
            nodes += [
                formulas.conjunction((part, any_of_more, without_rules))
                for part in formulas.alternatives(self._more.rules)
                if part not in kept
            ]
        return tuple(node for node in nodes if node != FALSE)

    def _rows_of_less(self) -> Node:
        return self._formulas.conjunction((self._formulas.disjunction(self._less.rows), self._less.rules))

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
    there = tuple(column for column in columns if column != LATER_COLUMNS)
    if there:
        yield kind, there
    if LATER_COLUMNS in columns:
        yield FindingKind.LATER_COLUMNS, (LATER_COLUMNS,)


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
