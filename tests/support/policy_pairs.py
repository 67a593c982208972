"""Policies on one small table as plain data, which `as_text` writes as a policy file.

Expressions are those of `support.reference_model`. `support.random_pairs` makes pairs of such policies, and
`support.policy_grid` says what they show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
EPOCH = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
CONSTANTS: dict[str, Sequence[Any]] = {
    "i": [-1, 0, 1, 2, 3, 4, 5],
    "b": [True, False],
    "s": ["", "a", "b", "ab", "ba", "aa", "bb", "aba"],
    "x": [0.0, 1.0],
    "m": [Decimal(n).scaleb(-1) for n in (-9, -3, 0, 1, 2, 9)],
    "t": [EPOCH, EPOCH + timedelta(seconds=1)],
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
COMPUTED = {"first": "left(value, 1)", "last": "right(value, 1)"}
"""Masks of `s` that are computed from the value."""
RULED = {"s": "text", "i": "integer", "b": "boolean", "m": "decimal"}
"""The columns that rules may restrict, and the types of their fields."""
REQUIREMENTS = ("encrypted", "private")

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
    requires: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`ranks` are those of all masks; `rules` are rows of one dataset: (principal, values of `ruled` or None).

    `denying`: the dataset says whom to show nothing. `by_tags`: grants that have no row filter and no masks are written
    by tags, each by one of its own.
    """

    columns: tuple[str, ...]
    grants: tuple[Grant, ...]
    ranks: Mapping[str, int]
    rules: tuple[tuple[str, frozenset[Any] | None], ...] | None
    closed: Mapping[str, tuple[str, ...]]
    ruled: str = "s"
    denying: bool = False
    by_tags: bool = False


def as_text(policy: Policy) -> tuple[str, str]:
    """Write the policy file, and the rules dataset that it names (empty if none)."""
    masks = _masks(policy)
    text: dict[str, Any] = {"version": 1, "masks": masks} if masks else {"version": 1}
    text["grants"] = [_grant_text(policy, number, grant) for number, grant in enumerate(policy.grants)]
    tagging = [(number, grant.filter) for number, grant in enumerate(policy.grants) if _is_by_tags(policy, grant)]
    if tagging:
        text["tags"] = {f"k{number}": ["yes", "no"] for number, _ in tagging}
        text["tagged"] = [entry for number, part in tagging for entry in _tagged(f"k{number}", part)]
    if policy.closed:
        text["column_rules"] = [
            {"resource": TABLE, "columns": [column], "principals": list(named)}
            for column, named in policy.closed.items()
        ]
    if policy.rules is None:
        return json.dumps(text), ""
    rules = _rules(policy, policy.rules, text)
    return json.dumps(text), rules


def _masks(policy: Policy) -> dict[str, Any]:
    masks: dict[str, Any] = {}
    used = {pair for grant in policy.grants for pair in grant.filter.masks.items()}
    for column in policy.columns:
        first, second, third = _SHOWN[column.rpartition(".")[2]]
        for mask in (mask for mask in (*MASKS, *COMPUTED) if (column, mask) in used):
            entry: dict[str, Any] = {"rank": policy.ranks[mask]}
            match mask:
                case "null" | "redact":
                    entry["builtin"] = mask
                case "const":
                    entry["expression"] = third
                case "first" | "last":
                    entry |= {"expression": COMPUTED[mask], "type": "varchar"}
                case "test":
                    entry["expression"] = f"CASE WHEN value IS NULL THEN {first} ELSE {second} END"
                case _:
                    entry["expression"] = f"CASE WHEN value IS NULL THEN {third} ELSE NULL END"
            masks[f"{mask}-{column}"] = entry
    return masks


def _rules(policy: Policy, rules: Iterable[tuple[str, frozenset[Any] | None]], text: dict[str, Any]) -> str:
    """Add the entry of the rules dataset, and give the dataset."""
    dataset: dict[str, Any] = {"resource": TABLE, "name": "rules", "rules": {"file": "rules.csv"}}
    if policy.ruled != "s":
        dataset["types"] = {policy.ruled: RULED[policy.ruled]}
    if policy.denying:
        dataset |= {"permission_policy": "DENY_ACCESS", "allow_deny": True}
    text["row_rules"] = [dataset]
    lines = [f"UserName,GroupName,{policy.ruled}"]
    for principal, values in rules:
        kind, _, name = principal.partition(":")
        cell = ",".join(_rule_value(value) for value in sorted(values)) if values is not None else ""
        lines.append(f'{name if kind == "user" else ""},{name if kind == "group" else ""},"{cell}"')
    return "\n".join(lines)


def _rule_value(value: Any) -> str:
    if isinstance(value, str):
        return f'""{value}""'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value or 0)


def _is_by_tags(policy: Policy, grant: Grant) -> bool:
    return policy.by_tags and grant.filter.rows is None and not grant.filter.masks and not grant.requires


def _tagged(key: str, part: Filter) -> list[dict[str, Any]]:
    """Tag what a filter shows: the columns, or the table and, to override that, the columns that are left out."""
    mode, names = part.columns
    table: dict[str, Any] = {"resource": TABLE, "tags": {key: "yes"}}
    if mode == "include":
        return [{**table, "columns": sorted(names)}]
    return [table, {"resource": TABLE, "columns": sorted(names), "tags": {key: "no"}}] if mode else [table]


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


def _grant_text(policy: Policy, number: int, grant: Grant) -> dict[str, Any]:
    text: dict[str, Any] = {
        "name": f"g{number}",
        "principals": list(grant.principals),
        "permissions": list(grant.permissions),
    }
    if grant.ends:
        text["expires"] = LATER.isoformat()
    if _is_by_tags(policy, grant):
        return {**text, "tag_expression": {f"k{number}": ["yes"]}}
    text["resource"] = TABLE
    mode, names = grant.filter.columns
    if mode is not None:
        text["columns"] = {mode: sorted(names)}
    if grant.filter.rows is not None:
        text["rows"] = print_expression(grant.filter.rows)
    if grant.filter.masks:
        text["masks"] = {column: f"{mask}-{column}" for column, mask in grant.filter.masks.items()}
    if grant.requires:
        text["requires"] = sorted(grant.requires)
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
        case "my name" | "my subject":
            return f"{column} {e[2]} :user.{kind.removeprefix('my ')}"
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
