"""Golden vectors of the decision: `tests/vectors/policy/decisions.yaml`, and those of tags in `tags.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from penstock_server.model.decision import TableDecision, TableDescribed, TableHidden
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide
from penstock_server.policy.explanation.predicates import predicate_in_words
from support.governed_rows import apply_decision
from support.policies import NOW, bind_policy, name_of, principal, table

VECTORS = Path(__file__).parents[2] / "vectors" / "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    outcome: str = "select"
    columns: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    where: list[str] | None = None
    grants: list[str] = field(default_factory=list)
    row_rules: list[str] = field(default_factory=list)
    masked: list[list[str]] = field(default_factory=list)
    partly_null: list[str] = field(default_factory=list)
    columns_left_out: bool = False
    full: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    id: str
    source: str
    table: str
    columns: dict[str, str]
    rows: list[list[Any]]
    policy: str
    principal: dict[str, Any]
    expect: dict[str, Any]
    rules: str = ""
    rules2: str = ""


CASES = [
    Vector(**case) for name in ("decisions.yaml", "tags.yaml") for case in yaml.safe_load((VECTORS / name).read_text())
]


def cells(case: Vector, columns: list[str], rows: list[list[Any]]) -> list[tuple[Any, ...]]:
    decimals = [case.columns[name].startswith("DECIMAL") for name in columns]
    return [
        tuple(
            Decimal(cell) if is_decimal and cell is not None else cell
            for cell, is_decimal in zip(row, decimals, strict=True)
        )
        for row in rows
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_decision_shows_exactly_the_cells_of_the_vector(case: Vector, tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, case.policy, table(case.table, case.columns), rules=case.rules, rules2=case.rules2)
    attributes = {name: tuple(values) for name, values in case.principal.get("attributes", {}).items()}
    asking = principal(**{**case.principal, "attributes": attributes})
    outcome = decide(policy, asking, name_of(case.table), facts=RequestFacts.of_instant(NOW))
    expected = Expectation(**case.expect)
    if expected.outcome == "hidden":
        assert outcome == TableHidden(policy_version=policy.version)
        return
    if expected.outcome == "described":
        assert isinstance(outcome, TableDescribed)
        assert [column.name for column in outcome.columns] == expected.columns
        return
    assert isinstance(outcome, TableDecision)
    assert [column.column.name for column in outcome.table.columns] == expected.columns
    names = list(case.columns)
    given = [dict(zip(names, row, strict=True)) for row in cells(case, names, case.rows)]
    assert apply_decision(outcome.table, given) == cells(case, expected.columns, expected.rows)
    if expected.where is not None:
        assert sorted(_sorted_or(predicate_in_words(rows)) for rows in outcome.table.rows) == sorted(
            _sorted_or(where) for where in expected.where
        )
    assert outcome.full is expected.full
    assert outcome.expires_at == expected.expires_at
    shaping = outcome.shaping
    assert list(shaping.grants) == expected.grants
    assert list(shaping.row_rules) == expected.row_rules
    assert [list(pair) for pair in shaping.masked] == expected.masked
    assert list(shaping.partly_null) == expected.partly_null
    assert shaping.columns_left_out is expected.columns_left_out
    assert shaping.rows_filtered is bool(outcome.table.rows)


def _sorted_or(words: str) -> list[str]:
    """The order of the parts of an OR means nothing."""
    return sorted(words.split(" OR "))


def test_every_vector_has_a_name_of_its_own() -> None:
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names) > 30
