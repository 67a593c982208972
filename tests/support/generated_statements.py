"""Statements from a seed: every function of the list of allowed ones, in every place where an expression may stand.

The same seed gives the same statements with the same version of DuckDB: what a function takes is read from the engine.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
from penstock_server.engines.duckdb import functions
from penstock_server.model.resource import fold

POSITIONS = (
    "select",
    "where",
    "join",
    "group by",
    "having",
    "order by",
    "window",
    "filter",
    "correlated",
    "folding",
)

WITHOUT_A_VALUE = frozenset(
    {
        *("random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"),
        *("now", "today", "age", "ago", "current_date", "current_localtime", "current_localtimestamp"),
        *("get_current_time", "get_current_timestamp", "transaction_timestamp"),
        "reservoir_quantile",
    }
)
"""Functions of chance or of the clock: they differ from one run to the next in one world."""

_OPERATORS = frozenset(
    {
        *("!=", "!~~", "!~~*", "%", "&", "&&", "*", "**", "+", "-", "->>", "/", "//", "<", "<->", "<<", "<=", "<=>"),
        *("<@", "=", ">", ">=", ">>", "@>", "^", "^@", "|", "||", "~", "~~", "~~*"),
        *("IS DISTINCT FROM", "IS NOT DISTINCT FROM"),
    }
)
_COMPARISONS = frozenset({"!=", "<", "<=", "=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"})
"""Those that may not be called as functions; between operands they may stand."""

_INTEGERS = ("id", "g", "v", "w", "nn")
_POOLS: Mapping[str, tuple[str, ...]] = {
    "VARCHAR": ("s", "p", "k", "p[1]", "'a'", "'rout'", "phone", "note", "code", "st.b"),
    "BIGINT": (*_INTEGERS, "2", "salary", "part"),
    "INTEGER": ("g", "v", "w", "nn", "3", "st.a"),
    "SMALLINT": ("g::smallint", "7::smallint"),
    "TINYINT": ("g::tinyint", "1::tinyint"),
    "UBIGINT": ("id::ubigint", "5::ubigint"),
    "UINTEGER": ("g::uinteger",),
    "HUGEINT": ("id::hugeint", "v::hugeint"),
    "DOUBLE": ("d", "f", "0.5", "dc::double", "score"),
    "FLOAT": ("f::float", "d::float"),
    "DECIMAL": ("dc", "2.5"),
    "UNION": ("union_value(a := v)",),
    "T[]": ("l", "[v, w]"),
    "T": ("v", "w"),
    "TUPLE": ("row(v, s)",),
    "BOOLEAN": ("v > 50", "s < p", "nn is null", "true"),
    "DATE": ("ts::date", "born", "date '2020-02-01'"),
    "TIMESTAMP": ("ts", "timestamp '2020-03-01'"),
    "TIMESTAMP WITH TIME ZONE": ("ts::timestamptz",),
    "TIME": ("ts::time",),
    "INTERVAL": ("to_days(g)", "interval 3 day"),
    "BLOB": ("s::blob", "encode(p)"),
    "BIT": ("g::bit",),
    "UUID": ("md5(s)::uuid",),
    "JSON": ("to_json(st)", "'[1, 2]'::json"),
    "ANY": ("id", "s", "p", "v", "f", "dc", "ts", "l", "st", "k", "d", "nn"),
    "ANY[]": ("l", "[s, p]", "[v, w]", "[f, d]"),
    "VARCHAR[]": ("[s, p, k]", "['a', p]"),
    "DOUBLE[]": ("[f, d, 1.0]", "[d, d]"),
    "FLOAT[]": ("[f, d]::float[]",),
    "DOUBLE[3]": ("[f, d, 1.0]::double[3]",),
    "FLOAT[3]": ("[f, d, 1.0]::float[3]",),
    "DOUBLE[ANY]": ("[f, d, 1.0]::double[3]",),
    "FLOAT[ANY]": ("[f, d, 1.0]::float[3]",),
    "MAP": ("map([s], [v])", "map(['a', 'b'], [v, w])"),
    "STRUCT": ("st", "{'x': v, 'y': s}"),
    "LAMBDA": ("lambda x: x is not null", "lambda x: hash(x) % 7", "lambda x, y: y"),
    "VARIANT": ("st::variant", "s::variant"),
}
_FALLIBLE = ("cast('a' || s as int) > 0", "1 // (v - v) > 0", "cast(p as date) is null", "error(s) is null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A function with one of its lists of parameters, and what it gives."""

    name: str
    kind: str
    parameters: tuple[str, ...]
    gives: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement over the table `t`, the place of its expression, and the function that it is about."""

    sql: str
    position: str
    function: str


def callees() -> tuple[Callee, ...]:
    """Give every allowed function that has a value, with each list of parameters, in a fixed order."""
    connection = duckdb.connect()
    found = connection.execute(
        "SELECT DISTINCT function_name, function_type, parameter_types, varargs, return_type "
        "FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro', 'window') ORDER BY ALL"
    ).fetchall()
    connection.close()
    listed = []
    for name, kind, parameters, more, gives in found:
        allowed = functions.is_allowed(fold(name)) or name in _COMPARISONS
        if allowed and fold(name) not in WITHOUT_A_VALUE and name.strip("_") == name:
            kinds = tuple(parameter or "ANY" for parameter in parameters or ())
            listed.append(
                Callee(name=name, kind=kind, parameters=kinds + ((more,) * 2 if more else ()), gives=gives or "ANY")
            )
    return tuple(listed)


def statements(seed: int, count: int, columns: Mapping[str, str], *, known: Sequence[Callee] = ()) -> list[Statement]:
    """Give `count` statements over a table `t` with these columns and their types.

    Functions and places take turns, everything else is by chance. What does not bind is tried again with other
    arguments, and in the end kept: a refusal is an answer too.
    """
    chance = random.Random(seed)
    every = list(known or callees())
    names = sorted({callee.name for callee in every})
    by_name: dict[str, list[Callee]] = {}
    for callee in every:
        by_name.setdefault(callee.name, []).append(callee)
    # Two seeds in a row ask of other functions, and a function is at another place each time round.
    first = seed * count
    made = []
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        writer = _Writer(chance, every, frozenset(columns))
        for number in range(first, first + count):
            callees_of = by_name[names[number % len(names)]]
            position = POSITIONS[(number + number // len(names)) % len(POSITIONS)]
            tried = [writer.statement(chance.choice(callees_of), position)]
            while len(tried) < _TRIES and not _binds(connection, tried[-1].sql):
                tried.append(writer.statement(chance.choice(callees_of), position))
            made.append(tried[-1])
    finally:
        connection.close()
    return made


_TRIES = 10
_SECRETIVE = re.compile(r"\b(phone|note|code|salary|score|born|part|st|s|p|k|v|w|nn|d|f|dc|ts|l)\b")


def _binds(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        connection.execute(f"EXPLAIN {sql}")
    except duckdb.Error:
        return False
    return True


class _Writer:
    def __init__(self, chance: random.Random, known: Sequence[Callee], columns: frozenset[str]) -> None:
        self._chance = chance
        self._scalars = [callee for callee in known if callee.kind in ("scalar", "macro")]
        self._giving: dict[str, list[Callee]] = {}
        for callee in self._scalars:
            self._giving.setdefault(callee.gives, []).append(callee)
        self._pools = {
            kind: tuple(text for text in pool if set(_SECRETIVE.findall(text.split("'")[0])) <= columns) or pool
            for kind, pool in _POOLS.items()
        }

    def statement(self, callee: Callee, position: str) -> Statement:
        """Put a call of one function at one place; an aggregate or a window function where it may stand."""
        if callee.kind == "aggregate":
            position = {"where": "having", "join": "filter", "order by": "window", "folding": "select"}.get(
                position, position
            )
            aggregate = self._call(callee)
            expression = self._scalar()
        elif callee.kind == "window":
            position, aggregate, expression = "window", self._call(callee), self._scalar()
        else:
            aggregate, expression = self._chance.choice(_AGGREGATES), self._call(callee)
        write = _PLACES[position]
        sql = write(self._chance, expression, aggregate, callee.kind)
        return Statement(sql=sql, position=position, function=callee.name)

    def _scalar(self) -> str:
        if self._chance.random() < 0.5:
            return self._chance.choice(self._pools["ANY"])
        return self._call(self._chance.choice(self._scalars), depth=1)

    def _call(self, callee: Callee, *, depth: int = 0) -> str:
        given = [self._argument(kind, depth) for kind in callee.parameters]
        if callee.name in _OPERATORS and len(given) == 2:
            return f"({given[0]} {callee.name} {given[1]})"
        if not callee.name.replace("_", "").isalnum():
            return f'"{callee.name}"({", ".join(given)})'
        return f"{callee.name}({', '.join(given)})"

    def _argument(self, kind: str, depth: int) -> str:
        if depth == 0 and kind not in ("LAMBDA", "TABLE") and self._chance.random() < 0.15:
            return self._call(self._chance.choice(self._giving.get(kind) or self._scalars), depth=1)
        pool = self._pools.get(kind)
        if pool is None:
            other = "MAP" if kind.startswith("MAP") else "ANY[]" if kind.endswith("]") else "ANY"
            pool = self._pools[other]
        return self._chance.choice(pool)


_AGGREGATES = ("count(*)", "sum(v)", "max(s)", "sum(d)", "string_agg(p, '' order by id)", "approx_count_distinct(s)")

Place = Callable[[random.Random, str, str, str], str]


def _condition(chance: random.Random, expression: str) -> str:
    form = chance.choice(
        ("({e}) is not null", "hash({e}) % 3 = 0", "({e})::varchar > 'm'", "({e}) = ({e})", "try({e}) is null")
    )
    return form.format(e=expression)


def _select(chance: random.Random, expression: str, aggregate: str, kind: str) -> str:
    if kind == "aggregate":
        return f"select {aggregate} as x, count(*) from t"
    tail = chance.choice(
        ("", " where id < 900", " limit 70", " order by id desc limit 30", " using sample 3% (bernoulli, 5)")
    )
    distinct = chance.choice(("", "", "distinct "))
    return f"select {distinct}id, {expression} as x, v + 1 as y from t{tail}"


def _where(chance: random.Random, expression: str, aggregate: str, _: str) -> str:
    return chance.choice(
        (
            f"select id, v from t where {_condition(chance, expression)}",
            f"select {aggregate} from t where {_condition(chance, expression)} and v < 60",
            f"select id from t where {_condition(chance, expression)} or nn is null order by id limit 40",
        )
    )


def _join(chance: random.Random, expression: str, aggregate: str, _: str) -> str:
    condition = _condition(chance, expression)
    kind = chance.choice(("join", "left join", "right join", "full join", "semi join", "anti join"))
    right = chance.choice(
        (
            "(select id + 1 as j, g as h from t) b on id = j",
            "(select range::int as j from range(4000)) b on v = j",
            "(select v + 1000 as j from t where id < 40) b on v = j",
        )
    )
    found = "count(*)" if kind in ("semi join", "anti join") else "count(*), max(j)"
    return f"select {found} from t {kind} {right} and {condition}"


def _group(_: random.Random, expression: str, aggregate: str, kind: str) -> str:
    if kind == "aggregate":
        return f"select g, {aggregate} as x from t group by g"
    return f"select {expression} as x, count(*), sum(v), {aggregate} from t group by x"


def _having(chance: random.Random, expression: str, aggregate: str, kind: str) -> str:
    if kind == "aggregate":
        return f"select g, count(*) from t group by g having {_condition(chance, aggregate)}"
    condition = _condition(chance, f"any_value({expression})")
    return f"select v, g, s, count(*) from t group by all having count(*) > 0 and {condition}"


def _order(chance: random.Random, expression: str, _: str, __: str) -> str:
    return f"select id, g from t order by {expression} {chance.choice(('', 'desc', 'nulls first'))} limit 60"


def _window(chance: random.Random, expression: str, aggregate: str, kind: str) -> str:
    frame = chance.choice(("", " rows 3 preceding", " range between unbounded preceding and current row"))
    if kind == "window":
        frame = ""
    over = f"(partition by g order by {chance.choice(('id', 'v, id', f'{expression}, id'))}{frame})"
    return f"select id, {aggregate} over {over} as x from t where id < 700"


def _filter(chance: random.Random, expression: str, aggregate: str, _: str) -> str:
    # An order within an aggregate stands before the filter, so both are there.
    return f"select g, {aggregate} filter (where {_condition(chance, expression)}) as x from t group by g order by g"


def _correlated(chance: random.Random, expression: str, aggregate: str, kind: str) -> str:
    if kind == "aggregate":
        return f"select o.id, (select {aggregate} from t where t.g = o.g and t.id < 400) as x from t o where o.id < 60"
    condition = _condition(chance, expression)
    inner = chance.choice((f"t.id = o.id + 1 and {condition}", f"t.g = o.g and t.id < 400 and {condition}"))
    return chance.choice(
        (
            f"select o.id from t o where o.id < 200 and exists (select 1 from t where {inner})",
            f"select o.id, (select count(*) from t where {inner}) from t o where o.id < 60",
            f"select o.id, x from t o, lateral (select {expression} as x from t where t.id = o.id + 7) where o.id < 90",
        )
    )


def _folding(chance: random.Random, expression: str, _: str, __: str) -> str:
    column, constant = chance.choice(
        (("v", "500"), ("dc", "1000"), ("w", "99999"), ("s", "'S'"), ("ts", "'9000-01-01'"))
    )
    test = f"({column} {chance.choice(('>', '=', '>=', '<'))} {constant})"
    fail = chance.choice((*_FALLIBLE, _condition(chance, expression)))
    word = chance.choice(("and", "or"))
    return chance.choice(
        (
            f"select {test} {word} ({fail}) as x, {expression} as y from t limit 1",
            f"select try({test} {word} ({fail})) as x from t limit 2",
            f"select count(*) from t where {test} {word} ({fail})",
        )
    )


_PLACES: Mapping[str, Place] = {
    "select": _select,
    "where": _where,
    "join": _join,
    "group by": _group,
    "having": _having,
    "order by": _order,
    "window": _window,
    "filter": _filter,
    "correlated": _correlated,
    "folding": _folding,
}
