"""From three-valued terms to two-valued formulas: where a term IS TRUE, and where it IS FALSE.

Each term has both formulas, by its structure: NOT swaps them, AND is TRUE where all are and FALSE where one is. A test
of a column is neither where the cell is NULL or NaN. Visible is only what IS TRUE, so nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from penstock_server.model.schema import ColumnType
from penstock_server.policy.proof.budget import OutOfBudget, Work
from penstock_server.policy.proof.callers import Callers
from penstock_server.policy.proof.claims import CallerValues
from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Node, Variable
from penstock_server.policy.proof.regions import NULL_REGION, Regions, split
from penstock_server.policy.proof.terms import (
    Atom,
    Below,
    CallerTest,
    Certain,
    Claim,
    Conjunction,
    Disjunction,
    Matches,
    Missing,
    Negation,
    OneOf,
    Settled,
    Term,
)

_NO, _YES = 1, 2


class ColumnVariable:
    """A column in formulas. `patterns` is empty unless its patterns are too many to split by.

    Then each pattern is a truth value of its own, as if texts could match any of them: more than there are, so that no
    model is still a proof, and a model has to be looked at again (`realization`).
    """

    def __init__(self, formulas: Formulas, name: str, kind: ColumnType, atoms: Iterable[Atom], work: Work) -> None:
        self.name = name
        self.kind = kind
        self.patterns: dict[Matches, Variable] = {}
        distinct = tuple(dict.fromkeys(atoms))
        patterns = [atom for atom in distinct if isinstance(atom, Matches)]
        try:
            self.regions: Regions = split(kind, distinct, states=work.budget.pattern_states if patterns else None)
        except OutOfBudget:
            self.regions = split(kind, [atom for atom in distinct if atom not in patterns], states=None)
            self.patterns = {pattern: formulas.variable(_NO | _YES) for pattern in patterns}
        self.variable = formulas.variable(self.regions.all)


class Lowering:
    """Makes formulas of terms. INVARIANT: `terms` are all terms of both versions: the regions are split by them."""

    def __init__(
        self,
        formulas: Formulas,
        callers: Callers,
        columns: Mapping[str, ColumnType],
        terms: Iterable[Term],
    ) -> None:
        self._formulas = formulas
        self._callers = callers
        atoms: dict[str, list[Atom]] = {}
        claims: dict[tuple[str, Claim], None] = {}
        for term in terms:
            _collect(term, atoms, claims)
        self.caller_values = CallerValues(formulas, callers, columns, claims)
        for column, claim in claims:
            atoms[column] += self.caller_values.atoms(column, claim)
        self.columns = {
            name: ColumnVariable(formulas, name, columns[name], atoms[name], formulas.work) for name in atoms
        }
        # Kept with their terms: an identity may be given again once a term is gone.
        self._lowered: dict[tuple[int, bool], tuple[Term, Node]] = {}

    def consistent(self) -> Node:
        """Give what holds of the caller's own values beside columns, whatever they are."""
        return self.caller_values.consistent(self._test)

    def true(self, term: Term) -> Node:
        """Give where the term IS TRUE."""
        return self._of(term, wanted=True)

    def false(self, term: Term) -> Node:
        """Give where the term IS FALSE."""
        return self._of(term, wanted=False)

    def _of(self, term: Term, *, wanted: bool) -> Node:
        found = self._lowered.get((id(term), wanted))
        if found is None:
            found = self._lowered[id(term), wanted] = (term, self._lower(term, wanted))
        return found[1]

    def _lower(self, term: Term, wanted: bool) -> Node:
        formulas = self._formulas
        match term:
            case Settled():
                return TRUE if term.truth is wanted else FALSE
            case Negation():
                return self._of(term.operand, wanted=not wanted)
            case Certain():
                certain = self._of(term.operand, wanted=True)
                return certain if wanted else formulas.negation(certain)
            case Conjunction() | Disjunction():
                operands = [self._of(operand, wanted=wanted) for operand in term.operands]
                conjoin = isinstance(term, Conjunction) is wanted
                return formulas.conjunction(operands) if conjoin else formulas.disjunction(operands)
            case Missing():
                column = self.columns[term.column]
                regions = NULL_REGION if wanted else column.regions.all & ~NULL_REGION
                return formulas.literal(column.variable, regions)
            case OneOf() | Below() | Matches():
                return self._test(term, wanted)
            case CallerTest():
                return self._caller_test(term, wanted)
            case _:
                assert_never(term)

    def _test(self, atom: Atom, wanted: bool) -> Node:
        column = self.columns[atom.column]
        # SECURITY: NOT of a test is no test of NULL or NaN: both are UNKNOWN there, and hide the row.
        known = column.regions.known
        if isinstance(atom, Matches) and atom in column.patterns:
            matches = self._formulas.literal(column.patterns[atom], _YES if wanted else _NO)
            return self._formulas.conjunction((self._formulas.literal(column.variable, known), matches))
        holds = column.regions.holds[atom]
        return self._formulas.literal(column.variable, holds if wanted else known & ~holds)

    def _caller_test(self, test: CallerTest, wanted: bool) -> Node:
        column = self.columns[test.column]
        known = self._formulas.literal(column.variable, column.regions.known)
        holds = self.caller_values.formula(test, wanted=wanted, of_atom=self._test)
        return self._formulas.conjunction((known, holds))


def _collect(term: Term, atoms: dict[str, list[Atom]], claims: dict[tuple[str, Claim], None]) -> None:
    """Note every column with its atoms, and every claim that a column is compared with."""
    match term:
        case Settled():
            pass
        case Negation() | Certain():
            _collect(term.operand, atoms, claims)
        case Conjunction() | Disjunction():
            for operand in term.operands:
                _collect(operand, atoms, claims)
        case Missing():
            atoms.setdefault(term.column, [])
        case OneOf() | Below() | Matches():
            atoms.setdefault(term.column, []).append(term)
        case CallerTest():
            atoms.setdefault(term.column, [])
            claims[term.column, term.claim] = None
        case _:
            assert_never(term)
