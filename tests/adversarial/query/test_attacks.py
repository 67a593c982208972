"""The attack corpus through parse, bind and run: each statement is refused, for its reason."""

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

DEEP = {
    "brackets": "select " + "(" * 100_000 + "1" + ")" * 100_000,
    "brackets that never close": "select " + "(" * 100_000,
    "lists": "select " + "[" * 100_000,
    "structs": "select " + "{'a':" * 50_000,
    "prefix operators": "select " + "@ " * 100_000 + "1",
    "tildes": "select " + "~" * 200_000 + "1",
    "not": "select " + "not " * 60_000 + "true",
    "case": "select " + "case when " * 26_000,
    "nested common tables": "with a as (" * 20_000,
    "functions": "select " + "abs(" * 60_000,
    "subqueries": "select * from " + "(" * 100_000 + "select 1" + ")" * 100_000,
    "additions": "select 1" + "+1" * 120_000,
    "casts": "select 1" + "::int" * 50_000,
    "joins": "select * from flights" + ", flights" * 25_000,
    "cross joins": "select * from flights" + " cross join flights" * 10_000,
    "comparisons": "select true" + " is null" * 30_000,
    "indexes": "select x" + "[1]" * 60_000,
    "types": "select null::int" + "[]" * 100_000,
    "methods": "select x" + ".abs()" * 40_000,
    "collations": "select x" + " collate nocase" * 16_000,
    "lambdas": "select " + "lambda x: " * 25_000 + "1",
    "unions in brackets": "(" * 100_000 + "select 1" + " union select 1)" * 100_000,
}


@pytest.mark.parametrize(("sql", "reason"), CASES)
def test_it_is_refused_for_its_reason(sql: str, reason: Reason) -> None:
    answer = ask(sql)
    assert answer.error is not None
    assert answer.error.reason is reason, (answer.error.message, answer.error.hint, answer.error.detail)
    assert answer.batches == ()
    shown = f"{answer.error.message} {answer.error.hint}"
    assert not [word for word in INSIDE if word in shown and word not in sql], shown


@pytest.mark.parametrize("sql", DEEP.values(), ids=DEEP.keys())
def test_a_text_that_nests_too_deep_is_refused_and_ends_nothing(sql: str) -> None:
    answer = ask(sql)
    assert answer.error is not None
    assert answer.error.reason in (Reason.SQL_TOO_DEEP, Reason.SQL_TOO_LARGE)
    assert (answer.error.reason is Reason.SQL_TOO_LARGE) == (len(sql) > 256 * 1024)


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
