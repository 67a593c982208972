"""Random pairs of policies on one small table: an old one, and an edit of it or another one.

A policy is plain data; `as_text` writes it as a policy file. Expressions are those of `support.reference_model`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from support.policies import NOW
from support.reference_model import Expression

TABLE = "lake.db.t"
LATER = NOW + timedelta(hours=1)
"""The one instant at which grants of these policies end."""

TYPES = {
    "i": "TINYINT",
    "b": "BOOLEAN",
    "s": "VARCHAR",
    "x": "DOUBLE",
    "m": "DECIMAL(1,1)",
    "t": "TIMESTAMP",
}
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_CONSTANTS: dict[str, Sequence[Any]] = {
    "i": [-1, 0, 1, 2, 3, 4, 5],
    "b": [True, False],
    "s": ["", "a", "b", "ab", "ba", "aa", "bb", "aba"],
    "x": [0.0, 1.0],
    "m": [Decimal(n).scaleb(-1) for n in (-9, -3, 0, 1, 2, 9)],
    "t": [_EPOCH, _EPOCH + timedelta(seconds=1)],
}
_SHOWN: dict[str, tuple[str, str, str]] = {
    "i": ("0", "1", "2"),
    "b": ("FALSE", "TRUE", "TRUE"),
    "s": ("'none'", "'some'", "'a'"),
    "x": ("0.0", "1.0", "2.0"),
    "m": ("0.0", "0.1", "0.2"),
    "t": ("TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP '2024-01-02 00:00:00'", "TIMESTAMP '2024-01-03 00:00:00'"),
}
MASKS = ("null", "redact", "const", "test", "other")
"""What a mask shows: NULL, the constant of the type, another constant, and two tests for NULL."""

PRINCIPALS = ("everyone", "group:g1", "group:g2", "user:alice")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`columns` is (mode, names), mode `include`, `exclude` or None = all; `masks` pairs columns with masks."""

    columns: tuple[str | None, frozenset[str]]
    rows: Expression | None
    masks: Mapping[str, str]

    def shows(self, column: str) -> bool:
        mode, names = self.columns
        return mode is None or (column in names) == (mode == "include")


@dataclass(frozen=True, kw_only=True)
class Grant:
    principals: tuple[str, ...]
    permissions: tuple[str, ...]
    filter: Filter
    ends: bool


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`ranks` are those of MASKS; `rules` are rows of one dataset: (principal, values of `s` or None), None = none."""

    columns: tuple[str, ...]
    grants: tuple[Grant, ...]
    ranks: Mapping[str, int]
    rules: tuple[tuple[str, frozenset[str] | None], ...] | None
    closed: Mapping[str, tuple[str, ...]]


def random_pair(random: Random, *, patterns: bool) -> tuple[Policy, Policy]:
    """Give a pair; with `patterns` text columns and LIKE come up more often."""
    return _Maker(random, patterns=patterns).pair()


def as_text(policy: Policy) -> tuple[str, str]:
    """Write the policy file, and the rules dataset that it names (empty if none)."""
    masks: dict[str, Any] = {}
    used = {pair for grant in policy.grants for pair in grant.filter.masks.items()}
    for column in policy.columns:
        first, second, third = _SHOWN[column.rpartition(".")[2]]
        for mask in (mask for mask in MASKS if (column, mask) in used):
            entry: dict[str, Any] = {"rank": policy.ranks[mask]}
            match mask:
                case "null" | "redact":
                    entry["builtin"] = mask
                case "const":
                    entry["expression"] = third
                case "test":
                    entry["expression"] = f"CASE WHEN value IS NULL THEN {first} ELSE {second} END"
                case _:
                    entry["expression"] = f"CASE WHEN value IS NULL THEN {third} ELSE NULL END"
            masks[f"{mask}-{column}"] = entry
    text: dict[str, Any] = {"version": 1, "masks": masks} if masks else {"version": 1}
    text["grants"] = [_grant_text(number, grant) for number, grant in enumerate(policy.grants)]
    if policy.closed:
        text["column_rules"] = [
            {"resource": TABLE, "columns": [column], "principals": list(named)}
            for column, named in policy.closed.items()
        ]
    if policy.rules is None:
        return json.dumps(text), ""
    text["row_rules"] = [{"resource": TABLE, "name": "rules", "rules": {"file": "rules.csv"}}]
    lines = ["UserName,GroupName,s"]
    for principal, values in policy.rules:
        kind, _, name = principal.partition(":")
        cell = ",".join(f'""{value}""' for value in sorted(values)) if values is not None else ""
        lines.append(f'{name if kind == "user" else ""},{name if kind == "group" else ""},"{cell}"')
    return json.dumps(text), "\n".join(lines)


_NESTED = {"i": "p.i", "x": "p.x", "b": "p.q.b", "m": "p.q.m"}


def nested(policy: Policy) -> Policy:
    """Give the same policy over a table in which some columns are fields of structs."""

    def named(columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(_NESTED.get(column, column) for column in columns)

    def part(found: Filter) -> Filter:
        mode, names = found.columns
        return Filter(
            columns=(mode, frozenset(named(names))),
            rows=None if found.rows is None else _nested_expression(found.rows),
            masks=dict(zip(named(found.masks), found.masks.values(), strict=True)),
        )

    return replace(
        policy,
        columns=named(policy.columns),
        grants=tuple(replace(grant, filter=part(grant.filter)) for grant in policy.grants),
        closed=dict(zip(named(policy.closed), policy.closed.values(), strict=True)),
    )


def _nested_expression(e: Expression) -> Expression:
    if e[0] == "not":
        return ("not", _nested_expression(e[1]))
    if e[0] in {"and", "or"}:
        return (e[0], [_nested_expression(operand) for operand in e[1]])
    return (e[0], _NESTED.get(e[1], e[1]), *e[2:])


def declared(columns: Iterable[str]) -> dict[str, str]:
    """Give the columns of a table with their types, for columns and fields by their paths."""
    found: dict[str, list[str]] = {}
    for path in columns:
        top, _, rest = path.partition(".")
        found.setdefault(top, []).append(rest)
    return {top: TYPES[top] if rests == [""] else _struct(rests) for top, rests in found.items()}


def _struct(paths: Iterable[str]) -> str:
    return f"STRUCT({', '.join(f'{name} {kind}' for name, kind in declared(paths).items())})"


def _grant_text(number: int, grant: Grant) -> dict[str, Any]:
    text: dict[str, Any] = {
        "name": f"g{number}",
        "principals": list(grant.principals),
        "resource": TABLE,
        "permissions": list(grant.permissions),
    }
    mode, names = grant.filter.columns
    if mode is not None:
        text["columns"] = {mode: sorted(names)}
    if grant.filter.rows is not None:
        text["rows"] = print_expression(grant.filter.rows)
    if grant.filter.masks:
        text["masks"] = {column: f"{mask}-{column}" for column, mask in grant.filter.masks.items()}
    if grant.ends:
        text["expires"] = LATER.isoformat()
    return text


def print_expression(e: Expression) -> str:
    """Write a row filter."""
    kind = e[0]
    if kind == "not":
        return f"NOT ({print_expression(e[1])})"
    if kind in {"and", "or"}:
        return f" {kind.upper()} ".join(f"({print_expression(operand)})" for operand in e[1])
    column = e[1]
    match kind:
        case "null":
            return f"{column} IS NULL"
        case "between":
            return f"{column} BETWEEN {_literal(e[2])} AND {_literal(e[3])}"
        case "in":
            return f"{column} IN ({', '.join(_literal(value) for value in e[2])})"
        case "like":
            return f"{column} LIKE {_literal(e[2])}"
        case "my name":
            return f"{column} {e[2]} :user.name"
        case "my attribute":
            return f"{column} {e[2]} :user.attributes.{e[3]}"
        case "my attributes":
            return f"{column} IN :user.attributes.{e[2]}"
        case _:
            return f"{column} {e[2]} {_literal(e[3])}"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    return repr(value) if isinstance(value, float) else str(value)


class _Maker:
    def __init__(self, random: Random, *, patterns: bool) -> None:
        self._random = random
        self._patterns = patterns
        names = random.sample(list(TYPES), 3)
        if "s" not in names and (patterns or random.random() < 0.5):
            names[0] = "s"
        self._columns = tuple(names)
        self._claims = random.random() < 0.15

    def pair(self) -> tuple[Policy, Policy]:
        old = self.policy()
        return old, self._edited(old) if self._random.random() < 0.85 else self.policy()

    def policy(self) -> Policy:
        random = self._random
        ranks = dict(zip(MASKS, random.sample([10, 20, 30, 40, 50, 60], len(MASKS)), strict=True))
        rules = None
        if "s" in self._columns and random.random() < 0.25:
            rules = tuple(self._rule() for _ in range(random.randint(0, 3)))
        closed: dict[str, tuple[str, ...]] = {}
        if random.random() < 0.2:
            closed[random.choice(self._columns)] = (random.choice(PRINCIPALS[1:]),)
        return Policy(
            columns=self._columns,
            grants=tuple(self._grant() for _ in range(random.randint(1, 3))),
            ranks=ranks,
            rules=rules,
            closed=closed,
        )

    def _rule(self) -> tuple[str, frozenset[str] | None]:
        random = self._random
        values = [value for value in _CONSTANTS["s"] if value]
        restricted = frozenset(random.sample(values, random.randint(1, 2))) if random.random() < 0.8 else None
        return random.choice(PRINCIPALS[1:]), restricted

    def _grant(self) -> Grant:
        random = self._random
        kind = random.random()
        if kind < 0.05:
            whole = Filter(columns=(None, frozenset()), rows=None, masks={})
            permissions: tuple[str, ...] = random.choice([("RAW",), ("SELECT", "RAW"), ("SELECT",)])
            return Grant(principals=self._principals(), permissions=permissions, filter=whole, ends=False)
        names = self._columns_of()
        if kind < 0.12:
            described = Filter(columns=names, rows=None, masks={})
            return Grant(principals=self._principals(), permissions=("DESCRIBE",), filter=described, ends=False)
        rows = self._expression(2) if random.random() < 0.9 else None
        part = Filter(columns=names, rows=rows, masks={})
        masks = {
            column: random.choice(MASKS) for column in self._columns if part.shows(column) and random.random() < 0.25
        }
        return Grant(
            principals=self._principals(),
            permissions=("SELECT",),
            filter=replace(part, masks=masks),
            ends=random.random() < 0.1,
        )

    def _principals(self) -> tuple[str, ...]:
        random = self._random
        return ("everyone",) if random.random() < 0.6 else tuple(random.sample(PRINCIPALS[1:], random.randint(1, 2)))

    def _columns_of(self) -> tuple[str | None, frozenset[str]]:
        random = self._random
        mode = random.choice([None, "include", "include", "exclude"])
        if mode is None:
            return None, frozenset()
        return mode, frozenset(random.sample(self._columns, random.randint(1, 2)))

    def _expression(self, depth: int) -> Expression:
        random = self._random
        if depth == 0 or random.random() < 0.3:
            return self._test()
        if random.random() < 0.15:
            return ("not", self._expression(depth - 1))
        operands = [self._expression(depth - 1) for _ in range(random.randint(2, 3))]
        return (random.choice(["and", "or"]), operands)

    def _test(self) -> Expression:
        random = self._random
        column = random.choice(self._columns)
        if self._patterns and "s" in self._columns and random.random() < 0.5:
            column = "s"
        test = self._plain_test(column)
        return ("not", test) if random.random() < 0.2 else test

    def _plain_test(self, column: str) -> Expression:
        random = self._random
        values = _CONSTANTS[column]
        chance = random.random()
        if self._claims and column in "sib" and chance < 0.3:
            return self._claim(column)
        if chance < 0.12:
            return ("null", column)
        if chance < 0.35:
            return ("in", column, random.choices(values, k=random.randint(1, 3)))
        if column == "s" and chance < (0.85 if self._patterns else 0.65):
            pattern = "".join(random.choice("aabb_%%") for _ in range(random.randint(0, 4)))
            return ("like", column, pattern)
        if column == "b":
            return ("cmp", column, random.choice(["=", "<>"]), random.choice(values))
        if chance < 0.75:
            return ("between", column, random.choice(values), random.choice(values))
        return ("cmp", column, random.choice(["=", "<>", "<", "<=", ">", ">="]), random.choice(values))

    def _claim(self, column: str) -> Expression:
        random = self._random
        operators = ["=", "<>"] if column == "b" else ["=", "<>", "<", "<=", ">", ">="]
        tests: list[Expression] = [
            ("my attribute", column, random.choice(operators), "dept"),
            ("my attributes", column, "dept"),
        ]
        if column == "s":
            tests.append(("my name", column, random.choice(operators)))
        return random.choice(tests)

    # --- edits --------------------------------------------------------------------------------------------------------
    def _edited(self, policy: Policy) -> Policy:
        random = self._random
        grants = [self._edited_grant(grant) for grant in policy.grants]
        if len(grants) > 1 and random.random() < 0.1:
            grants.pop(random.randrange(len(grants)))
        if random.random() < 0.1:
            grants.append(self._grant())
        if random.random() < 0.3:
            random.shuffle(grants)
        ranks = dict(policy.ranks)
        if random.random() < 0.1:
            first, second = random.sample(MASKS, 2)
            ranks[first], ranks[second] = ranks[second], ranks[first]
        rules = policy.rules
        if rules is not None and random.random() < 0.5:
            rules = random.choice([None, (*rules, self._rule()), rules[1:], tuple(reversed(rules))])
        closed = policy.closed if random.random() < 0.9 else {}
        return Policy(columns=policy.columns, grants=tuple(grants), ranks=ranks, rules=rules, closed=closed)

    def _edited_grant(self, grant: Grant) -> Grant:
        random = self._random
        if grant.permissions != ("SELECT",):
            return grant if random.random() < 0.9 else self._grant()
        part, chance = grant.filter, random.random()
        if chance < 0.35 and part.rows is not None:
            part = replace(part, rows=self._respelled(part.rows))
        elif chance < 0.6 and part.rows is not None:
            part = replace(part, rows=self._changed(part.rows))
        elif chance < 0.68:
            part = replace(part, rows=("and", [part.rows, self._test()]) if part.rows is not None else self._test())
        elif chance < 0.76:
            names = frozenset(column for column in self._columns if part.shows(column)) | {random.choice(self._columns)}
            part = replace(part, columns=("include", names))
        elif chance < 0.82 and part.masks:
            part = replace(part, masks={})
        elif chance < 0.9:
            column = random.choice([column for column in self._columns if part.shows(column)])
            part = replace(part, masks={**part.masks, column: random.choice(MASKS)})
        elif chance < 0.93:
            return replace(grant, principals=self._principals())
        elif chance < 0.95:
            return replace(grant, ends=not grant.ends)
        return replace(grant, filter=part)

    def _respelled(self, e: Expression) -> Expression:
        """Give another spelling of the same."""
        random = self._random
        if e[0] in {"and", "or"}:
            operands = [self._respelled(operand) for operand in e[1]]
            random.shuffle(operands)
            if random.random() < 0.4:
                return ("not", ("or" if e[0] == "and" else "and", [("not", operand) for operand in operands]))
            return (e[0], operands)
        if e[0] == "not":
            return ("not", self._respelled(e[1]))
        if e[0] == "in" and random.random() < 0.5 and len(e[2]) > 1:
            return ("or", [("cmp", e[1], "=", value) for value in e[2]])
        if e[0] == "between" and random.random() < 0.5:
            return ("and", [("cmp", e[1], ">=", e[2]), ("cmp", e[1], "<=", e[3])])
        if e[0] == "cmp" and random.random() < 0.5 and e[1] != "b":
            turned = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
            return ("not", ("cmp", e[1], turned[e[2]], e[3]))
        return e

    def _changed(self, e: Expression) -> Expression:
        """Make one small change somewhere."""
        random = self._random
        if e[0] in {"and", "or"} and random.random() < 0.75:
            operands, chance = list(e[1]), random.random()
            if chance < 0.2 and len(operands) > 2:
                operands.pop(random.randrange(len(operands)))
            elif chance < 0.4:
                operands.append(self._test())
            else:
                place = random.randrange(len(operands))
                operands[place] = self._changed(operands[place])
            return (e[0], operands)
        if e[0] == "not" and random.random() < 0.8:
            return ("not", self._changed(e[1]))
        if e[0] == "cmp":
            if random.random() < 0.5:
                return ("cmp", e[1], e[2], random.choice(_CONSTANTS[e[1]]))
            operators = ["=", "<>"] if e[1] == "b" else ["<", "<=", ">", ">=", "="]
            return ("cmp", e[1], random.choice(operators), e[3])
        if e[0] == "in":
            return ("in", e[1], [*e[2], random.choice(_CONSTANTS[e[1]])] if random.random() < 0.5 else list(e[2][:1]))
        return self._test()
