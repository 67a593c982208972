"""How long a proof about a change of policy takes, in processor milliseconds: one table, and a whole estate."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import TableName
from penstock_server.model.schema import CatalogSnapshot, Column, ColumnType, TableSchema, TypeFamily
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.comparison import compare_table
from penstock_server.policy.proof.findings import Narrowing, Same, Undecided
from penstock_server.policy.proof.plan import compare, table_pair
from penstock_server.policy.reading.files import load

AT = datetime(2026, 6, 1, tzinfo=UTC)
ISSUERS = KnownIssuers(default="https://login.test", issuers=("https://login.test",), prefixes=())
TYPES = {
    **{f"t{n}": ("VARCHAR", TypeFamily.TEXT) for n in range(4)},
    **{f"i{n}": ("INTEGER", TypeFamily.INTEGER) for n in range(4)},
    "d": ("DATE", TypeFamily.DATE),
    "m": ("DECIMAL(9,2)", TypeFamily.DECIMAL),
}
Policy = dict[str, Any]
Pair = tuple[Policy, Policy, str, str]
"""Two policies, and the rules dataset of each."""


def schema(table: str) -> TableSchema:
    columns = tuple(Column(name=name, type=ColumnType(sql=sql, family=f)) for name, (sql, f) in TYPES.items())
    return TableSchema(name=TableName(catalog="lake", database="db", table=table), columns=columns, location=None)


def bound(folder: Path, policy: Policy, tables: int = 1, rules: str = "") -> BoundPolicy:
    (folder / "policy.yaml").write_text(json.dumps({"version": 1, **policy}))
    (folder / "rules.csv").write_text(rules)
    source = load((folder / "policy.yaml",), ISSUERS)
    return bind(source, CatalogSnapshot(tables=tuple(schema(f"t{n}") for n in range(tables))), logins=frozenset())


def test(random: Random) -> str:
    match random.choice("ttttiiidm"):
        case "t":
            column, kind = f"t{random.randrange(4)}", random.randrange(4)
            values = ", ".join(f"'v{random.randrange(50)}'" for _ in range(random.randint(1, 6)))
            patterns = (f"'v{random.randrange(9)}%'", f"'%{random.randrange(9)}'")
            return (
                f"{column} IN ({values})",
                f"{column} LIKE {random.choice(patterns)}",
                f"{column} IS NOT NULL",
                f"{column} <> 'v{random.randrange(50)}'",
            )[kind]
        case "i":
            return f"i{random.randrange(4)} {random.choice(['<', '<=', '>', '>=', '='])} {random.randrange(100)}"
        case "d":
            return f"d >= DATE '20{random.randrange(10, 30)}-01-01'"
        case _:
            return f"m < {random.randrange(1000)}.50"


def conjunction(random: Random, length: int) -> str:
    return " AND ".join(test(random) for _ in range(length))


def grant(name: str, rows: str | None, *, table: str = "t0", group: str = "g") -> Policy:
    entry: Policy = {
        "name": name,
        "principals": [f"group:{group}"],
        "resource": f"lake.db.{table}",
        "permissions": ["SELECT"],
    }
    return entry if rows is None else {**entry, "rows": rows}


def edited(random: Random, rows: list[str]) -> list[str]:
    changed = list(rows)
    place = random.randrange(len(rows))
    changed[place] = random.choice([f"{rows[place]} AND {test(random)}", f"({rows[place]}) OR {test(random)}"])
    return changed


def realistic(random: Random) -> tuple[list[str], list[str]]:
    rows = [conjunction(random, random.randint(5, 10)) for _ in range(3)]
    return rows, edited(random, rows)


def large(random: Random) -> tuple[list[str], list[str]]:
    def filled(joined: str, part: Callable[[], str]) -> str:
        text = part()
        while len(text) < 1_800:
            text += f" {joined} {part()}"
        return text

    rows = [
        filled("OR", lambda: f"({conjunction(random, 3)})"),
        filled("OR", lambda: f"({conjunction(random, 4)})"),
        filled("AND", lambda: f"({test(random)} OR {test(random)} OR {test(random)})"),
    ]
    changed = list(rows)
    changed[0] = f"{rows[0]} OR {test(random)}"
    return rows, changed if random.random() < 0.5 else rows[1:]


def timed(pairs: Iterator[Pair]) -> tuple[list[float], dict[str, int]]:
    times: list[float] = []
    verdicts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for old, new, old_rules, new_rules in pairs:
            policies = bound(Path(folder), old, rules=old_rules), bound(Path(folder), new, rules=new_rules)
            began = time.process_time()
            verdict = compare_table(
                table_pair(*policies, ("lake", "db", "t0")), since=AT, budget=DEFAULT_BUDGET, only=None
            )
            times.append((time.process_time() - began) * 1e3)
            name = type(verdict).__name__
            if isinstance(verdict, Narrowing) and not verdict.losses:
                name = "Narrowing, losses open"
            verdicts[name] = verdicts.get(name, 0) + 1
            if isinstance(verdict, Undecided):
                print("    ", verdict.reasons)
    return sorted(times), verdicts


def report(what: str, pairs: Iterator[Pair]) -> None:
    times, verdicts = timed(pairs)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{what:<46} {median(times):8.1f} {p99:8.1f} {times[-1]:8.1f}   {verdicts}", flush=True)


def with_filters(make: Callable[[Random], tuple[list[str], list[str]]], count: int) -> Iterator[Pair]:
    masks = {"gone": {"rank": 9, "builtin": "redact"}}
    dataset = {"resource": "lake.db.t0", "name": "r", "rules": {"file": "rules.csv"}}
    rules = "UserName,GroupName,t0\n" + "\n".join(f",g,v{n}" for n in range(20))
    for number in range(count):
        old, new = (
            {"masks": masks, "grants": filters(rows), "row_rules": [dataset]}
            for rows in make(Random(f"{make.__name__} {number}"))
        )
        yield old, new, rules, rules


def filters(rows: list[str]) -> list[Policy]:
    """Give grants with these filters, the second one with a mask."""
    return [grant(f"g{n}", one) | ({"masks": {"t3": "gone"}} if n == 1 else {}) for n, one in enumerate(rows)]


def thousand_values(count: int) -> Iterator[Pair]:
    policy = {
        "grants": [grant("g", "i0 = 1")],
        "row_rules": [{"resource": "lake.db.t0", "name": "r", "rules": {"file": "rules.csv"}}],
    }
    for number in range(count):
        values = [f"v{n}" for n in range(1_000)]
        changed = [*values, "new"] if number % 2 else values[number + 1 :]
        rules = ['UserName,GroupName,t0\n,g,"' + ",".join(side) + '"\n' for side in (values, changed)]
        yield policy, policy, rules[0], rules[1]


def two_hundred_grants(count: int) -> Iterator[Pair]:
    for number in range(count):
        random = Random(f"grants {number}")
        rows = [conjunction(random, 3) for _ in range(200)]
        changed = edited(random, rows)
        yield (
            {"grants": [grant(f"g{n}", side, group=f"g{n}") for n, side in enumerate(rows)]},
            {"grants": [grant(f"g{n}", side, group=f"g{n}") for n, side in enumerate(changed)]},
            "",
            "",
        )


def estate() -> None:
    """10,000 grants on 500 tables, 50 of them changed."""
    random = Random("estate")
    rows = {(table, n): conjunction(random, 3) for table in range(500) for n in range(20)}
    changed = dict(rows)
    for table in range(0, 500, 10):
        changed[table, 3] = (
            f"{rows[table, 3]} AND {test(random)}" if table % 20 else f"({rows[table, 3]}) OR {test(random)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        policies = []
        for side in (rows, changed):
            grants = [grant(f"g{t}-{n}", row, table=f"t{t}", group=f"g{n}") for (t, n), row in side.items()]
            policies.append(bound(Path(folder), {"grants": grants}, tables=500))
        began = time.process_time()
        plan = compare(policies[0], policies[1], at=AT, budget=DEFAULT_BUDGET)
        seconds = time.process_time() - began
    changed_tables = sum(not isinstance(subject.verdict, Same) for subject in plan.subjects)
    print(f"{'plan of 10,000 grants, 50 tables changed':<46} {seconds:8.2f} s   {changed_tables} changed")


def main() -> None:
    print(f"{'one table, processor ms':<46} {'median':>8} {'p99':>8} {'max':>8}")
    report("3 filters of 5-10 conjuncts, rules, a mask", with_filters(realistic, 300))
    report("3 filters of 2,048 characters", with_filters(large, 30))
    report("a rules row of 1,000 values", thousand_values(60))
    report("200 grants, all principals at once", two_hundred_grants(20))
    estate()


if __name__ == "__main__":
    main()
