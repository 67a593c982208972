"""Random row filters as text, with the same filter as PostgreSQL reads it, and the table that both are about.

The two texts differ in two places only: NaN compares as UNKNOWN here, and PostgreSQL reads a zone in `TIMESTAMPTZ` but
not in `TIMESTAMP`. All else, what binds tighter than what among it, has to mean the same as it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from random import Random

from penstock_server.policy.filters.row_filter import MAX_LENGTH

from support.predicates import INFINITE, Cell, units


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterText:
    """One filter: `ours` as in a policy file, `theirs` for PostgreSQL."""

    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A column: its types, its cells (as both engines read them, and what they are), and constants as written.

    `inexact` are constants that only tests of order may have.
    """

    duckdb: str
    postgres: str
    cells: tuple[tuple[str, Cell], ...]
    constants: tuple[str, ...]
    inexact: tuple[str, ...] = ()


_TEXTS = [
    "",
    "a",
    "A",
    "b",
    "B",
    "ab",
    "a b",
    "a ",
    " a",
    "a_b",
    "a%b",
    "ä",
    "a\u0308",
    "Z",
    "z",
    "é",
    "'",
    '"',
    "a\\b",
]
_TEXTS += ["a\nb", "\t", "\U0001f600", "\uff5e", "\ufb01", "ss", "ß", "I", "\u0131", "10", "10.4"]
_FLOATS = [0.0, -0.0, 0.1, 0.5, -2.25, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan]
_DAYS = ["1970-01-01", "2020-02-28", "2020-02-29", "2020-03-01", "0001-01-01", "9999-12-31"]
_MOMENTS = ["2020-02-29 00:00:00", "2020-02-29 23:59:59.999999", "2020-03-01 00:00:00", "1969-12-31 23:59:59.5"]
_MOMENTS += ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"]
_ENDLESS: tuple[tuple[str, Cell], ...] = (("infinity", INFINITE), ("-infinity", -INFINITE))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _moment(text: str) -> Fraction:
    return units(datetime.fromisoformat(text).replace(tzinfo=UTC))


COLUMNS = {
    "s": Given(
        duckdb="VARCHAR",
        postgres="text",
        cells=tuple((text, text) for text in _TEXTS),
        constants=tuple(map(_quoted, [*_TEXTS, "c"])),
    ),
    "i": Given(
        duckdb="INTEGER",
        postgres="integer",
        cells=tuple((str(n), Fraction(n)) for n in (-(2**31), -7, -1, 0, 1, 2, 10, 2**31 - 1)),
        constants=("-2147483648", "-1", "0", "1", "2", "007", "10", "2147483647"),
    ),
    "k": Given(
        duckdb="BIGINT",
        postgres="bigint",
        cells=tuple((str(n), Fraction(n)) for n in (-(2**63), -1, 0, 2**53, 2**53 + 1, 2**63 - 1)),
        constants=("-1", "0", "9007199254740992", "9007199254740993", "9223372036854775807"),
    ),
    "d": Given(
        duckdb="DECIMAL(5,2)",
        postgres="numeric(5,2)",
        cells=tuple((n, Fraction(Decimal(n))) for n in ("-999.99", "-1.50", "0.00", "0.01", "1.00", "1.25", "999.99")),
        constants=("-999.99", "-1.5", "0", "0.01", "1", "1.25", "999.99", ".5", "1."),
    ),
    "f": Given(
        duckdb="DOUBLE",
        postgres="double precision",
        cells=tuple((repr(number), number) for number in _FLOATS),
        constants=("0", "-0.0", "0.5", "-2.25", "1", "4e0"),
        inexact=("0.1", "-0.3", "1e308"),
    ),
    "b": Given(
        duckdb="BOOLEAN", postgres="boolean", cells=(("true", True), ("false", False)), constants=("TRUE", "false")
    ),
    "y": Given(
        duckdb="DATE",
        postgres="date",
        cells=(*((day, units(date.fromisoformat(day))) for day in _DAYS), *_ENDLESS),
        constants=tuple(f"DATE '{day}'" for day in _DAYS),
    ),
    "t": Given(
        duckdb="TIMESTAMP",
        postgres="timestamp",
        cells=(*((moment, _moment(moment)) for moment in _MOMENTS), *_ENDLESS),
        constants=tuple(f"TIMESTAMP '{moment}'" for moment in _MOMENTS),
    ),
    "z": Given(
        duckdb="TIMESTAMP WITH TIME ZONE",
        postgres="timestamptz",
        cells=(*((f"{moment}+00", _moment(moment)) for moment in _MOMENTS), *_ENDLESS),
        constants=tuple(f"TIMESTAMP '{m}{zone}'" for m in _MOMENTS[:4] for zone in ("Z", "+02:00", "-11:30")),
    ),
}


def random_filter(random: Random) -> FilterText:
    """Give a filter of up to a dozen tests, with as few parentheses as its meaning allows, and some more."""
    found = _disjunction(random, 2)
    return found if len(found.ours) <= MAX_LENGTH else random_filter(random)


def random_rows(random: Random, count: int) -> list[dict[str, tuple[str, Cell] | None]]:
    """Give rows: for each column a cell as text and as a value, or None for NULL."""
    return [
        {name: None if random.random() < 0.15 else random.choice(given.cells) for name, given in COLUMNS.items()}
        for _ in range(count)
    ]


def _disjunction(random: Random, depth: int) -> FilterText:
    return _joined(random, "OR", [_conjunction(random, depth) for _ in range(random.choice([1, 1, 2, 3]))])


def _conjunction(random: Random, depth: int) -> FilterText:
    return _joined(random, "AND", [_negation(random, depth) for _ in range(random.choice([1, 1, 2, 3]))])


def _negation(random: Random, depth: int) -> FilterText:
    if random.random() < 0.2:
        inner = _negation(random, depth)
        return FilterText(ours=f"NOT {inner.ours}", theirs=f"NOT {inner.theirs}")
    if depth and random.random() < 0.3:
        inner = _disjunction(random, depth - 1)
        return FilterText(ours=f"({inner.ours})", theirs=f"({inner.theirs})")
    return _test(random)


def _joined(random: Random, word: str, parts: list[FilterText]) -> FilterText:
    word = random.choice([f" {word} ", f"\n {word.lower()}\t"])
    return FilterText(ours=word.join(part.ours for part in parts), theirs=word.join(part.theirs for part in parts))


def _test(random: Random) -> FilterText:
    name = random.choice(list(COLUMNS))
    column = random.choice([name, name, name.upper(), f'"{name}"'])
    kind = random.choice(
        ["compare", "compare", "compare", "between", "in", "null", *(["like"] * 2 if name == "s" else [])]
    )
    if kind == "null":
        return FilterText(ours=f"{column} IS NULL", theirs=f"{column} IS NULL")
    rest = _rest(random, kind, COLUMNS[name])
    left = f"(CASE WHEN {column} <> 'NaN' THEN {column} END)" if name == "f" else column
    theirs = rest.replace("TIMESTAMP", "TIMESTAMPTZ") if name == "z" else rest
    return FilterText(ours=f"{column} {rest}", theirs=f"{left} {theirs}")


def _rest(random: Random, kind: str, given: Given) -> str:
    constants = given.constants
    word = random.choice(["", "", "NOT "])
    match kind:
        case "between" if given.duckdb != "BOOLEAN":
            low, high = random.choices([*constants, *given.inexact], k=2)
            return f"{word}BETWEEN {low} AND {high}"
        case "in":
            return f"{word}IN ({', '.join(random.choices(constants, k=random.randint(1, 4)))})"
        case "like":
            pattern = "".join(random.choice("%%__aAbB'ä\U0001f600") for _ in range(random.randint(0, 4)))
            return f"{word}LIKE {_quoted(pattern)}"
        case _:
            op = random.choice(["=", "<>", "!="])
            if given.duckdb == "BOOLEAN" or random.random() < 0.4:
                return f"{op} {random.choice(constants)}"
            return f"{random.choice(['<', '<=', '>', '>='])}{random.choice([*constants, *given.inexact])}"
