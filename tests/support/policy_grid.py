"""What two policies show on every row of a grid, to every kind of principal: an oracle for proofs about all rows.

Uses nothing of the policy package. Three-valued: each expression is a pair of arrays, TRUE and FALSE, over the grid.
The grid holds values below, between and above all constants of `support.policy_pairs`, and texts longer than patterns.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache, reduce
from typing import Any

import numpy as np

from support.policy_pairs import COMPUTED, EPOCH, MASKS, REQUIREMENTS, Filter, Grant, Policy
from support.reference_model import Expression

Array = np.ndarray[Any, np.dtype[np.bool_]]
Levels = np.ndarray[Any, np.dtype[np.uint8]]

SUBJECTS = tuple(hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))
"""What `:user.subject` may be: texts of that form."""
DOMAINS: dict[str, list[Any]] = {
    "i": [None, -128, *range(-2, 7), 127],
    "b": [None, False, True],
    "s": [
        None,
        *("".join(letters) for size in range(4) for letters in itertools.product("!ab~", repeat=size)),
        *("".join(letters) for size in (4, 5) for letters in itertools.product("ab", repeat=size)),
        *SUBJECTS,
    ],
    "x": [
        *(None, -math.inf, -5.0, math.nextafter(0, -1), 0.0, math.nextafter(0, 1), 0.5, math.nextafter(1, 0)),
        *(1.0, math.nextafter(1, 2), 7.0, math.inf, math.nan),
    ],
    "m": [None, *(Decimal(n).scaleb(-1) for n in range(-9, 10))],
    "t": [None, *(EPOCH + timedelta(milliseconds=500 * n) for n in range(-1, 4))],
}
_REDACTED: dict[str, Any] = {"s": "[redacted]", "i": 0, "m": 0.0, "x": 0.0, "b": False, "t": "1970"}
_CONST: dict[str, Any] = {"s": "a", "i": 2, "m": 0.2, "x": 2.0, "b": True, "t": "2024-01-03"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody, and what is known of the bucket when they ask: `met` are requirements."""

    username: str | None
    subject: str
    groups: frozenset[str]
    dept: tuple[str, ...]
    met: frozenset[str]

    def is_named(self, principals: Sequence[str]) -> bool:
        mine = {"everyone", f"user:{self.username}", *(f"group:{group}" for group in self.groups)}
        return not mine.isdisjoint(principals)

    def has(self, grant: Grant, *, ended: bool) -> bool:
        return self.is_named(grant.principals) and grant.requires <= self.met and not (ended and grant.ends)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`more`: somebody sees more in the new policy, on the grid; `other`: somebody sees anything else."""

    more: tuple[str, ...]
    other: bool


def people(policies: Sequence[Policy]) -> Iterator[Person]:
    """Give every kind of principal that can matter to policies of `support.policy_pairs`."""
    text = repr(policies)
    depts: Sequence[tuple[str, ...]] = [()]
    if "'dept'" in text:
        depts = [(), ("a",), ("1",), ("true",), ("a", "bb"), ("0", "3"), ("zz",), ("a", "1")]
    names = [None, "alice"]
    if "my name" in text:
        names += ["a", "zz"]
    subjects = SUBJECTS if "my subject" in text else SUBJECTS[:1]
    required = [name for name in REQUIREMENTS if repr(name) in text]
    for name, dept, subject, met in itertools.product(names, depts, subjects, _subsets(required)):
        for groups in _subsets(("g1", "g2")):
            yield Person(username=name, subject=subject, groups=groups, dept=dept, met=met)


def _subsets(names: Sequence[str]) -> list[frozenset[str]]:
    return [frozenset(some) for size in range(len(names) + 1) for some in itertools.combinations(names, size)]


def differences(old: Policy, new: Policy) -> Difference:
    """Compare two policies on the grid."""
    more: list[str] = []
    other = False
    seen: set[object] = set()
    with_claims = "'my" in repr((old, new))
    for person, ended in itertools.product(people((old, new)), (False, True)):
        alike = (_applying(old, person, ended), _applying(new, person, ended), person if with_claims else None)
        if alike in seen:
            continue
        seen.add(alike)
        found, differs = _compare(View(old, person, ended), View(new, person, ended))
        more += [f"{what} for {person}" for what in found]
        other |= differs
    return Difference(more=tuple(more), other=other)


def _applying(policy: Policy, person: Person, ended: bool) -> tuple[object, ...]:
    """Give all by which a policy tells principals apart, but for their own values."""
    return (
        tuple(person.has(grant, ended=ended) for grant in policy.grants),
        tuple(person.is_named((principal,)) for principal, _ in policy.rules or ()),
        tuple(person.is_named(named) for named in policy.closed.values()),
    )


class View:
    """What one person sees of the rows of a grid, or of one row."""

    def __init__(self, policy: Policy, person: Person, ended: bool, row: Mapping[str, Any] | None = None) -> None:
        self.policy = policy
        grid = _Grid(policy.columns, person, row)
        mine = [grant for grant in policy.grants if person.has(grant, ended=ended)]
        reading = [grant for grant in mine if "SELECT" in grant.permissions]
        knowing = [grant for grant in mine if {"SELECT", "DESCRIBE"} & set(grant.permissions)]
        closed = {column for column, named in policy.closed.items() if not person.is_named(named)}
        self.names = {
            column
            for column in (*policy.columns, "later")
            if column not in closed and any(grant.filter.shows(column) for grant in reading or knowing)
        }
        self.rows: Array = grid.nowhere()
        self.levels: dict[str, Levels] = {}
        open_columns = {*policy.columns, "later"} - closed
        holding = [
            (grant.filter, grid.true(grant.filter.rows))
            for grant in reading
            if any(grant.filter.shows(column) for column in open_columns)
        ]
        ruled = grid.ruled(policy)
        for _, where in holding:
            self.rows = self.rows | where
        self.rows = self.rows & ruled
        for column in (*policy.columns, "later"):
            shown = [] if column in closed else [(f, where & ruled) for f, where in holding if f.shows(column)]
            self.levels[column] = self._levels(column, shown, grid)
        whole = any(_shows_all(grant) for grant in reading)
        self.full = whole and policy.rules is None and not policy.closed
        self.files = self.full and bool(knowing) and any("RAW" in grant.permissions for grant in mine)

    def _levels(self, column: str, shown: Sequence[tuple[Filter, Array]], grid: _Grid) -> Levels:
        """Give for each row 0 = hidden, 1 = NULL, 2 = clear, else 3 + the place of the mask in LOOKS."""
        level = self.rows.astype(np.uint8)
        masked = [(f.masks[column], where) for f, where in shown if column in f.masks]
        for mask, where in sorted(masked, key=lambda pair: -self.policy.ranks[pair[0]]):
            level = np.where(where, np.uint8(3 + LOOKS.index(mask)), level)
        for part, where in shown:
            if column not in part.masks:
                level = np.where(where, np.uint8(2), level)
        return level


LOOKS = (*MASKS, *COMPUTED)


def look(level: int, column: str) -> tuple[Any, ...]:
    """Give what a level shows: equal looks show the same for every value."""
    if level in {0, 1, 2}:
        return (("hidden",), ("constant", None), ("clear",))[level]
    match LOOKS[level - 3]:
        case "null":
            return ("constant", None)
        case "redact":
            return ("constant", _REDACTED[column])
        case "const":
            return ("constant", _CONST[column])
        case "first" | "last" as name:
            return ("computed", name)
        case name:
            # On a truth value two of these tests may write the same constants.
            return ("test", name)


_TELLS = {"hidden": -1, "constant": 0, "test": 1, "computed": 1, "clear": 2}


def tells_more(now: tuple[Any, ...], before: tuple[Any, ...], column: str, old: Policy) -> bool:
    """Tell whether a look tells more than another: nothing, something by a mask, or the value.

    Of masks two tests tell as much; beside them the order of ranks in the old version counts, which ranks what it uses.
    """
    if _TELLS[now[0]] != 1 or _TELLS[before[0]] != 1:
        return _TELLS[now[0]] > _TELLS[before[0]]
    if now == before or now[0] == before[0] == "test":
        return False
    used = {grant.filter.masks.get(column) for grant in old.grants}
    return now[1] not in used or old.ranks[now[1]] < old.ranks[before[1]]


def _compare(old: View, new: View) -> tuple[list[str], bool]:
    more = [f"name {column}" for column in new.names - old.names]
    other = old.names != new.names
    before_rows, after_rows = np.broadcast_arrays(old.rows, new.rows)
    if (after_rows & ~before_rows).any():
        more.append("row")
    other = other or bool((after_rows != before_rows).any())
    for column, after in new.levels.items():
        before, after_ = np.broadcast_arrays(old.levels[column], after)
        for pair in np.flatnonzero(np.bincount((before * np.uint8(16) + after_).ravel())):
            first, second = look(int(pair) // 16, column), look(int(pair) % 16, column)
            if "hidden" not in {first[0], second[0]} and tells_more(second, first, column, old.policy):
                more.append(f"{first} -> {second} of {column}")
            other = other or first != second
    for what, before_door, after_door in (("full", old.full, new.full), ("files", old.files, new.files)):
        if after_door and not before_door:
            more.append(what)
        other = other or before_door != after_door
    return more, other


def _shows_all(grant: Grant) -> bool:
    return grant.filter.columns[0] is None and grant.filter.rows is None and not grant.filter.masks


class _Grid:
    """All rows of the domains, or the one row that is given."""

    def __init__(self, columns: Sequence[str], person: Person, row: Mapping[str, Any] | None) -> None:
        self._columns = tuple(columns)
        self._person = person
        self._row = row

    def nowhere(self) -> Array:
        return np.zeros((1,) * len(self._columns), bool)

    def true(self, e: Expression | None) -> Array:
        return ~self.nowhere() if e is None else self._pair(e)[0]

    def ruled(self, policy: Policy) -> Array:
        if policy.rules is None:
            return ~self.nowhere()
        found = self.nowhere()
        for principal, values in policy.rules:
            if self._person.is_named((principal,)):
                found = found | (self.true(("in", policy.ruled, sorted(values))) if values is not None else True)
        return found

    def _pair(self, e: Expression) -> tuple[Array, Array]:
        if e[0] == "not":
            true, false = self._pair(e[1])
            return false, true
        if e[0] in {"and", "or"}:
            trues, falses = zip(*(self._pair(operand) for operand in e[1]), strict=True)
            if e[0] == "and":
                return reduce(np.logical_and, trues), reduce(np.logical_or, falses)
            return reduce(np.logical_or, trues), reduce(np.logical_and, falses)
        person = self._person if e[0].startswith("my") else None
        if self._row is None:
            true, false = _leaf(_frozen(e), person)
        else:
            held = truth(e, self._row[e[1]], person)
            true, false = np.array([held is True]), np.array([held is False])
        shape = [1] * len(self._columns)
        shape[self._columns.index(e[1])] = -1
        return true.reshape(shape), false.reshape(shape)


def _frozen(e: Expression) -> Expression:
    return tuple(tuple(part) if isinstance(part, list) else part for part in e)


@cache
def _leaf(e: Expression, person: Person | None) -> tuple[Array, Array]:
    truths = [truth(e, value, person) for value in DOMAINS[e[1]]]
    return np.array([t is True for t in truths]), np.array([t is False for t in truths])


def truth(e: Expression, value: Any, person: Person | None) -> bool | None:
    """Give the truth of one test of one value."""
    kind = e[0]
    if kind == "null":
        return value is None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    match kind:
        case "in":
            return value in e[2]
        case "between":
            return bool(e[2] <= value <= e[3])
        case "like":
            pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in e[2])
            return re.fullmatch(pattern, value, re.DOTALL) is not None
        case "cmp":
            return _compared(value, e[2], e[3])
    assert person is not None
    return _own_truth(e, value, person)


def _own_truth(e: Expression, value: Any, person: Person) -> bool | None:
    kind = e[0]
    if kind == "my subject":
        return _compared(value, e[2], person.subject)
    texts: Sequence[str] = person.dept
    if kind == "my name":
        texts = () if person.username is None else (person.username,)
    fitting = [_fitting(text, e[1]) for text in texts]
    if not fitting or None in fitting:
        return None
    if kind == "my attributes":
        return value in fitting
    return _compared(value, e[2], fitting[0]) if len(fitting) == 1 else None


def _fitting(text: str, column: str) -> Any:
    if column == "s":
        return text
    if column == "b":
        return {"true": True, "false": False}.get(text)
    return int(text) if re.fullmatch(r"0|-?[1-9][0-9]*", text) else None


def _compared(value: Any, op: str, constant: Any) -> bool:
    outcomes: Mapping[str, bool] = {
        "=": value == constant,
        "<>": value != constant,
        "<": value < constant,
        "<=": value <= constant,
        ">": value > constant,
        ">=": value >= constant,
    }
    return bool(outcomes[op])
