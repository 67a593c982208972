"""The calls that answer questions: catalog, access, policy, audit, leases."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.v1 import (
    access_service_pb2,
    audit_service_pb2,
    catalog_service_pb2,
    credential_service_pb2,
    identity_service_pb2,
    policy_service_pb2,
)
from support.calls import Client, client
from support.server import ServerProcess
from support.small_lake import token_for
from support.trail import of_request, records

PROTO = Path(__file__).parents[3] / "proto" / "penstock" / "v1"


def tables(caller: Client, **fields: Any) -> list[str]:
    answer = caller.call(caller.catalog.ListTables, catalog_service_pb2.ListTablesRequest(**fields))
    return [table.name for table in answer.tables]


def last_record(server: ServerProcess, event: str) -> dict[str, Any]:
    return [record for record in records(server.folder) if record["event"] == event][-1]


def test_each_caller_is_shown_the_tables_that_exist_for_them(server: ServerProcess, alice: Client, bob: Client) -> None:
    assert tables(alice) == ["lake.nyc.airlines", "lake.nyc.flights", "lake.nyc.numbers", "lake.nyc.weather"]
    assert tables(bob) == ["lake.nyc.airlines", "lake.nyc.flights", "lake.nyc.numbers", "lake.nyc.weather"]
    with client(server.address, token_for("mallory")) as mallory:
        assert tables(mallory) == ["lake.nyc.airlines"]
    assert last_record(server, "catalog.listed")["subject"] == "mallory"


def test_tables_are_found_by_pattern(alice: Client) -> None:
    assert tables(alice, pattern="*.f*") == ["lake.nyc.flights"]
    assert tables(alice, pattern="salaries") == []
    assert tables(alice, pattern="*salaries*") == []


def test_pages_follow_one_another_and_end(alice: Client) -> None:
    found: list[str] = []
    token, pages = "", 0
    while True:
        request = catalog_service_pb2.ListTablesRequest(page_size=3, page_token=token)
        answer = alice.call(alice.catalog.ListTables, request)
        found += [table.name for table in answer.tables]
        pages += 1
        token = answer.next_page_token
        if not token:
            break
    assert pages == 2
    assert found == tables(alice)


def test_a_page_token_of_somebody_else_is_refused(alice: Client, bob: Client) -> None:
    answer = alice.call(alice.catalog.ListTables, catalog_service_pb2.ListTablesRequest(page_size=1))
    request = catalog_service_pb2.ListTablesRequest(page_size=1, page_token=answer.next_page_token)
    told = bob.refused(bob.catalog.ListTables, request)
    assert (told.reason, told.fields[0][0]) == ("INVALID_FIELD", "page_token")


@pytest.mark.parametrize("size", [-1, 1_001])
def test_a_page_size_out_of_range_is_refused_and_audited(server: ServerProcess, alice: Client, size: int) -> None:
    told = alice.refused(alice.catalog.ListTables, catalog_service_pb2.ListTablesRequest(page_size=size))
    assert told.fields == (("page_size", "from 1 to 1,000; 0 means 100"),)
    record = last_record(server, "catalog.listed")
    assert (record["request_id"], record["outcome"]) == (told.request_id, "refused")


def test_a_table_is_described_as_the_caller_sees_it(alice: Client, bob: Client) -> None:
    request = catalog_service_pb2.GetTableRequest(name="nyc.flights")
    seen = alice.call(alice.catalog.GetTable, request).table
    assert (seen.name, seen.queryable, seen.rows_filtered) == ("lake.nyc.flights", True, True)
    assert [(column.name, column.type, column.mask) for column in seen.columns] == [
        ("flight", "BIGINT", ""),
        ("origin", "VARCHAR", ""),
        ("carrier", "VARCHAR", ""),
        ("tail", "VARCHAR", "hidden-tail"),
    ]
    assert seen.applied_policy.columns_left_out
    whole = bob.call(bob.catalog.GetTable, request).table
    assert [column.name for column in whole.columns] == ["flight", "origin", "carrier", "tail", "delay"]
    assert not whole.applied_policy.columns_left_out


def test_a_table_that_may_only_be_described_says_so(alice: Client) -> None:
    seen = alice.call(alice.catalog.GetTable, catalog_service_pb2.GetTableRequest(name="lake.nyc.weather")).table
    assert not seen.queryable
    assert not seen.HasField("applied_policy")
    assert [column.name for column in seen.columns] == ["hour", "temperature"]


def test_a_hidden_table_reads_like_a_missing_one_at_every_question(server: ServerProcess, alice: Client) -> None:
    def ask(name: str) -> list[tuple[object, ...]]:
        described = alice.refused(alice.catalog.GetTable, catalog_service_pb2.GetTableRequest(name=name))
        explained = alice.refused(alice.access.ExplainAccess, access_service_pb2.ExplainAccessRequest(table=name))
        queried = alice.refused_query(f"select 1 from {name}")
        assert described.code is explained.code is queried.code is grpc.StatusCode.NOT_FOUND
        assert described.reason == explained.reason == queried.reason == "TABLE_NOT_FOUND"
        assert described.message == explained.message == queried.message
        return [described.without_request_id(), explained.without_request_id(), queried.without_request_id()]

    hidden, missing = ask("nyc.salaries"), ask("nyc.nowheres")
    assert repr(hidden) == repr(missing).replace("nowheres", "salaries")


def test_access_is_checked_in_the_order_of_the_questions(server: ServerProcess, alice: Client) -> None:
    names = ["nyc.flights", "lake.nyc.weather", "nyc.salaries", "nyc.nowhere", "LAKE.NYC.AIRLINES"]
    answer = alice.call(alice.access.CheckAccess, access_service_pb2.CheckAccessRequest(tables=names))
    assert [result.table for result in answer.results] == names
    assert [result.access for result in answer.results] == [
        access_service_pb2.TABLE_ACCESS_SELECT,
        access_service_pb2.TABLE_ACCESS_DESCRIBE,
        access_service_pb2.TABLE_ACCESS_NOT_FOUND,
        access_service_pb2.TABLE_ACCESS_NOT_FOUND,
        access_service_pb2.TABLE_ACCESS_SELECT,
    ]
    assert list(answer.results[2].columns) == list(answer.results[3].columns) == []
    assert answer.policy_version
    record = last_record(server, "access.checked")
    assert record["resources"] == names
    assert dict(record["details"])["answers"] == "select,describe,not found,not found,select"


@pytest.mark.parametrize(
    ("names", "field"),
    [([], "tables"), (["a.b"] * 101, "tables"), (["a.b", "a..b"], "tables[1]"), (["x" * 1_025], "tables[0]")],
)
def test_a_bad_question_is_told_by_its_field(alice: Client, names: list[str], field: str) -> None:
    told = alice.refused(alice.access.CheckAccess, access_service_pb2.CheckAccessRequest(tables=names))
    assert (told.code, told.fields[0][0]) == (grpc.StatusCode.INVALID_ARGUMENT, field)


def test_an_explanation_names_grants_and_layers(alice: Client) -> None:
    request = access_service_pb2.ExplainAccessRequest(table="nyc.flights")
    answer = alice.call(alice.access.ExplainAccess, request)

    def words(node: Any) -> str:
        return " ".join([node.layer, node.sentence, *(words(child) for child in node.children)])

    assert "analysts-read-flights" in words(answer.explanation)
    assert "operations" not in words(answer.explanation)
    assert "delay" not in words(answer.explanation)


def test_every_caller_may_know_the_policy_version(server: ServerProcess, alice: Client) -> None:
    answer = alice.call(alice.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
    me = alice.call(alice.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    loaded = next(record for record in records(server.folder) if record["event"] == "policy.loaded")
    assert answer.policy_version == me.policy_version == loaded["policy_version"]
    assert answer.bind_time.seconds > 0


@pytest.mark.parametrize("user", ["alice", "bob", "dave", "mallory"])
def test_the_audit_is_for_auditors_alone(server: ServerProcess, user: str) -> None:
    with client(server.address, token_for(user)) as caller:
        for told in (
            caller.refused(caller.audit.ListAuditRecords, audit_service_pb2.ListAuditRecordsRequest()),
            caller.refused(caller.audit.GetAuditCheckpoint, audit_service_pb2.GetAuditCheckpointRequest()),
            # Authorised before validated: a bad page size is not what an outsider is told.
            caller.refused(caller.audit.ListAuditRecords, audit_service_pb2.ListAuditRecordsRequest(page_size=-1)),
        ):
            assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
            record = of_request(server.folder, told.request_id)[-1]
            assert (record["event"], record["outcome"]) == ("audit.read", "refused")


def test_auditors_read_the_whole_trail_page_by_page(server: ServerProcess, carol: Client) -> None:
    found: list[Any] = []
    token = ""
    while len(found) < 30:
        request = audit_service_pb2.ListAuditRecordsRequest(page_size=7, page_token=token)
        answer = carol.call(carol.audit.ListAuditRecords, request)
        found += answer.records
        token = answer.next_page_token
        if not token:
            break
    assert [record.sequence for record in found] == list(range(1, len(found) + 1))
    assert found[0].event == "service.started"
    on_disk = records(server.folder)
    for shown, kept in zip(found, on_disk, strict=False):
        assert (shown.event, shown.digest, shown.request_id) == (kept["event"], kept["digest"], kept["request_id"])
        assert [[detail.name, detail.value] for detail in shown.details] == kept["details"]


def test_a_checkpoint_is_the_end_of_the_chain(server: ServerProcess, carol: Client) -> None:
    checkpoint = carol.call(carol.audit.GetAuditCheckpoint, audit_service_pb2.GetAuditCheckpointRequest())
    kept = {record["sequence"]: record["digest"] for record in records(server.folder)}
    assert kept[checkpoint.sequence] == checkpoint.digest


def test_auditors_and_administrators_are_told_that_they_are(server: ServerProcess) -> None:
    roles = {}
    for user in ("alice", "carol", "dave"):
        with client(server.address, token_for(user)) as caller:
            me = caller.call(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
            roles[user] = (me.administrator, me.auditor)
    assert roles == {"alice": (False, False), "carol": (False, True), "dave": (True, False)}


def test_credential_doors_that_are_not_configured_say_so_or_know_nothing(server: ServerProcess, alice: Client) -> None:
    leases = alice.call(alice.credentials.ListLeases, credential_service_pb2.ListLeasesRequest())
    assert list(leases.leases) == []
    request = credential_service_pb2.IssueAwsCredentialsRequest(
        resources=["arn:aws:s3:::acme/*"], access=[credential_service_pb2.AWS_ACCESS_READ]
    )
    aws = alice.refused(alice.credentials.IssueAwsCredentials, request)
    assert aws.code is grpc.StatusCode.PERMISSION_DENIED
    login = credential_service_pb2.IssueRedshiftCredentialsRequest(name="nowhere")
    redshift = alice.refused(alice.credentials.IssueRedshiftCredentials, login)
    assert (redshift.code, redshift.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_an_unspecified_access_is_refused_by_field(alice: Client) -> None:
    request = credential_service_pb2.IssueAwsCredentialsRequest(
        resources=["arn:aws:s3:::acme/*"], access=[credential_service_pb2.AWS_ACCESS_UNSPECIFIED]
    )
    told = alice.refused(alice.credentials.IssueAwsCredentials, request)
    assert told.fields[0][0] == "access[0]"
