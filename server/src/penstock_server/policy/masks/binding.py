"""Types the expression of a mask against the column that the mask is on."""

from __future__ import annotations

from typing import assert_never

from penstock_server.model.conversions import always_converts
from penstock_server.model.mask_expressions import (
    VALUE,
    Branch,
    Case,
    First,
    Fixed,
    Joined,
    Last,
    Length,
    LengthAsText,
    LowerCase,
    MaskExpression,
    Part,
    UpperCase,
    Value,
    ValueAsText,
)
from penstock_server.model.predicate import Predicate
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily
from penstock_server.policy.constants import constant_of
from penstock_server.policy.filters import row_tests
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.tokens import ExpressionError
from penstock_server.policy.masks.nodes import (
    BranchNode,
    CaseNode,
    FunctionNode,
    JoinNode,
    LiteralNode,
    MaskNode,
    TextFunction,
    ValueNode,
)

_TEXT = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
_LENGTH = "BIGINT"


def bind_expression(node: MaskNode, column: Column, kind: ColumnType) -> MaskExpression:
    """Give what an expression computes on a column; `kind` is the type of the mask.

    Raises:
        ExpressionError: a part of it is not of the type that its place asks for, or may depend on more than the cell.
    """
    match node:
        case LiteralNode(literal=None):
            return Fixed(value=None)
        case LiteralNode(literal=literal) if literal is not None:
            return Fixed(value=constant_of(literal, kind, column=column.name, exact=False))
        case ValueNode():
            return _value(node, column, kind)
        case CaseNode(branches=branches, otherwise=otherwise):
            return Case(
                branches=tuple(
                    Branch(when=_test(branch, column), then=bind_expression(branch.shown, column, kind))
                    for branch in branches
                ),
                otherwise=bind_expression(otherwise, column, kind),
            )
        case JoinNode(operands=operands, position=position):
            _require("`||` gives VARCHAR", kind, _TEXT.sql, position)
            return Joined(operands=tuple(bind_expression(operand, column, _TEXT) for operand in operands))
        case FunctionNode():
            return _function(node, column, kind)
        case _:
            raise AssertionError(node)


def _value(node: ValueNode, column: Column, kind: ColumnType) -> MaskExpression:
    if node.as_text:
        _require("CAST(value AS VARCHAR) gives VARCHAR", kind, _TEXT.sql, node.position)
        if not always_converts(column.type, _TEXT):
            raise ExpressionError(f"`{column.name}` is {column.type.sql}, which has no text in a mask", node.position)
        return ValueAsText()
    if kind.family is TypeFamily.TEXT and column.type.family is not TypeFamily.TEXT:
        raise ExpressionError(
            f"`{column.name}` is {column.type.sql}; write CAST(value AS VARCHAR) where text is wanted", node.position
        )
    return Value()


def _function(node: FunctionNode, column: Column, kind: ColumnType) -> MaskExpression:
    given = _LENGTH if node.function is TextFunction.LENGTH else _TEXT.sql
    _require(f"`{node.function.value}` gives {given}", kind, given, node.position)
    operand = bind_expression(node.operand, column, _TEXT)
    match node.function:
        case TextFunction.LEFT:
            return First(operand=operand, count=node.numbers[0])
        case TextFunction.RIGHT:
            return Last(operand=operand, count=node.numbers[0])
        case TextFunction.SUBSTRING:
            start, *count = node.numbers
            return Part(operand=operand, start=start, count=count[0] if count else None)
        case TextFunction.LOWER:
            return LowerCase(operand=operand)
        case TextFunction.UPPER:
            return UpperCase(operand=operand)
        case TextFunction.LENGTH:
            return Length(operand=operand)
        case TextFunction.LENGTH_AS_TEXT:
            return LengthAsText(operand=operand)
        case _:
            assert_never(node.function)


def _require(what: str, kind: ColumnType, given: str, position: int) -> None:
    if kind.sql != given:
        raise ExpressionError(f"{what}, and {kind.sql} is wanted here", position)


def _test(branch: BranchNode, column: Column) -> Predicate:
    """Give a test of the cell, as one of a column that is named `value`."""
    name = TableName(catalog="a", database="mask", table="expression")
    alone = TableSchema(name=name, columns=(Column(name=VALUE, type=column.type),), location=None)
    test = bind_filter(branch.test, alone)
    if not isinstance(test, row_tests.Fixed):
        raise ExpressionError(
            "a mask shows the same to everybody; the caller's own values go into `rows`", branch.position
        )
    return test.predicate
