"""Three worlds for generated statements, in three storages, under ten policies.

The worlds agree on every cell that any of the policies shows, in the same order, and on nothing else: `poison` holds
secrets where nothing is shown, `benign` harmless values, `absent` has no such rows. A policy that works on single cells
shows how many rows there are, so it is asked of the first two alone.

Policies are texts, bound and decided as in the product; what they permit crosses as the canonical stream of a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import canonical, instance, printing, relations
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.predicate import Predicate
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide

from support.policies import NOW, bind_policy, principal, table

CANARY = b"SECRET"
WORLDS = ("poison", "benign", "absent")
STORAGES = ("native", "parquet", "hive")
MEMORY_BYTES = 512 * 1024 * 1024
HIDDEN = "i % 7 = 3"

SCHEMA = table(
    "lake.nyc.t",
    {
        "id": "BIGINT",
        "g": "INTEGER",
        "tenant": "VARCHAR",
        "ssn": "INTEGER",
        "s": "VARCHAR",
        "p": "VARCHAR",
        "k": "VARCHAR",
        "v": "INTEGER",
        "w": "INTEGER",
        "nn": "INTEGER",
        "d": "DOUBLE",
        "f": "DOUBLE",
        "dc": "DECIMAL(16,2)",
        "ts": "TIMESTAMP",
        "born": "DATE",
        "l": "INTEGER[]",
        "st": "STRUCT(a INTEGER, b VARCHAR, hidden VARCHAR)",
        "phone": "VARCHAR",
        "salary": "BIGINT",
        "score": "DOUBLE",
        "note": "VARCHAR",
        "code": "VARCHAR",
        "part": "BIGINT",
    },
)
MASKED = {
    "phone": '{rank: 1, builtin: partial, keep_last: 2, with: "#"}',
    "born": "{rank: 2, builtin: year}",
    "salary": "{rank: 3, builtin: round, to: 10000000}",
    "score": "{rank: 4, builtin: round, to: 100}",
    "note": "{rank: 5, builtin: redact}",
    "code": "{rank: 6, expression: \"'***' || left(value, 2)\", type: varchar}",
}
"""Columns of which worlds differ in every cell, and the masks under which they agree."""

_ALWAYS_HIDDEN = "tenant, ssn, st.hidden"
_GRANT = "principals: [everyone], resource: lake.nyc.t, permissions: [SELECT]"
_PLAIN = f"columns: {{exclude: [{_ALWAYS_HIDDEN}, {', '.join(MASKED)}]}}"


def _rows(rows: str) -> str:
    return f'grants: [{{name: g, {_GRANT}, {_PLAIN}, rows: "{rows}"}}]'


def _masked(*columns: str) -> str:
    masks = ", ".join(f"{name}: {mask}" for name, mask in MASKED.items() if name in columns)
    hidden = ", ".join([_ALWAYS_HIDDEN, *(name for name in MASKED if name not in columns)])
    uses = ", ".join(f"{name}: {name}" for name in columns)
    return (
        f"masks: {{{masks}}}\ngrants: [{{name: g, {_GRANT}, columns: {{exclude: [{hidden}]}}, "
        f"masks: {{{uses}}}, rows: \"tenant = 'a'\"}}]"
    )


_RULES = f"""grants: [{{name: g, {_GRANT}, {_PLAIN}}}]
row_rules:
  - {{resource: lake.nyc.t, name: r, status: enabled, permission_policy: GRANT_ACCESS, rules: {{file: rules.csv}}}}"""
RULES_FILE = "UserName,tenant\nalice,a\nbob,b\n" + "".join(f"alice,tenant {number}\n" for number in range(60))

_CELLS = f"""grants:
  - {{name: f, {_GRANT}, columns: {{include: [id, g]}}}}
  - {{name: g, {_GRANT}, {_PLAIN}, rows: "tenant = 'a'"}}"""

_FIELDS = f"""grants:
  - {{name: f, {_GRANT}, columns: {{include: [id, g]}}}}
  - {{name: g, {_GRANT}, columns: {{include: [st.a, s]}}, rows: "tenant = 'a'"}}
  - {{name: h, {_GRANT}, columns: {{include: [st.b, v, k]}}, rows: "tenant = 'a' AND ssn > 0"}}"""

POLICIES = {
    "literal": _rows("tenant = 'a'"),
    "or": _rows("tenant = 'a' OR tenant = 'z' OR ssn < -5"),
    "list": _rows("tenant IN ('a', 'c', 'd', 'e', 'f', 'g', 'h', 'i')"),
    "like": _rows("tenant LIKE 'a%'"),
    "rules": _RULES,
    "cells": _CELLS,
    "fields": _FIELDS,
    "text masks": _masked("phone", "note", "code"),
    "number masks": _masked("salary", "score", "born"),
    "all masks": _masked(*MASKED),
}
BY_CELL = frozenset({"cells", "fields"})
"""Policies under which a row shows that it is there."""


def worlds_of(policy: str) -> tuple[str, ...]:
    """Give the worlds that a policy makes equal."""
    return WORLDS[:2] if policy in BY_CELL else WORLDS


def governed(folder: Path, policy: str) -> GovernedTable:
    """Decide one of the policies for alice; `folder` takes its files."""
    place = folder / policy.replace(" ", "-")
    place.mkdir(exist_ok=True)
    bound = bind_policy(place, f"version: 1\n{POLICIES[policy]}\n", SCHEMA, rules=RULES_FILE)
    outcome = decide(bound, principal(), SCHEMA.name, facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome.table


def build(folder: Path, rows: int) -> None:
    """Write all worlds in all storages, each of `rows` rows and one in ten more where hidden ones may be."""
    for world in WORLDS:
        place = folder / world
        hive = place / "hive" / "nyc" / "t"
        flat = place / "parquet" / "nyc"
        hive.mkdir(parents=True)
        flat.mkdir(parents=True)
        writer = duckdb.connect(str(place / "t.duckdb"), config={"threads": 1})
        writer.execute(f"CREATE SCHEMA nyc; CREATE TABLE nyc.t AS {_body(world, rows)}; CHECKPOINT")
        writer.execute("CREATE VIEW plain AS SELECT * REPLACE (k::VARCHAR AS k) FROM nyc.t")
        writer.execute(f"COPY plain TO '{flat / 't.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE 20480)")
        for (part,) in writer.execute("SELECT DISTINCT part FROM nyc.t ORDER BY ALL").fetchall():
            (hive / f"part={part}").mkdir()
            target = hive / f"part={part}" / "1.parquet"
            writer.execute(f"COPY (SELECT * EXCLUDE (part) FROM plain WHERE part = {part}) TO '{target}'")
        writer.execute("DROP VIEW plain")
        writer.close()


def catalog(folder: Path, world: str, storage: str) -> CatalogSettings:
    """Give one world in one storage as a catalog of the configuration."""
    place = folder / world
    if storage == "native":
        return CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=place / "t.duckdb", location=None)
    return CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=place / storage, location=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What crosses from a reader: the schema, and encapsulated messages."""

    schema: bytes
    messages: tuple[bytes, ...]

    def batches(self) -> pa.RecordBatchReader:
        """Give the rows as they arrive at a worker or a builder."""
        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        decoded = (pa.ipc.read_record_batch(pa.py_buffer(message), schema) for message in self.messages)
        return pa.RecordBatchReader.from_batches(schema, decoded)


def read(
    folder: Path, world: str, storage: str, permitted: GovernedTable, *, copied: Predicate | None = None
) -> Stream:
    """Read what a policy permits of a world, as a source reader does; `copied` as in `printing.source_statement`."""
    source = relations.locate(catalog(folder, world, storage), SCHEMA.name)
    columns = tuple(governed_column.column.name for governed_column in permitted.columns)
    with _reader(source) as connection:
        statement = printing.source_statement(permitted, columns, source, copied=copied)
        result = connection.sql(statement).to_arrow_reader(canonical.FRAME_ROWS)
        schema = canonical.canonical_schema(result.schema).serialize().to_pybytes()
        return Stream(schema=schema, messages=tuple(canonical.batches(result, message_bytes=None)))


@contextmanager
def _reader(source: relations.SourceRelation) -> Iterator[duckdb.DuckDBPyConnection]:
    native = isinstance(source, DatabaseTable)
    connection = instance.open_reader(
        memory_bytes=MEMORY_BYTES,
        paths=() if native else source.readable,
        database=source.file if isinstance(source, DatabaseTable) else None,
    )
    try:
        yield connection
    finally:
        connection.close()


def _body(world: str, rows: int) -> str:
    poison = world == "poison"

    def pick(secret: str, harmless: str) -> str:
        return f"CASE WHEN {HIDDEN} OR i >= {rows} THEN {secret if poison else harmless} ELSE {harmless} END"

    def other(secret: str, harmless: str) -> str:
        return f"({secret if poison else harmless})"

    visible = f"NOT ({HIDDEN}) AND i < {rows}"
    where = f"WHERE {visible}" if world == "absent" else ""
    kinds = "ENUM('open', 'closed', 'TopSECRETProject')" if poison else "ENUM('open', 'closed')"
    kind = f"CASE WHEN i % 2 = 0 THEN 'open' ELSE 'closed' END::{kinds}"
    # Behind the folders that hold something visible stands one that holds nothing of the kind.
    extra = 91_000_031 if poison else 90
    huge = "'SECRET-' || i || CASE WHEN i % 1001 = 3 THEN repeat('SECRET', 20000) ELSE '' END"
    return f"""SELECT i::BIGINT AS id, (i % 50)::INTEGER AS g,
      CASE WHEN {visible} THEN 'a' ELSE 'b' END AS tenant,
      ({"1000000 + i" if poison else "7"})::INTEGER AS ssn,
      {pick(huge, "(i % 1000)::VARCHAR")} AS s,
      {pick("CASE WHEN i % 2 = 0 THEN 'Merger-SECRET' ELSE 'Layoff-SECRET' END", "'routine'")} AS p,
      ({pick(f"'TopSECRETProject'::{kinds}", kind)})::{kinds} AS k,
      ({pick("1000000 + i", "i % 100")})::INTEGER AS v,
      ({pick("(i * 7919) % 1000003", "i % 100")})::INTEGER AS w,
      {pick("NULL", "1")}::INTEGER AS nn,
      ({pick("7.25", "0.1")})::DOUBLE AS d, (sin(i) * 1e6)::DOUBLE AS f,
      ({pick("99999999999999.99", "(i % 100)::DECIMAL(16,2)")})::DECIMAL(16,2) AS dc,
      {pick("TIMESTAMP '9999-12-31'", "TIMESTAMP '2020-01-01' + to_days((i % 300)::INTEGER)")} AS ts,
      {
        other(
            "make_date(1950 + (i % 50)::INTEGER, 7, 1 + (i % 28)::INTEGER)", "make_date(1950 + (i % 50)::INTEGER, 1, 1)"
        )
    } AS born,
      {pick("[1, 2, 999999]", "[1, 2, (i % 10)::INTEGER]")} AS l,
      {{'a': ({pick("1000000 + i", "i % 10")})::INTEGER, 'b': {pick("'SECRET'", "'x' || i % 5")},
        'hidden': {other("'SECRET' || i", "'' || i % 3")}}} AS st,
      {other("'SECRET-77777777'", "'000000000000000'")} || printf('%02d', i % 100) AS phone,
      {other("(i % 3) * 10000000 + 7770000 + i", "(i % 3) * 10000000 + 1")}::BIGINT AS salary,
      {other("100.0 * (i % 9) + 77.7", "100.0 * (i % 9)")}::DOUBLE AS score,
      {other("'SECRET' || i", "NULL::VARCHAR")} AS note, {other("'ab' || 'SECRET' || i", "'ab'")} AS code,
      (CASE WHEN i >= {rows} THEN {extra} ELSE i * 5 // {rows} END)::BIGINT AS part
      FROM range({rows + rows // 10}) r(i) {where}"""
