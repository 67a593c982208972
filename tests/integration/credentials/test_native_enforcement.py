"""A warehouse that enforces the policy itself: synced, proved, and shut where anything stands against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from penstock_server.config.settings import DatabaseUserStyle, NativeSettings, ReaperSettings
from penstock_server.credentials.grounds_of_leases import read_grounds
from penstock_server.credentials.native_roles import decided_role
from penstock_server.credentials.native_subjects import roles_of_login
from penstock_server.credentials.session_ends import SessionReaper
from penstock_server.credentials.warehouse_proof import (
    CHECKS,
    Ground,
    WarehouseProver,
    failures,
    governed_tables,
    role_failures,
)
from penstock_server.engines.redshift.catalogs import read_facts
from penstock_server.engines.redshift.connection import WarehouseConnection, close_driver
from penstock_server.engines.redshift.sync import missing_statements
from penstock_server.errors import AccessDenied
from penstock_server.model.native import NotNativeError, WarehouseFacts
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from support.credentials import Doors, bound_policy, cluster, doors, login_request, principal
from support.native_warehouse import Applied
from support.policies import column_type
from support.policies import table as policy_table
from support.redshift_stand_in import PREFIX, StandIn, redshift_stand_in
from support.tokens import SteppedClock, request_context

CONTEXT = request_context()
REAPER = ReaperSettings(user="penstock_reaper", password="env:EXTERNAL_ID", encrypted=False)
LOGIN = replace(
    cluster("native", identity=DatabaseUserStyle.LEASE, reaper=REAPER),
    native=NativeSettings(catalog="lake", open_schemas=("open",)),
)
POLICY = """
masks: {hide: {rank: 10, builtin: redact}}
grants:
  - {name: login, principals: ["group:analysts", "group:ops"], resource: "redshift:native", permissions: [CONNECT]}
  - {name: jfk, principals: ["group:analysts"], resource: lake.nyc.flights, permissions: [SELECT],
      columns: {exclude: [tailnum]}, rows: "origin = 'JFK' AND month <= 6"}
  - {name: all, principals: ["group:ops"], resource: lake.nyc.flights, permissions: [SELECT], masks: {tailnum: hide}}
  - {name: none, principals: ["group:fleet"], resource: lake.nyc.planes, permissions: [SELECT]}
"""
FLIGHTS = policy_table(
    "lake.nyc.flights", {"id": "INTEGER", "origin": "VARCHAR", "month": "INTEGER", "tailnum": "VARCHAR"}
)
PLANES = policy_table("lake.nyc.planes", {"tailnum": "VARCHAR", "seats": "INTEGER"})
ANALYST, OPS = principal("alice", "analysts"), principal("bob", "ops")
ROWS = """
    (1, 'JFK', 1, 'N1'), (2, 'JFK ', 1, 'N2'), (3, 'JFK', 7, 'N3'), (4, NULL, 1, 'N4'), (5, 'LGA', 2, NULL),
    (6, 'JFK', 6, '')
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound_policy(tmp_path_factory.mktemp("policy"), POLICY, FLIGHTS, PLANES, logins=("native",))


def now() -> RequestFacts:
    return RequestFacts.of_instant(datetime.now(UTC))


async def look(stand_in: StandIn) -> WarehouseFacts:
    connection = WarehouseConnection(stand_in.address())
    try:
        return await read_facts(connection)
    finally:
        await connection.close()


def ground(facts: WarehouseFacts, policy: BoundPolicy) -> Ground:
    return Ground(
        facts=facts, prefix=PREFIX, open_schemas=frozenset({"open"}), governed=governed_tables(policy, "lake")
    )


@pytest.fixture(scope="module")
def synced(policy: BoundPolicy) -> Iterator[StandIn]:
    with redshift_stand_in() as stand_in:
        stand_in.run(
            "CREATE SCHEMA nyc",
            "CREATE SCHEMA open",
            "CREATE TABLE nyc.flights (id integer, origin varchar(8), month smallint, tailnum varchar(8))",
            "CREATE TABLE nyc.planes (tailnum varchar(8), seats integer)",
            "CREATE TABLE open.airports (faa varchar(8))",
            f"INSERT INTO nyc.flights VALUES {ROWS}",
        )
        yield stand_in


@pytest.fixture(scope="module")
def statements(synced: StandIn, policy: BoundPolicy) -> tuple[str, ...]:
    roles, refused = roles_of_login(policy, LOGIN, (), facts=now())
    assert refused == ()
    assert len(roles) == 2
    missing = missing_statements(roles, asyncio.run(look(synced)), governed=governed_tables(policy, "lake"))
    Applied(synced).apply(*missing)
    return missing


@pytest.fixture
async def bench(
    tmp_path: Path, aws_url: str, synced: StandIn, statements: tuple[str, ...], policy: BoundPolicy
) -> AsyncIterator[Doors]:
    clock = SteppedClock(instant=datetime.now(UTC))
    connection = WarehouseConnection(synced.address())
    prover = WarehouseProver(
        read=partial(read_facts, connection),
        prefix=PREFIX,
        open_schemas=frozenset({"open"}),
        catalog="lake",
        clock=clock,
    )
    reapers: list[SessionReaper] = []

    def made(state: Any) -> Mapping[str, SessionReaper]:
        reapers.append(
            SessionReaper(
                warehouse=LOGIN.warehouse,
                logins=frozenset({"native"}),
                prefix=PREFIX,
                sessions=synced.sessions(),
                leases=state.leases,
                clock=clock,
            )
        )
        return {LOGIN.warehouse: reapers[0]}

    with doors(
        tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=(LOGIN,), reapers=made, provers={"native": prover}
    ) as opened:
        await reapers[0].turn()
        yield opened
        await reapers[0].close()
        await connection.close()
    synced.run(*(f'DROP USER "{user}"' for user in synced.users_in() if user.startswith("pk_l_")))


def rows_of(stand_in: StandIn, user: str, statement: str) -> list[tuple[Any, ...]]:
    session = stand_in.log_in(user)
    try:
        with session.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]
    finally:
        close_driver(session)


async def test_after_a_sync_nothing_is_missing_and_nothing_stands_against_it(
    synced: StandIn, statements: tuple[str, ...], policy: BoundPolicy
) -> None:
    facts = await look(synced)
    roles, _ = roles_of_login(policy, LOGIN, (), facts=now())
    assert missing_statements(roles, facts, governed=governed_tables(policy, "lake")) == ()
    assert failures(ground(facts, policy)) == ()
    assert [role_failures(role, ground(facts, policy)) for role in roles] == [(), ()]


def test_statements_have_the_documented_forms(statements: tuple[str, ...], policy: BoundPolicy) -> None:
    role = decided_role(policy, ANALYST, LOGIN, facts=now()).role
    (table,) = role.tables
    assert """("origin" || '|') = 'JFK|'""" in table.condition
    assert f'CREATE ROLE "{role.name}"' in statements
    assert (
        f'CREATE RLS POLICY "{table.policy}" WITH ("origin" character varying(8), "month" smallint)'
        f" USING ({table.condition})"
    ) in statements
    assert f'ATTACH RLS POLICY "{table.policy}" ON "nyc"."flights" TO ROLE "{role.name}"' in statements
    assert f'GRANT SELECT ("id", "origin", "month") ON "nyc"."flights" TO ROLE "{role.name}"' in statements
    assert 'ALTER TABLE "nyc"."planes" ROW LEVEL SECURITY ON CONJUNCTION TYPE AND' in statements
    (mask,) = decided_role(policy, OPS, LOGIN, facts=now()).role.tables[0].masks
    assert any(
        statement.startswith(f'ATTACH MASKING POLICY "{mask.name}" ON "nyc"."flights" ("tailnum") USING ("tailnum")')
        for statement in statements
    )
    assert not any(" TO GROUP " in statement for statement in statements)
    granted = statements.index(f'GRANT SELECT ("id", "origin", "month") ON "nyc"."flights" TO ROLE "{role.name}"')
    attached = statements.index(f'ATTACH RLS POLICY "{table.policy}" ON "nyc"."flights" TO ROLE "{role.name}"')
    assert attached < granted


async def test_a_person_sees_exactly_the_cells_of_the_policy(bench: Doors, synced: StandIn) -> None:
    await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    user = bench.recorder.only("GetClusterCredentials")["DbUser"]
    assert "DbGroups" not in bench.recorder.only("GetClusterCredentials")
    rows = rows_of(synced, user, "SELECT id, origin, month FROM nyc.flights ORDER BY id")
    assert rows == [(1, "JFK", 1), (6, "JFK", 6)]
    for refused in ("SELECT tailnum FROM nyc.flights", "SELECT * FROM nyc.flights", "SELECT 1 FROM nyc.planes"):
        with pytest.raises(Exception, match="permission denied"):
            rows_of(synced, user, refused)


PLANTED = {
    "no_superuser": ("CREATE USER pk_root SUPERUSER", "DROP USER pk_root"),
    "no_other_membership": (
        "CREATE ROLE other; CREATE USER pk_l_x; GRANT other TO pk_l_x",
        "DROP USER pk_l_x; DROP ROLE other",
    ),
    "no_system_privilege": (
        "INSERT INTO pg_catalog.svv_system_privileges VALUES ('IGNORE RLS', 'public', 'public')",
        "DELETE FROM pg_catalog.svv_system_privileges",
    ),
    "no_ownership": (
        "CREATE USER pk_own; CREATE TABLE nyc.owned (a integer); ALTER TABLE nyc.owned OWNER TO pk_own",
        "DROP TABLE nyc.owned; DROP USER pk_own",
    ),
    "no_create": ("GRANT CREATE ON SCHEMA nyc TO PUBLIC", "REVOKE CREATE ON SCHEMA nyc FROM PUBLIC"),
    "no_assumerole": (
        "INSERT INTO pg_catalog.assumable VALUES ('penstock_reaper', 'COPY')",
        "DELETE FROM pg_catalog.assumable",
    ),
    "no_temp_with_assumerole": (
        "INSERT INTO pg_catalog.assumable VALUES ('penstock_reaper', 'UNLOAD')",
        "DELETE FROM pg_catalog.assumable",
    ),
    "no_external_schema": (
        "INSERT INTO pg_catalog.svv_external_schemas VALUES ('spectrum')",
        "DELETE FROM pg_catalog.svv_external_schemas",
    ),
    "nothing_else_is_readable": (
        "GRANT SELECT (tailnum) ON nyc.flights TO PUBLIC",
        "REVOKE SELECT (tailnum) ON nyc.flights FROM PUBLIC",
    ),
    "no_materialized_view": (
        "CREATE MATERIALIZED VIEW open.copy AS SELECT * FROM nyc.flights",
        "DROP MATERIALIZED VIEW open.copy",
    ),
    "no_definer_procedure": (
        "CREATE PROCEDURE nyc.leak() LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "DROP PROCEDURE nyc.leak()",
    ),
    "rows_are_secured": (
        "ALTER TABLE nyc.flights DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE nyc.flights ENABLE ROW LEVEL SECURITY",
    ),
    "rows_are_secured_in_datashares": (
        "DELETE FROM pg_catalog.shared_rls WHERE name = 'planes'",
        "INSERT INTO pg_catalog.shared_rls VALUES ('planes')",
    ),
    "only_ours_is_attached": (
        "CREATE POLICY foreign_one ON nyc.flights FOR SELECT TO PUBLIC USING (true)",
        "DROP POLICY foreign_one ON nyc.flights",
    ),
}
OF_ROLES = {
    "role_holds_exactly_its_columns": (
        "GRANT SELECT (tailnum) ON nyc.flights TO {role}",
        "REVOKE SELECT (tailnum) ON nyc.flights FROM {role}",
    ),
    "role_has_exactly_its_policies": (
        "CREATE POLICY more ON nyc.flights FOR SELECT TO {role} USING (true)",
        "DROP POLICY more ON nyc.flights",
    ),
    "tables_are_as_bound": (
        "ALTER TABLE nyc.flights ALTER COLUMN month TYPE text",
        "ALTER TABLE nyc.flights ALTER COLUMN month TYPE smallint USING month::smallint",
    ),
}


def test_every_check_has_a_planted_case() -> None:
    assert set(PLANTED) == {check.__name__ for check in CHECKS}


@pytest.mark.parametrize("check", PLANTED)
async def test_a_condition_that_is_planted_fails_its_check_and_shuts_the_door(
    bench: Doors, synced: StandIn, policy: BoundPolicy, check: str
) -> None:
    plant, mend = PLANTED[check]
    synced.run(plant)
    try:
        assert check in {one.check for one in failures(ground(await look(synced), policy))}
        with pytest.raises(AccessDenied) as refused:
            await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    finally:
        synced.run(mend)
    assert "penstock query" in refused.value.hint
    assert check in refused.value.detail
    assert check not in refused.value.message
    assert bench.recorder.calls == []


@pytest.mark.parametrize("holder", [("public", "public"), ("user", "pk_l_x"), ("role", "pk_d_x")])
async def test_assumerole_on_another_role_than_the_default_one_shuts_the_door(
    bench: Doors, synced: StandIn, holder: tuple[str, str]
) -> None:
    kind, name = holder
    arn = "arn:aws:iam::123456789012:role/loads"
    synced.run(f"INSERT INTO pg_catalog.svv_iam_privileges VALUES ('{arn}', 'COPY', '{kind}', '{name}')")
    try:
        with pytest.raises(AccessDenied) as refused:
            await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    finally:
        synced.run("DELETE FROM pg_catalog.svv_iam_privileges")
    assert "no_assumerole" in refused.value.detail
    assert bench.recorder.calls == []


async def test_assumerole_of_those_who_are_not_ours_leaves_the_door_open(synced: StandIn, policy: BoundPolicy) -> None:
    synced.run("INSERT INTO pg_catalog.svv_iam_privileges VALUES ('default', 'COPY', 'user', 'loader')")
    try:
        found = failures(ground(await look(synced), policy))
    finally:
        synced.run("DELETE FROM pg_catalog.svv_iam_privileges")
    assert found == ()


@pytest.mark.parametrize("check", OF_ROLES)
async def test_a_role_that_is_more_or_less_than_the_policy_shuts_the_door(
    bench: Doors, synced: StandIn, policy: BoundPolicy, check: str
) -> None:
    if check == "tables_are_as_bound":
        synced.run("ALTER TABLE nyc.flights ADD COLUMN spare integer")
        other = replace(decided_role(policy, ANALYST, LOGIN, facts=now()).role)
        table = replace(other.tables[0], inputs=(replace(other.tables[0].inputs[0], type=column_type("DATE")),))
        role = replace(other, tables=(table,))
        synced.run("ALTER TABLE nyc.flights DROP COLUMN spare")
        found = role_failures(role, ground(await look(synced), policy))
        assert check in {one.check for one in found}
        return
    name = decided_role(policy, ANALYST, LOGIN, facts=now()).role.name
    plant, mend = (text.format(role=f'"{name}"') for text in OF_ROLES[check])
    synced.run(plant)
    try:
        with pytest.raises(AccessDenied) as refused:
            await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    finally:
        synced.run(mend)
    assert check in refused.value.detail


async def test_a_person_whose_role_is_not_synced_is_sent_to_the_query_door(bench: Doors) -> None:
    with pytest.raises(AccessDenied) as refused:
        await bench.redshift.issue(principal("carol", "analysts", "fleet"), login_request("native"), CONTEXT)
    assert "role_is_synced" in refused.value.detail
    assert ("door", "query") in refused.value.metadata


async def test_an_old_look_at_the_catalogs_does_not_count(bench: Doors, synced: StandIn) -> None:
    await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    synced.run("GRANT CREATE ON SCHEMA nyc TO PUBLIC")
    try:
        bench.clock.advance(timedelta(seconds=61))
        (reaper,) = bench.redshift._reapers.values()
        await reaper.turn()
        with pytest.raises(AccessDenied):
            await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    finally:
        synced.run("REVOKE CREATE ON SCHEMA nyc FROM PUBLIC")


async def test_a_lease_is_taken_back_where_the_policy_gives_another_role(bench: Doors, tmp_path: Path) -> None:
    await bench.redshift.issue(ANALYST, login_request("native"), CONTEXT)
    (lease,) = await bench.state.leases.of(ANALYST, after="", limit=9)
    grounds = read_grounds(lease.grounds)
    narrower = POLICY.replace("month <= 6", "month <= 5")
    other = bound_policy(tmp_path / "other", narrower, FLIGHTS, PLANES, logins=("native",))
    assert bench.redshift.recheck(other, lease, grounds) == "it would reach less"


@pytest.mark.parametrize(
    ("grant", "why"),
    [
        ("""rows: "origin > 'A'" """, "order"),
        (r"""rows: "origin = 'A\u2028B'" """, "cannot be printed"),
        (r"""rows: "origin = 'A\u202eB'" """, "cannot be printed"),
        ("""rows: "delay = 1.5" """, "DOUBLE"),
        ("masks: {tailnum: keyed}", "keyed"),
    ],
)
def test_what_redshift_would_say_otherwise_is_refused_by_name(tmp_path: Path, grant: str, why: str) -> None:
    text = f"""
masks: {{keyed: {{rank: 5, builtin: sha-256-global}}}}
grants:
  - {{name: login, principals: [everyone], resource: "redshift:native", permissions: [CONNECT]}}
  - {{name: some, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT], {grant}}}
"""
    table = policy_table("lake.nyc.flights", {"origin": "VARCHAR", "delay": "DOUBLE", "tailnum": "VARCHAR"})
    bound = bound_policy(tmp_path, text, table, logins=("native",))
    with pytest.raises(NotNativeError, match=why):
        decided_role(bound, principal("alice"), LOGIN, facts=now())
    roles, refused = roles_of_login(bound, LOGIN, (), facts=now())
    assert roles == ()
    assert "everyone" in refused[0]


def test_equal_decisions_share_a_role_and_others_do_not(policy: BoundPolicy) -> None:
    def name(who: Principal) -> str:
        return decided_role(policy, who, LOGIN, facts=now()).role.name

    assert name(ANALYST) == name(principal("zoe", "analysts"))
    # Whom both grants name sees what the wider one shows, and nothing else.
    assert name(principal("y", "analysts", "ops")) == name(OPS)
    assert len({name(ANALYST), name(OPS), name(principal("x", "analysts", "fleet"))}) == 3
