"""A decision printed as what a source reader runs. Built from values; no text of a policy goes in.

The statement reads the pinned columns in their pinned types, keeps the rows in which every rule IS TRUE, and gives the
used columns with cell rules and masks applied. It is total: on no cell, hidden or not, can it raise. Imports neither
DuckDB nor Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock_server.engines.duckdb import constants, relation_printing, row_order
from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.mask_printing import MaskedCell
from penstock_server.engines.duckdb.relations import SourceRelation
from penstock_server.model.cell_paths import field_path, path_parts
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable, Mask
from penstock_server.model.mask_expressions import over_column
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
from penstock_server.model.resource import fold
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily

_HASHED_FROM = 64
"""Values from which `IN` is printed over a table of them. DuckDB: NOT over more than some thousand literals is a loop
over them for each row, where a table is a hash join under any operator; and to bind 5,000 typed literals takes two
seconds, where one text to split takes hundredths (2.0.0)."""

_CLEAR = (CellCase(when=Always(), mask=None),)

_SEPARATORS = "\x1f\x1e\x1d\x1c\ue000\uf8ff"


def source_statement(
    table: GovernedTable, columns: Sequence[str], source: SourceRelation, *, copied: Predicate | None = None
) -> str:
    """Print the statement that gives exactly the permitted cells of `columns`, in that order.

    `copied` leaves out permitted rows that the statement would throw away itself (`copying.copied`); it is applied to
    what the policy has let through, never before.
    Without columns it gives one constant column for each permitted row. Rows keep the order of the source, unless it is
    `ordered`. A table of several files has a statement before it that fails where they differ.

    Raises:
        ValueError: a column is not visible, or a value of the policy does not fit its column: nothing may be read.
    """
    visible = {fold(column.column.name): column for column in table.columns}
    wanted = [_visible(visible, name) for name in columns]
    printer = _Printer(table.schema)
    selected = [f"{printer.cell(column)} AS {quoted(column.column.name)}" for column in wanted] or ["TRUE AS present"]
    condition = " AND ".join(f"({printer.predicate(rule)}) IS TRUE" for rule in table.rows)
    where = f" WHERE {condition}" if condition else ""
    left_out = "" if copied is None else f" WHERE ({printer.predicate(copied)}) IS TRUE"
    inner = _pinned(table.schema, printer.read | {fold(column.column.name) for column in wanted}, source)
    permitted = f"({inner}) AS pinned{where}"
    if left_out and (where or any(column.cases != _CLEAR or column.fields for column in wanted)):
        # SECURITY: else a caller's condition chooses which hidden cells are decoded, and one that cannot be is a fault
        # (test_whether_a_broken_table_is_read_hangs_on_no_condition).
        permitted = f"(SELECT * FROM {permitted} OFFSET 0) AS permitted"  # noqa: S608 - all parts are quoted
    statement = f"SELECT {', '.join(selected)} FROM {permitted}{left_out}"  # noqa: S608 - all parts are quoted
    if source.ordered:
        statement = row_order.ordered(statement, [governed.column for governed in wanted])
    return f"{relation_printing.same_files(source)}{statement}"


def _visible(visible: dict[str, GovernedColumn], name: str) -> GovernedColumn:
    column = visible.get(fold(name))
    if column is None:
        raise ValueError("a column that the decision does not show")
    return column


def _pinned(schema: TableSchema, names: set[str], source: SourceRelation) -> str:
    """Print the part of the source that is read, every column in its pinned type (an ENUM as text).

    A source whose types are no longer the pinned ones is a fault: a conversion could round or cut what a rule looks
    at. DuckDB: the test is over types alone, so it is folded away before anything runs (2.0.0).
    """
    columns = [column for column in schema.columns if fold(column.name) in names]
    selected = ", ".join(
        f"CAST({quoted(column.name)} AS {column.type.sql}) AS {quoted(column.name)}" for column in columns
    )
    same = " AND ".join(_same_type(column) for column in columns)
    test = f" WHERE CASE WHEN {same} THEN TRUE ELSE error('the source has another type') END" if columns else ""
    return f"SELECT {selected or 'TRUE AS present'} FROM {relation_printing.relation(source, schema)}{test}"  # noqa: S608 - all parts are quoted


def _same_type(column: Column) -> str:
    kind = f"typeof({quoted(column.name)})"
    # What is pinned as text may be an ENUM there, and what holds nothing but NULLs has no type there.
    return f"({kind} = typeof(CAST(NULL AS {column.type.sql})) OR contains({kind}, 'ENUM(') OR {kind} = '\"NULL\"')"


class _Printer:
    """Prints predicates and cells over one table, and notes which columns they read."""

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self.read: set[str] = set()

    def cell(self, governed: GovernedColumn) -> str:
        """Print what a column shows: the first case that IS TRUE, else NULL; of a struct, its fields."""
        return self._shown(governed, quoted(governed.column.name), governed.column.name)

    def _shown(self, governed: GovernedColumn, name: str, path: str) -> str:
        if governed.fields:
            return self._rebuilt(governed, name, path)
        kind = governed.column.type
        cell = self._masked_cell(path, name)
        branches: list[str] = []
        for case in governed.cases:
            shown = cell.shown_as(kind) if case.mask is None else self._mask(case.mask, cell, kind)
            if isinstance(case.when, Always):
                if not branches:
                    return shown
                return f"CASE {' '.join(branches)} ELSE {shown} END"
            branches.append(f"WHEN ({self.predicate(case.when)}) IS TRUE THEN {shown}")
        null = f"CAST(NULL AS {kind.sql})"
        return f"CASE {' '.join(branches)} ELSE {null} END" if branches else null

    def _rebuilt(self, governed: GovernedColumn, name: str, path: str) -> str:
        """Print a struct of the fields that are shown.

        SECURITY: NULL as a whole where no field of it is shown, so that nobody can tell why; and its own NULL shows
        only where a field is shown clear, for a mask may stand for NULL too.
        """
        kind = governed.column.type.sql
        fields = ", ".join(
            f"{quoted(field.column.name)} := "
            f"{self._shown(field, _field(name, field.column.name), field_path(path, field.column.name))}"
            for field in governed.fields
        )
        packed = f"CAST(struct_pack({fields}) AS {kind})"
        parts = list(governed.parts())
        clear = [self._where(part.cases, lambda case: case.mask is None) for part in parts]
        seen = [self._where(part.cases, lambda case: case.mask is None or not case.mask.shows_null) for part in parts]
        return (
            f"CASE WHEN {_or(clear)} AND {name} IS NULL THEN CAST(NULL AS {kind}) "
            f"WHEN {_or(seen)} THEN {packed} ELSE CAST(NULL AS {kind}) END"
        )

    def _where(self, cases: Sequence[CellCase], wanted: Callable[[CellCase], bool]) -> str:
        """Print where the case that decides a cell is one of those wanted; this is TRUE or FALSE."""
        last = max((number for number, case in enumerate(cases) if wanted(case)), default=-1)
        branches = [
            f"WHEN ({self.predicate(case.when)}) IS TRUE THEN {'TRUE' if wanted(case) else 'FALSE'}"
            for case in cases[: last + 1]
        ]
        return f"CASE {' '.join(branches)} ELSE FALSE END" if branches else "FALSE"

    def predicate(self, predicate: Predicate) -> str:
        """Print a predicate with its three values."""
        match predicate:
            case Always():
                return "TRUE"
            case Never():
                return "CAST(NULL AS BOOLEAN)"
            case Not(operand=operand):
                return f"NOT ({self.predicate(operand)})"
            case And(operands=operands):
                return self._joined(" AND ", operands)
            case Or(operands=operands):
                return self._joined(" OR ", operands)
            case AnyTrue(operands=operands):
                return self._layers(" OR ", operands)
            case AllTrue(operands=operands):
                return self._layers(" AND ", operands)
            case _:
                return self._of_column(predicate)

    def _joined(self, word: str, operands: tuple[Predicate, ...]) -> str:
        if not operands:
            raise ValueError("a conjunction of nothing")
        return word.join(f"({self.predicate(operand)})" for operand in operands)

    def _layers(self, word: str, operands: tuple[Predicate, ...]) -> str:
        """Join layers: IS TRUE on each, so that an UNKNOWN of one can neither hide nor show what another decides."""
        if not operands:
            if word == " AND ":
                raise ValueError("a conjunction of nothing")
            return "FALSE"
        return word.join(f"(({self.predicate(operand)}) IS TRUE)" for operand in operands)

    def _of_column(self, predicate: Compare | Between | In | Like | IsNull) -> str:
        column = self._column(predicate.column)
        match predicate:
            case IsNull():
                return f"{_value(column)} IS NULL"
            case Compare(op=op, value=value):
                return _compared(column, op, value)
            case Between(low=low, high=high):
                above = _compared(column, Comparison.GREATER_OR_EQUAL, low)
                return f"({above}) AND ({_compared(column, Comparison.LESS_OR_EQUAL, high)})"
            case In(values=values):
                return _in(column, values)
            case Like(pattern=pattern):
                return _like(column, pattern)

    def _column(self, name: str) -> Column:
        column = self._schema.at(name)
        if column is None:
            raise ValueError("a predicate over a column that the table does not have")
        self.read.add(fold(path_parts(column.name)[0]))
        return column

    def _masked_cell(self, path: str, name: str) -> MaskedCell:
        column = self._column(path)

        def test(predicate: Predicate) -> str:
            return self.predicate(over_column(predicate, column.name))

        return MaskedCell(sql=name, source=column.type, test=test)

    @staticmethod
    def _mask(mask: Mask, cell: MaskedCell, kind: ColumnType) -> str:
        if mask.shows_null:
            return f"CAST(NULL AS {kind.sql})"
        if mask.type.sql != kind.sql:
            raise ValueError("a mask of another type than its column")
        return cell.masked(mask)


def _or(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(f'({condition})' for condition in dict.fromkeys(conditions))})"


def _value(column: Column) -> str:
    """Print the value of a column, or of a field, which is NULL where its struct is; it is named by its path."""
    head, *names = path_parts(column.name)
    value = quoted(head)
    for name in names:
        value = _field(value, name)
    return value


def _field(struct: str, name: str) -> str:
    return f"struct_extract({struct}, {text_literal(name)})"


def _comparable(column: Column) -> str:
    """Print a column as the left side of a comparison.

    Text compares by code points, whatever collation the source declares; NaN compares as UNKNOWN.
    """
    name = _value(column)
    match column.type.family:
        case TypeFamily.TEXT:
            return f'({name} COLLATE "binary")'
        case TypeFamily.FLOAT:
            return f"(CASE WHEN isnan({name}) THEN NULL ELSE CAST({name} AS DOUBLE) END)"
        case _:
            return name


def _compared(column: Column, op: Comparison, value: Constant) -> str:
    left = _comparable(column)
    match column.type.family:
        case TypeFamily.TEXT if isinstance(value, str):
            return f"{left} {op} {text_literal(value)}"
        case TypeFamily.FLOAT:
            return f"{left} {op} {constants.float_literal(value)}"
        case TypeFamily.BOOLEAN if isinstance(value, bool):
            return f"{left} {op} {'TRUE' if value else 'FALSE'}"
        case _:
            of = constants.units(column.type)
    if of is None:
        raise ValueError(f"a {type(value).__name__} cannot be compared with {column.type.sql}")
    moved = constants.moved(op, constants.position(value, of), of)
    if moved is None:
        return _unless_null(left, holds=op is Comparison.NOT_EQUAL)
    return f"{left} {moved[0]} {constants.unit_literal(moved[1], of)}"


def _unless_null(left: str, *, holds: bool) -> str:
    return f"CASE WHEN {left} IS NULL THEN CAST(NULL AS BOOLEAN) ELSE {'TRUE' if holds else 'FALSE'} END"


def _in(column: Column, values: frozenset[Constant]) -> str:
    if not values:
        raise ValueError("an empty list of values")
    members = sorted(member for value in values if (member := _member(column, value)) is not None)
    left = _comparable(column)
    if not members:
        return _unless_null(left, holds=False)
    kind = "DOUBLE" if column.type.family is TypeFamily.FLOAT else column.type.sql
    separator = next((mark for mark in _SEPARATORS if not any(mark in member for member in members)), None)
    if len(members) < _HASHED_FROM or separator is None:
        return f"{left} IN ({', '.join(f'CAST({text_literal(member)} AS {kind})' for member in members)})"
    joined = f"string_split({text_literal(separator.join(members))}, {text_literal(separator)})"
    return f"{left} IN (SELECT CAST(unnest({joined}) AS {kind}))"


def _member(column: Column, value: Constant) -> str | None:
    """Give the text of one value of a list in the column's type; None where no value of the type is equal to it."""
    match column.type.family:
        case TypeFamily.TEXT if isinstance(value, str):
            return value
        case TypeFamily.FLOAT:
            return constants.float_text(value)
        case TypeFamily.BOOLEAN if isinstance(value, bool):
            return "true" if value else "false"
        case _:
            of = constants.units(column.type)
    if of is None:
        raise ValueError(f"a {type(value).__name__} cannot be compared with {column.type.sql}")
    exact = constants.moved(Comparison.EQUAL, constants.position(value, of), of)
    return None if exact is None else constants.unit_text(exact[1], of)


def _like(column: Column, pattern: str) -> str:
    if column.type.family is not TypeFamily.TEXT:
        raise ValueError("LIKE on a column that is not text")
    if "\\" in pattern:
        raise ValueError("a backslash in a pattern means something else in other engines")
    return f"{_comparable(column)} LIKE {text_literal(pattern)}"
