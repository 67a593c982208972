"""How deep a text nests and how many statements it holds, by tokens alone, before anything recursive reads it.

DuckDB: a run of 60,000 prefix operators or nested CTEs overflows the stack of its parser, which ends the process
(2.0.0); its own limit of expression depth stands further in. Its tokenizer is one loop.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from penstock_server.engines.duckdb.errors import too_deep
from penstock_server.errors import QueryError, Reason

MAXIMUM_DEPTH = 200
"""Levels of brackets, of CASE, of operators without an operand between them, and of nodes in the tree."""

_OPERAND_ENDS = frozenset(")]}")


def check(sql: str) -> None:
    """Refuse a text whose parsing could be too deep, and one that goes on after a semicolon.

    Raises:
        LimitExceeded: brackets and CASE nest, or operators and NOT follow each other, past 200.
        QueryError: a second statement follows.
    """
    brackets = cases = run = 0
    ended = False
    for kind, text in _tokens(sql):
        if ended and text != ";":
            raise several_statements()
        match kind:
            case duckdb.token_type.operator:
                ended = ended or text == ";"
                brackets += sum(text.count(opening) for opening in "([{")
                brackets -= sum(text.count(closing) for closing in ")]}")
                run = 0 if text in _OPERAND_ENDS or text in ",;" else run + len(text)
            case duckdb.token_type.keyword:
                cases += (text == "case") - (text == "end")
                run = run + 1 if text == "not" else 0
            case _:
                run = 0
        if brackets + max(cases, 0) > MAXIMUM_DEPTH or run > MAXIMUM_DEPTH:
            raise too_deep()


def first_word(sql: str) -> str:
    """Give the first token that is not a bracket, in lower case."""
    return next((text for _, text in _tokens(sql) if text != "("), "")


def several_statements() -> QueryError:
    """Give the error of a text with more than one statement."""
    return QueryError(
        Reason.SQL_MULTIPLE_STATEMENTS,
        "the text holds more than one statement",
        hint="send one statement at a time",
    )


def _tokens(sql: str) -> Iterator[tuple[duckdb.token_type, str]]:
    """Give kind and text of each token but comments; the text of constants and long names is cut."""
    data = sql.encode("utf-8")
    found = [token for token in duckdb.tokenize(sql) if token[1] is not duckdb.token_type.comment]
    for (start, kind), (end, _) in zip(found, [*found[1:], (len(data), None)], strict=False):
        if kind is duckdb.token_type.operator:
            yield kind, _operator(data[start:end])
        else:
            yield kind, data[start : min(end, start + 32)].split(maxsplit=1)[0].decode("utf-8", "replace").lower()


def _operator(data: bytes) -> str:
    # The end of a token is not told: white space or a comment may follow it.
    return data.split(maxsplit=1)[0].split(b"/*", 1)[0].split(b"--", 1)[0].decode("utf-8", "replace")
