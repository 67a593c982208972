"""Columns against the caller's own values, as formulas.

Which values a caller has is not known; only how a cell stands to them is a variable, six states that exclude each
other. Where a selector names the caller by username, or by a group, that value is known, and the test is one of the
column alone. A state that no value brings about makes a witness that is not confirmed, and never a false proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from typing import Final

from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.proof.callers import Callers
from penstock_server.policy.proof.formulas import FALSE, Formulas, Node, Variable
from penstock_server.policy.proof.scales import Point
from penstock_server.policy.proof.terms import Atom, Below, CallerTest, Claim, ClaimKind, ClaimState, OneOf

_ALL_STATES: Final = (1 << len(ClaimState)) - 1
_MOST_NAMES: Final = 32
"""Most usernames or groups that are told apart beside a column."""
_IN: Final = frozenset({ClaimState.EQUAL, ClaimState.AMONG})
_NO_VALUE: Final = frozenset({ClaimState.NOTHING})
_NONE: Final = 1 << ClaimState.NOTHING
_ONE: Final = 1 << ClaimState.LESS | 1 << ClaimState.EQUAL | 1 << ClaimState.GREATER
_EMPTY: Final[frozenset[Point]] = frozenset({""})
# INVARIANT: names of users and groups are not empty (identity.text.is_name).
_IMPOSSIBLE_FOR_EMPTY: Final = {
    ClaimKind.NAME: 1 << ClaimState.EQUAL | 1 << ClaimState.GREATER,
    ClaimKind.GROUPS: 1 << ClaimState.EQUAL | 1 << ClaimState.GREATER | 1 << ClaimState.AMONG,
    # Everybody has a subject, and its hash is not empty.
    ClaimKind.SUBJECT: 1 << ClaimState.EQUAL | 1 << ClaimState.GREATER,
    ClaimKind.ATTRIBUTE: 1 << ClaimState.GREATER,
}
_POSSIBLE: Final = {
    ClaimKind.NAME: _NONE | _ONE,
    ClaimKind.GROUPS: _ALL_STATES,
    # INVARIANT: nothing is known of a hash but that it is there: any text but the empty one, the same in both versions.
    ClaimKind.SUBJECT: _ONE,
    ClaimKind.ATTRIBUTE: _ALL_STATES,
}
_SEVERAL: Final = 1 << ClaimState.AMONG | 1 << ClaimState.OUTSIDE


class CallerValues:
    """The variables of all pairs of a column and a claim."""

    def __init__(
        self,
        formulas: Formulas,
        callers: Callers,
        columns: Mapping[str, ColumnType],
        claims: Iterable[tuple[str, Claim]],
    ) -> None:
        self._formulas = formulas
        self._callers = callers
        self._columns = columns
        self.variables: Mapping[tuple[str, Claim], Variable] = {
            (column, claim): formulas.variable(_POSSIBLE[claim.kind]) for column, claim in claims
        }

    def consistent(self, of_atom: Callable[[Atom, bool], Node]) -> Node:
        """Give what holds of one claim beside several columns: it has no value, one or several for all of them alike.

        Texts take every value; no text is a whole number, a truth value and a day at once. Nothing is less than the
        empty text, which is no name either. `of_atom` gives where an atom is TRUE, or FALSE.
        """
        clauses = [
            self._formulas.disjunction(
                (
                    self._formulas.negation(of_atom(OneOf(column=column, points=_EMPTY), True)),
                    self._formulas.literal(variable, ~_IMPOSSIBLE_FOR_EMPTY[claim.kind]),
                )
            )
            for (column, claim), variable in self.variables.items()
            if self._columns[column].family is TypeFamily.TEXT
        ]
        by_claim: dict[Claim, list[str]] = {}
        for column, claim in self.variables:
            by_claim.setdefault(claim, []).append(column)
        for claim, columns in by_claim.items():
            for first, second in permutations(columns, 2):
                clauses += self._excluded(claim, first, second)
        return self._formulas.conjunction(clauses)

    def _excluded(self, claim: Claim, first: str, second: str) -> list[Node]:
        formulas = self._formulas
        one, other = self.variables[first, claim], self.variables[second, claim]
        clauses = [formulas.disjunction((formulas.literal(one, ~_ONE), formulas.literal(other, ~_SEVERAL)))]
        families = self._columns[first].family, self._columns[second].family
        if families[0] is TypeFamily.TEXT:
            clauses.append(formulas.disjunction((formulas.literal(one, ~_NONE), formulas.literal(other, _NONE))))
        elif families[1] not in {TypeFamily.TEXT, families[0]}:
            clauses.append(formulas.disjunction((formulas.literal(one, _NONE), formulas.literal(other, _NONE))))
        return clauses

    def atoms(self, column: str, claim: Claim) -> list[Atom]:
        """Give the tests by which the values of a column must be split too."""
        if self._columns[column].family is not TypeFamily.TEXT:
            return []
        values = self._known_values(column, claim)
        points = [OneOf(column=column, points=points) for points in (_EMPTY, *(frozenset({value}) for value in values))]
        if claim.kind is ClaimKind.GROUPS:
            return [*points]
        return [*points, *(Below(column=column, bound=value, inclusive=False) for value in values)]

    def formula(self, test: CallerTest, *, wanted: bool, of_atom: Callable[[Atom, bool], Node]) -> Node:
        """Give where a test is TRUE, or FALSE, in cells that are neither NULL nor NaN.

        `of_atom` gives where an atom is TRUE, or FALSE.
        """
        states = test.holds if wanted else test.fails
        if test.claim.kind in {ClaimKind.ATTRIBUTE, ClaimKind.SUBJECT}:
            return self._in_states(test, states)
        # Names and groups are values of the default issuer's principals only.
        of_issuer = self._callers.of_issuer(self._callers.default_issuer)
        if test.claim.kind is ClaimKind.NAME:
            known = self._of_name(test, states, of_atom)
        elif test.holds == _IN:
            known = self._of_groups(test, wanted, of_atom)
        else:
            known = self._in_states(test, states)
        return self._formulas.conjunction((of_issuer, known))

    def _of_name(self, test: CallerTest, states: frozenset[ClaimState], of_atom: Callable[[Atom, bool], Node]) -> Node:
        formulas = self._formulas
        names = [str(value) for value in self._known_values(test.column, test.claim)]
        named = formulas.disjunction([self._callers.username_is(name) for name in names])
        parts = [formulas.conjunction((formulas.negation(named), self._in_states(test, states)))]
        for name in names:
            same = OneOf(column=test.column, points=frozenset({name}))
            less = Below(column=test.column, bound=name, inclusive=False)
            standing = {
                ClaimState.LESS: of_atom(less, True),
                ClaimState.EQUAL: of_atom(same, True),
                ClaimState.GREATER: formulas.conjunction((of_atom(less, False), of_atom(same, False))),
            }
            held = formulas.disjunction([node for state, node in standing.items() if state in states])
            parts.append(formulas.conjunction((self._callers.username_is(name), held)))
        return formulas.disjunction(parts)

    def _of_groups(self, test: CallerTest, wanted: bool, of_atom: Callable[[Atom, bool], Node]) -> Node:
        """Take known groups and all others together: the state then is that of the others alone."""
        formulas = self._formulas
        groups = self._callers.groups_of(self._callers.default_issuer)
        if not self._known_values(test.column, test.claim):
            groups = ()
        members = {group: self._callers.selected(group) for group in groups}
        among = formulas.disjunction(
            [
                formulas.conjunction((member, of_atom(OneOf(column=test.column, points=frozenset({group.name})), True)))
                for group, member in members.items()
            ]
        )
        if wanted:
            return formulas.disjunction((among, self._in_states(test, test.holds)))
        no_others = self._in_states(test, _NO_VALUE)
        only_known = formulas.conjunction((no_others, formulas.disjunction(members.values())))
        outside = formulas.disjunction((self._in_states(test, test.fails), only_known))
        return formulas.conjunction((formulas.negation(among), outside))

    def _in_states(self, test: CallerTest, states: Iterable[ClaimState]) -> Node:
        variable = self.variables[test.column, test.claim]
        return self._formulas.literal(variable, sum(1 << state for state in states)) if states else FALSE

    def _known_values(self, column: str, claim: Claim) -> tuple[str, ...]:
        """Give the usernames or groups that selectors have, where a column can be split by them."""
        if self._columns[column].family is not TypeFamily.TEXT:
            return ()
        values: tuple[str, ...] = ()
        if claim.kind is ClaimKind.NAME:
            values = self._callers.usernames
        elif claim.kind is ClaimKind.GROUPS:
            values = tuple(group.name for group in self._callers.groups_of(self._callers.default_issuer))
        return values if len(values) <= _MOST_NAMES else ()
