"""Narrowing is not enough: a rule over a column that is not shown tells that column, by which rows or cells appear.

A column leaks where two rows that differ in it alone are treated differently, one shown and one not, and it is not
shown clear in the one that is shown. This is a notice and no verdict: what it finds is confirmed, but a column whose
patterns are too many to split by, and lumped rules, are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from penstock_server.model.cell_paths import written_path
from penstock_server.policy.proof.budget import Budget, OutOfBudget
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.comparison import SliceFormulas, TablePair, whole_formulas
from penstock_server.policy.proof.confirmation import TableConfirmation, Witness
from penstock_server.policy.proof.findings import Inference
from penstock_server.policy.proof.formulas import FALSE, Node, Variable
from penstock_server.policy.proof.known import NotUnderstood
from penstock_server.policy.proof.later_columns import is_later
from penstock_server.policy.proof.lowering import ColumnVariable
from penstock_server.policy.proof.rows import Look
from penstock_server.policy.proof.scales import Cell, shown
from penstock_server.policy.proof.sides import Side


def new_inferences(pair: TablePair, only: Somebody, *, since: datetime, budget: Budget) -> tuple[Inference, ...]:
    """Give the columns that leak to these principals in the new version of a table and did not in the old one."""
    if pair.new is None:
        return ()
    found: list[Inference] = []
    before: set[str] = set()
    try:
        formulas = whole_formulas(pair, since=since, budget=budget, only=only)
        old, new = formulas.sides()
        found.extend(_Leaks(formulas, new, pair.new_sees).all())
        if found:
            before.update(leak.column for leak in _Leaks(formulas, old, pair.old_sees).all())
    except (NotUnderstood, OutOfBudget):
        pass  # what was found until then is told
    return tuple(leak for leak in found if leak.column not in before)


class _Leaks:
    """The leaks of one version."""

    def __init__(self, formulas: SliceFormulas, side: Side, sees: TableConfirmation) -> None:
        self._part = formulas
        self._formulas = formulas.formulas
        self._side = side
        self._sees = sees
        rows = self._formulas.conjunction((self._formulas.disjunction(side.rows), side.rules))
        self._targets: dict[Node, str | None] = {rows: None}
        for column, found in side.columns.items():
            if not is_later(column):
                clear = self._formulas.conjunction((self._formulas.disjunction(found.clear), side.rules))
                self._targets.setdefault(clear, column)

    def all(self) -> Iterator[Inference]:
        """Give a leak of each column that has one."""
        for column in self._part.lowering.columns.values():
            # That a struct is NULL is told by its fields, and not looked at.
            if not column.patterns and column.name in self._side.columns:
                leak = next(self._of(column), None)
                if leak is not None:
                    yield leak

    def _of(self, column: ColumnVariable) -> Iterator[Inference]:
        claims = [
            variable
            for (name, _), variable in self._part.lowering.caller_values.variables.items()
            if name == column.name
        ]
        side = self._side.columns.get(column.name)
        seen = (
            FALSE
            if side is None
            else self._formulas.conjunction((self._formulas.disjunction(side.clear), self._side.rules))
        )
        for target, betrayed_by in self._targets.items():
            if betrayed_by == column.name:
                continue
            for variable in (column.variable, *claims):
                for node in self._differing(target, seen, variable):
                    found = self._part.models.find(node)
                    for witness in self._part.realizer.witnesses(found) if found is not None else ():
                        leak = self._confirmed(column, betrayed_by, witness)
                        if leak is not None:
                            yield leak

    def _differing(self, target: Node, seen: Node, variable: Variable) -> Iterator[Node]:
        """Give formulas of rows that the target holds for, not so with another value, and the value is not seen."""
        formulas = self._formulas
        if not formulas.variables(target) >> variable & 1:
            return
        parts = self._parts(variable)
        held = [formulas.restricted((target,), {variable: part})[0] for part in parts]
        for index, part in enumerate(parts):
            others = formulas.conjunction([node for other, node in enumerate(held) if other != index])
            unseen = formulas.negation(formulas.restricted((seen,), {variable: part})[0])
            yield formulas.conjunction(
                (held[index], formulas.negation(others), unseen, formulas.literal(variable, part))
            )

    def _parts(self, variable: Variable) -> Sequence[int]:
        full = self._formulas.full[variable]
        return [1 << region for region in range(full.bit_length()) if full >> region & 1]

    def _confirmed(self, column: ColumnVariable, betrayed_by: str | None, witness: Witness) -> Inference | None:
        if self._sees.display(witness, column.name) is Look.CLEAR or not self._appears(witness, betrayed_by):
            return None
        for cell in self._other_cells(column, witness.row[column.name]):
            other = replace(witness, row={**witness.row, column.name: cell})
            if not self._appears(other, betrayed_by):
                return Inference(
                    table=self._part.name,
                    column=written_path(column.name),
                    betrayed_by=None if betrayed_by is None else written_path(betrayed_by),
                    who=witness.who,
                    shown=self._written(witness, column),
                    hidden=self._written(other, column),
                )
        return None

    def _appears(self, witness: Witness, betrayed_by: str | None) -> bool:
        if betrayed_by is None:
            return self._sees.shows_row(witness)
        return self._sees.display(witness, betrayed_by) is Look.CLEAR

    def _other_cells(self, column: ColumnVariable, cell: Cell) -> Iterator[Cell]:
        for other in (*column.regions.witnesses[1:], None):
            if other != cell:
                yield other
        if isinstance(cell, str):
            yield f"{cell}x"

    def _written(self, witness: Witness, column: ColumnVariable) -> tuple[tuple[str, str], ...]:
        relevant = witness.relevant | {column.name}
        return tuple(
            (written_path(name), shown(witness.row[name], kind))
            for name, kind in self._part.types.items()
            if name in relevant
        )
