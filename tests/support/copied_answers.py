"""Statements whose conditions are copied to the reader, against the same statements over all permitted rows.

What is compared: the rows, in any order, and the class of an error, with and without copying; and, with copying, every
byte over worlds that differ in hidden cells alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from penstock_server.engines.duckdb import binding, canonical, conjuncts, copying, errors, instance
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.errors import Reason
from penstock_server.model.decision import GovernedTable
from penstock_server.model.predicate import Predicate

from support import governed_worlds as worlds
from support.governed_worlds import CANARY, MEMORY_BYTES, SCHEMA

HOSTILE = (
    "'; DROP TABLE t; --",
    "x' OR '1'='1",
    '"; SELECT 1; --',
    "$$ || (SELECT s) || $$",
    "\\'; ATTACH 'x' AS y; --",
    "\u2019 OR 1=1 \u202e",
    "a\nb\r\tc",
    "{0} %s :x ?1 $1",
    "",
)

_SHAPES = (
    "select id, v from t where {c}",
    "select id, s from t where {c} limit 20",
    "select g, count(*), sum(v) from t where {c} group by g",
    "select a.id, b.id from t a join t b on a.id = b.id + 1 where {a}",
    "select a.id, b.id from t a join t b on a.id = b.id + 1 where {a} and {b}",
    "select count(*), max(b.id) from t a join t b on a.g = b.v where {a} and {b} and a.id < 90",
    "select a.id, b.id from t a left join t b on a.id = b.id + 1 and {b} where {a}",
    "select a.id, b.id from t a left join t b on a.id = b.id + 1 where {b}",
    "select a.id, b.id from t a left join t b on a.id = b.id and {b} where b.id is null and {a}",
    "select a.id, b.id from t a right join t b on a.id = b.id + 1 where {a} and {b}",
    "select a.id, b.id from t a full join t b on a.id = b.id + 1 where {a} and {b}",
    "select a.id from t a semi join t b on a.id = b.id + 1 where {a}",
    "select a.id from t a anti join (select * from t b where {b}) b on a.id = b.id + 1 where {a}",
    "select a.id, b.id from t a asof join t b on a.g = b.g and a.id > b.id where {a} and {b}",
    "select a.id, b.id from t a asof left join t b on a.g = b.g and a.id > b.id where {b}",
    "select a.id, b.id from (from t) a positional join (from t) b where {a} and {b}",
    "select a.id, b.id from t a positional join t b where {a} and {b}",
    "select count(*) from (select * from t order by id limit 40) where {c}",
    "select count(*) from (select * from t where {c} order by id limit 40)",
    "select id, v + 1 as g, g as v, s as p from t where {c}",
    "select * from (select id, v as g, g as v, w as id2, p as s, dc, ts, nn, k, s as p, w from t) where {c}",
    "with c as (select * from t where {c}) select count(*), max(a.id) from c a, c b where a.id = b.id + 1",
    "select id from t where {c} union all select id from t where {c2}",
    "select id from t where {c} union all select id + 1 from t",
    "select id from t where {c} except select id from t where {c2}",
    "select a.id from t a where {a} and exists (select 1 from t b where b.id = a.id + 1 and {b})",
    "select a.id from t a where {a} and not exists (select 1 from t b where b.id = a.id + 1 and {b})",
    "select a.id from t a where {a} and a.v in (select b.g from t b where {b})",
    "select a.id from t a where {a} and a.v not in (select b.g from t b where {b})",
    "select a.id, (select max(b.id) from t b where b.g = a.g and {b}) from t a where {a} and a.id < 60",
    "select a.id, x from t a, lateral (select b.id x from t b where b.g = a.g and {b} order by id limit 1) where {a}",
    "select a.id, x from t a, lateral (select * from (select b.* from t b order by id limit 50) b where {b}) l(x) "
    "where {a} and a.id < 30",
    "select id, row_number() over (order by id) from t where {c}",
    "select * from (select *, row_number() over (partition by g order by id) n from t) where {c} and n < 3",
    "select id from t where {c} qualify row_number() over (partition by g order by id) = 1",
    "select count(*) filter (where {c}) from t",
    "select count(*) from t having count(*) filter (where {c}) > 2",
    "select sum(case when {c} then 1 else 0 end) from t",
    "select id from t where {c} or id = 5",
    "select id from t where not ({c})",
    "with recursive r as (select id from t where {c} and id < 9 union select t.id from t, r where t.id = r.id + 1 "
    "and t.id < 60) select count(*) from r",
    "select v, count(*) from t where {c} group by rollup (v) order by all",
    "select id from t where {c} using sample 20 percent (bernoulli, 7)",
    "select id from t where {c} using sample 50 percent (system, 7)",
    "select id from t tablesample 50 percent (bernoulli, 7) where {c}",
    "select id from t where {c} and try_cast(s as integer) > 10",
)


@dataclass(slots=True, kw_only=True)
class Copied:
    """What was compared: statements of which something was copied, and what differed."""

    statements: int = 0
    copied: int = 0
    answers: int = 0
    differences: list[str] = field(default_factory=list)


def statements(seed: int, count: int) -> Iterator[str]:
    """Give statements over `t`, each shape in turn, their conditions by chance."""
    chance = random.Random(seed)
    for number in range(count):
        shape = _SHAPES[number % len(_SHAPES)]
        yield shape.format(
            c=_conditions(chance, ""),
            c2=_conditions(chance, ""),
            a=_conditions(chance, "a."),
            b=_conditions(chance, "b."),
        )


def _conditions(chance: random.Random, prefix: str) -> str:
    return " and ".join(_condition(chance, prefix) for _ in range(chance.choice((1, 1, 2, 3))))


def _condition(chance: random.Random, prefix: str) -> str:
    column, constants = chance.choice(_COLUMNS)
    low, high = chance.sample(constants, 2)
    op = chance.choice(("=", "<>", "<", ">", "<=", ">=", ">", "<>"))
    name = f"{prefix}{column}"
    return chance.choice(
        (
            f"{name} {op} {low}",
            f"{low} {op} {name}",
            f"{name} in ({low}, {high})",
            f"{name} between {low} and {high}",
            f"{name} is null",
            f"{name} is not null",
            f"{name} <> {high} and {name} {op} {low}",
        )
    )


def literal(text: str) -> str:
    """Write a text as a caller would."""
    return "'" + text.replace("'", "''") + "'"


_COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("id", ("3", "700", "'40'", "500::bigint", "90000000000", "-1")),
    ("g", ("1", "7", "25", "49::tinyint")),
    ("v", ("5", "60", "99", "1000000")),
    ("w", ("5", "60", "99")),
    ("s", ("'100'", "'5'", "'z'", *(literal(text) for text in HOSTILE))),
    ("p", ("'routine'", "'x'", "'Merger-SECRET'")),
    ("k", ("'open'", "'closed'", "'TopSECRETProject'")),
    ("dc", ("1.5", "2", "50.00", "99::decimal(16,2)", "0.125")),
    ("ts", ("timestamp '2020-02-01'", "'2020-03-01 00:00:01.5'", "date '2020-01-05' + interval 3 day", "'infinity'")),
    ("nn", ("1", "2")),
)


def compare(folder: Path, policy: str, asked: Sequence[str]) -> Copied:
    """Ask statements with and without copying under one policy, over the worlds that it makes equal."""
    permitted = worlds.governed(folder, policy)
    places = [(world, storage) for storage in ("native", "parquet") for world in worlds.worlds_of(policy)]
    found = Copied()
    whole = _Sealed(permitted)
    whole.fill(folder, *places[0], None)
    for number, sql in enumerate(asked):
        found.statements += 1
        conditions = whole.conditions(sql)
        if conditions is None:
            continue
        found.copied += 1
        expected = whole.ask(sql)
        found.answers += not expected.error
        turned = (places[0], places[1 + number % (len(places) - 1)])
        given = []
        for world, storage in turned:
            narrow = _Sealed(permitted)
            try:
                narrow.fill(folder, world, storage, conditions)
                given.append(narrow.ask(sql))
            finally:
                narrow.close()
        if (given[0].rows, given[0].error) != (expected.rows, expected.error):
            found.differences.append(f"{policy}: copying changes {sql}")
        if given[0] != given[1]:
            found.differences.append(f"{policy} {turned[1]}: {sql}")
        if any(CANARY in part for one in given for part in one.parts) and CANARY not in sql.encode():
            found.differences.append(f"{policy}: a secret: {sql}")
    whole.close()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    error: str
    rows: tuple[str, ...] = ()
    parts: tuple[bytes, ...] = ()


class _Sealed:
    """A sealed instance over what a policy permits, or over what a statement asks of it."""

    def __init__(self, permitted: GovernedTable) -> None:
        self._permitted = permitted
        self._columns = tuple(shown.column.name for shown in permitted.columns)
        columns = tuple(ShapedColumn(name=one.column.name, sql_type=one.column.type.sql) for one in permitted.columns)
        self._shape = TableShape(name=SCHEMA.name, references=(("t",),), columns=columns)
        self._open()

    def conditions(self, sql: str) -> Predicate | None:
        """Give what may be copied of a statement."""
        return copying.copied(self._permitted, conjuncts.copied(self._connection, self._declaration, sql))

    def fill(self, folder: Path, world: str, storage: str, copied: Predicate | None) -> None:
        """Read a world as a source reader does, with the conditions of a statement."""
        self._stream = worlds.read(folder, world, storage, self._permitted, copied=copied)
        self._publish()

    def ask(self, sql: str) -> _Given:
        """Run one statement."""
        try:
            result = self._connection.sql(sql).to_arrow_reader(canonical.FRAME_ROWS)
            schema = canonical.canonical_schema(result.schema)
            parts = tuple(canonical.batches(result, message_bytes=None))
        except Exception as error:  # noqa: BLE001 - as the worker of the product does
            failed = errors.translate(error, sql=sql, memory_bytes=MEMORY_BYTES)
            if failed.reason is Reason.INTERNAL:
                self.close()
                self._open()
                self._publish()
            return _Given(error=str(failed.reason))
        batches = [pa.ipc.read_record_batch(pa.py_buffer(part), schema) for part in parts]
        rows = [str(row) for batch in batches for row in batch.to_pylist()]
        return _Given(error="", rows=tuple(sorted(rows)), parts=parts)

    def close(self) -> None:
        """Close the instance."""
        self._connection.close()

    def _open(self) -> None:
        self._connection = instance.open_sealed(memory_bytes=MEMORY_BYTES)
        self._declaration = binding.declare(self._connection, (self._shape,))

    def _publish(self) -> None:
        binding.publish(self._connection, self._declaration, SCHEMA.name, self._columns, self._stream.batches())
