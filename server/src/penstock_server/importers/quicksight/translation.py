"""A dataset and its rules to entries of a policy file: what can be said exactly, and why the rest cannot.

SECURITY: rules take away. Where one of them cannot be said, nobody gets a grant on the table; where a row of a rules
dataset or a principal of a column rule cannot, it is left out, which shows less
(test_what_cannot_be_said_grants_nothing, test_a_column_of_which_no_principal_is_mapped_is_closed).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock_server.importers.outcome import LeftOut
from penstock_server.importers.principals import MappedPrincipal
from penstock_server.importers.quicksight.dataset import DataSet, identity
from penstock_server.importers.quicksight.sheet import Sheet, SheetRow
from penstock_server.model.principal import EveryoneOf
from penstock_server.model.schema import TableSchema, TypeFamily

_UNSAYABLE: Final = frozenset({"Cc", "Cs"})


@dataclass(slots=True)
class Translated:
    """What was translated. `columns` are those of the grant; `rules` is the CSV, None where no rules apply."""

    columns: list[str] = field(default_factory=list)
    rules: str | None = None
    kept_rows: list[SheetRow] = field(default_factory=list)
    column_rules: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    sources: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    closed: bool = False


def translate(
    dataset: DataSet,
    sheet: Sheet | None,
    schema: TableSchema,
    principals: Mapping[str, MappedPrincipal],
    *,
    allow_deny: bool,
) -> Translated:
    """Translate a dataset over a table. `principals` are by identity, as `normalized` gives them.

    Rules that deny are carried over where `allow_deny`, and then whole or not at all.
    """
    found = Translated()
    for reason in _obstacles(dataset, sheet, schema, allow_deny=allow_deny):
        found.left_out.append(LeftOut(place=dataset.place, what=f"the dataset `{dataset.name}`", reason=reason))
        found.closed = True
    found.left_out += [
        LeftOut(place=place, what="rules by session tags", reason="sessions of anonymous embedding do not exist here")
        for place in dataset.tag_rules
    ]
    if found.closed:
        return found
    _columns(dataset, schema, principals, found)
    if not found.columns:
        found.closed = True
        return found
    if sheet is not None:
        _rows(dataset, sheet, schema, principals, found)
        if denies(dataset) and len(found.kept_rows) != len(sheet.rows):
            # SECURITY: a row that is left out of rules that deny would open what it describes.
            reason = "its rules are DENY_ACCESS, and without one of their rows they would show more"
            found.left_out.append(LeftOut(place=dataset.place, what=f"the dataset `{dataset.name}`", reason=reason))
            found.closed = True
    return found


def denies(dataset: DataSet) -> bool:
    """Tell whether the rules of a dataset take rows away."""
    return any(not rules.grants for rules in dataset.rules)


def normalized(principals: Mapping[str, MappedPrincipal], account: str) -> Mapping[str, MappedPrincipal]:
    """Give a mapping by identity, whether its file names principals by ARN or by `user/NAMESPACE/NAME`.

    Raises:
        ValueError: two keys are one identity.
    """
    found: dict[str, MappedPrincipal] = {}
    for key, value in principals.items():
        short = identity(key, account)
        if short in found:
            raise ValueError(f"`{short}` is mapped twice")
        found[short] = value
    return found


def row_identity(row: SheetRow, sheet: Sheet, dataset: DataSet) -> str:
    """Give whom a row names, as `user/NAMESPACE/NAME` or `group/NAMESPACE/NAME`."""
    named = row.user or row.group
    if sheet.by_arn:
        return identity(named, dataset.account)
    return f"{'user' if row.user else 'group'}/{dataset.rules[0].namespace}/{named}"


def _obstacles(dataset: DataSet, sheet: Sheet | None, schema: TableSchema, *, allow_deny: bool) -> Iterator[str]:
    """Say why nothing can be granted."""
    yield from dataset.not_plain
    for name, _ in dataset.columns:
        if schema.column(name) is None:
            yield f"its column `{name}` is none of {schema.name}"
    yield from _rules_obstacles(dataset, sheet, allow_deny=allow_deny)
    yield from _field_obstacles(dataset, sheet, schema)


def _rules_obstacles(dataset: DataSet, sheet: Sheet | None, *, allow_deny: bool) -> Iterator[str]:
    if len(dataset.rules) > 1:
        yield "it has several rules datasets"
    for rules in dataset.rules:
        if not rules.enabled:
            yield "its rules are DISABLED, so every reader sees every row; decide by hand whether that is meant"
        if not rules.grants and not allow_deny:
            yield "its rules are DENY_ACCESS; write rules that grant, or keep them by `--allow-deny`"
        if sheet is None:
            yield "it has a rules dataset, whose CSV was not given"
        elif sheet.by_arn != rules.by_arn:
            yield "its `FormatVersion` and the columns of the CSV do not agree"
    if not dataset.rules:
        if sheet is not None:
            yield "it has no rules dataset, but a CSV was given"
        if dataset.tag_rules:
            yield "it has rules by session tags alone"


def _field_obstacles(dataset: DataSet, sheet: Sheet | None, schema: TableSchema) -> Iterator[str]:
    types = dict(dataset.columns)
    for name in () if sheet is None else sheet.fields:
        column = schema.column(name)
        if types.get(name) != "STRING":
            yield f"the field `{name}` of its rules is no text column of the dataset"
        elif column is None or column.type.family is not TypeFamily.TEXT:
            yield f"the field `{name}` of its rules is no text column of {schema.name}"
    for rule in dataset.column_rules:
        for name in rule.columns:
            if name not in types:
                yield f"the column `{name}` of a column rule is none of the dataset"


def _columns(
    dataset: DataSet, schema: TableSchema, principals: Mapping[str, MappedPrincipal], found: Translated
) -> None:
    """Take the columns and the column rules."""
    restricted: dict[str, list[str]] = {}
    for rule in dataset.column_rules:
        for who in rule.principals:
            if who not in principals:
                found.left_out.append(
                    LeftOut(
                        place=rule.place,
                        what=f"`{who}` in the column rule on {', '.join(rule.columns)}",
                        reason="the principal is not in the mapping, or of another account",
                    )
                )
        allowed = [principals[who].written for who in rule.principals if who in principals]
        for name in rule.columns:
            restricted.setdefault(name, []).extend(allowed)
    for name, _ in dataset.columns:
        column = schema.column(name)
        if column is None:
            continue
        allowed = list(dict.fromkeys(restricted.get(name, ())))
        if name in restricted and not allowed:
            reason = "no principal of its column rules is in the mapping; it stays closed to all"
            found.left_out.append(LeftOut(place=dataset.place, what=f"the column `{name}`", reason=reason))
            continue
        found.columns.append(column.name)
        if allowed:
            found.column_rules.append(((column.name,), tuple(allowed)))


def _rows(
    dataset: DataSet,
    sheet: Sheet,
    schema: TableSchema,
    principals: Mapping[str, MappedPrincipal],
    found: Translated,
) -> None:
    """Take the rows of the rules dataset that can be said."""
    names = [column.name for column in map(schema.column, sheet.fields) if column is not None]
    lines = [_line(["UserName", "GroupName", *names])]
    for row in sheet.rows:
        mapped = principals.get(row_identity(row, sheet, dataset))
        reason = _row_obstacle(row, mapped)
        if reason is not None or mapped is None:
            what = f"the row of `{row.user or row.group}`"
            found.left_out.append(LeftOut(place=row.place, what=what, reason=reason or ""))
            continue
        kind, _, name = mapped.written.partition(":")
        lines.append(_line([name if kind == "user" else "", name if kind == "group" else "", *row.cells]))
        found.kept_rows.append(row)
    found.rules = "".join(line + "\n" for line in lines)


def _row_obstacle(row: SheetRow, mapped: MappedPrincipal | None) -> str | None:
    if row.user and row.group:
        return "it names both a user and a group, and QuickSight does not say which one counts"
    if not row.user and not row.group:
        return "it has values but names nobody"
    if mapped is None:
        return "the principal is not in the mapping, or of another account"
    if isinstance(mapped.selector, EveryoneOf):
        return "a rule cannot be for everyone"
    for cell in row.cells:
        if any(unicodedata.category(character) in _UNSAYABLE or character == "\ufeff" for character in cell):
            return "a value holds a control character or a line break"
        if not _is_list(cell):
            return "a list has an empty element, or a quote inside a value"
    return None


def _is_list(cell: str) -> bool:
    """Tell whether a cell is a list in one way only: elements without quotes, or wholly in them, and none empty."""
    if not cell:
        return True
    rest = cell
    while True:
        if rest.startswith('"'):
            inner, closed, rest = rest[1:].replace('""', "\0").partition('"')
            rest = rest.replace("\0", '""')
            if not closed or not inner:
                return False
        else:
            element, comma, after = rest.partition(",")
            if not element or '"' in element:
                return False
            rest = comma + after
        if not rest:
            return True
        if not rest.startswith(","):
            return False
        rest = rest[1:]


def _line(cells: list[str]) -> str:
    """Print one line of CSV."""
    return ",".join('"' + cell.replace('"', '""') + '"' if '"' in cell or "," in cell else cell for cell in cells)
