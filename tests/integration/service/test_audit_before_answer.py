"""Nothing is answered that is not in the audit: a disk that takes no more bytes closes every door."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    query_service_pb2,
)
from support.calls import Client, Refusal, client, drain
from support.server import ServerProcess, wait_until
from support.small_lake import token_for
from support.trail import records


@contextmanager
def full_disk(server: ServerProcess) -> Iterator[None]:
    """No file of the front may grow: what a full disk does, without filling one."""
    front = server.front().pid
    resource.prlimit(front, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(front, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


UNARY: dict[str, Callable[[Client], tuple[Any, Any]]] = {
    "WhoAmI": lambda c: (c.identity.WhoAmI, identity_service_pb2.WhoAmIRequest()),
    "ListTables": lambda c: (c.catalog.ListTables, catalog_service_pb2.ListTablesRequest()),
    "GetTable": lambda c: (c.catalog.GetTable, catalog_service_pb2.GetTableRequest(name="nyc.airlines")),
    "GetTable, hidden": lambda c: (c.catalog.GetTable, catalog_service_pb2.GetTableRequest(name="nyc.salaries")),
    "CheckAccess": lambda c: (c.access.CheckAccess, access_service_pb2.CheckAccessRequest(tables=["nyc.airlines"])),
    "CheckAccess, invalid": lambda c: (c.access.CheckAccess, access_service_pb2.CheckAccessRequest()),
    "ExplainAccess": lambda c: (c.access.ExplainAccess, access_service_pb2.ExplainAccessRequest(table="nyc.airlines")),
    "GetPolicyVersion": lambda c: (c.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest()),
    "DescribeQuery": lambda c: (c.queries.DescribeQuery, query_service_pb2.DescribeQueryRequest(sql="select 1")),
    "ListLeases": lambda c: (c.credentials.ListLeases, credential_service_pb2.ListLeasesRequest()),
    "GetLease": lambda c: (c.credentials.GetLease, credential_service_pb2.GetLeaseRequest(lease_id="0" * 32)),
    "RevokeLease": lambda c: (
        c.credentials.RevokeLease,
        credential_service_pb2.RevokeLeaseRequest(lease_id="0" * 32),
    ),
    "IssueAwsCredentials": lambda c: (
        c.credentials.IssueAwsCredentials,
        credential_service_pb2.IssueAwsCredentialsRequest(
            resources=["arn:aws:s3:::x/*"], access=[credential_service_pb2.AWS_ACCESS_READ]
        ),
    ),
    "IssueRedshiftCredentials": lambda c: (
        c.credentials.IssueRedshiftCredentials,
        credential_service_pb2.IssueRedshiftCredentialsRequest(name="nowhere"),
    ),
    "ListAuditRecords": lambda c: (c.audit.ListAuditRecords, audit_service_pb2.ListAuditRecordsRequest()),
    "GetAuditCheckpoint": lambda c: (c.audit.GetAuditCheckpoint, audit_service_pb2.GetAuditCheckpointRequest()),
}


def _closed(told: Refusal) -> bool:
    return (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "AUDIT_UNAVAILABLE")


def test_with_a_full_disk_no_call_is_answered_and_no_refusal_told(server: ServerProcess) -> None:
    with client(server.address, token_for("carol")) as carol, full_disk(server):
        told = {name: carol.refused(*make(carol)) for name, make in UNARY.items()}
    assert {name: refusal.reason for name, refusal in told.items() if not _closed(refusal)} == {}


@pytest.mark.parametrize(
    "sql",
    ["select * from nyc.flights", "select * from nyc.salaries", "select * from nyc.weather", "selec 1", "select 1"],
)
def test_with_a_full_disk_no_statement_shows_a_row_or_even_a_schema(server: ServerProcess, sql: str) -> None:
    with client(server.address, token_for("alice")) as alice, full_disk(server):
        received, told = drain(alice.stream(sql))
    assert received == []
    assert told is not None
    assert _closed(told)


def test_an_answer_whose_end_cannot_be_recorded_does_not_look_complete(server: ServerProcess) -> None:
    with client(server.address, token_for("bob")) as bob:
        call = bob.stream("select n, repeat(text, 20) t from nyc.numbers, range(2)")
        parts = [next(call), next(call)]
        with full_disk(server):
            rest, told = drain(call)
    assert told is not None
    assert _closed(told)
    assert not any(part.HasField("trailer") for part in (*parts, *rest))


def test_once_there_is_room_everything_goes_on_and_the_trail_is_whole(server: ServerProcess) -> None:
    def answers(caller: Client) -> bool:
        try:
            return caller.rows("select 1 one") == [{"one": 1}]
        except grpc.RpcError:
            return False

    with client(server.address, token_for("alice")) as alice:
        with full_disk(server):
            assert not answers(alice)
        wait_until(lambda: answers(alice), seconds=15, what="an answer after the disk has room again")
    sequences = [record["sequence"] for record in records(server.folder)]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_bad_token_is_refused_even_then(server: ServerProcess) -> None:
    with client(server.address, "junk") as caller, full_disk(server):
        told = caller.refused(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    assert told.reason == "UNAUTHENTICATED"
