"""Is there a model? Satisfiability of formulas over finitely many regions, with a budget.

Units are put into the rest until nothing changes, alternatives that are ruled out go, parts that share no variable are
solved apart, and of each variable only the regions that serve best are tried: a formula without negations can only gain
when more of its literals hold, so a region whose literals are among those of another is never needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from penstock_server.policy.proof.budget import OutOfBudget
from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Kind, Node, Variable

Model = Mapping[Variable, int]
"""For each variable that matters a set of regions, every choice of which is a model. An empty one is any choice: it is
no less a model, so compare with None."""

_DEEPEST: Final = 150
"""Deepest nesting of choices; it bounds the stack."""


class Search:
    """Finds models of the nodes of one `Formulas`; what was found is kept."""

    def __init__(self, formulas: Formulas) -> None:
        self._formulas = formulas
        self._found: dict[Node, Model | None] = {FALSE: None, TRUE: {}}
        self._literals: dict[Node, frozenset[Node]] = {}
        self._negations: dict[Node, Mapping[Node, Node]] = {}
        self._served: dict[tuple[int, tuple[int, ...]], Sequence[int]] = {}

    def model(self, node: Node) -> Model | None:
        """Give a model, or None where there is none.

        Raises:
            OutOfBudget: it takes more work than the budget of the formulas allows.
        """
        return self._model(node, 0)

    def _model(self, node: Node, depth: int) -> Model | None:
        if node in self._found:
            return self._found[node]
        if depth > _DEEPEST:
            raise OutOfBudget(f"more than {_DEEPEST} choices depend on each other")
        self._formulas.work.spend(1)
        match self._formulas.kind(node):
            case Kind.LITERAL:
                variable, regions = self._formulas.literal_of(node)
                found: Model | None = {variable: regions}
            case Kind.OR:
                found = self._of_or(node, depth)
            case _:
                found = self._of_and(node, depth)
        self._found[node] = found
        return found

    def _of_or(self, node: Node, depth: int) -> Model | None:
        operands = sorted(self._formulas.operands(node), key=lambda operand: len(self._formulas.operands(operand)))
        for operand in operands:
            found = self._model(operand, depth + 1)
            if found is not None:
                return found
        return None

    def _of_and(self, node: Node, depth: int) -> Model | None:
        propagated = self._propagated(node)
        if propagated is None:
            return None
        units, clauses = propagated
        model = dict(units)
        for part in sorted(self._parts(clauses), key=len):
            variables = self._variables_of(part)
            domains = {variable: regions for variable, regions in units.items() if variables >> variable & 1}
            found = self._of_part(part, domains, depth)
            if found is None:
                return None
            model.update(found)
        return model

    def _propagated(self, node: Node) -> tuple[dict[Variable, int], list[Node]] | None:
        """Give the units of an AND and what is left beside them; None where they contradict each other.

        INVARIANT: what is left asks of each variable for some of the regions that it can still have, never for all or
        none of them; so each choice in `_of_part` leaves a variable fewer regions, and the search ends.
        """
        formulas = self._formulas
        units: dict[Variable, int] = {}
        clauses: list[Node] = []
        pending: Sequence[Node] = formulas.operands(node)
        while True:
            before = clauses
            clauses = [operand for operand in pending if formulas.kind(operand) is not Kind.LITERAL]
            grown = False
            for operand in pending:
                if formulas.kind(operand) is Kind.LITERAL:
                    variable, regions = formulas.literal_of(operand)
                    domain = units.get(variable, formulas.full[variable])
                    if not domain & regions:
                        return None
                    grown |= variable not in units or domain & regions != domain
                    units[variable] = domain & regions
            if not grown and clauses == before:
                return units, clauses
            rest = formulas.conjunction(formulas.restricted(self._pruned(clauses), units))
            if rest == FALSE:
                return None
            pending = () if rest == TRUE else formulas.operands(rest) if formulas.kind(rest) is Kind.AND else (rest,)

    def _pruned(self, clauses: Sequence[Node]) -> Sequence[Node]:
        """Leave out alternatives that another clause rules out."""
        if len(clauses) < 2:
            return clauses
        formulas = self._formulas
        present = frozenset(clauses)
        left: list[Node] = []
        for clause in clauses:
            ruling_out = self._ruling_out(clause)
            if present.isdisjoint(ruling_out.values()):
                left.append(clause)
            else:
                alternatives = formulas.operands(clause)
                left.append(formulas.disjunction([one for one in alternatives if ruling_out.get(one) not in present]))
        return left

    def _ruling_out(self, clause: Node) -> Mapping[Node, Node]:
        """Give for alternatives of a clause, where they are ANDs, the clause that rules each out."""
        found = self._negations.get(clause)
        if found is None:
            formulas = self._formulas
            ands = (one for one in formulas.operands(clause) if formulas.kind(one) is Kind.AND)
            found = self._negations[clause] = {one: formulas.negation(one) for one in ands}
        return found

    def _parts(self, clauses: Iterable[Node]) -> list[list[Node]]:
        """Split clauses into parts that share no variable."""
        parts: list[tuple[int, list[Node]]] = []
        for clause in dict.fromkeys(clauses):
            variables, members = self._formulas.variables(clause), [clause]
            apart: list[tuple[int, list[Node]]] = []
            for other in parts:
                if other[0] & variables:
                    variables |= other[0]
                    members = other[1] + members
                else:
                    apart.append(other)
            parts = [*apart, (variables, members)]
        return [members for _, members in parts]

    def _variables_of(self, part: Iterable[Node]) -> int:
        variables = 0
        for clause in part:
            variables |= self._formulas.variables(clause)
        return variables

    def _of_part(self, part: Sequence[Node], domains: Mapping[Variable, int], depth: int) -> Model | None:
        """Solve clauses that hang together; `domains` are their units."""
        formulas = self._formulas
        units = [formulas.literal(variable, regions) for variable, regions in domains.items()]
        if len(part) == 1 and not domains:
            return self._model(part[0], depth + 1)
        fixed: list[Node] = []
        best: tuple[tuple[int, int], Variable, Sequence[int]] | None = None
        for variable, tests in self._tests_of(part).items():
            key = domains.get(variable, formulas.full[variable]), tuple(tests)
            choices = self._served.get(key)
            if choices is None:
                choices = self._served[key] = self._serving(*key)
            if len(choices) == 1:
                fixed.append(formulas.literal(variable, choices[0]))
            elif best is None or (len(choices), -len(tests)) < best[0]:
                best = ((len(choices), -len(tests)), variable, choices)
        if fixed or best is None:
            return self._model(formulas.conjunction([*units, *part, *fixed]), depth + 1)
        _, variable, choices = best
        for regions in choices:
            found = self._model(formulas.conjunction([*units, *part, formulas.literal(variable, regions)]), depth + 1)
            if found is not None:
                return found
        return None

    def _tests_of(self, part: Iterable[Node]) -> dict[Variable, list[int]]:
        """Give the sets of regions that these clauses ask of each variable."""
        tests: dict[Variable, list[int]] = {}
        for literal in sorted(frozenset().union(*(self._literals_of(clause) for clause in part))):
            variable, regions = self._formulas.literal_of(literal)
            tests.setdefault(variable, []).append(regions)
        return tests

    def _literals_of(self, node: Node) -> frozenset[Node]:
        found = self._literals.get(node)
        if found is None:
            if self._formulas.kind(node) is Kind.LITERAL:
                found = frozenset((node,))
            else:
                operands = self._formulas.operands(node)
                found = frozenset[Node]().union(*(self._literals_of(operand) for operand in operands))
            self._literals[node] = found
        return found

    def _serving(self, domain: int, tests: Sequence[int]) -> Sequence[int]:
        """Split a domain by the tests that its regions pass, and keep the parts that no other part outdoes."""
        parts = [(domain, 0)]
        for index, test in enumerate(tests):
            self._formulas.work.spend(len(parts))
            split: list[tuple[int, int]] = []
            for regions, passed in parts:
                inside = regions & test
                if inside:
                    split.append((inside, passed | 1 << index))
                if regions != inside:
                    split.append((regions & ~test, passed))
            parts = split
        parts.sort(key=lambda part: -part[1].bit_count())
        kept: list[tuple[int, int]] = []
        for regions, passed in parts:
            if not any(passed & better == passed for _, better in kept):
                kept.append((regions, passed))
        return [regions for regions, _ in kept]
