"""Reads columns, rows, filters and the uses of masks of a policy file."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.config.document import MapNode, Node
from penstock_server.model.resource import fold
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.tokens import ExpressionError
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields, Keys, Text, text_of, texts_of
from penstock_server.policy.source import CellsSource, ColumnList, ColumnMode, FilterSource, MaskUse, RowsSource
from penstock_server.policy.table_patterns import TablePattern, parse_table_pattern

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_COLUMN_KEYS: Final = Keys(what="`columns`", known=frozenset({"include", "exclude"}), unavailable=frozenset())
_FILTER_KEYS: Final = Keys(
    what="a filter",
    known=frozenset({"resource", "columns", "rows"}),
    unavailable=frozenset(),
    elsewhere=((frozenset({"tag_expression"}), "a data cells filter is one of one table, as in Lake Formation"),),
)


def parse_name(text: str) -> str:
    """Give the name of a grant, filter, mask or rules dataset.

    Raises:
        ValueError: it has other characters than these; the text goes well after the name in backticks.
    """
    if not _NAME.fullmatch(text):
        raise ValueError("is no name; write 1 to 128 letters, digits, dots, hyphens and underscores")
    return text


def parse_one_table(text: str) -> TablePattern:
    """Read the name of exactly one table.

    Raises:
        ValueError: it is no such name; the text goes well after it in backticks.
    """
    pattern = parse_table_pattern(text)
    if not pattern.exact:
        raise ValueError("must name one table here; write `catalog.database.table`")
    return pattern


def read_cells(fields: Fields, problems: Problems) -> CellsSource | None:
    """Read `columns` and `rows`; None where one of them is wrong."""
    before = len(problems)
    columns = _columns(fields, problems) if fields.has("columns") else None
    rows = _rows(fields, problems) if fields.has("rows") else None
    return CellsSource(columns=columns, rows=rows) if len(problems) == before else None


def read_filter(name: Text, node: Node, problems: Problems) -> FilterSource | None:
    """Read one entry under `filters`."""
    fields = _named(name, node, _FILTER_KEYS, "filter", problems)
    if fields is None:
        return None
    resource = fields.parsed("resource", parse_one_table)
    cells = read_cells(fields, problems)
    if not fields.has("columns") and not fields.has("rows"):
        problems.add(name.place, f"the filter `{name.value}` filters nothing; give it `columns` or `rows`")
        return None
    if resource is None or cells is None:
        return None
    return FilterSource(
        name=name.value,
        place=name.place,
        resource=resource,
        resource_place=fields.place_of("resource"),
        cells=cells,
    )


def read_mask_uses(fields: Fields, problems: Problems) -> tuple[MaskUse, ...] | None:
    """Read `masks: {column: mask}` of a grant."""
    if not fields.has("masks"):
        return ()
    node = fields.mapping("masks")
    if node is None:
        return None
    uses: list[MaskUse] = []
    seen: set[str] = set()
    for entry in node.entries:
        mask = text_of(entry.node, entry.key, problems)
        if fold(entry.key) in seen:
            problems.add(entry.place, f"`masks` names the column `{entry.key}` twice; remove one")
        elif mask is not None:
            uses.append(MaskUse(column=Text(value=entry.key, place=entry.place), mask=mask))
        seen.add(fold(entry.key))
    return tuple(uses) if len(uses) == len(node.entries) else None


def _named(name: Text, node: Node, keys: Keys, kind: str, problems: Problems) -> Fields | None:
    try:
        parse_name(name.value)
    except ValueError as error:
        problems.add(name.place, f"{kind} `{name.value}` {error}")
        return None
    if not isinstance(node, MapNode):
        problems.add(name.place, f"the {kind} `{name.value}` must hold keys with values")
        return None
    return Fields(node, keys, problems)


def _columns(fields: Fields, problems: Problems) -> ColumnList | None:
    node = fields.mapping("columns")
    if node is None:
        return None
    inner = Fields(node, _COLUMN_KEYS, problems)
    if len(node.entries) != 1:
        problems.add(node.place, "`columns` holds exactly one of `include` and `exclude`")
        return None
    entry = node.entries[0]
    if not inner.has("include") and not inner.has("exclude"):
        return None
    names = texts_of(entry.node, entry.key, problems)
    return None if names is None else ColumnList(mode=ColumnMode(entry.key), names=names)


def _rows(fields: Fields, problems: Problems) -> RowsSource | None:
    text = fields.expression("rows")
    if text is None:
        return None
    try:
        return RowsSource(node=parse_filter(text.value), place=text.place)
    except ExpressionError as error:
        problems.add(text.place, f"`rows`, character {error.position + 1}: {error.message}")
        return None
