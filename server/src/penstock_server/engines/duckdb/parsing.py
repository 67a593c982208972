"""The caller's text as DuckDB's own parser reads it: one read-only statement, the names it uses, and no more.

The order: size, tokens (several statements, nesting), DuckDB's tree, a walk over all of it. Kinds of nodes that the
walk does not know are refused, so a construct that a later DuckDB adds is refused until somebody has looked at it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb import errors, explaining, nesting, pivoting
from penstock_server.engines.duckdb.tree import Tree
from penstock_server.errors import LimitExceeded, QueryError, Reason

MAXIMUM_BYTES = 256 * 1024
"""Length of a statement as UTF-8."""

MAXIMUM_TREE_BYTES = 32 * 1024 * 1024
"""Length of DuckDB's tree as JSON: some texts grow 400-fold (`from t,t,t`)."""

READABLE = "SELECT, FROM, WITH, VALUES, TABLE, PIVOT, UNPIVOT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedStatement:
    """What the text names. Each distinct spelling of a table stands once, in the order of the text.

    `parameters` is how many values `?`, `$1` and `$name` ask for, `names` those of the latter. `functions` are folded
    names. `lists_tables` says that it asks which tables there are; then it names none.

    `statement` is the text that was checked, and is to be bound: the caller's own but for an EXPLAIN (`explained`) or a
    PIVOT whose values are to be found (`completed`).
    """

    statement: str
    tables: tuple[TableReference, ...]
    functions: tuple[str, ...]
    parameters: int
    names: tuple[str, ...]
    lists_tables: bool
    explained: explaining.Explained | None
    completed: pivoting.Completed | None


def parse(connection: duckdb.DuckDBPyConnection, sql: str) -> ParsedStatement:
    """Parse one read-only statement.

    Raises:
        LimitExceeded: longer than 256 KiB (`SQL_TOO_LARGE`), or deeper than 200 levels (`SQL_TOO_DEEP`).
        QueryError: `SQL_SYNTAX`, `SQL_MULTIPLE_STATEMENTS`, `SQL_NOT_READ_ONLY` or `SQL_FUNCTION_REFUSED`.
        MemoryError: the parser needs more memory than there is.
    """
    _check_text(sql)
    nesting.check(sql)
    explained = explaining.split(sql)
    statement = sql if explained is None else explained.statement
    tree = _serialize(connection, statement)
    if tree is not None:
        return _walk(tree, statement, explained=explained)
    completed = None if explained is not None else pivoting.complete(sql)
    if completed is None:
        raise _not_read_only(statement)
    with completed.positions():
        tree = _serialize(connection, completed.sql)
        if tree is None:
            raise pivoting.unknown_values()
        completed.check(tree)
        return _walk(tree, completed.sql, completed=completed)


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


def _serialize(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any] | None:
    """Give the only statement's tree; None where it is of a kind that the tree cannot hold."""
    ((text,),) = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchall()
    if len(text) > MAXIMUM_TREE_BYTES:
        raise _too_large()
    with nesting.deep_recursion():
        try:
            fields = json.loads(text)
        except RecursionError:
            raise errors.too_deep() from None
    if fields["error"]:
        if fields.get("error_type") == "not implemented":
            return None
        if fields.get("error_type") == "out of memory":
            raise MemoryError
        raise errors.of_syntax(fields, sql)
    statements = fields["statements"]
    if len(statements) != 1:
        raise nesting.several_statements() if statements else _no_statement()
    statement: dict[str, Any] = statements[0]
    return statement


def _no_statement() -> QueryError:
    return QueryError(Reason.SQL_SYNTAX, "the text holds no statement", position=0, hint=f"start with {READABLE}")


def _not_read_only(sql: str) -> QueryError:
    if "pivot" in sql.lower() and nesting.first_word(sql) in ("pivot", "from", "select", "with"):
        return pivoting.unknown_values()
    return QueryError(
        Reason.SQL_NOT_READ_ONLY, "only a statement that reads is accepted", hint=f"start with {READABLE}"
    )


def _walk(
    tree: dict[str, Any],
    sql: str,
    *,
    explained: explaining.Explained | None = None,
    completed: pivoting.Completed | None = None,
) -> ParsedStatement:
    walk = Tree(sql)
    walk.walk(tree)
    tables = walk.tables()
    if walk.lists_tables and tables:
        raise QueryError(
            Reason.SQL_BINDING,
            "a statement that asks which tables there are cannot read tables too",
            hint="ask in a statement of its own",
        )
    parameters, names = _parameters(tree)
    return ParsedStatement(
        statement=sql,
        tables=tables if completed is None else completed.references(tables),
        functions=tuple(sorted(walk.functions)),
        parameters=parameters,
        names=names,
        lists_tables=walk.lists_tables,
        explained=explained,
        completed=completed,
    )


def _parameters(statement: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Give how many parameters there are, and their names where they have any."""
    names = [str(entry["key"]) for entry in statement.get("named_param_map", [])]
    numbers = {int(name) for name in names if name.isascii() and name.isdecimal()}
    if not numbers:
        return len(names), tuple(sorted(names))
    if max(numbers) != len(names):
        raise QueryError(
            Reason.SQL_BINDING, "parameters must be numbered from 1 without a gap", hint="write `$1`, `$2` and so on"
        )
    return len(names), ()
