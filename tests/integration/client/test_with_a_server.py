"""The client against the whole of Penstock: real server, real sign-in, real data, a stand-in for AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import penstock
import pytest
from penstock import aio
from penstock.login import Cached
from penstock.parameters import Parameter
from support.household import Command, Household

pytestmark = pytest.mark.usefixtures("at_home")

EXAMPLE = Path(__file__).parents[3] / "examples" / "query.py"
SQL = "select origin, count(*) as flights, count(distinct tailnum) as planes from nyc.flights group by all order by all"


@pytest.fixture
def alice(household: Household) -> Iterator[penstock.Broker]:
    with penstock.connect(household.server, token=Cached(profile="alice")) as broker:
        yield broker


@pytest.fixture
def bob(household: Household) -> Iterator[penstock.Broker]:
    with penstock.connect(household.server, token=Cached(profile="bob")) as broker:
        yield broker


def test_two_people_ask_one_question_and_get_two_answers(alice: penstock.Broker, bob: penstock.Broker) -> None:
    hers, his = alice.query(SQL), bob.query(SQL)

    assert [row[0] for row in hers.rows()] == ["JFK", "LGA"]
    assert {row[2] for row in hers.rows()} == {1}
    assert "EWR" in [row[0] for row in his.rows()]
    assert min(row[2] for row in his.rows()) > 100
    assert hers.policy_version == his.policy_version
    assert hers.explanation[0].masked_columns == (penstock.MaskedColumn(column="tailnum", mask="hidden-tail"),)
    assert his.explanation[0].columns_left_out is False


async def test_the_asynchronous_client_gets_the_same(household: Household, bob: penstock.Broker) -> None:
    async with aio.connect(household.server, token=Cached(profile="bob")) as broker:
        assert await (await broker.query(SQL)).rows() == bob.query(SQL).rows()


def test_a_long_answer_arrives_whole_in_batches(bob: penstock.Broker) -> None:
    result = bob.query("select * from nyc.flights")

    rows = sum(batch.num_rows for batch in result)

    assert rows == result.row_count
    assert bob.query("select count(*) from nyc.flights").rows() == [(rows,)]


def test_parameters_arrive_with_their_types(alice: penstock.Broker) -> None:
    sql = "select $1 + 1, $2, coalesce($3, 7), case when $4 then 'yes' else 'no' end, $5 + interval 1 day"
    parameters: list[Parameter] = [41, "x", None, True, date(2013, 1, 31)]

    assert alice.query(sql, parameters=parameters).rows() == [(42, "x", 7, "yes", datetime(2013, 2, 1))]  # noqa: DTZ001


def test_whoami_tables_and_description_agree(alice: penstock.Broker) -> None:
    assert alice.whoami().groups == ("analysts",)
    tables = {table.name: table for table in alice.tables()}
    assert alice.describe("nyc.flights") == tables["lake.nyc.flights"]
    assert [table.name for table in alice.tables("*.airlines")] == ["lake.nyc.airlines"]
    assert "air_time" not in {column.name for column in tables["lake.nyc.flights"].columns}


def test_what_is_hidden_reads_like_what_does_not_exist(alice: penstock.Broker) -> None:
    told = []
    for name in ("planes", "nothing"):
        for call in (alice.query, alice.describe, alice.explain):
            argument = f"select * from nyc.{name}" if call == alice.query else f"nyc.{name}"
            with pytest.raises(penstock.NotFound) as caught:
                call(argument)
            told.append((name, caught.value.message.replace(name, "NAME"), caught.value.hint, caught.value.reason))

    assert [each[1:] for each in told[:3]] == [each[1:] for each in told[3:]]
    access = [each.access for each in alice.check(["nyc.planes", "nyc.nothing", "nyc.weather", "nyc.airlines"])]
    assert access == ["not_found", "not_found", "describe", "select"]


@pytest.mark.parametrize(
    ("sql", "kind", "position"),
    [
        ("selec 1", "SQL_SYNTAX", 0),
        ("select air_time from nyc.flights", "COLUMN_NOT_FOUND", 7),
        ("select * from nyc.planes", "TABLE_NOT_FOUND", 14),
        ("select 1; select 2", "SQL_MULTIPLE_STATEMENTS", None),
        ("select * from read_text('/etc/passwd')", "SQL_FUNCTION_REFUSED", None),
    ],
)
def test_a_statement_that_fails_says_what_kind_and_where(
    alice: penstock.Broker, sql: str, kind: str, position: int | None
) -> None:
    with pytest.raises(penstock.QueryError) as caught:
        alice.query(sql).to_arrow()

    assert caught.value.kind == kind
    assert position is None or caught.value.position == position
    assert caught.value.request_id


def test_a_table_that_may_only_be_described_is_denied(alice: penstock.Broker) -> None:
    with pytest.raises(penstock.AccessDenied) as caught:
        alice.query("select * from nyc.weather")

    assert caught.value.reason == "DENIED_BY_POLICY"
    assert caught.value.hint


def test_a_statement_past_its_timeout_is_a_limit(alice: penstock.Broker) -> None:
    sql = "select count(*) from nyc.flights a, nyc.flights b, nyc.flights c where a.distance + b.distance > c.distance"
    with pytest.raises(penstock.LimitExceeded) as caught:
        alice.query(sql, timeout=0.5).to_arrow()

    assert caught.value.reason == "QUERY_TIMEOUT"


def test_credentials_reach_what_was_asked_for_and_closed_locations_name_the_door(alice: penstock.Broker) -> None:
    credentials = alice.aws_credentials(["arn:aws:s3:::acme-lake/exports/*"], purpose="test")
    login = alice.redshift_login("analytics")

    assert "arn:aws:s3:::acme-lake/exports/*" in json.dumps(json.loads(credentials.session_policy))
    assert login.user.endswith("pk_alice")
    assert {credentials.lease_id, login.lease_id} <= {lease.lease_id for lease in alice.leases()}
    with pytest.raises(penstock.AccessDenied) as caught:
        alice.aws_credentials(["arn:aws:s3:::acme-lake/curated/*"])
    assert caught.value.reason == "LOCATION_CLOSED"
    assert "query" in caught.value.hint


def test_a_field_that_breaks_a_rule_is_named(alice: penstock.Broker) -> None:
    with pytest.raises(penstock.InvalidRequest) as caught:
        alice.aws_credentials(["arn:aws:s3:::acme-lake/exports/*"], ttl=10)

    assert caught.value.field == "ttl"


@pytest.mark.parametrize("token", [None, "not-a-token"])
def test_without_a_good_token_there_is_one_answer(household: Household, token: str | None) -> None:
    with penstock.connect(household.server, token=token) as broker, pytest.raises(penstock.Unauthenticated) as caught:
        broker.whoami()

    assert caught.value.message == "the request carries no acceptable access token"


def test_the_command_knows_the_server_of_each_profile_after_signing_in(command: Command) -> None:
    told = {person: command("--profile", person, "whoami", "--format", "json") for person in ("alice", "bob")}

    assert {person: json.loads(ran.out)["username"] for person, ran in told.items()} == {"alice": "alice", "bob": "bob"}


def test_the_command_shows_a_question_with_two_answers(command: Command) -> None:
    hers, his = (command("query", SQL, "--profile", person).out for person in ("alice", "bob"))

    assert "EWR" not in hers
    assert "tailnum masked [hidden-tail]" in hers.splitlines()[-1]
    assert "EWR" in his


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["describe", "nyc.planes"], 1),
        (["query", "select * from nyc.weather"], 3),
        (["creds", "aws", "arn:aws:s3:::acme-lake/curated/*"], 3),
        (["creds", "redshift", "nowhere"], 1),
        (["creds", "aws", "arn:aws:s3:::acme-lake/exports/*", "--ttl", "10s"], 2),
    ],
)
def test_the_command_ends_with_the_code_of_what_happened(command: Command, arguments: list[str], code: int) -> None:
    ran = command("--profile", "alice", *arguments)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: ")
    assert "request id: " in ran.err


def test_the_example_prints_rows_and_what_shaped_them(household: Household) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), household.server, "select carrier from nyc.airlines order by all limit 1"],
        env={**household.environ, "PENSTOCK_PROFILE": "alice"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == ("{'carrier': '9E'}\n# lake.nyc.airlines: by everyone-reads-airlines; rows filtered: False\n")


def test_signing_out_forgets_the_sign_in(household: Household, command: Command) -> None:
    assert household.login("dana").returncode == 0
    assert command("whoami", "--profile", "dana").code == 0

    first, second = command("logout", "--profile", "dana"), command("logout", "--profile", "dana")

    assert "signed out of" in first.err
    assert "was not signed in at" in second.err
    assert command("whoami", "--profile", "dana").code == 4


def test_signing_in_by_a_device_code_is_refused_where_the_server_does_not_permit_it(
    household: Household, command: Command
) -> None:
    ran = command("login", household.server, "--profile", "erin", "--device")

    assert ran.code == 4
    assert ran.err.startswith("error: sign-in by device code is not permitted")


def test_parameters_arrive_under_their_names(alice: penstock.Broker) -> None:
    result = alice.query("select $word || $word as w, $n + 1 as n", parameters={"n": 41, "word": "x"})
    assert result.rows() == [("xx", 42)]
    with pytest.raises(penstock.QueryError, match="calls its parameters by name"):
        alice.query("select $word", parameters=["x"]).rows()
