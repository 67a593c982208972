"""Columns and rows of Lake Formation as a policy file says them, checked against the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_server.importers.policy_text import Mapping
from penstock_server.model.lake_formation import LakeCellsFilter, LakeColumns
from penstock_server.model.schema import TableSchema
from penstock_server.policy.filter_binding import bind_filter
from penstock_server.policy.filter_nodes import (
    AndNode,
    BetweenNode,
    CompareNode,
    FilterNode,
    InNode,
    Literal,
    LiteralKind,
    NotNode,
    OrNode,
)
from penstock_server.policy.filter_tokens import ExpressionError
from penstock_server.policy.row_filter import parse_filter

_KINDS: Final = frozenset({LiteralKind.TEXT, LiteralKind.NUMBER, LiteralKind.BOOLEAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What a data cells filter shows; None = all columns, all rows."""

    columns: Mapping | None
    rows: str | None

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered, which a policy file says by having no filter."""
        return self.columns is None and self.rows is None

    def entry(self) -> Mapping:
        """Give the keys that say it."""
        columns: Mapping = () if self.columns is None else (("columns", self.columns),)
        return columns if self.rows is None else (*columns, ("rows", self.rows))


def cells_of(found: LakeCellsFilter, schema: TableSchema) -> Cells:
    """Give what a filter shows of its table.

    Raises:
        ValueError: a column or the expression cannot be said here; the text says why.
    """
    if found.rows is not None:
        _check_rows(found.rows, schema)
    return Cells(columns=column_list(found.columns, schema), rows=found.rows)


def column_list(columns: LakeColumns, schema: TableSchema) -> Mapping | None:
    """Give a column list as a policy file says it, None = all.

    Raises:
        ValueError: a column is not one of the table, or none is left.
    """
    if columns.included is not None:
        return (("include", list(_names(columns.included, schema))),)
    excluded = _names(columns.excluded or (), schema)
    if len(excluded) == len(schema.columns):
        raise ValueError("it excludes every column")
    return (("exclude", list(excluded)),) if excluded else None


def _names(names: Iterable[str], schema: TableSchema) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        column = schema.column(name)
        if column is None:
            raise ValueError(
                f"{schema.name} has no column `{name}`; fields of a column are not available in this version"
            )
        found[column.name] = None
    return tuple(found)


def _check_rows(expression: str, schema: TableSchema) -> None:
    try:
        node = parse_filter(expression)
        bind_filter(node, schema)
    except ExpressionError as error:
        raise ValueError(f"its expression cannot be said here: {error.message}") from error
    for value in _values(node):
        # What only our grammar has cannot mean there what it means here.
        if not isinstance(value, Literal) or value.kind not in _KINDS:
            raise ValueError("its expression holds a constant that Lake Formation's grammar does not have")


def _values(node: FilterNode) -> Iterable[object]:
    match node:
        case NotNode(operand=operand):
            return _values(operand)
        case AndNode(operands=operands) | OrNode(operands=operands):
            return [value for operand in operands for value in _values(operand)]
        case CompareNode(operand=value):
            return [value]
        case BetweenNode(low=low, high=high):
            return [low, high]
        case InNode(values=values):
            return values if isinstance(values, tuple) else [values]
        case _:
            return []
