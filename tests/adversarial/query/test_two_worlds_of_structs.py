"""Worlds that differ in hidden fields of structs, and in nothing else, through the whole engine: the same bytes.

Where no field of a struct is shown, one world holds the struct and another holds NULL. The same comparison is made with
structs that are rebuilt wrongly, each of which must show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb import errors, printing
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.identifiers import quoted
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import PenstockError
from penstock_server.model.cell_paths import field_path
from penstock_server.model.decision import GovernedColumn, GovernedTable, TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.policy.evaluation import decide
from support import engine_processes as processes
from support.policies import NOW, bind_policy, name_of, principal
from support.worlds import CANARY_TEXT, STORAGES, Outcome

ROWS = 9_000
WORLDS = ("poison", "benign", "absent")
Places = tuple[tuple[str, str], ...]
"""Worlds with the storage in which each is asked."""

TWO: Places = (("poison", "native"), ("absent", "parquet"))
ALL: Places = tuple((world, storage) for world in WORLDS for storage in STORAGES)
TABLE = "lake.nyc.t"

GRANT = "principals: [everyone], resource: lake.nyc.t, permissions: [SELECT]"
POLICIES = {
    "excluded": f"grants: [{{name: g, {GRANT}, columns: {{exclude: [s.ssn, s.geo.lon, tenant]}}}}]",
    "by rows": f"""grants:
  - {{name: f, {GRANT}, columns: {{include: [id]}}}}
  - {{name: g, {GRANT}, columns: {{include: [s.city]}}, rows: "tenant = 'a'"}}
  - {{name: h, {GRANT}, columns: {{include: [s.geo]}}, rows: "tenant = 'b' AND s.ssn <> 'nobody'"}}""",
    "masked": f"""masks: {{m: {{rank: 1, builtin: redact}}, n: {{rank: 2, builtin: "null"}}}}
grants:
  - {{name: f, {GRANT}, columns: {{include: [id]}}}}
  - {{name: g, {GRANT}, columns: {{include: [s.ssn, s.geo]}}, masks: {{s.ssn: m, s.geo: n}}, rows: "tenant = 'c'"}}""",
}
STATEMENTS = [
    "select * from t",
    "select s from t order by id desc limit 100",
    "select s.* from t",
    "select unnest(s) from t where id < 50",
    "select unnest(s, recursive := true) from t where id < 50",
    "select s.ssn from t",
    "select s.SSN from t where s.city = 'x'",
    "select struct_extract(s, 'ssn') from t",
    "select s['ssn'] from t",
    "select s.geo.lon, s.geo.lat from t",
    "select s.geo from t where s.geo.lat > 10",
    "select s.city, count(*) from t group by all order by all",
    "select count(s), count(distinct s), count(s.geo) from t",
    "select min(s), max(s) from t",
    "select s, count(*) from t group by s order by count(*), s",
    "select id from t where s is null order by id",
    "select id from t where s.geo is null order by id",
    "select hash(s), s::varchar, to_json(s) from t where id < 500",
    "select typeof(s), typeof(s.geo) from t limit 1",
    "describe t",
    "summarize select s.city from t",
    "select histogram(s) from t where id < 100",
    "select row_number() over (order by s, id) from t where id < 300",
    "select columns('s.*') from t where id < 10",
    "select list(s order by id) from t where id < 200",
    "select a.id from t a join t b on a.s = b.s where a.id < 60 and b.id < 60 order by all",
    "select cast('a' || s.city as integer) from t",
    "select struct_pack(x := s) from t where id < 20",
    "select t from t where id < 20",
    "select approx_count_distinct(s) from t",
    "explain select s.city from t where s.geo.lat = 1",
]


def _body(world: str) -> str:
    """Rows of three tenants, each of whom may be shown something else of `s`."""
    ssn = {"poison": "'SECRET-' || i", "benign": "'x'", "absent": "'' || (i % 3)"}[world]
    lon = {"poison": "1000000.0 + i", "benign": "0.0", "absent": "NULL::DOUBLE"}[world]
    city = {"poison": "'SECRET city ' || i", "benign": "'here'", "absent": "NULL"}[world]
    whole = f"{{'city': 'c' || i % 7, 'ssn': {ssn}, 'geo': {{'lat': i % 90, 'lon': {lon}}}}}"
    # Tenant a sees the city alone, b the place, c nothing or masks.
    geo = "NULL" if world == "absent" else f"{{'lat': 5, 'lon': {lon}}}"
    a = f"{{'city': 'c' || i % 7, 'ssn': {ssn}, 'geo': {geo}}}"
    b = f"{{'city': {city}, 'ssn': {ssn}, 'geo': {{'lat': i % 90, 'lon': i}}}}"
    c = "NULL" if world == "absent" else f"{{'city': {city}, 'ssn': {ssn}, 'geo': {{'lat': 1, 'lon': {lon}}}}}"
    kind = "STRUCT(city VARCHAR, ssn VARCHAR, geo STRUCT(lat DOUBLE, lon DOUBLE))"
    return (
        f"SELECT i AS id, ['a', 'b', 'c'][i % 3 + 1] AS tenant, ({whole})::{kind} AS excluded, "
        f"CASE i % 3 WHEN 0 THEN ({a})::{kind} WHEN 1 THEN ({b})::{kind} ELSE ({c})::{kind} END AS parted "
        f"FROM range({ROWS}) r(i)"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("structs")
    for world in WORLDS:
        for policy in POLICIES:
            place = made / policy / world / "nyc"
            place.mkdir(parents=True)
            column = "excluded" if policy == "excluded" else "parted"
            writer = duckdb.connect(str(place.parent / "t.duckdb"), config={"threads": 1})
            body = f"SELECT id, tenant, {column} AS s FROM ({_body(world)})"
            writer.execute(f"CREATE SCHEMA nyc; CREATE TABLE nyc.t AS {body}")
            writer.execute(f"COPY nyc.t TO '{place / 't.parquet'}' (FORMAT parquet)")
            writer.close()
    return made


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


def _catalog(folder: Path, policy: str, world: str, storage: str) -> CatalogSettings:
    path = folder / policy / world
    if storage == "native":
        return CatalogSettings(name="lake", kind=CatalogKind.DATABASE, path=path / "t.duckdb", location=None)
    lake = path / "lake"
    if not lake.exists():
        lake.mkdir()
        (path / "nyc").rename(lake / "nyc")
    return CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=lake, location=None)


async def _decided(engine: DuckDbEngine, policy: str, folder: Path) -> GovernedTable:
    (schema,) = (await engine.inspect()).tables
    bound = bind_policy(folder, f"version: 1\n{POLICIES[policy]}\n", schema)
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
    zygote: processes.Zygote, place: tuple[Path, Path], policy: str, statements: list[str], places: Places
) -> list[list[Outcome]]:
    folder, work = place
    found = []
    for world, storage in places:
        async with processes.engine(zygote, _catalog(folder, policy, world, storage)) as engine:
            table = await _decided(engine, policy, work)
            found.append([await _ask(engine, table, sql) for sql in statements])
    return found


async def _compare(
    zygote: processes.Zygote, place: tuple[Path, Path], policy: str, asked: list[str], places: Places
) -> None:
    statements = [re.sub(r"\b(from|join|describe) t\b", r"\1 nyc.t", sql) for sql in asked]
    first, *others = await _answers(zygote, place, policy, statements, places)
    for other in others:
        for sql, outcome, expected in zip(asked, other, first, strict=True):
            assert outcome == expected, sql
    for sql, outcome in zip(asked, first, strict=True):
        assert CANARY_TEXT not in outcome.schema + outcome.batches + " ".join(outcome.error).encode(), sql
    assert sum(not outcome.error for outcome in first) > len(asked) // 2
    assert sum(len(outcome.batches) for outcome in first) > 100_000


@pytest.mark.parametrize("policy", POLICIES)
async def test_hidden_fields_change_no_byte(
    zygote: processes.Zygote, folder: Path, policy: str, tmp_path: Path
) -> None:
    await _compare(zygote, (folder, tmp_path), policy, STATEMENTS[::2], TWO)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("policy", POLICIES)
async def test_hidden_fields_change_no_byte_in_any_world_and_storage(
    zygote: processes.Zygote, folder: Path, policy: str, tmp_path: Path
) -> None:
    await _compare(zygote, (folder, tmp_path), policy, STATEMENTS, ALL)


def _own_null_alone(self: printing._Printer, governed: GovernedColumn, name: str, path: str) -> str:
    """A struct that is NULL where it is so itself, and there alone."""
    fields = ", ".join(
        f"{quoted(field.column.name)} := "
        f"{self._shown(field, printing._field(name, field.column.name), field_path(path, field.column.name))}"
        for field in governed.fields
    )
    return f"CASE WHEN {name} IS NOT NULL THEN CAST(struct_pack({fields}) AS {governed.column.type.sql}) END"


def _as_it_stands(self: printing._Printer, governed: GovernedColumn, name: str, path: str) -> str:
    """A struct of the right fields, shown wherever one of them is."""
    seen = " OR ".join(self._where(part.cases, lambda case: True) for part in governed.parts())
    return f"CASE WHEN {seen} THEN {name} END"


@pytest.mark.parametrize("weak", [_own_null_alone, _as_it_stands])
async def test_the_suite_sees_a_struct_that_is_rebuilt_wrongly(
    zygote: processes.Zygote,
    folder: Path,
    weak: Callable[[printing._Printer, GovernedColumn, str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(printing._Printer, "_rebuilt", weak)
    for policy in ("by rows", "masked"):
        outcomes = await _answers(zygote, (folder, tmp_path), policy, ["select s from nyc.t"], TWO)
        assert not any(outcome.error for (outcome,) in outcomes)
        assert len({outcome.batches for (outcome,) in outcomes}) == len(TWO), policy
