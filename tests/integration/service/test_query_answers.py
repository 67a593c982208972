"""What statements answer, and how those are refused that may not run."""

import re
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.v1 import query_service_pb2
from penstock.v1.query_service_pb2 import ParameterValue
from support.calls import Client, client
from support.server import ServerProcess
from support.small_lake import FLIGHTS, flights, token_for
from support.trail import details, of_request

JFK = [row for row in flights().to_pylist() if row["origin"] == "JFK"]


def test_each_caller_gets_exactly_the_cells_that_the_policy_permits(alice: Client, bob: Client) -> None:
    sql = "select * from nyc.flights order by flight"
    expected = [
        {"flight": row["flight"], "origin": "JFK", "carrier": row["carrier"], "tail": "[redacted]"} for row in JFK
    ]
    assert alice.rows(sql) == expected
    assert bob.rows(sql) == flights().to_pylist()


def test_an_answer_says_how_policy_shaped_it_and_how_much_it_holds(alice: Client) -> None:
    answer = alice.query("select f.carrier, a.name from nyc.flights f join nyc.airlines a using (carrier)")
    applied = {policy.table: policy for policy in answer.header.applied_policies}
    assert set(applied) == {"lake.nyc.flights", "lake.nyc.airlines"}
    shaped = applied["lake.nyc.flights"]
    assert list(shaped.grants) == ["analysts-read-flights"]
    assert [(mask.column, mask.mask) for mask in shaped.masked_columns] == [("tail", "hidden-tail")]
    assert shaped.rows_filtered
    assert shaped.columns_left_out
    assert not applied["lake.nyc.airlines"].rows_filtered
    assert answer.trailer.row_count == answer.table.num_rows == len(JFK)
    assert answer.trailer.batch_count >= 1
    assert answer.trailer.engine_time.ToMilliseconds() > 0
    assert answer.header.query_id == answer.request_id
    assert answer.header.policy_version


def test_parameters_are_bound_by_type(bob: Client) -> None:
    values = [
        ParameterValue(string_value="a'b"),
        ParameterValue(integer_value=-(2**63)),
        ParameterValue(double_value=1.5),
        ParameterValue(boolean_value=True),
        ParameterValue(decimal_value="12.50"),
        ParameterValue(date_value="2013-01-31"),
        ParameterValue(),
    ]
    rows = bob.rows("select $1 s, $2 i, $3 d, $4 b, $5 n, $6 t, $7 u", parameters=values)
    row = {name: None if value is None else str(value) for name, value in rows[0].items()}
    assert row == {
        "s": "a'b",
        "i": "-9223372036854775808",
        "d": "1.5",
        "b": "True",
        "n": "12.50",
        "t": "2013-01-31",
        "u": None,
    }


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (ParameterValue(decimal_value="1e"), "decimal number"),
        (ParameterValue(decimal_value="nan"), "decimal number"),
        (ParameterValue(decimal_value="9" * 65), "decimal number"),
        (ParameterValue(date_value="20130131"), "date as"),
        (ParameterValue(date_value="2013-02-30"), "date as"),
    ],
)
def test_a_parameter_that_is_no_value_of_its_type_is_named(bob: Client, value: ParameterValue, rule: str) -> None:
    told = bob.refused_query("select $1, $2", parameters=[ParameterValue(), value])
    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert told.fields[0][0] == "parameters[1]"
    assert rule in told.fields[0][1]


def test_a_catalog_is_looked_in_first_for_short_names(bob: Client) -> None:
    assert bob.rows("select count(*) n from nyc.flights", catalog="lake") == [{"n": FLIGHTS}]
    told = bob.refused_query("select count(*) n from nyc.flights", catalog="nowhere")
    assert told.reason == "TABLE_NOT_FOUND"


def test_a_description_has_the_schema_of_the_answer_and_runs_nothing(alice: Client, server: ServerProcess) -> None:
    request = query_service_pb2.DescribeQueryRequest(sql="select * from nyc.flights")
    described, call = alice.queries.DescribeQuery.with_call(request, metadata=alice.metadata, timeout=20)
    schema = pa.ipc.open_stream(described.schema).schema
    assert schema.names == ["flight", "origin", "carrier", "tail"]
    assert [applied.table for applied in described.applied_policies] == ["lake.nyc.flights"]
    request_id = str(dict(call.trailing_metadata())["x-request-id"])
    assert [record["event"] for record in of_request(server.folder, request_id)] == ["query.described"]


REFUSED = {
    "selec 1": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_SYNTAX"),
    "": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_SYNTAX"),
    "-- nothing": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_SYNTAX"),
    "select 1; select 2": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_MULTIPLE_STATEMENTS"),
    "select 1; drop table nyc.flights": (grpc.StatusCode.INVALID_ARGUMENT, None),
    "delete from nyc.flights": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "create table t as select 1": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "insert into nyc.flights values (1)": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "copy nyc.flights to '/tmp/x'": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "attach '/etc/passwd' as x": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "set memory_limit = '100GB'": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "pragma database_list": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "install httpfs": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_NOT_READ_ONLY"),
    "select * from read_text('/etc/passwd')": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_FUNCTION_REFUSED"),
    "select getenv('HOME')": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_FUNCTION_REFUSED"),
    "select sum(carrier) from nyc.flights": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_BINDING"),
    "select cast(carrier as integer) from nyc.flights": (grpc.StatusCode.INVALID_ARGUMENT, "SQL_EXECUTION"),
    "select 1\0; drop table x": (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    "select * from nyc.weather": (grpc.StatusCode.PERMISSION_DENIED, "DENIED_BY_POLICY"),
}


@pytest.mark.parametrize("sql", REFUSED)
def test_a_statement_that_may_not_run_is_refused_by_its_kind_and_audited(
    alice: Client, server: ServerProcess, sql: str
) -> None:
    code, reason = REFUSED[sql]
    told = alice.refused_query(sql)
    assert told.code is code
    assert reason is None or told.reason == reason
    events = of_request(server.folder, told.request_id)
    last = events[-1]
    assert last["event"] in {"query.refused", "query.finished"}
    assert (last["outcome"], last["reason"]) in {("refused", told.reason), ("failed", told.reason)}
    assert details(events[0])["sql"] == sql


@pytest.mark.parametrize("sql", ["select 1" + " " * 1_000_000, "select '" + "x" * 999_000 + "'"])
def test_a_statement_of_a_megabyte_is_too_large_by_name(alice: Client, server: ServerProcess, sql: str) -> None:
    told = alice.refused_query(sql)
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SQL_TOO_LARGE")
    assert told.metadata["value"] == "256 KiB"
    record = of_request(server.folder, told.request_id)[0]
    assert set(details(record)) >= {"sql_bytes", "sql_sha256"}
    assert "sql" not in details(record)


def test_a_statement_of_256_kib_is_parsed(alice: Client) -> None:
    sql = "select 1 one".ljust(256 * 1024)
    assert alice.rows(sql) == [{"one": 1}]
    assert alice.refused_query(sql + " ").reason == "SQL_TOO_LARGE"


@pytest.mark.parametrize(
    "sql",
    ["select " + "(" * 100_000 + "1" + ")" * 100_000, "select " + "not " * 60_000 + "true", "select " + "[" * 100_000],
    ids=["parentheses", "nots", "brackets"],
)
def test_a_statement_nested_100_000_deep_is_refused_and_the_next_one_runs(alice: Client, sql: str) -> None:
    told = alice.refused_query(sql)
    assert told.reason in {"SQL_TOO_DEEP", "SQL_SYNTAX"}
    assert alice.rows("select 1 one") == [{"one": 1}]


def _same(hidden: str, missing: str, alice: Client, *names: tuple[str, str]) -> None:
    told, other = alice.refused_query(hidden), alice.refused_query(missing)
    text = repr(other.without_request_id())
    for hidden_name, missing_name in names:
        text = text.replace(missing_name, hidden_name)
    assert repr(told.without_request_id()) == text


def test_a_hidden_table_answers_like_one_that_does_not_exist(alice: Client) -> None:
    for form in ("select * from {}", "select 1 from {} where false", "describe {}", "select count(*) from {} t"):
        _same(form.format("nyc.salaries"), form.format("nyc.nowheres"), alice, ("nyc.salaries", "nyc.nowheres"))
        _same(
            form.format("lake.nyc.salaries"),
            form.format("lake.nyc.nowheres"),
            alice,
            ("lake.nyc.salaries", "lake.nyc.nowheres"),
        )
    assert alice.refused_query("select * from nyc.salaries").code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "form",
    [
        "select {} from nyc.flights",
        "select 1 from nyc.flights where {} > 1",
        "select max(f.{}) from nyc.flights f",
        "select 1 from nyc.flights order by {}",
        "select * exclude ({}) from nyc.flights",
    ],
)
def test_a_hidden_column_answers_like_one_that_does_not_exist(alice: Client, form: str) -> None:
    told, other = alice.refused_query(form.format("delay")), alice.refused_query(form.format("wrong"))
    # A suggestion depends on how a name is spelled; that it holds visible names only is what counts.
    for found in (told, other):
        hint = found.metadata.pop("hint", "")
        assert set(re.findall("`([^`]*)`", hint)) <= {"flight", "origin", "carrier", "tail"}
    assert (told.code, told.reason) in {
        (grpc.StatusCode.NOT_FOUND, "COLUMN_NOT_FOUND"),
        (grpc.StatusCode.INVALID_ARGUMENT, "SQL_BINDING"),
    }
    assert repr(told.without_request_id()) == repr(other.without_request_id()).replace("wrong", "delay")


@pytest.mark.parametrize(
    "name", ["'/etc/passwd'", "'lake/nyc/salaries.parquet'", "'s3://bucket/x.parquet'", "'http://127.0.0.1/x.csv'"]
)
def test_a_file_name_is_no_table(alice: Client, server: ServerProcess, name: str) -> None:
    told = alice.refused_query(f"select * from {name}")
    other = alice.refused_query(f"select * from '{server.folder}/lake/nyc/salaries.parquet'")
    assert (told.code, told.reason) == (other.code, other.reason) == (grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND")


def test_limits_of_a_request_are_told_by_field(alice: Client) -> None:
    cases: dict[str, dict[str, Any]] = {
        "parameters": {"parameters": [ParameterValue()] * 1_001},
        "timeout": {"timeout": Duration(seconds=21)},
        "catalog": {"catalog": "c" * 257},
    }
    for field, fields in cases.items():
        told = alice.refused_query("select 1", **fields)
        assert (told.reason, told.fields[0][0]) == ("INVALID_FIELD", field)
    told = alice.refused_query("select 1", timeout=Duration(nanos=999_999))
    assert told.fields == (("timeout", "from 1 ms up to 20 s"),)


def test_an_admitted_statement_leaves_a_whole_trail(alice: Client, server: ServerProcess) -> None:
    sql = "select carrier, count(*) n from nyc.flights where flight > 10 group by all"
    answer = alice.query(sql)
    admitted, finished = of_request(server.folder, answer.request_id)
    assert (admitted["event"], admitted["outcome"]) == ("query.admitted", "allowed")
    assert (admitted["issuer"], admitted["subject"]) == ("https://login.test", "alice")
    assert admitted["resources"] == ["lake.nyc.flights"]
    assert admitted["policy_version"] == answer.header.policy_version
    facts = details(admitted)
    assert facts["sql"] == sql
    # What hidden columns and constants shape is for the audit alone: a hash of it could be guessed at.
    fingerprint = facts["fingerprint of lake.nyc.flights"]
    assert len(fingerprint) == 64
    assert fingerprint not in str(answer.header)
    assert bytes.fromhex(fingerprint) not in answer.header.SerializeToString()
    assert set(facts["columns of lake.nyc.flights"].strip("[]").replace('"', "").split(", ")) == {"flight", "carrier"}
    assert (finished["event"], finished["outcome"]) == ("query.finished", "allowed")
    assert details(finished)["rows"] == "4"


def test_users_without_a_grant_see_nothing(server: ServerProcess) -> None:
    with client(server.address, token_for("mallory")) as mallory:
        assert mallory.refused_query("select * from nyc.flights").reason == "TABLE_NOT_FOUND"
        assert mallory.rows("select count(*) n from nyc.airlines") == [{"n": 4}]


def test_a_statement_that_lists_tables_shows_each_caller_their_own(
    alice: Client, bob: Client, server: ServerProcess
) -> None:
    sql = "select table_name, column_name from information_schema.columns where table_catalog = 'lake'"
    known: dict[str, set[str]] = {}
    for row in alice.rows(sql):
        known.setdefault(row["table_name"], set()).add(row["column_name"])
    # Weather may be described alone; of flights one column is left out; what nobody granted does not exist.
    assert set(known) == {"flights", "airlines", "numbers", "weather"}
    assert known["flights"] == {"flight", "origin", "carrier", "tail"}
    assert {row["name"] for row in bob.rows("show tables")} == set(known)
    assert [row["column_name"] for row in bob.rows("describe nyc.flights")] != sorted(known["flights"])
    with client(server.address, token_for("mallory")) as mallory:
        assert mallory.rows("show tables from lake") == [{"name": "airlines"}]
    admitted, _ = of_request(server.folder, alice.query("show all tables").request_id)
    assert (admitted["event"], admitted["resources"]) == ("query.admitted", [])


def test_either_all_parameters_have_a_name_or_none_has(bob: Client) -> None:
    named, other = ParameterValue(integer_value=1, name="a"), ParameterValue(integer_value=2, name="A")
    assert bob.rows("select $a as a", parameters=[named]) == [{"a": 1}]
    for values in ([named, ParameterValue()], [named, other], [ParameterValue(name="a" * 129)]):
        told = bob.refused_query("select $a", parameters=values)
        assert told.fields[0][0] == "parameters"
