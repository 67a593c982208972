"""Formulas over "variable in set of regions": two-valued, negations pushed inwards, each kept once.

A node is an integer; equal formulas are one node, so that equality is a comparison of integers. A set of regions is a
bitset; a variable is an index with the set of all its regions. INVARIANT: both versions are built in one `Formulas`
from one split of each variable, else equal nodes would not mean equal formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

from penstock_server.policy.proof.budget import Work

Node = int
Variable = int

FALSE: Final[Node] = 0
TRUE: Final[Node] = 1


class Kind(Enum):
    """What a node is."""

    CONSTANT = auto()
    LITERAL = auto()
    AND = auto()
    OR = auto()


class Formulas:
    """Makes and keeps nodes."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.full: list[int] = []
        self._kinds = [Kind.CONSTANT, Kind.CONSTANT]
        self._literals: list[tuple[Variable, int]] = [(-1, 0), (-1, 0)]
        self._operands: list[tuple[Node, ...]] = [(), ()]
        self._variables = [0, 0]
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._negations: dict[Node, Node] = {FALSE: TRUE, TRUE: FALSE}

    def variable(self, regions: int) -> Variable:
        """Add a variable that has these regions, at least one."""
        self.full.append(regions)
        return len(self.full) - 1

    def kind(self, node: Node) -> Kind:
        """Tell what a node is."""
        return self._kinds[node]

    def literal_of(self, node: Node) -> tuple[Variable, int]:
        """Give variable and regions of a literal."""
        return self._literals[node]

    def operands(self, node: Node) -> tuple[Node, ...]:
        """Give what an AND or OR joins."""
        return self._operands[node]

    def variables(self, node: Node) -> int:
        """Give the variables of a node as a bitset."""
        return self._variables[node]

    def literal(self, variable: Variable, regions: int) -> Node:
        """Give "the variable is in these regions"."""
        regions &= self.full[variable]
        if not regions:
            return FALSE
        if regions == self.full[variable]:
            return TRUE
        node = self._nodes.get((variable, regions))
        if node is None:
            node = self._add((variable, regions), Kind.LITERAL, 1 << variable)
            self._literals[node] = (variable, regions)
        return node

    def conjunction(self, nodes: Iterable[Node]) -> Node:
        """Give the AND; of nothing it is TRUE."""
        return self._join(Kind.AND, nodes)

    def disjunction(self, nodes: Iterable[Node]) -> Node:
        """Give the OR; of nothing it is FALSE."""
        return self._join(Kind.OR, nodes)

    def difference(self, node: Node, other: Node) -> Node:
        """Give "the one and not the other"."""
        return self.conjunction((node, self.negation(other)))

    def negation(self, node: Node) -> Node:
        """Give the NOT."""
        found = self._negations.get(node)
        if found is None:
            match self._kinds[node]:
                case Kind.LITERAL:
                    variable, regions = self._literals[node]
                    found = self.literal(variable, self.full[variable] & ~regions)
                case Kind.AND:
                    found = self.disjunction([self.negation(operand) for operand in self._operands[node]])
                case _:
                    found = self.conjunction([self.negation(operand) for operand in self._operands[node]])
            self._negations[node] = found
            self._negations[found] = node
        return found

    def alternatives(self, node: Node) -> tuple[Node, ...]:
        """Give the operands of an OR, or the node itself."""
        return self._operands[node] if self._kinds[node] is Kind.OR else (node,)

    def differences(self, node: Node, other: Node) -> tuple[Node, ...]:
        """Give formulas that together say "the one and not the other"; none of what stands in both is repeated."""
        standing = frozenset(self.alternatives(other))
        without = self.negation(other)
        parts = (self.conjunction((part, without)) for part in self.alternatives(node) if part not in standing)
        return tuple(part for part in parts if part != FALSE)

    def restricted(self, nodes: Iterable[Node], known: Mapping[Variable, int]) -> list[Node]:
        """Give the nodes where each known variable is in its regions.

        What is known is not repeated in the result: it holds together with it.
        """
        mask = 0
        for variable in known:
            mask |= 1 << variable
        cache: dict[Node, Node] = {}
        return [self._restricted(node, known, mask, cache) for node in nodes]

    def _restricted(self, node: Node, known: Mapping[Variable, int], mask: int, cache: dict[Node, Node]) -> Node:
        if not self._variables[node] & mask:
            return node
        found = cache.get(node)
        if found is None:
            kind = self._kinds[node]
            if kind is Kind.LITERAL:
                variable, regions = self._literals[node]
                left = regions & known[variable]
                found = FALSE if not left else TRUE if left == known[variable] else self.literal(variable, left)
            else:
                found = self._join(kind, self._restricted_operands(node, known, mask, cache))
            cache[node] = found
        return found

    def _restricted_operands(
        self, node: Node, known: Mapping[Variable, int], mask: int, cache: dict[Node, Node]
    ) -> list[Node]:
        decisive = FALSE if self._kinds[node] is Kind.AND else TRUE
        operands: list[Node] = []
        for operand in self._operands[node]:
            restricted = self._restricted(operand, known, mask, cache)
            if restricted == decisive:
                return [decisive]
            operands.append(restricted)
        return operands

    def _join(self, kind: Kind, nodes: Iterable[Node]) -> Node:
        """Join operands: nested joins of the same kind are flattened, literals of one variable become one."""
        conjoin = kind is Kind.AND
        decisive, neutral = (FALSE, TRUE) if conjoin else (TRUE, FALSE)
        literals: dict[Variable, Node] = {}
        others: set[Node] = set()
        pending = list(nodes)
        self.work.spend(1 + len(pending))
        while pending:
            node = pending.pop()
            if node == decisive:
                return decisive
            if node == neutral:
                continue
            its_kind = self._kinds[node]
            if its_kind is Kind.LITERAL:
                variable, regions = self._literals[node]
                before = literals.setdefault(variable, node)
                if before != node:
                    known = self._literals[before][1]
                    joined = self.literal(variable, known & regions if conjoin else known | regions)
                    if joined == decisive:
                        return decisive
                    literals[variable] = joined
            elif its_kind is kind:
                pending += self._operands[node]
            else:
                others.add(node)
        others.update(literals.values())
        if not others:
            return neutral
        if len(others) == 1:
            return others.pop()
        return self._joined(kind, tuple(sorted(others)))

    def _joined(self, kind: Kind, operands: tuple[Node, ...]) -> Node:
        node = self._nodes.get((kind, operands))
        if node is None:
            variables = 0
            for operand in operands:
                variables |= self._variables[operand]
            node = self._add((kind, operands), kind, variables)
            self._operands[node] = operands
        return node

    def _add(self, key: tuple[object, ...], kind: Kind, variables: int) -> Node:
        node = len(self._kinds)
        self._nodes[key] = node
        self._kinds.append(kind)
        self._literals.append((-1, 0))
        self._operands.append(())
        self._variables.append(variables)
        return node
