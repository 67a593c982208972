"""Row filters: what they mean, and that nothing else gets through."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.row_filter import MAX_DEPTH, MAX_LENGTH, parse_filter
from penstock_server.policy.filters.row_tests import predicate_for
from penstock_server.policy.filters.tokens import ExpressionError
from support.governed_rows import truth
from support.policies import ISSUER, principal, table

VECTORS = Path(__file__).parents[2] / "vectors" / "policy" / "row_filters.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    id: str
    type: str
    values: list[Any]
    filter: str
    matches: list[Any] | None = None
    refused: str | None = None


CASES = [Vector(**case) for case in yaml.safe_load(VECTORS.read_text())]


def true_for(expression: str, kind: str, values: list[Any]) -> list[Any]:
    schema = table("lake.db.t", {"c": kind})
    test = bind_filter(parse_filter(expression), schema)
    predicate = predicate_for(test, principal(), default_issuer=ISSUER)
    return [value for value in values if truth(predicate, {"c": value}) is True]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_filter_is_true_for_exactly_the_values_of_the_vector(case: Vector) -> None:
    as_decimal = case.type.startswith("DECIMAL")
    values = [Decimal(value) if as_decimal and value is not None else value for value in case.values]
    if case.refused is not None:
        with pytest.raises(ExpressionError) as caught:
            true_for(case.filter, case.type, values)
        assert case.refused in caught.value.message
        return
    expected = [Decimal(value) if as_decimal and value is not None else value for value in case.matches or []]
    assert repr(true_for(case.filter, case.type, values)) == repr(expected)


def test_the_longest_expression_is_accepted_and_one_more_character_is_not() -> None:
    text = "c = '" + "x" * (MAX_LENGTH - 6) + "'"
    assert len(text) == MAX_LENGTH
    parse_filter(text)
    with pytest.raises(ExpressionError, match="longer than 2048 characters"):
        parse_filter(text + " ")


@pytest.mark.parametrize("opening", ["(", "NOT ", "NOT ("])
def test_the_deepest_expression_is_accepted_and_one_more_level_is_not(opening: str) -> None:
    levels = MAX_DEPTH // (opening.count("(") + opening.count("NOT"))

    def nested(count: int) -> str:
        return opening * count + "c = 1" + ")" * (count * opening.count("("))

    assert true_for(nested(levels), "INTEGER", [1, 2]) in ([1], [2])
    with pytest.raises(ExpressionError, match="nested deeper than 64 levels"):
        parse_filter(nested(levels + 1))


def test_a_thousand_operands_do_not_nest() -> None:
    assert true_for(" OR ".join(["c = 1"] * 227), "INTEGER", [1, 2]) == [1]


WORDS = [
    *(
        "c",
        "nope",
        '"c"',
        "'x'",
        "1",
        "1.5",
        "-",
        "(",
        ")",
        ",",
        "=",
        "<>",
        "<",
        "NOT",
        "AND",
        "OR",
        "IN",
        "IS",
        "NULL",
    ),
    *("LIKE", "BETWEEN", "TRUE", "DATE", "TIMESTAMP", ":user.name", ":user.groups", ";", "--", "/*"),
]


def refusal(expression: str) -> ExpressionError | None:
    try:
        true_for(expression, "VARCHAR", ["x", None])
    except ExpressionError as error:
        return error
    return None


@given(st.lists(st.sampled_from(WORDS), max_size=12))
@settings(max_examples=400, deadline=None)
def test_whatever_is_written_is_understood_or_refused_with_its_position(words: list[str]) -> None:
    text = " ".join(words)
    error = refusal(text)
    assert error is None or (0 <= error.position <= len(text) and error.message)


@given(st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    error = refusal(text)
    assert error is None or 0 <= error.position <= len(text)


def test_a_column_whose_name_is_a_keyword_is_named_in_quotes() -> None:
    schema = table("lake.db.t", {"date": "INTEGER", "Größe": "INTEGER", "a.b": "INTEGER", 'x"y': "INTEGER"})
    text = '"DATE" = 1 AND "Größe" = 1 AND "a.b" = 1 AND "x""y" = 1'
    predicate = predicate_for(bind_filter(parse_filter(text), schema), principal(), default_issuer=ISSUER)
    assert truth(predicate, {"date": 1, "Größe": 1, "a.b": 1, 'x"y': 1}) is True


def test_names_fold_ascii_letters_only() -> None:
    schema = table("lake.db.t", {"\u212aey": "INTEGER"})
    with pytest.raises(ExpressionError, match="has no column `key`"):
        bind_filter(parse_filter("key = 1"), schema)
