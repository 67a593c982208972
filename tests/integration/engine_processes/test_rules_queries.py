"""Queries of rules datasets: what they give, how they are bounded, and what their failures tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import rules_reader
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.errors import LimitExceeded, PenstockError, QueryError, Reason, Unavailable
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot, TypeFamily
from support import engine_processes as processes

SECRET = "Sibyl-47110815"


@pytest.fixture(scope="module")
def staff(tmp_path_factory: pytest.TempPathFactory) -> CatalogSettings:
    """`people.members`: who may see what, `people.broken`: a file that is cut; and a table of the same name twice."""
    folder = tmp_path_factory.mktemp("staff")
    (folder / "people").mkdir()
    (folder / "other").mkdir()
    rows = f"('alice', 'north', 1), ('bob', 'a,b', 2), ('eve', NULL, 3), ('{SECRET}', 'say \"x\"', 4)"
    duckdb.sql(f"COPY (SELECT * FROM (VALUES {rows}) AS t(login, region, level)) TO '{folder}/people/members.parquet'")
    duckdb.sql(f"COPY (SELECT 'x' AS login) TO '{folder}/other/members.parquet'")
    return CatalogSettings(name="staff", kind=CatalogKind.PARQUET, path=folder, location=None)


@pytest.fixture(scope="module")
def snapshot(zygote: processes.Zygote, staff: CatalogSettings, catalog: CatalogSettings) -> CatalogSnapshot:
    async def inspected() -> CatalogSnapshot:
        async with processes.engine(zygote, staff, catalog) as made:
            return await made.inspect()

    return asyncio.run(inspected())


@pytest.fixture
async def made(
    zygote: processes.Zygote, staff: CatalogSettings, catalog: CatalogSettings
) -> AsyncIterator[DuckDbEngine]:
    async with processes.engine(zygote, staff, catalog) as engine:
        yield engine


async def ask(made: DuckDbEngine, snapshot: CatalogSnapshot, sql: str, catalog: str = "staff") -> QueriedRules:
    return await made.query_rules(sql, catalog=catalog, snapshot=snapshot)


async def refusal(made: DuckDbEngine, snapshot: CatalogSnapshot, sql: str, catalog: str = "staff") -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        await ask(made, snapshot, sql, catalog)
    return caught.value


async def test_rows_come_as_sorted_lines_each_once(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    sql = 'SELECT login AS "UserName", region FROM people.members ORDER BY level DESC'
    given = await ask(made, snapshot, sql)
    lines = [f'{SECRET},"say ""x"""', "alice,north", 'bob,"a,b"', "eve,"]
    assert given.text == ("\n".join(["UserName,region", *lines]) + "\n").encode()
    assert given.columns == (("UserName", TypeFamily.TEXT), ("region", TypeFamily.TEXT))
    twice = await ask(made, snapshot, f"({sql}) UNION ALL ({sql})")
    assert twice.text == given.text


async def test_typed_values_have_the_form_that_the_policy_reads(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    given = await ask(
        made,
        snapshot,
        "SELECT 'alice' AS u, level AS i, 2 < level AS b, DATE '2026-01-02' AS d, (0.25 * level)::DECIMAL(9,3) AS n, "
        "1.5::DOUBLE AS f FROM staff.people.members WHERE level = 3",
    )
    assert given.text == b"u,i,b,d,n,f\nalice,3,true,2026-01-02,0.750,\n"
    families = [family for _, family in given.columns]
    assert families == [
        TypeFamily.TEXT,
        TypeFamily.INTEGER,
        TypeFamily.BOOLEAN,
        TypeFamily.DATE,
        TypeFamily.DECIMAL,
        TypeFamily.OTHER,
    ]


async def test_an_empty_result_has_its_header(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    given = await ask(made, snapshot, "SELECT login AS a, region AS b FROM people.members WHERE FALSE")
    assert given.text == b"a,b\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT login AS \"UserName\", CASE WHEN level = 3 THEN '' ELSE region END AS region FROM people.members",
        "SELECT '' AS \"UserName\", login AS \"GroupName\", 'north' AS region FROM people.members",
        "SELECT login AS \"UserName\", ltrim(' ') AS region FROM people.members",
    ],
)
async def test_a_text_without_a_character_is_no_field_without_a_restriction(
    made: DuckDbEngine, snapshot: CatalogSnapshot, sql: str
) -> None:
    error = await refusal(made, snapshot, sql)
    assert error.reason is Reason.SQL_EXECUTION
    assert "a text without a character" in error.hint


async def test_a_comment_may_be_a_text_without_a_character(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    given = await ask(made, snapshot, "SELECT login AS a, '' AS \"note:why\" FROM people.members WHERE level = 1")
    assert given.text == b"a,note:why\nalice,\n"


async def test_many_rows_come_in_many_batches(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    given = await ask(made, snapshot, "SELECT 'user-' || id AS u, region FROM shop.orders", "lake")
    lines = given.text.decode().splitlines()
    assert len(lines) == processes.ROWS + 1
    assert lines[1:] == sorted(f"user-{i},{'north' if i % 2 == 0 else 'south'}" for i in range(processes.ROWS))


@pytest.mark.parametrize(
    ("sql", "reason", "message"),
    [
        ("SELEC 1", Reason.SQL_SYNTAX, None),
        ("", Reason.SQL_SYNTAX, None),
        ("SELECT 1 AS a; SELECT 2 AS a", Reason.SQL_MULTIPLE_STATEMENTS, None),
        ("DROP TABLE people.members", Reason.SQL_NOT_READ_ONLY, None),
        ("INSERT INTO people.members VALUES ('x', 'y', 1)", Reason.SQL_NOT_READ_ONLY, None),
        ("COPY people.members TO '/tmp/x.csv'", Reason.SQL_NOT_READ_ONLY, None),
        ("SELECT * FROM read_csv('/etc/passwd')", Reason.SQL_FUNCTION_REFUSED, None),
        ("SELECT getenv('HOME') AS a", Reason.SQL_FUNCTION_REFUSED, None),
        ("SELECT * FROM '/etc/passwd'", Reason.SQL_BINDING, "`/etc/passwd` is no table of the catalog"),
        ("SELECT login AS a FROM people.nobody", Reason.SQL_BINDING, "`people.nobody` is no table of the catalog"),
        ("SELECT login AS a FROM members", Reason.SQL_BINDING, "`members` means more than one table of the catalog"),
        ("SELECT id FROM lake.shop.orders", Reason.SQL_BINDING, "`lake.shop.orders` is no table of the catalog"),
        ("SELECT id FROM shop.orders", Reason.SQL_BINDING, "`shop.orders` is no table of the catalog"),
        ("SELECT nope FROM people.members", Reason.COLUMN_NOT_FOUND, None),
        ("SELECT login FROM people.members WHERE level = ?", Reason.SQL_BINDING, None),
    ],
)
async def test_what_is_no_single_statement_that_reads_the_catalog_is_refused(
    made: DuckDbEngine, snapshot: CatalogSnapshot, sql: str, reason: Reason, message: str | None
) -> None:
    error = await refusal(made, snapshot, sql)
    assert isinstance(error, QueryError)
    assert error.reason is reason
    assert message is None or error.message == message


async def test_an_unknown_catalog_is_refused(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    error = await refusal(made, snapshot, "SELECT 1 AS a", "STAFF")
    assert error.message == "no catalog `STAFF` is configured"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT login::INTEGER AS a FROM people.members",
        "SELECT CASE WHEN level = 4 THEN login::DATE END AS a FROM people.members",
        "SELECT login || chr(10) || login AS a FROM people.members",
        "SELECT login || chr(13) AS a FROM people.members",
    ],
)
async def test_a_query_that_fails_on_rows_tells_nothing_of_them(
    made: DuckDbEngine, snapshot: CatalogSnapshot, sql: str
) -> None:
    error = await refusal(made, snapshot, sql)
    assert isinstance(error, QueryError)
    assert error.message == "the query failed on the rows of its tables"
    told = f"{error.message} {error.hint} {error.detail} {error.metadata} {error.position}"
    assert SECRET not in told
    assert "alice" not in told
    assert error.__cause__ is None


async def test_a_query_that_gives_too_many_rows_is_refused(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    error = await refusal(made, snapshot, "SELECT range AS a FROM range(1000001)")
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.ROW_LIMIT


async def test_a_query_that_gives_too_much_text_is_refused(
    made: DuckDbEngine, snapshot: CatalogSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_reader, "MAX_BYTES", 100_000)
    error = await refusal(made, snapshot, "SELECT repeat('x', 1000) || range AS a FROM range(1000)")
    assert isinstance(error, LimitExceeded)
    assert error.limit == "rules_bytes"


async def test_a_query_that_hangs_is_ended(
    made: DuckDbEngine, snapshot: CatalogSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_reader, "TIMEOUT", rules_reader.TIMEOUT / 240)
    sql = "SELECT count(*)::VARCHAR AS a FROM range(1000000) AS a, range(1000000) AS b WHERE a.range + b.range = -1"
    error = await refusal(made, snapshot, sql)
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.QUERY_TIMEOUT


async def test_a_query_that_needs_too_much_memory_is_refused(
    zygote: processes.Zygote, staff: CatalogSettings, snapshot: CatalogSnapshot
) -> None:
    async with processes.engine(zygote, staff, memory=256 << 20) as small:
        sql = "SELECT string_agg(repeat('x', 1000) || range, '') AS a FROM range(1000000)"
        error = await refusal(small, snapshot, sql)
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.QUERY_MEMORY


async def test_a_table_that_cannot_be_read_any_more_is_told_as_such(zygote: processes.Zygote, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    file = tmp_path / "db" / "t.parquet"
    duckdb.sql(f"COPY (SELECT 'alice' AS a FROM range(10000)) TO '{file}'")
    lake = CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=tmp_path, location=None)
    async with processes.engine(zygote, lake) as made:
        snapshot = await made.inspect()
        file.write_bytes(file.read_bytes()[:100])
        error = await refusal(made, snapshot, "SELECT a FROM t", "lake")
    assert isinstance(error, Unavailable)
    assert error.reason is Reason.TABLE_UNREADABLE, error.detail


async def test_a_query_that_nobody_waits_for_leaves_no_process(made: DuckDbEngine, snapshot: CatalogSnapshot) -> None:
    sql = "SELECT count(*)::VARCHAR AS a FROM range(1000000) AS a, range(1000000) AS b WHERE a.range + b.range = -1"
    task = asyncio.create_task(ask(made, snapshot, sql))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ask(made, snapshot, "SELECT 'x' AS a")).text == b"a\nx\n"
