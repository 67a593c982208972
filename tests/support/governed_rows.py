"""Applies a decision to rows in plain Python: what an engine must give, without any engine.

Rows are mappings from the catalog's column names to values. Three-valued: True, False, None for UNKNOWN.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from penstock_server.model.cell_paths import field_path, path_parts
from penstock_server.model.decision import GovernedColumn, GovernedTable, Mask
from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)

from support.masks import masked

Row = Mapping[str, Any]

_OPERATORS: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.GREATER: operator.gt,
    Comparison.LESS_OR_EQUAL: operator.le,
    Comparison.GREATER_OR_EQUAL: operator.ge,
}


def apply_decision(table: GovernedTable, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Give the rows that a decision leaves, in their order, each a tuple of its visible cells."""
    return [
        tuple(_cell(column, row) for column in table.columns)
        for row in rows
        if all(truth(predicate, row) is True for predicate in table.rows)
    ]


def truth(predicate: Predicate, row: Row) -> bool | None:
    """Give the truth of a predicate for a row."""
    match predicate:
        case Always():
            return True
        case Never():
            return None
        case Not():
            inner = truth(predicate.operand, row)
            return None if inner is None else not inner
        case And():
            return _all([truth(operand, row) for operand in predicate.operands])
        case Or():
            return _any([truth(operand, row) for operand in predicate.operands])
        case AnyTrue():
            return any(truth(operand, row) is True for operand in predicate.operands)
        case AllTrue():
            return all(truth(operand, row) is True for operand in predicate.operands)
        case IsNull():
            return value_at(row, predicate.column) is None
        case Compare() | Between() | In() | Like():
            value = value_at(row, predicate.column)
            unknown = value is None or (isinstance(value, float) and math.isnan(value))
            return None if unknown else _test(predicate, value)
        case _:
            assert_never(predicate)


def _test(predicate: Compare | Between | In | Like, value: Any) -> bool:
    match predicate:
        case Compare():
            return _OPERATORS[predicate.op](value, predicate.value)
        case Between():
            return bool(predicate.low <= value <= predicate.high)
        case In():
            return value in predicate.values
        case Like():
            parts = {"%": ".*", "_": "."}
            pattern = "".join(parts.get(character, re.escape(character)) for character in predicate.pattern)
            return re.fullmatch(pattern, value, re.DOTALL) is not None


def value_at(row: Row, path: str) -> Any:
    """Give the value of a column or of a field; a struct is a mapping, and the fields of one that is NULL are NULL."""
    value: Any = row
    for name in path_parts(path):
        value = None if value is None else value[name]
    return value


def _cell(column: GovernedColumn, row: Row, path: str | None = None) -> Any:
    path = column.column.name if path is None else path
    value = value_at(row, path)
    if column.fields:
        return _struct(column, row, path)
    for case in column.cases:
        if truth(case.when, row) is True:
            return value if case.mask is None else _masked(case.mask, value)
    return None


def _struct(column: GovernedColumn, row: Row, path: str) -> dict[str, Any] | None:
    shown = {_shows(part, row) for part in column_at(column, path).parts()}
    if shown == {"nothing"} or ("clear" in shown and value_at(row, path) is None):
        return None
    return {field.column.name: _cell(field, row, field_path(path, field.column.name)) for field in column.fields}


def column_at(column: GovernedColumn, path: str) -> GovernedColumn:
    """Give a field of a struct, named by its path."""
    return replace(column, column=replace(column.column, name=path))


def _shows(part: GovernedColumn, row: Row) -> str:
    found = [case for case in part.cases if truth(case.when, row) is True]
    if not found:
        return "nothing"
    mask = found[0].mask
    if mask is None:
        return "clear"
    return "nothing" if mask.shows_null else "mask"


def _masked(mask: Mask, value: Any) -> Any:
    return masked(mask, value, truth=truth)


def _all(values: Sequence[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _any(values: Sequence[bool | None]) -> bool | None:
    if True in values:
        return True
    return None if None in values else False
