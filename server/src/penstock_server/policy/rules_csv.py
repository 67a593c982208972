"""Rules datasets as CSV, in the manner of QuickSight's user-based row-level security, read strictly.

Inside a row AND over the fields that are not empty; a comma list in a field is IN; several rows are OR. An empty field
restricts nothing, so everything that could make a field empty by accident is refused: short rows, doubled or unknown
headers, values without an identity, empty elements of a list.

Source: Amazon QuickSight user guide, "Using row-level security with user-based rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import Place
from penstock_server.config.principals import parse_selector
from penstock_server.model.principal import KnownIssuers, PrincipalSelector
from penstock_server.model.resource import fold
from penstock_server.policy.problems import NOT_AVAILABLE, Problems

USER_NAME: Final = "UserName"
GROUP_NAME: Final = "GroupName"
MAX_PROBLEMS_PER_FILE: Final = 20
"""Reading stops here: one mistake of an export repeats in every row."""

_IDENTITIES: Final = (USER_NAME, GROUP_NAME)
_ARN_IDENTITIES: Final = ("UserARN", "GroupARN")
# One field: unquoted without a quote in it, or quoted with "" for a quote; then a comma or the end.
_FIELD: Final = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|\Z)')
_REFUSED: Final = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")

Restriction = frozenset[str] | None
"""The values that a field may have, or None where it is not restricted."""

Rule = tuple[Restriction, ...]
"""One row: a restriction for each field, in the order of the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesTable:
    """A rules dataset: the restricted fields, and the rules of each user and group that has any."""

    fields: tuple[str, ...]
    header_place: Place
    rules: Mapping[PrincipalSelector, tuple[Rule, ...]]


class _RowError(ValueError):
    """What is wrong with one row."""


def parse_rules(raw: bytes, source: str, issuers: KnownIssuers, problems: Problems) -> RulesTable | None:
    """Read a rules dataset; None where there are problems, which are noted with file, row and field."""
    before = len(problems)
    text = _decoded(raw, source, problems)
    if text is None:
        return None
    lines = text.split("\n")
    place = Place(source=source, line=1, column=1)
    try:
        header = _Header(_fields(lines[0].removesuffix("\r")))
    except _RowError as error:
        problems.add(place, str(error))
        return None
    rules: dict[PrincipalSelector, dict[Rule, None]] = {}
    reader = _RowReader(header, issuers)
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = reader.read(line.removesuffix("\r"))
        except _RowError as error:
            problems.add(Place(source=source, line=number, column=1), str(error))
            if len(problems) - before >= MAX_PROBLEMS_PER_FILE:
                break
            continue
        if row is not None:
            rules.setdefault(row[0], {})[row[1]] = None  # a row that stands there twice counts once
    if len(problems) > before:
        return None
    indexed = {selector: tuple(found) for selector, found in rules.items()}
    return RulesTable(fields=header.fields, header_place=place, rules=indexed)


def _decoded(raw: bytes, source: str, problems: Problems) -> str | None:
    place = Place(source=source, line=1, column=1)
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        problems.add(place, "starts with a byte order mark, which would rename the first column; save it without one")
        return None
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.add(Place(source=source, line=line, column=1), "is not UTF-8; save it as UTF-8")
        return None
    bad = _REFUSED.search(text)
    if bad is not None:
        line = text.count("\n", 0, bad.start()) + 1
        problems.add(
            Place(source=source, line=line, column=1), f"holds the character U+{ord(bad.group()):04X}; remove it"
        )
        return None
    return text


class _Header:
    """The columns: where the identities stand, and which fields are restricted."""

    def __init__(self, names: tuple[str, ...]) -> None:
        seen: dict[str, str] = {}
        for name in names:
            if not name:
                raise _RowError("a column has no name; name every column in the first line")
            if name in _ARN_IDENTITIES:
                raise _RowError(f"the column `{name}` is {NOT_AVAILABLE}; use `{USER_NAME}` and `{GROUP_NAME}`")
            for special in (*_IDENTITIES, *_ARN_IDENTITIES):
                if fold(name) == fold(special) and name != special:
                    raise _RowError(f"the column `{name}` is written `{special}`; names are case-sensitive")
            if fold(name) in seen:
                raise _RowError(f"the columns `{seen[fold(name)]}` and `{name}` are the same; remove one")
            seen[fold(name)] = name
        if not any(identity in names for identity in _IDENTITIES):
            raise _RowError(f"has neither a column `{USER_NAME}` nor `{GROUP_NAME}`; without one it says nothing")
        self.names = names
        self.user = names.index(USER_NAME) if USER_NAME in names else None
        self.group = names.index(GROUP_NAME) if GROUP_NAME in names else None
        self.field_indexes = tuple(index for index, name in enumerate(names) if name not in _IDENTITIES)
        self.fields = tuple(names[index] for index in self.field_indexes)


class _RowReader:
    """Reads rows; equal values share one object, which is what keeps a million rows in memory."""

    def __init__(self, header: _Header, issuers: KnownIssuers) -> None:
        self._header = header
        self._issuers = issuers
        self._restrictions: dict[str, Restriction] = {"": None}
        self._selectors: dict[tuple[bool, str], PrincipalSelector] = {}
        self._rules: dict[Rule, Rule] = {}

    def read(self, line: str) -> tuple[PrincipalSelector, Rule] | None:
        """Give the identity and its rule, or None for a row that is wholly empty."""
        if not line:
            return None
        header = self._header
        fields = _fields(line)
        if len(fields) != len(header.names):
            count = f"{len(fields)} field" + ("" if len(fields) == 1 else "s")
            raise _RowError(
                f"has {count} and the header {len(header.names)}; a missing field would be read as no restriction"
            )
        if not any(fields):
            return None
        user = fields[header.user] if header.user is not None else ""
        group = fields[header.group] if header.group is not None else ""
        if user and group:
            raise _RowError(
                f"names both a user and a group; write one row for `{USER_NAME}` and one for `{GROUP_NAME}`"
            )
        if not user and not group:
            raise _RowError("has values but neither a user nor a group")
        rule = tuple(self._restriction(fields[index], index) for index in header.field_indexes)
        return self._selector(user, group), self._rules.setdefault(rule, rule)

    def _selector(self, user: str, group: str) -> PrincipalSelector:
        key = (bool(user), user or group)
        found = self._selectors.get(key)
        if found is None:
            kind, column = ("user", USER_NAME) if user else ("group", GROUP_NAME)
            try:
                found = parse_selector(f"{kind}:{key[1]}", self._issuers)
            except ValueError as error:
                raise _RowError(f"field `{column}`: `{key[1]}` {error}") from error
            self._selectors[key] = found
        return found

    def _restriction(self, cell: str, index: int) -> Restriction:
        try:
            return self._restrictions[cell]
        except KeyError:
            pass
        try:
            values = frozenset(_elements(cell)) if '"' in cell or "," in cell else frozenset({cell})
        except _RowError as error:
            raise _RowError(f"field `{self._header.names[index]}`: {error}") from error
        self._restrictions[cell] = values
        return values


def _fields(line: str) -> tuple[str, ...]:
    """Split one line; a quoted field ends in the same line."""
    if '"' not in line:
        return tuple(line.split(","))
    return tuple(_split(line, 'a quote that is not doubled, or a line break inside quotes; write `""` for a quote'))


def _elements(cell: str) -> Iterator[str]:
    """Split the comma list of a field; an element in inner quotes is one literal, commas and all."""
    for element in _split(cell, "a quote inside a value; put the value in quotes and double the quote"):
        if not element:
            raise _RowError("has an empty element in its list; remove the comma that is too many")
        yield element


def _split(text: str, wrong: str) -> Iterator[str]:
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            raise _RowError(f"has {wrong}")
        quoted, plain, end = match.groups()
        yield quoted.replace('""', '"') if quoted is not None else plain
        position = match.end()
        if not end:
            return
