"""Conditions that a reader applies for the caller change no answer, and two worlds stay equal to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from penstock_server.engines.duckdb import conjunct_plan, conjuncts, copying
from penstock_server.engines.duckdb.column_tests import ColumnTest, TableConjuncts
from penstock_server.engines.duckdb.conjunct_plan import Columns, Conditions, Leaf, Node
from penstock_server.model.decision import GovernedColumn
from penstock_server.model.predicate import Predicate
from support import copied_answers as copied
from support import governed_worlds as worlds

ROWS = 1_200
SEEDS = 6
"""Of the whole run: each under three policies."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("worlds")
    worlds.build(made, ROWS)
    return made


@pytest.mark.parametrize("policy", ["literal", "all masks"])
def test_a_copied_condition_changes_no_answer_and_tells_no_worlds_apart(folder: Path, policy: str) -> None:
    asked = list(copied.statements(len(policy), 47))
    found = copied.compare(folder, policy, asked)
    assert found.differences == []
    assert found.copied > 12
    assert found.answers > 12


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["literal", "all masks", "fields"])
@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
def test_a_copied_condition_changes_nothing_in_a_whole_run(folder: Path, policy: str, seed: int) -> None:
    found = copied.compare(folder, policy, list(copied.statements(seed, 400)))
    assert found.differences == []
    assert found.copied > 40


def test_every_hostile_text_crosses_as_the_value_that_it_is(folder: Path) -> None:
    asked = [f"select id from t where s <> {copied.literal(text)}" for text in copied.HOSTILE]
    asked += [f"select id from t where p in ({copied.literal(text)}, 'routine')" for text in copied.HOSTILE]
    found = copied.compare(folder, "literal", asked)
    assert (found.differences, found.copied, found.answers) == ([], len(asked), len(asked))


# What follows switches one part of the rule off at a time. Each must be noticed by a statement that it makes wrong.

Patch = pytest.MonkeyPatch


def _any_reference(patch: Patch) -> None:
    def weak(declaration: Any, asked: Mapping[Leaf, list[ColumnTest]]) -> Iterator[TableConjuncts]:
        tests = tuple(tuple(tests) for tests in asked.values() if tests)
        if tests:
            yield TableConjuncts(table=declaration.tables[0].name, alternatives=tests)

    patch.setattr(conjuncts, "_of_tables", weak)


def _both_sides(*kinds: str) -> Callable[[Patch], None]:
    def weaken(patch: Patch) -> None:
        weak = {**conjunct_plan._SIDES, **dict.fromkeys(kinds, (True, True))}
        patch.setattr(conjunct_plan, "_SIDES", weak)

    return weaken


def _through(kind: str) -> Callable[[Patch], None]:
    def weaken(patch: Patch) -> None:
        strict = Conditions._columns

        def weak(self: Conditions, node: Node) -> Columns | None:
            if node["type"] != kind:
                return strict(self, node)
            return [column for child in node["children"] for column in strict(self, child) or []]

        patch.setattr(Conditions, "_columns", weak)

    return weaken


def _any_projection(patch: Patch) -> None:
    """Look through a projection by position, as if it gave its columns as they are."""
    strict = Conditions._columns

    def weak(self: Conditions, node: Node) -> Columns | None:
        if node["type"] != "LOGICAL_PROJECTION" or self._view(node):
            return strict(self, node)
        below = strict(self, node["children"][0]) or []
        return [*below[: len(node["expressions"])]]

    patch.setattr(Conditions, "_columns", weak)


def _any_column(patch: Patch) -> None:
    strict = copying._predicate

    def weak(test: ColumnTest, visible: dict[str, GovernedColumn]) -> Predicate | None:
        clear = {name: GovernedColumn(column=shown.column, cases=copying._CLEAR) for name, shown in visible.items()}
        return strict(test, clear)

    patch.setattr(copying, "_predicate", weak)


def _through_limits(patch: Patch) -> None:
    _any_projection(patch)
    _through("LOGICAL_LIMIT")(patch)


WEAK: Mapping[str, tuple[Callable[[Patch], None], str, str]] = {
    "every reference": (_any_reference, "literal", "select count(*) from t a, t b where a.id = 5"),
    "of a union": (
        _any_reference,
        "literal",
        "select id from t where v = 5 union all select id + 1 from t where id + 0 < 90",
    ),
    "the preserved side": (
        _both_sides("LEFT"),
        "literal",
        "select a.id, b.id from t a left join t b on a.id + 100 = b.id where a.id < 50 and b.v is null",
    ),
    "full joins": (
        _both_sides("FULL", "OUTER"),
        "literal",
        "select a.id, b.id from t a full join t b on a.id = b.id + 1 where a.v is null and b.v < 50",
    ),
    "the right side of an ASOF join": (
        _both_sides("LEFT"),
        "literal",
        "select a.id, b.id from t a asof join t b on a.g = b.g and a.id > b.id where a.id > 1100 and b.v > 50",
    ),
    "positional joins": (
        _through("LOGICAL_POSITIONAL_JOIN"),
        "literal",
        "select a.id, x from t a positional join range(40) r(x) where a.v = 7",
    ),
    "a LIMIT below": (
        _through_limits,
        "literal",
        "select count(*) from (from t limit 40) where v > 20",
    ),
    "a projection in between": (
        _any_projection,
        "literal",
        "select count(*) from (select id, v as g from t) where g > 60",
    ),
    "the columns of the caller's own": (
        _any_projection,
        "literal",
        "select count(*) from (select id + 1 as id from t) where id = 7",
    ),
    "a masked column": (_any_column, "all masks", "select count(*) from t where salary = 0"),
    "a cell that hangs on a rule": (_any_column, "fields", "select count(*) from t where v is null"),
}


@pytest.mark.parametrize("part", WEAK)
def test_each_part_of_the_rule_is_missed_where_it_is_switched_off(
    folder: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken, policy, sql = WEAK[part]
    assert copied.compare(folder, policy, [sql]).differences == []
    weaken(monkeypatch)
    found = copied.compare(folder, policy, [sql])
    assert found.copied == 1, "the weaker rule copies nothing here either"
    assert found.differences
