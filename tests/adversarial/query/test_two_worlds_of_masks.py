"""Worlds whose hidden values differ and whose masks of them agree, through the whole engine: the same bytes.

Each masked column holds other values in each world, of which its mask shows the same. The same comparison with a mask
that is switched off, so that the cells are clear, must show.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb import errors
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import PenstockError
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide
from support import engine_processes as processes
from support.policies import NOW, bind_policy, name_of, principal
from support.worlds import CANARY_TEXT, Outcome

ROWS = 6_000
TABLE = "lake.nyc.t"
CANARY_NUMBERS = range(7_770_000, 7_770_000 + ROWS)

MASKS = {
    "phone": '{rank: 1, builtin: partial, keep_last: 2, with: "#"}',
    "card": "{rank: 2, builtin: show-last-4}",
    "address": "{rank: 3, builtin: mask-alphanum}",
    "born": "{rank: 4, builtin: year}",
    "seen": "{rank: 5, builtin: truncate-to-month}",
    "salary": "{rank: 6, builtin: round, to: 10000000}",
    "score": "{rank: 7, builtin: round, to: 100}",
    "note": "{rank: 8, builtin: redact}",
    "code": """{rank: 9, expression: "'***' || left(value, 2)", type: varchar}""",
    "grade": """{rank: 10, expression: "CASE WHEN value >= 500 THEN 'high' ELSE 'low' END", type: varchar}""",
    "kind": "{rank: 11, builtin: replace-with-null}",
}

STATEMENTS = [
    "select * from nyc.t",
    " union all ".join(f"(select {name}::varchar v, count(*) from nyc.t group by v order by v)" for name in MASKS),
    " union all ".join(f"(select id from nyc.t where {name} is null order by id)" for name in MASKS),
    "select min(columns(*)) from nyc.t",
    "select count(distinct columns(*)) from nyc.t",
    "select hash(columns(*)) from nyc.t where id < 500",
    "summarize nyc.t",
    "describe nyc.t",
    "select sum(score), avg(score), stddev(score), sum(salary) from nyc.t",
    "select cast(phone as integer) from nyc.t",
    "select card::date from nyc.t",
    "select salary * 1000000000000 from nyc.t",
    "select a.id from nyc.t a join nyc.t b on a.code = b.code and a.born = b.born where a.id < 40 order by all",
    "select approx_count_distinct(code), approx_quantile(score, 0.5) from nyc.t",
    "select histogram(grade), mode(phone), string_agg(code, ',' order by id) from nyc.t",
    "select row_number() over (order by salary, id), lag(card) over (order by id) from nyc.t",
    "select typeof(grade), typeof(kind), typeof(salary) from nyc.t limit 1",
]


def _body(world: str) -> str:
    """Every hidden value of one world differs from that of the other; what its mask shows of it is the same."""
    poison = world == "poison"

    def pick(secret: str, harmless: str) -> str:
        # NULLs stand in the same rows, for most masks show them.
        return f"CASE WHEN i % 11 = 0 THEN NULL ELSE {secret if poison else harmless} END"

    kinds = "ENUM('SECRET-A', 'SECRET-B')" if poison else "ENUM('x')"
    kind = "(CASE WHEN i % 2 = 0 THEN 'SECRET-A' ELSE 'SECRET-B' END)" if poison else "'x'"
    tail = "printf('%02d', i % 100)"
    return f"""SELECT i::INTEGER AS id,
      {pick(f"'SECRET-' || printf('%07d', 7770000 + i) || {tail}", f"repeat('0', 14) || {tail}")} AS phone,
      {
        pick(
            "'7777-77' || printf('%02d', i % 90) || '-SECR-' || printf('%04d', i % 50)",
            "'0000-0000-zzzz-' || printf('%04d', i % 50)",
        )
    } AS card,
      {pick("'SECRET' || (7770000 + i) || '@SECRET.org'", "'aaaaaa' || (1000000 + i % 7) || '@bbbbbb.com'")} AS address,
      {
        pick(
            "make_date(1950 + (i % 50)::INTEGER, 7, 1 + (i % 28)::INTEGER)", "make_date(1950 + (i % 50)::INTEGER, 1, 1)"
        )
    } AS born,
      {
        pick(
            "make_timestamp(2020, 1 + (i % 12), 2 + i % 26, 23, 59, 59.999999)",
            "make_timestamp(2020, 1 + (i % 12), 1, 0, 0, 0.0)",
        )
    } AS seen,
      {pick("(i % 3) * 10000000 + 7770000 + i", "(i % 3) * 10000000 + 1")}::BIGINT AS salary,
      {pick("100.0 * (i % 9) + 77.7", "100.0 * (i % 9)")}::DOUBLE AS score,
      {"'SECRET' || i" if poison else "NULL::VARCHAR"} AS note,
      {pick("'ab' || 'SECRET' || i", "'ab'")} AS code,
      {
        pick("(CASE WHEN i % 2 = 0 THEN 777 ELSE 77 END)", "(CASE WHEN i % 2 = 0 THEN 500 ELSE 0 END)")
    }::INTEGER AS grade,
      ({kind})::{kinds} AS kind
      FROM range({ROWS}) r(i)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("masks")
    for world in ("poison", "benign"):
        place = made / world / "lake" / "nyc"
        place.mkdir(parents=True)
        writer = duckdb.connect(str(made / world / "t.duckdb"), config={"threads": 1})
        writer.execute(f"CREATE SCHEMA nyc; CREATE TABLE nyc.t AS {_body(world)}")
        writer.execute(f"COPY nyc.t TO '{place / 't.parquet'}' (FORMAT parquet)")
        writer.close()
    return made


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


def _catalog(folder: Path, world: str, storage: str) -> CatalogSettings:
    if storage == "native":
        path = folder / world / "t.duckdb"
        return CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=path, location=None)
    return CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=folder / world / "lake", location=None)


async def _decided(engine: DuckDbEngine, folder: Path, unmasked: str | None) -> GovernedTable:
    (schema,) = (await engine.inspect()).tables
    masks = "".join(f"  {name}: {mask}\n" for name, mask in MASKS.items())
    uses = ", ".join(f"{name}: {name}" for name in MASKS if name != unmasked)
    grant = f"{{name: g, principals: [everyone], resource: {TABLE}, permissions: [SELECT], masks: {{{uses}}}}}"
    bound = bind_policy(folder, f"version: 1\nmasks:\n{masks}grants:\n  - {grant}\n", schema)
    outcome = decide(bound, principal(), name_of(TABLE), facts=RequestFacts.of_instant(NOW))
    assert isinstance(outcome, TableDecision)
    return outcome.table


async def _ask(engine: DuckDbEngine, table: GovernedTable, sql: str) -> Outcome:
    try:
        async with engine.session(processes.limits(timeout=120)) as session:
            references = await session.parse(sql)
            bound = await session.bind([ResolvedReference(reference=one, table=table) for one in references], ())
            await session.supply()
            batches = [batch async for batch in session.run()]
    except PenstockError as error:
        return Outcome(schema=b"", batches=b"", error=(errors.to_json(error).decode(),))
    return Outcome(schema=bound.schema, batches=b"".join(batches), error=())


async def _answers(
    zygote: processes.Zygote, folder: Path, work: Path, statements: list[str], *, unmasked: str | None = None
) -> list[list[Outcome]]:
    """Ask one world from a DuckDB file and the other from Parquet: neither may show in an answer."""
    found = []
    for world, storage in (("poison", "native"), ("benign", "parquet")):
        async with processes.engine(zygote, _catalog(folder, world, storage)) as engine:
            table = await _decided(engine, work, unmasked)
            found.append([await _ask(engine, table, sql) for sql in statements])
    return found


async def test_values_of_which_the_masks_agree_change_no_byte(
    zygote: processes.Zygote, folder: Path, tmp_path: Path
) -> None:
    poison, benign = await _answers(zygote, folder, tmp_path, STATEMENTS)
    for sql, one, other in zip(STATEMENTS, poison, benign, strict=True):
        assert one == other, sql
        assert CANARY_TEXT not in one.schema + one.batches + " ".join(one.error).encode(), sql
        assert b"77.7" not in " ".join(one.error).encode(), sql
    assert sum(not outcome.error for outcome in poison) > 10
    assert sum(bool(outcome.error) for outcome in poison) >= 2
    assert sum(len(outcome.batches) for outcome in poison) > 500_000


@pytest.mark.parametrize("unmasked", ["phone", "score"])
async def test_the_comparison_sees_a_mask_that_is_switched_off(
    zygote: processes.Zygote, folder: Path, tmp_path: Path, unmasked: str
) -> None:
    ((poison,), (benign,)) = await _answers(zygote, folder, tmp_path, [STATEMENTS[0]], unmasked=unmasked)
    assert not poison.error
    assert poison != benign


def test_the_worlds_differ_in_most_cells_of_every_masked_column(folder: Path) -> None:
    connection = duckdb.connect()
    for world in ("poison", "benign"):
        connection.execute(f"ATTACH '{folder / world / 't.duckdb'}' AS {world} (READ_ONLY)")
    for name in MASKS:
        clause = f"p.{name}::VARCHAR IS DISTINCT FROM b.{name}::VARCHAR"
        sql = f"SELECT count(*) FROM poison.nyc.t p JOIN benign.nyc.t b USING (id) WHERE {clause}"
        ((count,),) = connection.sql(sql).fetchall()
        assert count > ROWS / 2, name
