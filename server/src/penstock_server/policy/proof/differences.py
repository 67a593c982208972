"""Where one version shows something and the other does not, as formulas that are quickly decided.

"Something" is an OR of filters, less what comes before it, within rules. What stands in both versions is left out: it
cannot make a difference, and a change costs what it changes, not what the table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock_server.policy.proof.formulas import FALSE, Formulas, Node
from penstock_server.policy.proof.sides import Shown, Side


class Differences:
    """What `more` shows and `less` does not. Formulas that are given together say it: any model of one of them."""

    def __init__(self, formulas: Formulas, less: Side, more: Side) -> None:
        self._formulas = formulas
        self._less = less
        self._more = more
        self._kept_rules = frozenset(formulas.alternatives(less.rules))

    def of_rows(self) -> tuple[Node, ...]:
        """Give where a row is visible in the one and not in the other."""
        return self._uncovered(self._more.rows, (), self._less.rows)

    def only_in(self, mine: Shown, theirs: Sequence[Shown], covering: Sequence[Shown]) -> tuple[Node, ...]:
        """Give where more shows this, and less shows none of what covers it; `theirs` is all of less, in its order."""
        if list(covering) == list(theirs[: len(covering)]):
            # None of the first ones is shown where none of their filters holds.
            reached = frozenset[Node]().union(*(one.reached for one in covering))
            return self._uncovered(mine.reached, mine.better, reached)
        if len(covering) == 1:
            return self._hidden_or_uncovered(mine, covering[0])
        formulas = self._formulas
        covered = formulas.disjunction([self._where(one, self._less) for one in covering])
        return formulas.differences(self._where(mine, self._more), covered)

    def _hidden_or_uncovered(self, mine: Shown, other: Shown) -> tuple[Node, ...]:
        """Give where the other's filters do not hold, or where something that comes before them does."""
        formulas = self._formulas
        before = {part for node in mine.better for part in formulas.alternatives(node)}
        hiding = [part for node in other.better for part in formulas.alternatives(node) if part not in before]
        mine_at_all = (formulas.disjunction(mine.reached), self._none(mine.better), self._more.rules)
        hidden = [formulas.conjunction((part, *mine_at_all)) for part in hiding]
        return (*self._uncovered(mine.reached, mine.better, other.reached), *_possible(hidden))

    def _uncovered(self, mine: Iterable[Node], better: Iterable[Node], covering: Iterable[Node]) -> tuple[Node, ...]:
        """Give where a filter holds with the rules of more, none that comes before it, and none that covers it.

        A filter that covers holds with the rules of less only.
        """
        formulas = self._formulas
        mine, covering, none_before = frozenset(mine), frozenset(covering), self._none(better)
        uncovered = self._none(covering)
        standing = {part for node in covering for part in formulas.alternatives(node)}
        nodes = [
            formulas.conjunction((part, self._more.rules, none_before, uncovered))
            for node in sorted(mine - covering)
            for part in formulas.alternatives(node)
            if part not in standing
        ]
        if self._more.rules != self._less.rules:
            beside = (formulas.disjunction(mine), none_before, formulas.negation(self._less.rules))
            rules = (part for part in formulas.alternatives(self._more.rules) if part not in self._kept_rules)
            nodes += [formulas.conjunction((part, *beside)) for part in rules]
        return _possible(nodes)

    def _none(self, nodes: Iterable[Node]) -> Node:
        return self._formulas.conjunction([self._formulas.negation(node) for node in nodes])

    def _where(self, one: Shown, side: Side) -> Node:
        return self._formulas.conjunction((self._formulas.disjunction(one.reached), self._none(one.better), side.rules))


def _possible(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node != FALSE)
