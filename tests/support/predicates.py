"""Predicates evaluated cell by cell in plain Python: what a printed statement must agree with.

A cell is None, a str, a bool, a float, or a Fraction that counts units from zero: whole numbers, days, microseconds
since 1970 as seconds. `INFINITE` stands for an infinite date or timestamp.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)

Cell = None | str | bool | float | Fraction

INFINITE = Fraction(10**60)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def truth(predicate: Predicate, row: Mapping[str, Cell]) -> bool | None:  # noqa: C901, PLR0912 - one case a kind
    match predicate:
        case Always():
            return True
        case Never():
            return None
        case Not(operand=operand):
            inner = truth(operand, row)
            return None if inner is None else not inner
        case And(operands=operands):
            values = [truth(operand, row) for operand in operands]
            return False if False in values else None if None in values else True
        case Or(operands=operands):
            values = [truth(operand, row) for operand in operands]
            return True if True in values else None if None in values else False
        case AnyTrue(operands=operands):
            return any(truth(operand, row) is True for operand in operands)
        case AllTrue(operands=operands):
            return all(truth(operand, row) is True for operand in operands)
        case IsNull(column=column):
            return row[column] is None
        case Compare(column=column, op=op, value=value):
            return _compare(row[column], op, value)
        case Between(column=column, low=low, high=high):
            ends = [
                _compare(row[column], Comparison.GREATER_OR_EQUAL, low),
                _compare(row[column], Comparison.LESS_OR_EQUAL, high),
            ]
            return False if False in ends else None if None in ends else True
        case In(column=column, values=members):
            cell = row[column]
            if cell is None or cell != cell:  # noqa: PLR0124 - NaN
                return None
            return cell in _members(members)
        case Like(column=column, pattern=pattern):
            cell = row[column]
            if cell is None:
                return None
            assert isinstance(cell, str)
            expression = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
            return re.fullmatch(expression, cell, re.DOTALL) is not None


@functools.cache
def _members(members: frozenset[Constant]) -> frozenset[Cell]:
    return frozenset(member if isinstance(member, str | bool | float) else units(member) for member in members)


def _compare(cell: Cell, op: Comparison, value: Constant) -> bool | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, str) and isinstance(value, str):
        left, right = [*map(ord, cell)], [*map(ord, value)]
        return _ordered((left > right) - (left < right), op)
    if isinstance(cell, bool) and isinstance(value, bool):
        return _ordered((cell > value) - (cell < value), op)
    if isinstance(cell, float):
        assert isinstance(value, float)
        return _ordered((cell > value) - (cell < value), op)
    assert isinstance(cell, Fraction)
    number = units(value)
    return _ordered((cell > number) - (cell < number), op)


def units(value: Constant) -> Fraction:
    match value:
        case datetime():
            aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return Fraction((aware - _EPOCH) // timedelta(microseconds=1), 10**6)
        case date():
            return Fraction((value - _EPOCH.date()).days)
        case int() | Decimal():
            return Fraction(value)
        case _:
            raise TypeError(type(value).__name__)


def _ordered(sign: int, op: Comparison) -> bool:
    return {
        Comparison.EQUAL: sign == 0,
        Comparison.NOT_EQUAL: sign != 0,
        Comparison.LESS: sign < 0,
        Comparison.LESS_OR_EQUAL: sign <= 0,
        Comparison.GREATER: sign > 0,
        Comparison.GREATER_OR_EQUAL: sign >= 0,
    }[op]
