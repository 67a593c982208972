"""Reads columns, rows, filters and masks of a policy file."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.config.document import MapNode, Node, ScalarNode
from penstock_server.model.resource import fold
from penstock_server.policy.fields import Fields, Keys, Text, text_of, texts_of
from penstock_server.policy.filter_tokens import ExpressionError
from penstock_server.policy.masks import (
    OTHER_BUILTINS,
    Builtin,
    ConstantMask,
    MaskSource,
    parse_mask_expression,
    parse_mask_type,
)
from penstock_server.policy.problems import NOT_AVAILABLE, Problems
from penstock_server.policy.row_filter import parse_filter
from penstock_server.policy.source import CellsSource, ColumnList, ColumnMode, FilterSource, MaskUse, RowsSource
from penstock_server.policy.table_patterns import TablePattern, parse_table_pattern

MAX_RANK: Final = 1_000_000
"""Highest rank of a mask; the lowest is 0."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_COLUMN_KEYS: Final = Keys(what="`columns`", known=frozenset({"include", "exclude"}), unavailable=frozenset())
_FILTER_KEYS: Final = Keys(
    what="a filter",
    known=frozenset({"resource", "columns", "rows"}),
    unavailable=frozenset(),
    elsewhere=((frozenset({"tag_expression"}), "a data cells filter is one of one table, as in Lake Formation"),),
)
_MASK_KEYS: Final = Keys(
    what="a mask",
    known=frozenset({"rank", "builtin", "expression", "type"}),
    unavailable=frozenset({"key", "keep_last", "keep_first", "with", "to"}),
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


def read_mask(name: Text, node: Node, problems: Problems) -> MaskSource | None:
    """Read one entry under `masks`."""
    fields = _named(name, node, _MASK_KEYS, "mask", problems)
    if fields is None:
        return None
    rank = _rank(fields, problems)
    form = _mask_form(fields, name, problems)
    kind = fields.parsed("type", parse_mask_type) if fields.has("type") else None
    if rank is None or form is None or (kind is None and fields.has("type")):
        return None
    return MaskSource(name=name.value, place=name.place, rank=rank, form=form, type=kind)


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


def _rank(fields: Fields, problems: Problems) -> int | None:
    node = fields.node("rank")
    if node is None:
        return None
    value = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_RANK:
        problems.add(node.place, f"`rank` must be a whole number from 0 to {MAX_RANK}")
        return None
    return value


def _mask_form(fields: Fields, name: Text, problems: Problems) -> Builtin | ConstantMask | None:
    if fields.has("builtin") == fields.has("expression"):
        problems.add(name.place, f"the mask `{name.value}` needs exactly one of `builtin` and `expression`")
        return None
    if fields.has("builtin"):
        return _builtin(fields, problems)
    text = fields.expression("expression")
    if text is None:
        return None
    try:
        return parse_mask_expression(text.value)
    except ExpressionError as error:
        problems.add(text.place, f"`expression`, character {error.position + 1}: {error.message}")
        return None


def _builtin(fields: Fields, problems: Problems) -> Builtin | None:
    node = fields.node("builtin")
    # `builtin: null` is the YAML null and means the mask of that name all the same: it shows the least there is.
    if isinstance(node, ScalarNode) and node.text in {"null", "redact"}:
        return Builtin(node.text)
    text = fields.text("builtin")
    if text is not None and text.value in OTHER_BUILTINS:
        problems.add(text.place, f"the builtin mask `{text.value}` is {NOT_AVAILABLE}")
    elif text is not None:
        problems.add(text.place, f"`{text.value}` is no builtin mask; there are `null` and `redact`")
    return None
