"""Which conditions of a caller's statement a source reader may apply beside the policy: the front's side.

SECURITY: a sealed worker runs hostile SQL, so what it says is held against the decision here. A condition reaches
a reader only on a column that the caller sees as it stands, in every row, whatever the worker asked for; it is a value
of `model.predicate`, printed as a policy's own, never text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from penstock_server.engines.duckdb import constants
from penstock_server.engines.duckdb.column_tests import (
    MOST_CONSTANTS,
    ColumnTest,
    ConditionKind,
    TableConjuncts,
    copied_type,
)
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, And, Compare, Comparison, Constant, In, IsNull, Or, Predicate
from penstock_server.model.resource import fold
from penstock_server.model.schema import ColumnType, TypeFamily

_CLEAR = (CellCase(when=Always(), mask=None),)

_VALUES: dict[TypeFamily, type] = {
    TypeFamily.TEXT: str,
    TypeFamily.INTEGER: int,
    TypeFamily.DECIMAL: Decimal,
    TypeFamily.DATE: date,
    TypeFamily.TIMESTAMP: datetime,
    TypeFamily.BOOLEAN: bool,
}


class NotOfTheTable(Exception):
    """A worker speaks of a column or a value that the table cannot have."""


def copied(table: GovernedTable, told: Sequence[TableConjuncts]) -> Predicate | None:
    """Give what a reader of this table may apply beside the policy; None = nothing.

    Raises:
        NotOfTheTable: a condition names no visible column, or has a value of another type.
    """
    of_table = [one for one in told if one.table.key() == table.name.key()]
    if len(of_table) != 1 or sum(len(test.values) for tests in of_table[0].alternatives for test in tests) > (
        MOST_CONSTANTS
    ):
        return None
    visible = {fold(column.column.name): column for column in table.columns}
    alternatives = []
    for tests in of_table[0].alternatives:
        # Fewer conditions let more rows through, which the statement then leaves out itself.
        kept = [made for test in tests if (made := _predicate(test, visible)) is not None]
        if not kept:
            return None
        alternatives.append(kept[0] if len(kept) == 1 else And(operands=tuple(kept)))
    if not alternatives:
        return None
    return alternatives[0] if len(alternatives) == 1 else Or(operands=tuple(alternatives))


def _predicate(test: ColumnTest, visible: dict[str, GovernedColumn]) -> Predicate | None:
    governed = visible.get(fold(test.column))
    if governed is None:
        raise NotOfTheTable("a column that the table does not show")
    # SECURITY: on a masked cell or one that hangs on a condition, a test would tell of what stands behind it.
    if governed.cases != _CLEAR or governed.fields:
        return None
    kind = governed.column.type
    if not copied_type(kind):
        return None
    for value in test.values:
        _require(value, kind)
    return _tested(governed.column.name, test)


def _require(value: Constant, kind: ColumnType) -> None:
    if type(value) is not _VALUES[kind.family]:
        raise NotOfTheTable("a value of another type than its column")
    try:
        constants.plain_literal(value, kind)
    except ValueError as error:
        raise NotOfTheTable("a value that its column cannot have") from error


def _tested(column: str, test: ColumnTest) -> Predicate:
    match test.kind, test.values:
        case ConditionKind.IS_NULL, ():
            return IsNull(column=column)
        case ConditionKind.IN, values if values:
            return In(column=column, values=frozenset(values))
        case ConditionKind.IN | ConditionKind.IS_NULL, _:
            raise NotOfTheTable("a condition with another number of values")
        case kind, (value,):
            return Compare(column=column, op=Comparison(kind.value), value=value)
        case _:
            raise NotOfTheTable("a condition with another number of values")
