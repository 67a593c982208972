"""Steps 2 to 4 of the decision: which cells the filters, masks and rules that apply leave, as one governed relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from penstock_server.model.cell_paths import field_path
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable, Mask
from penstock_server.model.predicate import Always, AnyTrue, Predicate
from penstock_server.model.schema import Column, TableSchema, struct_type
from penstock_server.policy.encoding import encode_predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFilter:
    """A filter that applies to the caller: columns (None = all), its rows resolved, and its masks by column.

    Of a struct it holds the paths of fields, as `TableSchema.cells` names them, and not the column.
    """

    columns: frozenset[str] | None
    rows: Predicate
    masks: Mapping[str, Mask]

    def shows(self, column: str) -> bool:
        """Tell whether the column is among those that it shows."""
        return self.columns is None or column in self.columns


def govern(schema: TableSchema, filters: Sequence[ActiveFilter], rules: Sequence[Predicate]) -> GovernedTable | None:
    """Give the cells that the filters show together, narrowed by the rules; None where no column is left.

    A row is visible where the OR of all filters' rows IS TRUE and every rule IS TRUE. A cell of it is clear where the
    OR of the filters that show its column clear IS TRUE; else the mask of lowest rank that reaches it; else NULL.
    """
    # A filter of which no column is left shows no row either: its rows would be seen to exist.
    showing = [part for part in filters if any(part.shows(cell.name) for cell in schema.cells())]
    tests = [(encode_predicate(part.rows), part) for part in showing]
    shared: _SharedCases = {}
    governed = (_governed(column, tests, shared) for column in schema.columns)
    columns = tuple(column for column in governed if column is not None)
    if not columns:
        return None
    rows = _any(tests)
    narrowing = [rule for rule in rules if not isinstance(rule, Always)]
    return GovernedTable(
        schema=schema,
        columns=columns,
        rows=tuple(narrowing) if isinstance(rows, Always) else (rows, *narrowing),
    )


_Tested = tuple[bytes, ActiveFilter]
"""A filter with the encoding of its rows: equal bytes, equal rows."""

_SharedCases = dict[tuple[bytes, ...], tuple[CellCase, ...]]
"""The cases of columns without masks, by the filters that show them: most columns of a table share one value."""


def column_of_cells(column: Column, shown: Set[str]) -> Column | None:
    """Give a column, of a struct with those fields alone whose paths are shown; None where nothing of it is."""
    if not column.type.fields:
        return column if column.name in shown else None
    fields: list[Column] = []
    for field in column.type.fields:
        left = column_of_cells(Column(name=field_path(column.name, field.name), type=field.type), shown)
        if left is not None:
            fields.append(Column(name=field.name, type=left.type))
    return Column(name=column.name, type=struct_type(tuple(fields))) if fields else None


def _governed(column: Column, tests: Sequence[_Tested], shared: _SharedCases) -> GovernedColumn | None:
    """Give a column, or a struct with those of its fields that are shown; None where no filter shows anything of it."""
    if not column.type.fields:
        return _column(column, tests, shared)
    fields: list[GovernedColumn] = []
    for field in column.type.fields:
        path = Column(name=field_path(column.name, field.name), type=field.type)
        shown = _governed(path, tests, shared)
        if shown is not None:
            fields.append(replace(shown, column=Column(name=field.name, type=shown.column.type)))
    if not fields:
        return None
    if _all_alike(fields, column):
        return GovernedColumn(column=column, cases=fields[0].cases)
    kind = struct_type(tuple(field.column for field in fields))
    return GovernedColumn(column=Column(name=column.name, type=kind), cases=(), fields=tuple(fields))


def _all_alike(fields: Sequence[GovernedColumn], column: Column) -> bool:
    """Tell whether all fields are shown in the same rows, as they stand or NULL: then the struct as a whole is too."""
    return (
        tuple(field.column for field in fields) == column.type.fields
        and not any(field.fields for field in fields)
        and all(field.cases == fields[0].cases for field in fields)
        and all(case.mask is None or case.mask.shows_null for case in fields[0].cases)
    )


def _column(column: Column, tests: Sequence[_Tested], shared: _SharedCases) -> GovernedColumn | None:
    """Give the cases of one column, in the order in which they decide; None where no filter shows it."""
    showing = [tested for tested in tests if tested[1].shows(column.name)]
    if not showing:
        return None
    clear = [tested for tested in showing if column.name not in tested[1].masks]
    if len(clear) == len(showing):
        key = tuple([encoded for encoded, _ in showing])
        cases = shared.get(key)
        if cases is None:
            cases = shared[key] = _cases([(None, clear)], tests)
        return GovernedColumn(column=column, cases=cases)
    masked: dict[int, tuple[Mask, list[_Tested]]] = {}
    for tested in showing:
        mask = tested[1].masks.get(column.name)
        if mask is not None:
            # INVARIANT: one rank on one column is one mask; binding refuses anything else.
            masked.setdefault(mask.rank, (mask, []))[1].append(tested)
    steps: list[tuple[Mask | None, list[_Tested]]] = [(None, clear)] if clear else []
    steps += [masked[rank] for rank in sorted(masked)]
    cases = _cases(steps, tests)
    return GovernedColumn(column=_as_shown(column, cases), cases=cases)


def _cases(steps: Sequence[tuple[Mask | None, list[_Tested]]], tests: Sequence[_Tested]) -> tuple[CellCase, ...]:
    """Give the cases of a cell by what is shown, best first, each with the filters that show it so."""
    every = {encoded for encoded, _ in tests}
    reached: set[bytes] = set()
    cases: list[CellCase] = []
    for shown, parts in steps:
        undecided = [tested for tested in parts if tested[0] not in reached]
        if not undecided:
            continue
        reached |= {encoded for encoded, _ in undecided}
        when = _any(undecided)
        if isinstance(when, Always) or reached == every:
            # In a visible row some filter IS TRUE; if all of them have had their say, this case is the one that holds.
            cases.append(CellCase(when=Always(), mask=shown))
            break
        cases.append(CellCase(when=when, mask=shown))
    return tuple(cases)


def _as_shown(column: Column, cases: Sequence[CellCase]) -> Column:
    """Give the column with the type in which its cells are shown: another than its own only where a mask states it."""
    # INVARIANT: the masks of one column have one type; binding refuses anything else. NULL is of any.
    kinds = {case.mask.type for case in cases if case.mask is not None and not case.mask.shows_null}
    return Column(name=column.name, type=kinds.pop()) if kinds else column


def _any(tests: Sequence[_Tested]) -> Predicate:
    """Give where at least one of the filters' rows IS TRUE, in an order that no file decides."""
    distinct = {encoded: part.rows for encoded, part in tests}
    if any(isinstance(rows, Always) for rows in distinct.values()):
        return Always()
    operands = tuple(distinct[encoded] for encoded in sorted(distinct))
    return operands[0] if len(operands) == 1 else AnyTrue(operands=operands)
