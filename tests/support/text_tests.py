"""Tests of one text column, by proof and over all short texts: letters below, between and above all constants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from random import Random

from penstock_server.model.predicate import Predicate
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.row_tests import Fixed
from penstock_server.policy.proof.budget import Budget, Work
from penstock_server.policy.proof.callers import Callers
from penstock_server.policy.proof.formulas import Formulas
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.models import Models
from penstock_server.policy.proof.reading_tests import read_test
from penstock_server.policy.proof.scales import Cell

from support.governed_rows import truth
from support.policies import ISSUER, table

CONSTANTS = ("", "a", "c", "aa", "ac", "ca", "cc", "aca")
LETTERS = "!abc~"
"""`!` is below all letters of constants, `b` between them, `~` above; `b` and `!` are in no constant or pattern."""

TEXTS: tuple[str | None, ...] = (
    None,
    *("".join(letters) for size in range(4) for letters in itertools.product(LETTERS, repeat=size)),
    *("".join(letters) for letters in itertools.product("ac", repeat=4)),
)
_TABLE = table("lake.db.t", {"s": "VARCHAR"})
_TYPES = {"s": ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)}


def directed_pairs(seed: str, count: int) -> Iterator[tuple[str, str]]:
    """Give pairs of filters that differ at the edges of constants and patterns."""
    random = Random(seed)
    for _ in range(count):
        yield _filter(random), _filter(random)


def _filter(random: Random) -> str:
    tests = [_test(random) for _ in range(random.choice([1, 1, 2, 2, 3]))]
    return f" {random.choice(['AND', 'OR'])} ".join(tests)


def _test(random: Random) -> str:
    kind = random.choice(["cmp", "cmp", "cmp", "like", "like", "in", "between", "null"])
    one, other = (f"'{random.choice(CONSTANTS)}'" for _ in range(2))
    match kind:
        case "cmp":
            test = f"s {random.choice(['<', '<=', '>', '>=', '=', '<>'])} {one}"
        case "like":
            pattern = "".join(random.choice("aacc_%%") for _ in range(random.randint(0, 4)))
            test = f"s LIKE '{pattern}'"
        case "in":
            test = f"s IN ({one}, {other})"
        case "between":
            test = f"s BETWEEN {one} AND {other}"
        case _:
            test = "s IS NULL"
    return f"NOT ({test})" if random.random() < 0.25 else test


def predicate_of(expression: str) -> Predicate:
    """Bind a filter on the column `s`."""
    test = bind_filter(parse_filter(expression), _TABLE)
    assert isinstance(test, Fixed)
    return test.predicate


def shown_by(expression: str) -> frozenset[str | None]:
    """Give the texts that a filter shows, by an evaluator of its own."""
    return _shown_by(expression)


@cache
def _shown_by(expression: str) -> frozenset[str | None]:
    predicate = predicate_of(expression)
    return frozenset(text for text in TEXTS if truth(predicate, {"s": text}) is True)


def found_difference(old: str, new: str, budget: Budget) -> tuple[Cell] | None:
    """Give a text that the new filter shows and the old one does not, as the proof finds it; None = there is none."""
    terms = [read_test(Fixed(predicate=predicate_of(expression)), _TYPES) for expression in (old, new)]
    formulas = Formulas(Work(budget))
    callers = Callers(formulas, (), default_issuer=ISSUER, only=None)
    lowering = Lowering(formulas, callers, _TYPES, terms)
    node = formulas.difference(lowering.true(terms[1]), lowering.true(terms[0]))
    found = Models(formulas, lowering).find(node)
    return None if found is None else (found.cells.get("s"),)


def wrong_answer(old: str, new: str, budget: Budget) -> str:
    """Say what is wrong with the answer of the proof, "" if nothing is."""
    found = found_difference(old, new, budget)
    really = shown_by(new) - shown_by(old)
    if found is None:
        return f"{old!r} -> {new!r}: proved, but {min(map(repr, really))} is new" if really else ""
    cell = {"s": found[0]}
    if truth(predicate_of(new), cell) is not True or truth(predicate_of(old), cell) is True:
        return f"{old!r} -> {new!r}: {found[0]!r} is no witness"
    return ""
