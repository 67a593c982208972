"""Types a row filter against the pinned schema of its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from penstock_server.model.cell_paths import joined_path, written_path
from penstock_server.model.predicate import (
    And,
    Between,
    Compare,
    Comparison,
    In,
    IsNull,
    Like,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.resource import fold
from penstock_server.model.schema import Column, TableSchema, TypeFamily, field_of
from penstock_server.policy.constants import CLAIM_FAMILIES, constant_of
from penstock_server.policy.filters.nodes import (
    AndNode,
    BetweenNode,
    ColumnReference,
    CompareNode,
    FilterNode,
    InNode,
    IsNullNode,
    LikeNode,
    Literal,
    NotNode,
    OrNode,
    UserSubject,
    UserValue,
)
from penstock_server.policy.filters.row_tests import (
    AndTest,
    CompareWithCaller,
    Fixed,
    InCallersValues,
    NotTest,
    OrTest,
    RowTest,
)
from penstock_server.policy.filters.tokens import ExpressionError

_EXACT = frozenset({Comparison.EQUAL, Comparison.NOT_EQUAL})


def bind_filter(node: FilterNode, schema: TableSchema) -> RowTest:
    """Give the test that a filter means for the rows of this table.

    Raises:
        ExpressionError: an unknown column, or a constant that is not of its column's type.
    """
    match node:
        case CompareNode():
            return _compare(node, schema)
        case BetweenNode():
            return _between(node, schema)
        case InNode():
            return _in(node, schema)
        case LikeNode():
            column = _column(node.column, schema)
            if column.type.family is not TypeFamily.TEXT:
                raise ExpressionError(
                    f"`{written_path(column.name)}` is {column.type.sql}; LIKE goes with text only",
                    node.column.position,
                )
            return Fixed(predicate=Like(column=column.name, pattern=node.pattern.text))
        case IsNullNode():
            return Fixed(predicate=IsNull(column=_column(node.column, schema).name))
        case NotNode():
            operand = bind_filter(node.operand, schema)
            if isinstance(operand, Fixed):
                return Fixed(predicate=Not(operand=operand.predicate))
            return NotTest(operand=operand)
        case AndNode() | OrNode():
            return _join(node, schema)
        case _:
            assert_never(node)


def columns_of(node: FilterNode) -> frozenset[str]:
    """Give the first parts of the columns that a filter speaks of, as written."""
    match node:
        case NotNode():
            return columns_of(node.operand)
        case AndNode() | OrNode():
            return frozenset().union(*(columns_of(operand) for operand in node.operands))
        case _:
            return frozenset({node.column.parts[0]})


def missing_part(names: Sequence[str], schema: TableSchema) -> str:
    """Say which of the names that should lead to a column or a field of a table is not there."""
    found = schema.column(names[0])
    if found is None:
        return f"{schema.name} has no column `{names[0]}`{_near(names[0], schema.columns)}"
    for name in names[1:]:
        inner = field_of(found, name)
        if inner is None and not found.type.fields:
            return (
                f"`{written_path(found.name)}` is {found.type.sql}, and not a struct; what a list or a map holds "
                "cannot be named"
            )
        if inner is None:
            return f"`{written_path(found.name)}` has no field `{name}`{_near(name, found.type.fields)}"
        found = inner
    raise ValueError("all of it is there")


def _near(name: str, columns: Iterable[Column]) -> str:
    """Help with a typo: what begins alike."""
    alike = [column.name for column in columns if fold(column.name)[:2] == fold(name)[:2]]
    return f"; is `{'` or `'.join(alike[:3])}` meant?" if alike else ""


def _column(reference: ColumnReference, schema: TableSchema) -> Column:
    """Give a column, or a field of a struct, named by its path."""
    column = schema.at(joined_path(reference.parts))
    if column is None:
        raise ExpressionError(missing_part(reference.parts, schema), reference.position)
    return column


def _compare(node: CompareNode, schema: TableSchema) -> RowTest:
    column = _column(node.column, schema)
    if column.type.family is TypeFamily.BOOLEAN and node.op not in _EXACT:
        raise ExpressionError(
            f"`{written_path(column.name)}` is {column.type.sql}, which has no order; write = or <>",
            node.column.position,
        )
    if not isinstance(node.operand, Literal):
        _check_claim(column, node.operand)
        return CompareWithCaller(column=column, op=node.op, value=node.operand)
    value = constant_of(node.operand, column.type, column=written_path(column.name), exact=node.op in _EXACT)
    return Fixed(predicate=Compare(column=column.name, op=node.op, value=value))


def _between(node: BetweenNode, schema: TableSchema) -> RowTest:
    column = _column(node.column, schema)
    if column.type.family is TypeFamily.BOOLEAN:
        raise ExpressionError(
            f"`{written_path(column.name)}` is {column.type.sql}, which has no order; write = or <>",
            node.column.position,
        )
    low = constant_of(node.low, column.type, column=written_path(column.name), exact=False)
    high = constant_of(node.high, column.type, column=written_path(column.name), exact=False)
    return Fixed(predicate=Between(column=column.name, low=low, high=high))


def _in(node: InNode, schema: TableSchema) -> RowTest:
    column = _column(node.column, schema)
    if not isinstance(node.values, tuple):
        _check_claim(column, node.values)
        return InCallersValues(column=column, value=node.values)
    values = (constant_of(value, column.type, column=written_path(column.name), exact=True) for value in node.values)
    return Fixed(predicate=In(column=column.name, values=frozenset(values)))


def _check_claim(column: Column, value: UserValue) -> None:
    if isinstance(value, UserSubject) and column.type.family is not TypeFamily.TEXT:
        raise ExpressionError(f"`{column.name}` is {column.type.sql}; `:user.subject` is a text", value.position)
    if column.type.family not in CLAIM_FAMILIES:
        raise ExpressionError(
            f"`{written_path(column.name)}` is {column.type.sql}; a value of the caller goes with text, whole numbers, "
            "truth values and dates only",
            value.position,
        )


def _join(node: AndNode | OrNode, schema: TableSchema) -> RowTest:
    tests = tuple(bind_filter(operand, schema) for operand in node.operands)
    fixed: list[Predicate] = [test.predicate for test in tests if isinstance(test, Fixed)]
    if len(fixed) == len(tests):
        joined = tuple(fixed)
        return Fixed(predicate=And(operands=joined) if isinstance(node, AndNode) else Or(operands=joined))
    return AndTest(operands=tests) if isinstance(node, AndNode) else OrTest(operands=tests)
