"""Columns and rows of Lake Formation as a policy file says them, checked against the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_server.importers.policy_text import Mapping
from penstock_server.model.cell_paths import is_within, joined_path, parse_path, path_parts, written_path
from penstock_server.model.lake_formation import LakeCellsFilter, LakeColumns
from penstock_server.model.schema import Column, TableSchema
from penstock_server.model.schema import cells_of as parts_of
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.nodes import (
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
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.tokens import ExpressionError

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
        return (("include", [_written(part, schema) for part in _parts(columns.included, schema)]),)
    excluded = _parts(columns.excluded or (), schema)
    if sum(1 for part in excluded for _ in parts_of(part)) == sum(1 for _ in schema.cells()):
        raise ValueError("it excludes every column")
    return (("exclude", [_written(part, schema) for part in excluded]),) if excluded else None


def _parts(names: Iterable[str], schema: TableSchema) -> tuple[Column, ...]:
    """Give columns and fields of structs (`"address"."zip"`); what lies within another one is given with that."""
    found: dict[str, Column] = {}
    for name in names:
        parts = parse_path(name)
        part = schema.column(name) or (schema.at(joined_path(parts)) if parts is not None else None)
        if part is None:
            raise ValueError(f"{schema.name} has no column `{name}`")
        found[part.name] = part
    return tuple(part for path, part in found.items() if not any(is_within(path, other) for other in found))


def _written(part: Column, schema: TableSchema) -> str:
    """Write a column or a field so that a policy takes it for nothing else."""
    plain = written_path(part.name)
    others = [schema.column(plain), schema.at(joined_path(parse_path(plain) or ()))]
    if all(other is None or other.name == part.name for other in others):
        return plain
    return ".".join('"' + name.replace('"', '""') + '"' for name in path_parts(part.name))


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
