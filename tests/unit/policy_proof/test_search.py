"""The search against all assignments of random formulas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import pytest
from penstock_server.policy.proof.budget import Budget, OutOfBudget, Work
from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Kind, Node
from penstock_server.policy.proof.search import Search

_REGIONS = (2, 3, 3, 4)
_PLENTY = Budget(work=10_000_000, pattern_states=1, text_states=1)


def _formulas() -> Formulas:
    formulas = Formulas(Work(_PLENTY))
    for regions in _REGIONS:
        formulas.variable((1 << regions) - 1)
    return formulas


def _random_node(formulas: Formulas, random: Random, depth: int) -> Node:
    if depth == 0 or random.random() < 0.25:
        variable = random.randrange(len(_REGIONS))
        return formulas.literal(variable, random.randrange(1 << _REGIONS[variable]))
    if random.random() < 0.2:
        return formulas.negation(_random_node(formulas, random, depth - 1))
    nodes = [_random_node(formulas, random, depth - 1) for _ in range(random.randint(2, 4))]
    return formulas.conjunction(nodes) if random.random() < 0.5 else formulas.disjunction(nodes)


def _holds(formulas: Formulas, node: Node, chosen: tuple[int, ...]) -> bool:
    match formulas.kind(node):
        case Kind.CONSTANT:
            return node == TRUE
        case Kind.LITERAL:
            variable, regions = formulas.literal_of(node)
            return bool(regions >> chosen[variable] & 1)
        case Kind.AND:
            return all(_holds(formulas, operand, chosen) for operand in formulas.operands(node))
        case Kind.OR:
            return any(_holds(formulas, operand, chosen) for operand in formulas.operands(node))


_ASSIGNMENTS = list(product(*(range(regions) for regions in _REGIONS)))


def test_there_is_a_model_exactly_where_some_assignment_holds_and_every_choice_of_it_does() -> None:
    random = Random("search")
    for _ in range(1_500):
        formulas = _formulas()
        node = _random_node(formulas, random, 4)
        holding = [chosen for chosen in _ASSIGNMENTS if _holds(formulas, node, chosen)]
        model = Search(formulas).model(node)
        assert (model is not None) == bool(holding)
        if model is not None:
            within = [
                chosen
                for chosen in _ASSIGNMENTS
                if all(regions >> chosen[variable] & 1 for variable, regions in model.items())
            ]
            assert within
            assert set(within) <= set(holding)


def test_negation_restriction_and_difference_mean_what_they_say() -> None:
    random = Random("formulas")
    for _ in range(300):
        formulas = _formulas()
        node, other = (_random_node(formulas, random, 3) for _ in range(2))
        negation, differences = formulas.negation(node), formulas.differences(node, other)
        known = {1: random.randrange(1, 1 << _REGIONS[1]), 3: random.randrange(1, 1 << _REGIONS[3])}
        (restricted,) = formulas.restricted((node,), known)
        for chosen in _ASSIGNMENTS:
            held, held_other = _holds(formulas, node, chosen), _holds(formulas, other, chosen)
            assert _holds(formulas, negation, chosen) is not held
            assert any(_holds(formulas, part, chosen) for part in differences) is (held and not held_other)
            if all(regions >> chosen[variable] & 1 for variable, regions in known.items()):
                assert _holds(formulas, restricted, chosen) is held


def test_an_empty_model_is_a_model() -> None:
    formulas = _formulas()
    assert Search(formulas).model(TRUE) == {}
    assert Search(formulas).model(FALSE) is None


def test_equal_formulas_are_one_node() -> None:
    formulas = _formulas()
    one, two = formulas.literal(1, 1), formulas.literal(2, 3)
    assert formulas.conjunction((one, two)) == formulas.conjunction((two, one, two))
    assert formulas.disjunction((one, formulas.literal(1, 6))) == TRUE
    assert formulas.conjunction((one, formulas.literal(1, 6))) == FALSE
    assert formulas.negation(formulas.negation(formulas.conjunction((one, two)))) == formulas.conjunction((one, two))


@pytest.mark.parametrize("pigeons", [6, 8])
def test_a_hopeless_question_ends_by_its_budget_at_the_same_step_everywhere(pigeons: int) -> None:
    spent = {_spent_on_pigeons(pigeons) for _ in range(2)}
    assert len(spent) == 1


def _spent_on_pigeons(pigeons: int) -> int:
    """Put pigeons into one hole too few: no model, and no short proof."""
    formulas = Formulas(Work(Budget(work=60_000, pattern_states=1, text_states=1)))
    holes = pigeons - 1
    at: Callable[[int, int], Node] = lambda pigeon, hole: formulas.literal(pigeon * holes + hole, 2)  # noqa: E731
    for _ in range(pigeons * holes):
        formulas.variable(3)
    clauses = [formulas.disjunction([at(pigeon, hole) for hole in range(holes)]) for pigeon in range(pigeons)]
    clauses += [
        formulas.disjunction((formulas.negation(at(one, hole)), formulas.negation(at(other, hole))))
        for hole in range(holes)
        for one in range(pigeons)
        for other in range(one)
    ]
    try:
        assert Search(formulas).model(formulas.conjunction(clauses)) is None
    except OutOfBudget:
        assert formulas.work.spent > 60_000
    return formulas.work.spent
