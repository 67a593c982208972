"""ExplainAccess: tables and statements, for oneself and, to administrators, for others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock.v1 import access_service_pb2 as messages
from penstock.v1.decision_pb2 import VERDICT_NARROWED, VERDICT_REFUSED, ExplanationNode
from penstock.v1.query_service_pb2 import ParameterValue
from support.calls import Client, client
from support.server import ServerProcess, free_port, running_server
from support.small_lake import token_for, write_world
from support.trail import of_request, records

FLIGHTS = "lake.nyc.flights"
OTHERS: dict[str, dict[str, Any]] = {
    "known": {"username": "bob", "groups": ["ops"]},
    "unknown": {"username": "nobody-at-all", "subject": "x"},
    "malformed": {"issuer": "https://nowhere.test", "groups": ["\n"], "source_address": "x"},
    "nothing": {},
    "themselves": {"username": "alice", "subject": "alice", "groups": ["analysts"]},
}


@pytest.fixture
def dave(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, token_for("dave")) as caller:
        yield caller


def explain(caller: Client, **fields: Any) -> messages.ExplainAccessResponse:
    answer: messages.ExplainAccessResponse = caller.call(
        caller.access.ExplainAccess, messages.ExplainAccessRequest(**fields)
    )
    return answer


def query(sql: str, **fields: Any) -> messages.ExplainedQuery:
    return messages.ExplainedQuery(sql=sql, **fields)


def of(**fields: Any) -> messages.ExplainedPrincipal:
    return messages.ExplainedPrincipal(**fields)


def lines(node: ExplanationNode) -> list[str]:
    return [f"{node.layer}: {node.sentence}", *(line for child in node.children for line in lines(child))]


def test_a_statement_is_explained_table_by_table_with_the_columns_that_it_uses(alice: Client) -> None:
    answer = explain(
        alice,
        query=query("select a.name, count(*) from nyc.flights f join airlines a on f.carrier = a.carrier group by 1"),
    )
    tree = answer.explanation
    assert (tree.layer, tree.verdict) == ("query", VERDICT_NARROWED)
    assert tree.sentence == "the statement reads `lake.nyc.flights`, `lake.nyc.airlines`"
    assert [child.children[0].sentence for child in tree.children] == [
        "the statement uses the columns `carrier`",
        "the statement uses the columns `carrier`, `name`",
    ]
    assert {used.table: list(used.columns) for used in answer.used_columns} == {
        FLIGHTS: ["carrier"],
        "lake.nyc.airlines": ["carrier", "name"],
    }
    alone = explain(alice, table=FLIGHTS).explanation
    assert list(tree.children[0].children[1:]) == list(alone.children)


def test_parameters_and_the_catalog_are_those_of_the_statement(alice: Client) -> None:
    asked = query(
        "select 1 from flights where flight = $1", catalog="lake", parameters=[ParameterValue(integer_value=1)]
    )
    assert explain(alice, query=asked).used_columns[0].columns == ["flight"]
    assert explain(alice, query=query("select 1")).explanation.sentence == "the statement reads no table"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from nyc.salaries",
        "select * from nyc.nowhere",
        "select * from nyc.weather",
        "select delay from nyc.flights",
        "select nothing from nyc.flights",
        "selec 1",
        "select * from read_text('/etc/passwd')",
    ],
)
def test_a_statement_that_would_be_refused_is_refused_in_the_same_words(alice: Client, sql: str) -> None:
    told = alice.refused(alice.access.ExplainAccess, messages.ExplainAccessRequest(query=query(sql)))
    assert told.without_request_id() == alice.refused_query(sql).without_request_id()


def test_an_explained_statement_is_in_the_audit_before_the_answer(server: ServerProcess, alice: Client) -> None:
    request = messages.ExplainAccessRequest(query=query("select carrier from nyc.flights"))
    _, call = alice.access.ExplainAccess.with_call(request, metadata=alice.metadata, timeout=30)
    (record,) = of_request(server.folder, str(dict(call.trailing_metadata())["x-request-id"]))
    assert (record["event"], record["outcome"], record["resources"]) == ("access.explained", "allowed", [FLIGHTS])
    assert dict(record["details"])["sql"] == "select carrier from nyc.flights"


def test_an_arn_is_explained_and_to_administrators_for_others(alice: Client, dave: Client) -> None:
    arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
    own = explain(alice, table=arn).explanation
    assert (own.layer, own.verdict) == ("resource", VERDICT_REFUSED)
    assert f"grants: no grant on `{arn}` names you" in lines(own)
    told = explain(dave, table=arn, principal=of(username="alice", subject="alice", groups=["analysts"])).explanation
    assert lines(told.children[0])[1:] == lines(own)[1:]
    assert "grants: no grant is on it" in lines(told)
    for malformed in ("arn:aws:s3:::acme/*", f"{arn}*"):
        assert alice.refused(alice.access.ExplainAccess, messages.ExplainAccessRequest(table=malformed)).fields


def test_a_table_and_a_statement_together_are_refused(alice: Client) -> None:
    request = messages.ExplainAccessRequest(table=FLIGHTS, query=query("select 1"))
    assert alice.refused(alice.access.ExplainAccess, request).fields[0][0] == "table"


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "mallory"])
def test_only_administrators_may_ask_about_others_whoever_these_are(server: ServerProcess, user: str) -> None:
    with client(server.address, token_for(user)) as caller:
        told = []
        for fields in OTHERS.values():
            for what in ({"table": FLIGHTS}, {"table": "no..name"}, {"query": query("selec")}, {}):
                request = messages.ExplainAccessRequest(principal=of(**fields), **what)
                told.append(caller.refused(caller.access.ExplainAccess, request))
    assert {each.without_request_id()[:3] for each in told} == {
        (grpc.StatusCode.PERMISSION_DENIED, "this call is for administrators", "ROLE_REQUIRED")
    }
    assert len({repr(each.without_request_id()) for each in told}) == 1
    (record,) = of_request(server.folder, told[0].request_id)
    assert (record["event"], record["outcome"], record["username"]) == ("access.explained", "refused", user)
    assert json.loads(dict(record["details"])["asked about"])["username"] == "bob"


def test_administrators_are_told_about_anybody_with_what_is_hidden_from_them(
    server: ServerProcess, dave: Client
) -> None:
    request = messages.ExplainAccessRequest(table=FLIGHTS, principal=of(username="alice", groups=["analysts"]))
    answer, call = dave.access.ExplainAccess.with_call(request, metadata=dave.metadata, timeout=30)
    found = lines(answer.explanation)
    assert found[0] == "table: `lake.nyc.flights` before `alice` of `https://login.test`"
    assert "hidden column: `delay`: no grant that holds for them shows it" in found
    assert any(line.startswith("grant: `operations-read-everything` names `group:ops`") for line in found)
    (record,) = of_request(server.folder, str(dict(call.trailing_metadata())["x-request-id"]))
    assert (record["username"], record["resources"]) == ("dave", [FLIGHTS])
    details = dict(record["details"])
    assert (details["explained username"], details["explained groups"]) == ("alice", '["analysts"]')
    assert details["explained issuer"] == "https://login.test"


def test_administrators_are_told_what_a_statement_of_somebody_else_would_meet(
    server: ServerProcess, dave: Client
) -> None:
    bob = of(username="bob", groups=["ops"])
    answer = explain(dave, query=query("select delay from nyc.flights"), principal=bob)
    assert [list(used.columns) for used in answer.used_columns] == [["delay"]]
    record = [each for each in records(server.folder) if each["event"] == "access.explained"][-1]
    assert (record["username"], dict(record["details"])["explained username"]) == ("dave", "bob")
    assert dict(record["details"])["sql"] == "select delay from nyc.flights"
    alice = of(username="alice", groups=["analysts"])
    for sql, told in (
        ("select * from nyc.salaries", "they are told: there is no table `nyc.salaries`"),
        ("select * from nyc.weather", "they are told: you may know of the table `lake.nyc.weather`, but not read it"),
    ):
        refused = explain(dave, query=query(sql), principal=alice)
        first = refused.explanation.children[0]
        assert (first.layer, first.verdict, first.sentence) == ("statement", VERDICT_REFUSED, told)
        assert not refused.used_columns
        assert "hidden columns" in [child.layer for child in refused.explanation.children[1].children[1].children]
    hidden = explain(dave, query=query("select delay from nyc.flights"), principal=alice).explanation.children[0]
    assert (hidden.layer, hidden.verdict) == ("statement", VERDICT_REFUSED)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "principal"),
        ({"username": "a", "issuer": "https://nowhere.test"}, "principal.issuer"),
        ({"username": "a\n"}, "principal.username"),
        ({"subject": "a" * 257}, "principal.subject"),
        ({"username": "a", "groups": [""]}, "principal.groups"),
        ({"username": "a", "groups": ["g"] * 1_001}, "principal.groups"),
        ({"username": "a", "source_address": "localhost"}, "principal.source_address"),
        ({"username": "a", "attributes": [messages.ExplainedAttribute(name="t")]}, "principal.attributes[0].values"),
        (
            {"username": "a", "attributes": [messages.ExplainedAttribute(name="t", values=["v"])] * 2},
            "principal.attributes",
        ),
    ],
)
def test_a_principal_that_cannot_be_is_refused_by_its_field(dave: Client, fields: dict[str, Any], field: str) -> None:
    request = messages.ExplainAccessRequest(table=FLIGHTS, principal=of(**fields))
    assert dave.refused(dave.access.ExplainAccess, request).fields[0][0] == field


def test_a_table_that_is_in_no_catalog_is_not_found_for_administrators(dave: Client) -> None:
    request = messages.ExplainAccessRequest(table="nyc.nowhere", principal=of(username="bob"))
    assert dave.refused(dave.access.ExplainAccess, request).code is grpc.StatusCode.NOT_FOUND


def test_an_answer_says_which_grants_leave_out_what(alice: Client, bob: Client) -> None:
    (applied,) = alice.query("select * from nyc.flights limit 1").header.applied_policies
    assert list(applied.row_filter_grants) == list(applied.column_list_grants) == ["analysts-read-flights"]
    assert not applied.column_rules_applied
    (whole,) = bob.query("select * from nyc.flights limit 1").header.applied_policies
    assert not whole.row_filter_grants
    assert not whole.column_list_grants


STATEMENTS = [
    "select * from nyc.flights",
    "select count(*) from nyc.flights where tail > 'N'",
    "select max(n), text from nyc.numbers group by all order by 1 desc limit 3",
    "with a as (select * from flights) select * from a, airlines where a.carrier = airlines.carrier",
    "select delay from nyc.flights",
    "select * from nyc.salaries",
]
TABLES = ["nyc.flights", "nyc.airlines", "nyc.weather", "nyc.numbers", "nyc.salaries", "nyc.nowhere"]


@pytest.fixture(scope="module")
def other_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The same policy over other hidden cells, other hidden rows and tables of other sizes."""
    folder: Path = tmp_path_factory.mktemp("other")
    port = free_port()
    configuration = write_world(folder, port=port)
    nyc = folder / "lake" / "nyc"
    flights = pq.read_table(nyc / "flights.parquet")
    seen = flights.filter(pa.compute.equal(flights["origin"], "JFK"))
    hidden = [None] * len(seen)
    seen = seen.set_column(4, "delay", pa.array(hidden, pa.int32())).set_column(
        3, "tail", pa.array(hidden, pa.string())
    )
    pq.write_table(seen, nyc / "flights.parquet")
    pq.write_table(pq.read_table(nyc / "numbers.parquet").slice(0, 0), nyc / "numbers.parquet")
    pq.write_table(pa.table({"hour": [9] * 5_000, "temperature": [0.0] * 5_000}), nyc / "weather.parquet")
    pq.write_table(pa.table({"name": ["mallory"] * 9, "salary": [1] * 9}), nyc / "salaries.parquet")
    with running_server(folder, configuration=configuration, port=port) as running:
        yield running


@pytest.mark.parametrize("user", ["alice", "bob", "mallory"])
def test_explanations_are_the_same_bytes_whatever_the_tables_hold(
    server: ServerProcess, other_world: ServerProcess, user: str
) -> None:
    def told(address: str) -> list[object]:
        found: list[object] = []
        with client(address, token_for(user)) as caller:
            for request in (
                *(messages.ExplainAccessRequest(table=table) for table in TABLES),
                *(messages.ExplainAccessRequest(query=query(sql)) for sql in STATEMENTS),
            ):
                try:
                    found.append(caller.call(caller.access.ExplainAccess, request).SerializeToString())
                except grpc.RpcError as error:
                    found.append((error.code(), error.details()))
        return found

    here = told(server.address)
    assert here == told(other_world.address)
    assert sum(isinstance(each, bytes) for each in here) >= 1
