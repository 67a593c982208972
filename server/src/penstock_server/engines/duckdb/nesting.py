"""How deep a text nests and how many statements it holds, by tokens alone, before anything recursive reads it.

DuckDB: a run of 60,000 prefix operators or nested common tables overflows the stack of its parser, which ends the
process; and each common table within the body of another makes a syntax error five times as long and as large to
find, so that 100 bytes take gigabytes (2.0.0). Its own limit of expression depth stands further in. Its tokenizer is
one loop.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from penstock_server.engines.duckdb.failures import too_deep
from penstock_server.errors import LimitExceeded, QueryError, Reason

MAXIMUM_DEPTH = 200
"""Levels of brackets, of CASE, of operators without an operand between them, and of nodes in the tree."""

MAXIMUM_COMMON_TABLE_DEPTH = 5
"""Levels of common tables within the bodies of common tables."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """Kind and text of a token; the text of constants and long names is cut. `offset` counts bytes."""

    kind: duckdb.token_type
    text: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bracket:
    """A bracket that is still open; `body` says that it holds a common table."""

    opening: str
    offset: int
    body: bool


def check(sql: str) -> None:
    """Refuse a text whose parsing could be too deep or never end, and one that goes on after a semicolon.

    Raises:
        LimitExceeded: brackets and CASE nest, or operators and NOT follow each other, past 200 levels, or common tables
            past 5.
        QueryError: a bracket has no counterpart (`SQL_SYNTAX`), or a second statement follows.
    """
    depth = _Depth(sql)
    ended = False
    for token in _tokens(sql):
        if ended and token.text != ";":
            raise several_statements()
        ended = ended or token.text == ";"
        depth.take(token)
    depth.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A word in lower case (cut where it is long), or one letter of an operator; `offset` and `end` count bytes.

    `end` is where the next mark begins, or the text ends: white space and comments may lie before it.
    """

    text: str
    offset: int
    end: int


def marks(sql: str) -> Iterator[Mark]:
    """Give each word and each letter of an operator, in order."""
    whole = len(sql.encode("utf-8"))
    found = [
        (letter, token.offset + place)
        for token in _tokens(sql)
        for place, letter in enumerate(token.text if token.kind is duckdb.token_type.operator else (token.text,))
    ]
    for (text, offset), (_, end) in zip(found, [*found[1:], ("", whole)], strict=False):
        yield Mark(text=text, offset=offset, end=end)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let `json` descend: a legal statement's tree is up to about 1,000 levels of JSON deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 5000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def first_word(sql: str) -> str:
    """Give the first token that is not a bracket, in lower case."""
    return next((token.text for token in _tokens(sql) if token.text != "("), "")


def several_statements() -> QueryError:
    """Give the error of a text with more than one statement."""
    return QueryError(
        Reason.SQL_MULTIPLE_STATEMENTS,
        "the text holds more than one statement",
        hint="send one statement at a time",
    )


class _Depth:
    """Follows brackets, CASE and runs of operators through a text."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._open: list[_Bracket] = []
        self._cases = self._run = self._bodies = 0
        self._previous = ""

    def take(self, token: _Token) -> None:
        """Count one token."""
        match token.kind:
            case duckdb.token_type.operator:
                self._operator(token)
            case duckdb.token_type.keyword:
                self._cases += (token.text == "case") - (token.text == "end")
                self._run = self._run + 1 if token.text == "not" else 0
            case _:
                self._run = 0
        self._previous = token.text
        if len(self._open) + max(self._cases, 0) > MAXIMUM_DEPTH or self._run > MAXIMUM_DEPTH:
            raise too_deep()
        if self._bodies > MAXIMUM_COMMON_TABLE_DEPTH:
            raise LimitExceeded(
                Reason.SQL_TOO_DEEP,
                f"common tables nest deeper than {MAXIMUM_COMMON_TABLE_DEPTH} levels",
                limit="common_table_depth",
                value=str(MAXIMUM_COMMON_TABLE_DEPTH),
                hint="list them after one WITH instead: each sees those before it",
            )

    def finish(self) -> None:
        """Require that every bracket was closed."""
        if self._open:
            raise self._unmatched(self._open[-1].opening, self._open[-1].offset)

    def _operator(self, token: _Token) -> None:
        self._run = 0 if token.text in (")", "]", "}", ",", ";") else self._run + len(token.text)
        for index, letter in enumerate(token.text):
            if letter in _CLOSING:
                body = self._previous in ("as", "materialized")
                self._bodies += body
                self._open.append(_Bracket(opening=letter, offset=token.offset + index, body=body))
            elif letter in _CLOSING.values():
                if not self._open or _CLOSING[self._open[-1].opening] != letter:
                    raise self._unmatched(letter, token.offset + index)
                self._bodies -= self._open.pop().body

    def _unmatched(self, bracket: str, offset: int) -> QueryError:
        position = len(self._sql.encode("utf-8")[:offset].decode("utf-8", "ignore"))
        return QueryError(Reason.SQL_SYNTAX, f"`{bracket}` has no counterpart", position=position)


def _tokens(sql: str) -> Iterator[_Token]:
    """Give each token but comments."""
    data = sql.encode("utf-8")
    found = [token for token in duckdb.tokenize(sql) if token[1] is not duckdb.token_type.comment]
    for (start, kind), (end, _) in zip(found, [*found[1:], (len(data), None)], strict=False):
        if kind is duckdb.token_type.operator:
            yield _Token(kind=kind, text=_operator_text(data[start:end]), offset=start)
        else:
            word = data[start : min(end, start + 32)].split(maxsplit=1)[0]
            yield _Token(kind=kind, text=word.decode("utf-8", "replace").lower(), offset=start)


def _operator_text(data: bytes) -> str:
    # The end of a token is not told: white space or a comment may follow it.
    return data.split(maxsplit=1)[0].split(b"/*", 1)[0].split(b"--", 1)[0].decode("utf-8", "replace")
