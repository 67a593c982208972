"""What every reference of a table asks of its rows, as a sealed worker finds it in the plan of its statement.

It lets a reader leave out what the statement would throw away at once. It changes no answer: the statement runs
verbatim and applies its conditions again; and it decides nothing, for whoever uses it holds it against the decision
(`copying`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import duckdb

from penstock_server.engines.duckdb import conjunct_constants
from penstock_server.engines.duckdb.binding import STORE, Declaration
from penstock_server.engines.duckdb.column_tests import MOST_CONSTANTS, ColumnTest, ConditionKind, TableConjuncts
from penstock_server.engines.duckdb.conjunct_constants import NotConstant
from penstock_server.engines.duckdb.conjunct_plan import Columns, Conditions, Leaf, LeafColumn, Node
from penstock_server.engines.duckdb.nesting import deep_recursion
from penstock_server.model.schema import ColumnType

_COMPARISONS: Final[Mapping[str, tuple[ConditionKind, ConditionKind, str]]] = {
    "COMPARE_EQUAL": (ConditionKind.EQUAL, ConditionKind.EQUAL, "="),
    "COMPARE_NOTEQUAL": (ConditionKind.NOT_EQUAL, ConditionKind.NOT_EQUAL, "!="),
    "COMPARE_LESSTHAN": (ConditionKind.LESS, ConditionKind.GREATER, "<"),
    "COMPARE_GREATERTHAN": (ConditionKind.GREATER, ConditionKind.LESS, ">"),
    "COMPARE_LESSTHANOREQUALTO": (ConditionKind.LESS_OR_EQUAL, ConditionKind.GREATER_OR_EQUAL, "<="),
    "COMPARE_GREATERTHANOREQUALTO": (ConditionKind.GREATER_OR_EQUAL, ConditionKind.LESS_OR_EQUAL, ">="),
}
"""What a comparison says with its column on the left, with it on the right, and how the engine calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """A condition whose constants are not worked out yet."""

    column: LeafColumn
    kind: ConditionKind
    sides: tuple[str, ...]
    type: ColumnType


def copied(connection: duckdb.DuckDBPyConnection, declaration: Declaration, sql: str) -> tuple[TableConjuncts, ...]:
    """Give for each table what its references ask of its rows; one of which some reference asks nothing is left out.

    Whatever stands in the way, an error of the engine among it, means that nothing is copied: the statement's own run
    will tell.
    """
    with deep_recursion():
        try:
            return _copied(connection, declaration, sql)
        except (duckdb.Error, RecursionError):
            return ()


def _copied(connection: duckdb.DuckDBPyConnection, declaration: Declaration, sql: str) -> tuple[TableConjuncts, ...]:
    plan = _plan(connection, sql)
    if plan is None:
        return ()
    stores = {(STORE, "main", f"t{number}"): number for number in range(len(declaration.tables))}
    conditions = Conditions(plan, stores)
    if not conditions.complete:
        return ()
    tests = [test for conjunct, columns in conditions.found if (test := _test(conjunct, columns)) is not None]
    sides = [(side, test.type) for test in tests for side in test.sides]
    if len(sides) > MOST_CONSTANTS:
        return ()
    values = iter(conjunct_constants.worked_out(connection, sides))
    asked: dict[Leaf, list[ColumnTest]] = {leaf: [] for leaf in conditions.leaves}
    for test in tests:
        found = [next(values) for _ in test.sides]
        known = tuple(value for value in found if value is not None)
        if len(known) == len(found):
            column = declaration.tables[test.column.leaf.store].columns[test.column.number]
            asked[test.column.leaf].append(ColumnTest(column=column.name, kind=test.kind, values=known))
    return tuple(_of_tables(declaration, asked))


def _of_tables(declaration: Declaration, asked: Mapping[Leaf, list[ColumnTest]]) -> Iterator[TableConjuncts]:
    for store, shape in enumerate(declaration.tables):
        references = [tuple(tests) for leaf, tests in asked.items() if leaf.store == store]
        # INVARIANT: every reference reads the same rows, so they must hold what any of them asks for.
        if references and all(references):
            yield TableConjuncts(table=shape.name, alternatives=tuple(dict.fromkeys(references)))


def _plan(connection: duckdb.DuckDBPyConnection, sql: str) -> Node | None:
    ((text,),) = connection.execute("SELECT json_serialize_plan($1::VARCHAR)", [sql]).fetchall()
    written = json.loads(text)
    plans = written.get("plans", ())
    return plans[0] if not written["error"] and len(plans) == 1 else None


def _test(conjunct: Node, columns: Columns) -> _Test | None:
    try:
        match conjunct["expression_class"], conjunct["type"]:
            case "BOUND_FUNCTION", comparison if comparison in _COMPARISONS:
                return _comparison(conjunct, columns, *_COMPARISONS[comparison])
            case "BOUND_OPERATOR", "COMPARE_IN":
                column, *members = conjunct["children"]
                return _tested(column, columns, ConditionKind.IN, members)
            case "BOUND_OPERATOR", "OPERATOR_IS_NULL":
                (column,) = conjunct["children"]
                return _tested(column, columns, ConditionKind.IS_NULL, [])
            case _:
                return None
    except (NotConstant, ValueError):  # a text with a NUL has no literal
        return None


def _comparison(
    conjunct: Node, columns: Columns, forward: ConditionKind, backward: ConditionKind, called: str
) -> _Test | None:
    if conjunct["qname"]["path"] != [called] or not conjunct["is_operator"]:
        return None
    left, right = conjunct["children"]
    if left["expression_class"] == "BOUND_REF":
        return _tested(left, columns, forward, [right])
    return _tested(right, columns, backward, [left])


def _tested(reference: Node, columns: Columns, kind: ConditionKind, sides: list[Node]) -> _Test | None:
    if reference["expression_class"] != "BOUND_REF" or reference["index"] >= len(columns):
        return None
    column = columns[reference["index"]]
    if column is None or reference["return_type"] != column.type:
        return None
    pinned = conjunct_constants.type_of(column.type)
    if pinned is None or any(_type(side) != column.type for side in sides):
        return None
    return _Test(column=column, kind=kind, sides=tuple(conjunct_constants.printed(side) for side in sides), type=pinned)


def _type(side: Node) -> Node | None:
    kind: Node | None = (
        side["value"]["type"] if side["expression_class"] == "BOUND_CONSTANT" else side.get("return_type")
    )
    return kind
