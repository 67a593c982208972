"""Random policies with data and people: as files for the policy package and as a model for the oracle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from support.policies import ISSUER, NOW, OTHER_ISSUER
from support.reference_model import (
    CellsModel,
    ColumnRuleModel,
    DenialModel,
    Expression,
    GrantModel,
    MaskModel,
    Person,
    PolicyModel,
    RuleModel,
)

TABLES = ("lake.db.t", "lake.db.u", "lake.other.t", "shop.db.t")
_SQL = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "decimal": "DECIMAL(6,2)",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMP WITH TIME ZONE",
}


def _naive(text: str) -> datetime:
    """A TIMESTAMP has no zone."""
    return datetime.fromisoformat(text)


_DOMAINS: dict[str, list[Any]] = {
    "text": ["", "a", "b", "A", "ab", "a,b", "x'y", "ä", "alice", "red", "%"],
    "integer": [-3, -1, 0, 1, 2, 7],
    "decimal": [Decimal("-1.50"), Decimal("0.00"), Decimal("1.25"), Decimal("2.00")],
    "float": [-0.0, 0.5, 1.0, -2.25, float("nan"), float("inf")],
    "boolean": [True, False],
    "date": [date(2020, 1, 1), date(2020, 2, 29), date(2021, 5, 6)],
    "timestamp": [_naive("2020-01-01"), _naive("2020-01-01T23:59:59.500000"), _naive("2021-05-06T07:08:09")],
    "instant": [datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)],
}
_RULED = {"text", "integer", "decimal", "boolean", "date"}
"""Kinds of columns that a rules dataset can restrict."""
_REDACTED: dict[str, Any] = {
    "text": "[redacted]",
    "integer": 0,
    "decimal": Decimal(0),
    "float": 0.0,
    "boolean": False,
    "date": date(1970, 1, 1),
    "timestamp": _naive("1970-01-01"),
    "instant": datetime(1970, 1, 1, tzinfo=UTC),
}
_ENDS = [NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2), NOW + timedelta(days=9)]
_PRINCIPALS = [
    "user:alice",
    "user:bob",
    "group:red",
    "group:blue",
    "everyone",
    f"user:{ISSUER}|s-alice",
    f"everyone@{OTHER_ISSUER}",
    "group:other:red",
]


@dataclass(frozen=True, kw_only=True)
class World:
    """`files` are the policy files and rules datasets; `columns` are SQL types by table and column."""

    columns: dict[str, dict[str, str]]
    rows: dict[str, list[dict[str, Any]]]
    model: PolicyModel
    files: dict[str, str]
    people: list[Person]


def random_world(random: Random, *, structs: bool = False, rules: bool = False) -> World:
    """Give a world: a few tables with a dozen rows each, a policy over them, and the people who ask.

    With `structs` some columns are structs, and the policy speaks of their fields. With `rules` there are more rules
    datasets, with typed fields, notes and denials, and some people's lists of groups are cut.
    """
    return _Maker(random, structs=structs, rules=rules).world()


class _Maker:
    """`_kinds` are those of columns, and of the fields of structs by their paths (`c3.a`), by table."""

    def __init__(self, random: Random, *, structs: bool, rules: bool) -> None:
        self._random = random
        self._structs = structs
        self._extended = rules
        self._kinds = {name: self._table() for name in TABLES}
        self._masks: dict[str, dict[str, Any]] = {}
        self._filters: dict[str, dict[str, Any]] = {}
        self._csvs: dict[str, str] = {}

    def world(self) -> World:
        random = self._random
        grants = [self._grant(f"g{number}") for number in range(random.randint(1, 7))]
        datasets: dict[str, list[list[RuleModel]]] = {}
        row_rules = []
        denying: set[tuple[str, int]] = set()
        for number in range(random.choice([0, 0, 1, 1, 2]) + self._extended):
            table = random.choice([TABLES[0]] * 3 + list(TABLES)) if self._extended else random.choice(TABLES)
            rules, fields = self._rules(table)
            entry: dict[str, Any] = {"resource": table, "name": f"r{number}"}
            if self._extended:
                types = {field: self._kinds[table][field] for field in fields}
                entry |= {
                    "types": {field: kind for field, kind in types.items() if kind != "text"} or {fields[0]: "text"}
                }
                entry |= {"note_columns": True} if random.random() < 0.3 else {}
                if rules and random.random() < 0.5:
                    entry |= {"permission_policy": "DENY_ACCESS", "allow_deny": True}
                    denying.add((table, len(datasets.get(table, ()))))
            datasets.setdefault(table, []).append(rules)
            self._csvs[f"rules/{number}.csv"] = self._csv(rules, fields, notes="note_columns" in entry)
            row_rules.append({**entry, "rules": {"file": f"rules/{number}.csv"}})
        column_rules = [self._column_rule() for _ in range(random.choice([0, 0, 1, 2]))]
        denials = [self._denial() for _ in range(random.choice([0, 0, 0, 1, 2]))]
        model = PolicyModel(
            default_issuer=ISSUER,
            group_prefixes={OTHER_ISSUER: "other:"},
            columns={name: tuple(kinds) for name, kinds in self._kinds.items()},
            types=self._kinds,
            grants=[grant for grant, _ in grants],
            datasets=datasets,
            denying=frozenset(denying),
            column_rules=column_rules,
            denials=[denial for denial, _ in denials],
        )
        sections = {
            "grants": [text for _, text in grants],
            "row_rules": row_rules,
            "column_rules": [
                {"resource": rule.table, "columns": list(rule.columns), "principals": list(rule.principals)}
                for rule in column_rules
            ],
            "denials": [text for _, text in denials],
        }
        return World(
            columns={name: _declared(kinds) for name, kinds in self._kinds.items()},
            rows={name: [self._row(kinds) for _ in range(10)] for name, kinds in self._kinds.items()},
            model=model,
            files={**self._files(sections), **self._csvs},
            people=[self._person() for _ in range(5)],
        )

    def _table(self) -> dict[str, str]:
        kinds = ["text", *(self._random.choice(list(_SQL)) for _ in range(self._random.randint(1, 4)))]
        found = {f"c{index}": kind for index, kind in enumerate(kinds)}
        if self._structs:
            for number in range(self._random.randint(1, 2)):
                fields = self._random.choice([("a",), ("a", "b"), ("a", "t.x"), ("a", "t.x", "t.y", "b")])
                found |= {f"s{number}.{field}": self._random.choice(list(_SQL)) for field in fields}
        return found

    def _row(self, kinds: dict[str, str]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for top, inner in _by_first(kinds).items():
            if self._random.random() < 0.2:
                row[top] = None
            elif "" in inner:
                row[top] = self._random.choice(_DOMAINS[inner[""]])
            else:
                row[top] = self._row(inner)
        return row

    def _units(self, table: str) -> dict[str, list[str]]:
        """Give what a list of columns may name, with its cells: columns, and a struct or each of its fields."""
        units: dict[str, list[str]] = {}
        for top, inner in _by_first(self._kinds[table]).items():
            paths = [top] if "" in inner else [f"{top}.{rest}" for rest in inner]
            if self._random.random() < 0.4:
                units[top] = paths
            else:
                units |= {path: [path] for path in paths}
        return units

    def _person(self) -> Person:
        random = self._random
        name = random.choice(["alice", "bob", None, "Alice"])
        return Person(
            issuer=random.choice([ISSUER, ISSUER, OTHER_ISSUER]),
            subject=f"s-{name}",
            username=name,
            groups=frozenset(random.sample(["red", "blue", "a"], random.randint(0, 3))),
            attributes={
                attribute: random.sample(["a", "red", "1", "7", "07", "+1", "true"], random.randint(1, 2))
                for attribute in random.sample(["level", "dept"], random.randint(0, 2))
            },
            groups_complete=not self._extended or random.random() < 0.8,
        )

    # --- grants -------------------------------------------------------------------------------------------------------
    def _grant(self, name: str) -> tuple[GrantModel, dict[str, Any]]:
        random = self._random
        # Most grants meet on one table, so that they have to be joined.
        resource = random.choice([TABLES[0]] * 8 + [*TABLES, "lake.db.*", "lake.*"])
        tables = frozenset(
            table for table in TABLES if table == resource or (resource[-1] == "*" and table.startswith(resource[:-1]))
        )
        permissions = random.choice(
            [["SELECT"]] * 6 + [["DESCRIBE"], ["SELECT", "DESCRIBE"], ["RAW"], ["SELECT", "RAW"]]
        )
        text: dict[str, Any] = {
            "name": name,
            "principals": random.sample(_PRINCIPALS, random.randint(1, 3)),
            "resource": resource.upper() if random.random() < 0.2 else resource,
            "permissions": permissions,
        }
        if "RAW" in permissions or resource[-1] == "*":
            cells = [CellsModel(mode=None, names=frozenset(), rows=None)]
        else:
            cells = self._cells_of_grant(resource, text)
        expires = random.choice([None, None, *_ENDS])
        if expires is not None:
            text["expires"] = expires.isoformat()
        model = GrantModel(
            name=name,
            principals=text["principals"],
            tables=tables,
            permissions=frozenset(permissions),
            cells=cells,
            expires=expires,
        )
        return model, text

    def _cells_of_grant(self, table: str, text: dict[str, Any]) -> list[CellsModel]:
        random = self._random
        reading = "SELECT" in text["permissions"]
        if not reading or random.random() < 0.6:
            cells, keys = self._cells(table, rows=reading)
            text.update(keys)
            parts = [cells]
        else:
            made = [self._filter(table) for _ in range(random.randint(1, 3))]
            text.update({"filter": made[0][0]} if len(made) == 1 else {"filters": [name for name, _ in made]})
            parts = [cells for _, cells in made]
        if reading and random.random() < 0.4:
            parts = self._mask(table, parts, text)
        return parts

    def _filter(self, table: str) -> tuple[str, CellsModel]:
        name = f"f{len(self._filters)}"
        cells, keys = self._cells(table, rows=True)
        if not keys:
            cells, keys = (
                CellsModel(mode="include", names=frozenset({"c0"}), rows=None),
                {"columns": {"include": ["c0"]}},
            )
        self._filters[name] = {"resource": table, **keys}
        return name, cells

    def _cells(self, table: str, *, rows: bool) -> tuple[CellsModel, dict[str, Any]]:
        random = self._random
        units = self._units(table) if self._structs else {column: [column] for column in self._kinds[table]}
        mode = random.choice([None, "include", "exclude"])
        most = len(units) - (mode == "exclude")
        names = random.sample(list(units), random.randint(1, most)) if mode is not None else []
        keys: dict[str, Any] = {}
        if mode is not None:
            keys["columns"] = {mode: [name.upper() if random.random() < 0.2 else name for name in names]}
        expression = self._expression(self._kinds[table], 3) if rows and random.random() < 0.7 else None
        if expression is not None:
            keys["rows"] = self._printed(expression)
        cells = frozenset(cell for name in names for cell in units[name])
        return CellsModel(mode=mode, names=cells, rows=expression), keys

    def _mask(self, table: str, parts: Sequence[CellsModel], text: dict[str, Any]) -> list[CellsModel]:
        random = self._random
        shown = [
            column
            for column in self._kinds[table]
            if any(part.mode is None or (column in part.names) == (part.mode == "include") for part in parts)
        ]
        uses = {}
        masks = {}
        for column in random.sample(shown, random.randint(1, len(shown))):
            uses[column], masks[column] = self._new_mask(self._kinds[table][column])
        text["masks"] = uses
        return [
            CellsModel(
                mode=part.mode,
                names=part.names,
                rows=part.rows,
                masks={
                    column: mask
                    for column, mask in masks.items()
                    if part.mode is None or (column in part.names) == (part.mode == "include")
                },
            )
            for part in parts
        ]

    def _new_mask(self, kind: str) -> tuple[str, MaskModel]:
        random = self._random
        rank = random.choice([rank for rank in range(100) if rank not in {m["rank"] for m in self._masks.values()}])
        name = f"m{len(self._masks)}"
        form, shows = random.choice([*_constant_masks(kind, random.choice(_constants(kind))), *_computed_masks(kind)])
        self._masks[name] = {"rank": rank, **form}
        return name, MaskModel(rank=rank, shows=shows, always_null=form == {"builtin": "null"})

    # --- expressions --------------------------------------------------------------------------------------------------
    def _expression(self, kinds: dict[str, str], depth: int, *, negated: bool = False) -> Expression:
        random = self._random
        if depth and random.random() < 0.6:
            if random.random() < 0.3:
                return ("not", self._expression(kinds, depth - 1, negated=True))
            operands = [self._expression(kinds, depth - 1, negated=negated) for _ in range(random.randint(2, 3))]
            return (random.choice(["and", "or"]), operands)
        if self._structs and random.random() < 0.15:
            inner = [column.rpartition(".")[0] for column in kinds if "." in column]
            return ("null", random.choice(inner))
        column = random.choice(list(kinds))
        return self._test(column, kinds[column], negated=negated)

    def _test(self, column: str, kind: str, *, negated: bool) -> Expression:
        random = self._random
        values = _constants(kind)
        tests: list[Expression] = [("null", column), ("in", column, random.sample(values, random.randint(1, 2)))]
        tests += [("cmp", column, random.choice(["=", "<>", "!="]), random.choice(values))] * 2
        if kind != "boolean":
            tests += [("cmp", column, random.choice(["<", ">", "<=", ">="]), random.choice(values))] * 2
            tests.append(("between", column, random.choice(values), random.choice(values)))
        if kind == "text":
            tests.append(("like", column, random.choice(["a%", "_", "%b", "%", "", "a_", "%'%", "_,_"])))
            tests.append(("my name", column, random.choice(["=", "<>"])))
            tests.append(("my subject", column, random.choice(["=", "<>", "<"])))
            if not negated:
                tests.append(("my groups", column))
        if kind in {"text", "integer", "boolean"}:
            op = random.choice(["=", "<>", "<=", ">"]) if kind != "boolean" else random.choice(["=", "<>"])
            tests += [("my attribute", column, op, "level"), ("my attributes", column, "dept")]
        return random.choice(tests)

    def _printed(self, e: Expression) -> str:
        random = self._random
        kind = e[0]
        if kind == "not" and e[1][0] in {"null", "in", "like", "between", "my attributes"} and random.random() < 0.5:
            tested = self._printed(e[1])
            word = next(word for word in (" IS", " IN", " LIKE", " BETWEEN") if word in tested)
            return tested.replace(word, " IS NOT" if word == " IS" else f" NOT{word}", 1)
        if kind == "not":
            return f"{random.choice(['NOT', 'not'])} ({self._printed(e[1])})"
        if kind in {"and", "or"}:
            return f" {kind.upper()} ".join(f"({self._printed(operand)})" for operand in e[1])
        column = random.choice([e[1], ".".join(f'"{name}"' for name in e[1].split(".")), e[1].upper()])
        if kind == "cmp":
            return f"{column}{random.choice(['', ' '])}{e[2]}{random.choice(['', ' '])}{_literal(e[3])}"
        return f"{column} {_rest(e)}"

    # --- rules datasets -----------------------------------------------------------------------------------------------
    def _rules(self, table: str) -> tuple[list[RuleModel], list[str]]:
        random = self._random
        kinds = _RULED if self._extended else {"text"}
        texts = [column for column, kind in self._kinds[table].items() if kind in kinds and "." not in column]
        fields = random.sample(texts, random.randint(1, len(texts)))
        domains = {field: [value for value in _DOMAINS[self._kinds[table][field]] if value != ""] for field in fields}
        rules = []
        for _ in range(random.randint(0, 5)):
            by_user = random.random() < 0.5
            rules.append(
                RuleModel(
                    user=random.choice(["alice", "bob"]) if by_user else "",
                    group="" if by_user else random.choice(["red", "blue", "other:red"]),
                    values={field: random.sample(domains[field], random.choice([0, 1, 1, 2])) for field in fields},
                )
            )
        return rules, fields

    def _csv(self, rules: list[RuleModel], fields: list[str], *, notes: bool) -> str:
        random = self._random
        header = ["UserName", "GroupName", *fields, *(["note:why"] if notes else [])]
        order = random.sample(header, len(header))
        lines = [",".join(order)]
        for rule in rules:
            cells = {
                "UserName": rule.user,
                "GroupName": rule.group,
                "note:why": random.choice(["", "a", 'x,"y']) if notes else "",
            }
            cells |= {
                field: ",".join(_inner(_cell_of(value)) for value in values) for field, values in rule.values.items()
            }
            lines.append(",".join(_outer(cells[name]) for name in order))
            if random.random() < 0.2:
                lines.append("," * (len(order) - 1))
        return random.choice(["\n", "\r\n"]).join(lines) + random.choice(["", "\n"])

    def _column_rule(self) -> ColumnRuleModel:
        random = self._random
        table = random.choice(TABLES)
        columns = list(self._kinds[table])
        return ColumnRuleModel(
            table=table,
            columns=random.sample(columns, random.randint(1, len(columns))),
            principals=random.sample(_PRINCIPALS, random.randint(1, 3)),
        )

    def _denial(self) -> tuple[DenialModel, dict[str, Any]]:
        random = self._random
        resource = random.choice([*TABLES, "lake.db.*"])
        spared = random.sample(_PRINCIPALS, random.randint(0, 3))
        permissions = random.choice([["SELECT"], ["SELECT"], ["RAW"], ["DESCRIBE"], ["SELECT", "RAW"]])
        text = {"resource": resource, "permissions": permissions, **({"except_principals": spared} if spared else {})}
        tables = frozenset(table for table in TABLES if table == resource or table.startswith(resource.rstrip("*")))
        return DenialModel(tables=tables, permissions=frozenset(permissions), spared=spared), text

    # --- files --------------------------------------------------------------------------------------------------------
    def _files(self, sections: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
        """Spread the entries over files at random: their order and their file must not matter."""
        random = self._random
        files: list[dict[str, Any]] = [{"version": 1} for _ in range(3)]
        for section, entries in (("masks", self._masks), ("filters", self._filters)):
            for name, entry in entries.items():
                random.choice(files).setdefault(section, {})[name] = entry
        for section, listed in sections.items():
            for entry in random.sample(listed, len(listed)):
                random.choice(files).setdefault(section, []).append(entry)
        # JSON is YAML 1.2.
        return {f"{number}.yaml": json.dumps(file, ensure_ascii=False) for number, file in enumerate(files)}


def _by_first(kinds: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Group paths by their first name; what is left of one that ends there is empty."""
    found: dict[str, dict[str, str]] = {}
    for path, kind in kinds.items():
        top, _, rest = path.partition(".")
        found.setdefault(top, {})[rest] = kind
    return found


def _declared(kinds: Mapping[str, str]) -> dict[str, str]:
    """Give the columns with their SQL types."""
    return {
        top: _SQL[inner[""]]
        if "" in inner
        else f"STRUCT({', '.join(f'{name} {kind}' for name, kind in _declared(inner).items())})"
        for top, inner in _by_first(kinds).items()
    }


def _rest(e: Expression) -> str:
    """Print a test but for its column."""
    match e[0]:
        case "null":
            return "IS NULL"
        case "between":
            return f"BETWEEN {_literal(e[2])} AND {_literal(e[3])}"
        case "in":
            return f"IN ({', '.join(_literal(value) for value in e[2])})"
        case "like":
            return f"LIKE {_literal(e[2])}"
        case "my name":
            return f"{e[2]} :user.name"
        case "my subject":
            return f"{e[2]} :user.subject"
        case "my groups":
            return "IN :user.groups"
        case "my attribute":
            return f"{e[2]} :user.attributes.{e[3]}"
        case _:
            return f"IN :user.attributes.{e[2]}"


def _constants(kind: str) -> list[Any]:
    """Values of the domain that can be written as a constant."""
    return [value for value in _DOMAINS[kind] if not isinstance(value, float) or math.isfinite(value)]


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return repr(value) if isinstance(value, float) else str(value)


def _cell_of(value: Any) -> str:
    """Write a value as a field of its type has it."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _inner(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if "," in value or '"' in value else value


def _outer(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if "," in cell or '"' in cell else cell


_Form = tuple[dict[str, Any], Callable[[Any], Any]]
"""A mask as a file has it, and what it shows."""


def _constant_masks(kind: str, constant: Any) -> list[_Form]:
    written = _literal(constant)
    return [
        ({"builtin": "null"}, lambda _: None),
        ({"builtin": "redact"}, lambda _: _REDACTED[kind]),
        ({"expression": written}, lambda _: constant),
        (
            {"expression": f"CASE WHEN value IS NULL THEN NULL ELSE {written} END"},
            lambda value: None if value is None else constant,
        ),
        (
            {"expression": f"case when value is not null then {written} end"},
            lambda value: None if value is None else constant,
        ),
    ]


def _computed_masks(kind: str) -> list[_Form]:
    """Give masks that compute, twice as often as constants."""

    def of_value(shows: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: None if value is None else shows(value)

    match kind:
        case "text":
            masks: list[_Form] = [
                (
                    {"builtin": "partial", "keep_last": 1},
                    of_value(lambda v: "*" * len(v) if len(v) < 2 else "*" * (len(v) - 1) + v[-1]),
                ),
                ({"builtin": "mask-alphanum"}, of_value(lambda v: "".join("," if c == "," else "x" for c in v))),
                ({"builtin": "sha-256-global"}, of_value(lambda v: hashlib.sha256(v.encode()).hexdigest())),
                ({"expression": "'#' || right(value, 1)", "type": "varchar"}, of_value(lambda v: "#" + v[-1:])),
                (
                    {"expression": "CASE WHEN value >= 'b' THEN 'late' ELSE value END", "type": "varchar"},
                    lambda v: "late" if v is not None and v >= "b" else v,
                ),
            ]
        case "integer":
            masks = [
                ({"builtin": "round", "to": 2}, of_value(lambda v: int(v / 2) * 2)),
                (
                    {"expression": "CASE WHEN value > 0 THEN 1 WHEN value IS NULL THEN -5 END", "type": "integer"},
                    lambda v: -5 if v is None else 1 if v > 0 else None,
                ),
            ]
        case "decimal":
            masks = [({"builtin": "round", "to": 0.5}, of_value(lambda v: v - v % Decimal("0.5")))]
        case "float":
            masks = [
                (
                    {"builtin": "round", "to": 2},
                    of_value(lambda v: v - math.fmod(v, 2) + 0.0 if math.isfinite(v) else None),
                )
            ]
        case "date":
            masks = [({"builtin": "year"}, of_value(lambda v: date(v.year, 1, 1)))]
        case "timestamp" | "instant":
            masks = [({"builtin": "month"}, of_value(lambda v: datetime(v.year, v.month, 1, tzinfo=v.tzinfo)))]
        case _:
            masks = []
    return masks * 2
