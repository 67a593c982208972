"""The attack corpus through parse, bind and run: each statement is refused, for its reason."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from penstock_server.errors import QueryError, Reason
from support.sealed import ask

CORPUS = yaml.safe_load((Path(__file__).parents[2] / "vectors/query/attacks.yaml").read_text())
CASES = [
    pytest.param(case["sql"], Reason(case["reason"]), id=case["sql"][:80])
    for family in CORPUS.values()
    for case in family
]

INSIDE = ("penstock_s", "t0", "c0", "memory_limit", "/work", "/tmp", "site-packages", "disabled_opt", "lock_config")
"""Names of what is inside of the instance and of the machine: no error may hold one that the caller did not write."""

Text = Callable[[int], str]

DEEP: dict[str, Text] = {
    "brackets": lambda levels: "select " + "(" * levels + "1" + ")" * levels,
    "brackets that never close": lambda levels: "select " + "(" * levels,
    "lists": lambda levels: "select " + "[" * levels,
    "structs": lambda levels: "select " + "{'a':" * levels,
    "prefix operators": lambda levels: "select " + "@ " * levels + "1",
    "tildes": lambda levels: "select " + "~" * levels + "1",
    "not": lambda levels: "select " + "not " * levels + "true",
    "case": lambda levels: "select " + "case when " * levels,
    "nested common tables": lambda levels: "with a as (" * levels,
    "functions": lambda levels: "select " + "abs(" * levels,
    "subqueries": lambda levels: "select * from " + "(" * levels + "select 1" + ")" * levels,
    "unions in brackets": lambda levels: "(" * levels + "select 1" + " union select 1)" * levels,
    "additions": lambda levels: "select 1" + "+1" * levels,
    "casts": lambda levels: "select 1" + "::int" * levels,
    "joins": lambda levels: "select * from flights" + ",flights" * levels,
    "cross joins": lambda levels: "select * from flights" + " cross join flights" * levels,
    "comparisons": lambda levels: "select true" + " is null" * levels,
    "indexes": lambda levels: "select x" + "[1]" * levels,
    "types": lambda levels: "select null::int" + "[]" * levels,
    "methods": lambda levels: "select x" + ".abs()" * levels,
    "collations": lambda levels: "select x" + " collate nocase" * levels,
    "lambdas": lambda levels: "select " + "lambda x: " * levels + "1",
}
LARGEST = 256 * 1024


@pytest.mark.parametrize(("sql", "reason"), CASES)
def test_it_is_refused_for_its_reason(sql: str, reason: Reason) -> None:
    answer = ask(sql)
    assert answer.error is not None
    assert answer.error.reason is reason, (answer.error.message, answer.error.hint, answer.error.detail)
    assert answer.batches == ()
    shown = f"{answer.error.message} {answer.error.hint}"
    assert not [word for word in INSIDE if word in shown and word not in sql], shown


def _largest(text: Text) -> str:
    levels = LARGEST // (len(text(1)) - len(text(0)))
    while len(text(levels)) > LARGEST:
        levels -= 1
    return text(levels)


def _require_too_deep(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is not None
    # A tree of joins grows 400-fold, and may be too large before it is too deep.
    assert answer.error.reason in (Reason.SQL_TOO_DEEP, Reason.SQL_TOO_LARGE)
    assert len(sql) > 10_000 or answer.error.reason is Reason.SQL_TOO_DEEP


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
@pytest.mark.parametrize("levels", [201, 3000])
def test_a_text_that_nests_too_deep_is_refused(text: Text, levels: int) -> None:
    _require_too_deep(text(levels))


@pytest.mark.slow
@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_the_deepest_text_that_fits_is_refused_and_ends_nothing(text: Text) -> None:
    _require_too_deep(_largest(text))


@pytest.mark.parametrize("name", ["brackets", "prefix operators", "nested common tables", "case"])
def test_the_deepest_text_of_those_that_end_the_engine_is_refused(name: str) -> None:
    _require_too_deep(_largest(DEEP[name]))


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_a_hundred_thousand_levels_are_refused(text: Text) -> None:
    answer = ask(text(100_000))
    assert answer.error is not None
    fits = len(text(100_000)) <= LARGEST
    assert answer.error.reason is Reason.SQL_TOO_LARGE or (fits and answer.error.reason is Reason.SQL_TOO_DEEP)


def test_a_megabyte_of_text_is_refused() -> None:
    answer = ask("select '" + "x" * 1_000_000 + "'")
    assert answer.error is not None
    assert answer.error.reason is Reason.SQL_TOO_LARGE
    assert dict(answer.error.metadata) == {"limit": "statement_bytes", "value": "262144"}


@pytest.mark.parametrize("text", ["select '\ud800'", "select 1\x00", "\x00", "select 'a\x00b'"])
def test_what_is_no_text_is_a_syntax_error(text: str) -> None:
    answer = ask(text)
    assert isinstance(answer.error, QueryError)
    assert answer.error.reason is Reason.SQL_SYNTAX
    assert answer.error.position is not None
