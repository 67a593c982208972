"""Rules datasets as CSV, in the manner of QuickSight's user-based row-level security, read strictly.

Inside a row AND over the fields that are not empty; a comma list in a field is IN; several rows are OR. An empty field
restricts nothing, so everything that could make a field empty by accident is refused: short rows, doubled or unknown
headers, values without an identity, empty elements of a list.

Source: Amazon QuickSight user guide, "Using row-level security with user-based rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import Place
from penstock_server.config.principals import parse_selector
from penstock_server.model.predicate import Constant
from penstock_server.model.principal import KnownIssuers, PrincipalSelector
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.form import RowError, RowPlaces, RulesFormat, shortened
from penstock_server.policy.rules.header import ArnNames, Header
from penstock_server.policy.rules.values import parse_value

MAX_CELL_LENGTH: Final = 4 * 2**20
"""Longest cell, in characters: some hundred thousand values. A longer one is a file that went wrong."""

MAX_PROBLEMS_PER_FILE: Final = 20
"""Reading stops here: one mistake of an export repeats in every row."""

# One field: unquoted without a quote in it, or quoted with "" for a quote; then a comma or the end.
_FIELD: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(,|\Z)')
_REFUSED: Final = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")

Restriction = frozenset[Constant] | None
"""The values that a field may have, or None where it is not restricted."""

Rule = tuple[Restriction, ...]
"""One row: a restriction for each field, in the order of the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesTable:
    """A rules dataset: the restricted fields, and the rules of each user and group that has any.

    `families` are the types of the fields; `first_rows` tell for a field that is no text in which row each of its
    values stands first.
    """

    fields: tuple[str, ...]
    families: tuple[TypeFamily, ...]
    places: RowPlaces
    rules: Mapping[PrincipalSelector, tuple[Rule, ...]]
    first_rows: tuple[Mapping[Constant, int], ...]

    @property
    def header_place(self) -> Place:
        """Where the names of the fields stand."""
        return self.places.header_place()


def parse_rules(
    raw: bytes, places: RowPlaces, issuers: KnownIssuers, problems: Problems, *, form: RulesFormat
) -> RulesTable | None:
    """Read a rules dataset; None where there are problems, which are noted with file, row and field."""
    before = len(problems)
    text = _decoded(raw, places, problems)
    if text is None:
        return None
    lines = text.split("\n")
    try:
        header = Header(_fields(lines[0].removesuffix("\r")), form)
    except RowError as error:
        places.note(1, error, problems)
        return None
    rules: dict[PrincipalSelector, dict[Rule, None]] = {}
    reader = _RowReader(header, issuers)
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = reader.read(line.removesuffix("\r"), number)
        except RowError as error:
            places.note(number, error, problems)
            if len(problems) - before >= MAX_PROBLEMS_PER_FILE:
                break
            continue
        if row is not None:
            rules.setdefault(row[0], {})[row[1]] = None  # a row that stands there twice counts once
    if len(problems) > before:
        return None
    return RulesTable(
        fields=header.fields,
        families=header.families,
        places=places,
        rules={selector: tuple(found) for selector, found in rules.items()},
        first_rows=reader.first_rows,
    )


def _decoded(raw: bytes, places: RowPlaces, problems: Problems) -> str | None:
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        what = RowError("starts with a byte order mark, which would rename the first column; save it without one")
        places.note(1, what, problems)
        return None
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        places.note(raw.count(b"\n", 0, error.start) + 1, RowError("is not UTF-8; save it as UTF-8"), problems)
        return None
    bad = _REFUSED.search(text)
    if bad is not None:
        what = RowError(f"holds the character U+{ord(bad.group()):04X}; remove it")
        places.note(text.count("\n", 0, bad.start()) + 1, what, problems)
        return None
    return text


class _RowReader:
    """Reads rows; equal values share one object, which is what keeps a million rows in memory."""

    def __init__(self, header: Header, issuers: KnownIssuers) -> None:
        self._header = header
        self._issuers = issuers
        self._arns = ArnNames()
        texts: dict[str, Restriction] = {"": None}
        # A text means the same in every field of that type, other cells do not.
        self._restrictions: tuple[dict[str, Restriction], ...] = tuple(
            texts if family is TypeFamily.TEXT else {"": None} for family in header.families
        )
        self._columns = tuple(enumerate(header.field_indexes))
        self._selectors: dict[tuple[bool, str], PrincipalSelector] = {}
        self._rules: dict[Rule, Rule] = {}
        self.first_rows: tuple[dict[Constant, int], ...] = tuple({} for _ in header.fields)

    def read(self, line: str, number: int) -> tuple[PrincipalSelector, Rule] | None:
        """Give the identity and its rule, or None for a row that is wholly empty."""
        if not line:
            return None
        header = self._header
        cells = _fields(line)
        if len(cells) != len(header.names):
            count = f"{len(cells)} field" + ("" if len(cells) == 1 else "s")
            raise RowError(
                f"has {count} and the header {len(header.names)}; a missing field would be read as no restriction"
            )
        if not any(cells):
            return None
        user = cells[header.user] if header.user is not None else ""
        group = cells[header.group] if header.group is not None else ""
        if user and group:
            raise RowError(
                f"names both a user and a group; write one row for `{header.user_name}` and one for "
                f"`{header.group_name}`"
            )
        if not user and not group:
            raise RowError("has values but neither a user nor a group")
        rule = tuple(self._restriction(cells[index], field, number) for field, index in self._columns)
        return self._selector(user, group), self._rules.setdefault(rule, rule)

    def _selector(self, user: str, group: str) -> PrincipalSelector:
        key = (bool(user), user or group)
        found = self._selectors.get(key)
        if found is None:
            kind, column = ("user", self._header.user_name) if user else ("group", self._header.group_name)
            try:
                name = self._arns.name(key[1], kind) if self._header.by_arn else key[1]
                found = parse_selector(f"{kind}:{name}", self._issuers)
            except RowError as error:
                raise RowError(f"field `{column}`: {error}", told=f"field `{column}`: {error.told}") from error
            except ValueError as error:
                raise RowError(
                    f"field `{column}`: `{shortened(key[1])}` {error}", told=f"field `{column}`: a value {error}"
                ) from error
            self._selectors[key] = found
        return found

    def _restriction(self, cell: str, field: int, number: int) -> Restriction:
        try:
            return self._restrictions[field][cell]
        except KeyError:
            pass
        family = self._header.families[field]
        try:
            elements = _listed(cell)
            values: frozenset[Constant] = (
                frozenset(elements)
                if family is TypeFamily.TEXT
                else frozenset(parse_value(element, family) for element in elements)
            )
        except RowError as error:
            named = f"field `{self._header.fields[field]}`: "
            raise RowError(named + str(error), told=named + error.told) from error
        if family is not TypeFamily.TEXT:
            for value in values:
                self.first_rows[field].setdefault(value, number)
        self._restrictions[field][cell] = values
        return values


def _fields(line: str) -> tuple[str, ...]:
    """Split one line; a quoted field ends in the same line."""
    if '"' not in line:
        return tuple(line.split(","))
    return tuple(_split(line, 'a quote that is not doubled, or a line break inside quotes; write `""` for a quote'))


def _listed(cell: str) -> Iterable[str]:
    if len(cell) > MAX_CELL_LENGTH:
        raise RowError(f"has more than {MAX_CELL_LENGTH} characters; spread its values over several rows")
    return _elements(cell) if '"' in cell or "," in cell else (cell,)


def _elements(cell: str) -> Iterator[str]:
    """Split the comma list of a field; an element in inner quotes is one literal, commas and all."""
    for element in _split(cell, "a quote inside a value; put the value in quotes and double the quote"):
        if not element:
            raise RowError("has an empty element in its list; remove the comma that is too many")
        yield element


def _split(text: str, wrong: str) -> Iterator[str]:
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            raise RowError(f"has {wrong}")
        quoted, plain, end = match.groups()
        yield quoted.replace('""', '"') if quoted is not None else plain
        position = match.end()
        if not end:
            return
