"""The caller's text as DuckDB's own parser reads it: one read-only statement, the names it uses, and no more.

The order: size, tokens (several statements, nesting), DuckDB's tree, a walk over all of it. Kinds of nodes that the
walk does not know are refused, so a construct that a later DuckDB adds is refused until somebody has looked at it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb import errors, nesting
from penstock_server.engines.duckdb.tree import Tree
from penstock_server.errors import LimitExceeded, QueryError, Reason

MAXIMUM_BYTES = 256 * 1024
"""Length of a statement as UTF-8."""

MAXIMUM_TREE_BYTES = 32 * 1024 * 1024
"""Length of DuckDB's tree as JSON: some texts grow 400-fold (`from t,t,t`)."""

READABLE = "SELECT, FROM, WITH, VALUES, TABLE, DESCRIBE, SHOW or SUMMARIZE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedStatement:
    """What the text names. Each distinct spelling of a table stands once, in the order of the text.

    `parameters` is how many values `?` and `$1` ask for. `functions` are folded names. `lists_tables` says that it asks
    which tables there are; then it names none.
    """

    tables: tuple[TableReference, ...]
    functions: tuple[str, ...]
    parameters: int
    lists_tables: bool


def parse(connection: duckdb.DuckDBPyConnection, sql: str) -> ParsedStatement:
    """Parse one read-only statement.

    Raises:
        LimitExceeded: longer than 256 KiB (`SQL_TOO_LARGE`), or deeper than 200 levels (`SQL_TOO_DEEP`).
        QueryError: `SQL_SYNTAX`, `SQL_MULTIPLE_STATEMENTS`, `SQL_NOT_READ_ONLY` or `SQL_FUNCTION_REFUSED`.
        MemoryError: the parser needs more memory than there is.
    """
    _check_text(sql)
    nesting.check(sql)
    return _walk(_serialize(connection, sql), sql)


def _check_text(sql: str) -> None:
    try:
        size = len(sql.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise QueryError(
            Reason.SQL_SYNTAX, "the statement is not Unicode text", position=error.start, hint="send it as UTF-8"
        ) from None
    if size > MAXIMUM_BYTES:
        raise _too_large()
    if "\x00" in sql:
        raise QueryError(
            Reason.SQL_SYNTAX,
            "the statement holds a NUL character",
            position=sql.index("\x00"),
            hint="remove it; `chr(0)` gives one where it is needed",
        )


def _too_large() -> LimitExceeded:
    return LimitExceeded(
        Reason.SQL_TOO_LARGE,
        "the statement is too large",
        limit="statement_bytes",
        value=str(MAXIMUM_BYTES),
        hint="send long lists of values as parameters, or join with a VALUES list of fewer rows",
    )


def _serialize(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Give the only statement's tree."""
    ((text,),) = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchall()
    if len(text) > MAXIMUM_TREE_BYTES:
        raise _too_large()
    with deep_recursion():
        try:
            fields = json.loads(text)
        except RecursionError:
            raise errors.too_deep() from None
    if fields["error"]:
        if fields.get("error_type") == "not implemented":
            raise _not_read_only(sql)
        if fields.get("error_type") == "out of memory":
            raise MemoryError
        raise errors.of_syntax(fields, sql)
    statements = fields["statements"]
    if len(statements) != 1:
        raise nesting.several_statements() if statements else _no_statement()
    statement: dict[str, Any] = statements[0]
    return statement


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let `json` descend: a legal statement's tree is up to about 1,000 levels of JSON deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 5000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _no_statement() -> QueryError:
    return QueryError(Reason.SQL_SYNTAX, "the text holds no statement", position=0, hint=f"start with {READABLE}")


def _not_read_only(sql: str) -> QueryError:
    word = nesting.first_word(sql)
    if word in ("explain", "pivot", "unpivot"):
        return QueryError(
            Reason.SQL_NOT_READ_ONLY,
            f"`{word.upper()}` in this form is not available in this version",
            position=None,
            hint="name the values of a PIVOT: `on column in (...)`" if word == "pivot" else f"start with {READABLE}",
        )
    return QueryError(
        Reason.SQL_NOT_READ_ONLY, "only a statement that reads is accepted", hint=f"start with {READABLE}"
    )


def _walk(statement: dict[str, Any], sql: str) -> ParsedStatement:
    tree = Tree(sql)
    tree.walk(statement)
    if tree.lists_tables and tree.tables():
        raise QueryError(
            Reason.SQL_BINDING,
            "a statement that asks which tables there are cannot read tables too",
            hint="ask in a statement of its own",
        )
    return ParsedStatement(
        tables=tree.tables(),
        functions=tuple(sorted(tree.functions)),
        parameters=_parameters(statement),
        lists_tables=tree.lists_tables,
    )


def _parameters(statement: dict[str, Any]) -> int:
    names = [str(entry["key"]) for entry in statement.get("named_param_map", [])]
    numbers = {int(name) for name in names if name.isdecimal()}
    if len(numbers) != len(names):
        raise QueryError(
            Reason.SQL_BINDING,
            "parameters with names are not available in this version",
            hint="write `?` or `$1`, `$2` and give the values in that order",
        )
    if numbers and max(numbers) != len(numbers):
        raise QueryError(
            Reason.SQL_BINDING, "parameters must be numbered from 1 without a gap", hint="write `$1`, `$2` and so on"
        )
    return len(numbers)
