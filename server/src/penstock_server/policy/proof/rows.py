"""Evaluates what the serving evaluator decided, on one row: shares nothing with regions and formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto

from penstock_server.model.decision import GovernedColumn, GovernedTable
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
from penstock_server.model.schema import ColumnType, cells_of
from penstock_server.policy.proof.inputs import MaskInput
from penstock_server.policy.proof.known import NotUnderstood, require_known
from penstock_server.policy.proof.reading import read_mask
from penstock_server.policy.proof.scales import Cell, Point, Special, point_of

Row = Mapping[str, Cell]


class Look(Enum):
    """How a cell looks, where it is not a mask."""

    HIDDEN = auto()
    """The row or the column is not there."""
    NULL = auto()
    """NULL by policy, whatever the value."""
    CLEAR = auto()
    """The value itself."""


Display = Look | MaskInput


def is_visible(table: GovernedTable, row: Row) -> bool:
    """Tell whether a decision shows a row.

    Raises:
        NotUnderstood: the decision holds a predicate of a kind that is not known here.
    """
    types = _types(table)
    return all(_truth(predicate, row, types) is True for predicate in table.rows)


def display(table: GovernedTable, column: str, row: Row) -> Display:
    """Tell how a decision shows a cell of a row that is visible; NULL where the column is not there.

    Raises:
        NotUnderstood: the decision holds a predicate of a kind that is not known here.
    """
    governed = next((one for one in table.parts() if any(cell.name == column for cell in cells_of(one.column))), None)
    return Look.NULL if governed is None else _display(governed, row, _types(table))


def _types(table: GovernedTable) -> Mapping[str, ColumnType]:
    return {cell.name: cell.type for cell in table.schema.cells()}


def _display(governed: GovernedColumn, row: Row, types: Mapping[str, ColumnType]) -> Display:
    for case in governed.cases:
        if _truth(case.when, row, types) is True:
            if case.mask is None:
                return Look.CLEAR
            mask = read_mask(case.mask)
            return Look.NULL if mask.shows_null else mask
    return Look.NULL


def _truth(predicate: Predicate, row: Row, types: Mapping[str, ColumnType]) -> bool | None:
    require_known(predicate)
    match predicate:
        case Always():
            return True
        case Never():
            return None
        case Not():
            truth = _truth(predicate.operand, row, types)
            return None if truth is None else not truth
        case And() | Or() | AnyTrue() | AllTrue():
            return _joined(predicate, [_truth(operand, row, types) for operand in predicate.operands])
        case IsNull():
            return row[predicate.column] is None
        case Compare() | Between() | In() | Like():
            cell = row[predicate.column]
            if cell is None or cell is Special.NAN:
                return None
            return _test(predicate, cell, types[predicate.column])


def _joined(predicate: And | Or | AnyTrue | AllTrue, truths: list[bool | None]) -> bool | None:
    match predicate:
        case And():
            return False if False in truths else None if None in truths else True
        case Or():
            return True if True in truths else None if None in truths else False
        case AnyTrue():
            return True in truths
        case AllTrue():
            return False not in truths and None not in truths


def _test(predicate: Compare | Between | In | Like, cell: Point, kind: ColumnType) -> bool:
    match predicate:
        case Compare():
            return _compared(cell, predicate.op, point_of(predicate.value, kind))
        case Between():
            return not _less(cell, point_of(predicate.low, kind)) and not _less(point_of(predicate.high, kind), cell)
        case In():
            return cell in {point_of(value, kind) for value in predicate.values}
        case Like():
            parts = {"%": ".*", "_": "."}
            pattern = "".join(parts.get(letter, re.escape(letter)) for letter in predicate.pattern)
            return re.fullmatch(pattern, str(cell), re.DOTALL) is not None


def _compared(cell: Point, op: Comparison, point: Point) -> bool:
    match op:
        case Comparison.EQUAL:
            return cell == point
        case Comparison.NOT_EQUAL:
            return cell != point
        case Comparison.LESS:
            return _less(cell, point)
        case Comparison.GREATER:
            return _less(point, cell)
        case Comparison.LESS_OR_EQUAL:
            return not _less(point, cell)
        case Comparison.GREATER_OR_EQUAL:
            return not _less(cell, point)


def _less(one: Point, other: Point) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        if not (isinstance(one, str) and isinstance(other, str)):
            raise NotUnderstood("a text is compared with a number")
        return one < other
    return one < other
