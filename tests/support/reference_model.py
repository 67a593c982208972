"""What a policy means, cell by cell, in the plainest Python: an oracle that uses nothing of the policy package.

Truth values are numbers: FALSE 0, UNKNOWN 1, TRUE 2; AND is the least, OR the greatest, NOT turns them round.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FALSE, UNKNOWN, TRUE = 0, 1, 2

Expression = tuple[Any, ...]
"""`("cmp", column, op, value)`, `("between", column, low, high)`, `("in", column, values)`,
`("like", column, pattern)`, `("null", column)`, `("not", e)`, `("and", [e, ...])`, `("or", [e, ...])`,
`("my name", column, op)`, `("my subject", column, op)`, `("my groups", column)`, `("my attribute", column, op, name)`,
`("my attributes", column, name)`."""

Row = Mapping[str, Any]
"""Values by column; a struct is a mapping of its own."""


@dataclass(frozen=True, kw_only=True)
class Person:
    issuer: str
    subject: str
    username: str | None
    groups: frozenset[str]
    attributes: Mapping[str, Sequence[str]]
    groups_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class MaskModel:
    """What a mask shows of a value, already of the column's type; `always_null` = NULL whatever the value."""

    rank: int
    shows: Callable[[Any], Any]
    always_null: bool = False


@dataclass(frozen=True, kw_only=True)
class CellsModel:
    """Columns (`include`, `exclude` or None = all) and rows (None = all) shown together; masks by column."""

    mode: str | None
    names: frozenset[str]
    rows: Expression | None
    masks: Mapping[str, MaskModel] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GrantModel:
    name: str
    principals: Sequence[str]
    tables: frozenset[str]
    permissions: frozenset[str]
    cells: Sequence[CellsModel]
    expires: datetime | None


@dataclass(frozen=True, kw_only=True)
class RuleModel:
    """One row of a rules dataset: who, and the values that each restricted field may have."""

    user: str
    group: str
    values: Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class ColumnRuleModel:
    """Columns that are there only for those whom a rule on them names."""

    table: str
    columns: Sequence[str]
    principals: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class DenialModel:
    """What is taken on some tables from everybody but those whom it spares."""

    tables: frozenset[str]
    permissions: frozenset[str]
    spared: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PolicyModel:
    """`types` are `text`, `integer`, `boolean`, `date` and others, by table and column.

    Of a struct, `columns` and everything that speaks of columns hold the paths of its fields: `s.a`, `s.t.x`.
    """

    default_issuer: str
    group_prefixes: Mapping[str, str]
    columns: Mapping[str, Sequence[str]]
    types: Mapping[str, Mapping[str, str]]
    grants: Sequence[GrantModel]
    datasets: Mapping[str, Sequence[Sequence[RuleModel]]]
    denying: frozenset[tuple[str, int]] = frozenset()
    column_rules: Sequence[ColumnRuleModel] = ()
    denials: Sequence[DenialModel] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a person sees: `outcome` is hidden, described or select."""

    outcome: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    full: bool = False


def see(policy: PolicyModel, person: Person, table: str, rows: Sequence[Row], at: datetime) -> Seen:
    """Give what a person sees of a table that holds these rows, at an instant."""
    applying = [grant for grant in policy.grants if _applies(policy, grant, person, table, at)]
    reading = [grant for grant in applying if "SELECT" in grant.permissions]
    knowing = [grant for grant in applying if grant.permissions & {"SELECT", "DESCRIBE"}]
    lost = {
        permission
        for denial in policy.denials
        if table in denial.tables and not any(_names(policy, principal, person) for principal in denial.spared)
        for permission in denial.permissions
    }
    if not knowing or "DESCRIBE" in lost:
        return Seen(outcome="hidden")
    if "SELECT" in lost:
        reading = []
    there = [column for column in policy.columns[table] if _open(policy, column, person, table)]
    if not reading:
        known = [column for column in there if any(_has(cells, column) for grant in knowing for cells in grant.cells)]
        return Seen(outcome="described", columns=tuple(known)) if known else Seen(outcome="hidden")
    parts = [cells for grant in reading for cells in grant.cells if any(_has(cells, column) for column in there)]
    visible = [column for column in there if any(_has(cells, column) for cells in parts)]
    if not visible:
        return Seen(outcome="hidden")
    types = policy.types[table]
    shown = []
    for row in rows:
        holding = [cells for cells in parts if _truth(policy, cells.rows, row, types, person) == TRUE]
        if holding and all(
            _rules_keep(policy, dataset, row, person)
            if (table, number) in policy.denying
            else _rules_show(policy, dataset, row, person)
            for number, dataset in enumerate(policy.datasets.get(table, ()))
        ):
            tops = dict.fromkeys(column.partition(".")[0] for column in visible)
            shown.append(tuple(_shown(holding, top, visible, row) for top in tops))
    ruled = policy.datasets.get(table) or any(rule.table == table for rule in policy.column_rules)
    full = (
        not ruled
        and "RAW" not in lost
        and any(cells.mode is None and cells.rows is None and not cells.masks for cells in parts)
    )
    return Seen(outcome="select", columns=tuple(visible), rows=tuple(shown), full=full)


def _open(policy: PolicyModel, column: str, person: Person, table: str) -> bool:
    rules = [rule for rule in policy.column_rules if rule.table == table and column in rule.columns]
    return not rules or any(_names(policy, principal, person) for rule in rules for principal in rule.principals)


def _applies(policy: PolicyModel, grant: GrantModel, person: Person, table: str, at: datetime) -> bool:
    if table not in grant.tables or (grant.expires is not None and at >= grant.expires):
        return False
    return any(_names(policy, principal, person) for principal in grant.principals)


def _names(policy: PolicyModel, principal: str, person: Person) -> bool:
    mine = {f"user:{person.issuer}|{person.subject}", f"everyone@{person.issuer}"}
    if person.issuer == policy.default_issuer:
        mine.add("everyone")
        mine |= {f"group:{group}" for group in person.groups}
        if person.username is not None:
            mine.add(f"user:{person.username}")
    else:
        mine |= {f"group:{policy.group_prefixes[person.issuer]}{group}" for group in person.groups}
    return principal in mine


def _has(cells: CellsModel, column: str) -> bool:
    if cells.mode is None:
        return True
    return (column in cells.names) == (cells.mode == "include")


def _shown(holding: Sequence[CellsModel], path: str, visible: Sequence[str], row: Row) -> Any:
    """Give what a column shows; a struct is NULL where no field shows, and where it is NULL and one shows clear."""
    if path in visible:
        return _cell(holding, path, row)
    below = [column for column in visible if column.startswith(f"{path}.")]
    clear = [cells for column in below for cells in holding if _has(cells, column) and column not in cells.masks]
    masks = [mask for column in below if (mask := _mask(holding, column)) is not None]
    if not clear and all(mask.always_null for mask in masks):
        return None
    if clear and _value(row, path) is None:
        return None
    names = dict.fromkeys(column[len(path) + 1 :].partition(".")[0] for column in below)
    return {name: _shown(holding, f"{path}.{name}", visible, row) for name in names}


def _value(row: Row, path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        if value is None:
            return None
        value = value[name]
    return value


def _mask(holding: Sequence[CellsModel], column: str) -> MaskModel | None:
    """Give the mask that a cell shows; None where it shows its value, or nothing."""
    showing = [cells for cells in holding if _has(cells, column)]
    if any(column not in cells.masks for cells in showing):
        return None
    return min((cells.masks[column] for cells in showing), key=lambda mask: mask.rank, default=None)


def _cell(holding: Sequence[CellsModel], column: str, row: Row) -> Any:
    masks = []
    for cells in holding:
        if _has(cells, column):
            mask = cells.masks.get(column)
            if mask is None:
                return _value(row, column)
            masks.append(mask)
    if not masks:
        return None
    lowest = min(masks, key=lambda mask: mask.rank)
    return lowest.shows(_value(row, column))


def _rules_show(policy: PolicyModel, dataset: Sequence[RuleModel], row: Row, person: Person) -> bool:
    return any(
        all(row[column] in values for column, values in rule.values.items() if values)
        for rule in _naming(policy, dataset, person)
    )


def _rules_keep(policy: PolicyModel, dataset: Sequence[RuleModel], row: Row, person: Person) -> bool:
    """Tell whether no rule of a denying dataset takes the row, or might take it if NULL were some value."""
    known = {policy.default_issuer if not rule.group.startswith("other:") else "other" for rule in dataset}
    home = policy.default_issuer if person.issuer == policy.default_issuer else "other"
    if not person.groups_complete or person.username is None or home not in known:
        return False
    return not any(
        all(row[column] is None or row[column] in values for column, values in rule.values.items() if values)
        for rule in _naming(policy, dataset, person)
    )


def _naming(policy: PolicyModel, dataset: Sequence[RuleModel], person: Person) -> Iterator[RuleModel]:
    for rule in dataset:
        if rule.user and person.issuer == policy.default_issuer:
            if rule.user == person.username:
                yield rule
        elif rule.group and _names(policy, f"group:{rule.group}", person):
            yield rule


def _truth(policy: PolicyModel, e: Expression | None, row: Row, types: Mapping[str, str], person: Person) -> int:
    if e is None:
        return TRUE
    kind = e[0]
    if kind == "not":
        return 2 - _truth(policy, e[1], row, types, person)
    if kind in {"and", "or"}:
        inner = [_truth(policy, operand, row, types, person) for operand in e[1]]
        return min(inner) if kind == "and" else max(inner)
    value = _value(row, e[1])
    if kind == "null":
        return TRUE if value is None else FALSE
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if kind.startswith("my "):
        return _mine(policy, e, value, types[e[1]], person)
    if kind == "between":
        return TRUE if e[2] <= value <= e[3] else FALSE
    if kind == "in":
        return TRUE if value in e[2] else FALSE
    if kind == "like":
        return TRUE if _like(value, e[2]) else FALSE
    return TRUE if _compare(value, e[2], e[3]) else FALSE


def _mine(policy: PolicyModel, e: Expression, value: Any, kind: str, person: Person) -> int:
    at_home = person.issuer == policy.default_issuer
    if e[0] == "my name":
        texts: Sequence[str] = [person.username] if at_home and person.username is not None else []
    elif e[0] == "my subject":
        texts = [subject_hash(person)]
    elif e[0] == "my groups":
        texts = sorted(person.groups) if at_home else []
    else:
        texts = person.attributes.get(e[-1], ())
    constants = [_fitting(text, kind) for text in texts]
    if not constants or None in constants:
        return UNKNOWN
    if e[0] in {"my groups", "my attributes"}:
        return TRUE if value in constants else FALSE
    if len(constants) != 1:
        return UNKNOWN
    return TRUE if _compare(value, e[2], constants[0]) else FALSE


def subject_hash(person: Person) -> str:
    """SHA-256 of issuer and subject, each after its length in 8 bytes, written in hex."""
    parts = [part.encode() for part in (person.issuer, person.subject)]
    return hashlib.sha256(b"".join(struct.pack(">Q", len(part)) + part for part in parts)).hexdigest()


def _fitting(text: str, kind: str) -> Any:
    if kind == "text":
        return text
    if kind == "integer":
        return int(text) if text.lstrip("-").isdecimal() and str(int(text)) == text and abs(int(text)) < 2**31 else None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text)
    return None


def _compare(value: Any, op: str, constant: Any) -> bool:
    outcomes = {
        "=": value == constant,
        "<>": value != constant,
        "!=": value != constant,
        "<": value < constant,
        ">": value > constant,
        "<=": value <= constant,
        ">=": value >= constant,
    }
    return bool(outcomes[op])


def _like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(text[skipped:], pattern[1:]) for skipped in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and _like(text[1:], pattern[1:])
