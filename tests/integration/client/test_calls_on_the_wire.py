"""Calls with one answer, over real gRPC."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import penstock
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from penstock import aio
from penstock.v1 import (
    access_service_pb2,
    catalog_service_pb2,
    credential_service_pb2,
    decision_pb2,
    identity_service_pb2,
)
from support.scripted_server import Refusal, ScriptedServer, error_info, scripted_server, status_bytes

Script = dict[str, Callable[[Any], Any]]


@contextmanager
def connected(
    script: Script, *, token: str | Callable[[], str] = "t", timeout: float = 60
) -> Iterator[tuple[ScriptedServer, penstock.Broker]]:
    with scripted_server(script) as server, penstock.connect(server.address, token=token, timeout=timeout) as broker:
        yield server, broker


AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSTANT = Timestamp()
INSTANT.FromDatetime(AT)

WHO = identity_service_pb2.WhoAmIResponse(
    username="alice", subject="s-1", issuer="https://idp", groups=["a", "b"], expire_time=INSTANT, policy_version="v1"
)
COLUMN = decision_pb2.VisibleColumn(name="origin", type="VARCHAR", mask="hidden", partly_null=True)


def _table(name: str, **fields: Any) -> catalog_service_pb2.VisibleTable:
    return catalog_service_pb2.VisibleTable(name=name, columns=[COLUMN], **fields)


def test_whoami_gives_the_verified_identity() -> None:
    with connected({"WhoAmI": lambda _: WHO}) as (_, broker):
        assert broker.whoami() == penstock.Identity(
            username="alice",
            subject="s-1",
            issuer="https://idp",
            groups=("a", "b"),
            groups_complete=False,
            expires_at=AT,
            policy_version="v1",
            administrator=False,
            auditor=False,
        )


def test_tables_are_read_page_by_page() -> None:
    pages = {"": (["a", "b"], "2"), "2": (["c"], "")}

    def page(request: catalog_service_pb2.ListTablesRequest) -> catalog_service_pb2.ListTablesResponse:
        names, following = pages[request.page_token]
        return catalog_service_pb2.ListTablesResponse(
            tables=[_table(name) for name in names], next_page_token=following
        )

    with connected({"ListTables": page}) as (server, broker):
        tables = broker.tables("nyc.*")

    assert [table.name for table in tables] == ["a", "b", "c"]
    assert [seen.request.pattern for seen in server.seen] == ["nyc.*", "nyc.*"]


def test_a_table_that_may_only_be_described_has_no_applied_policy() -> None:
    answer = catalog_service_pb2.GetTableResponse(table=_table("lake.nyc.weather"))
    with connected({"GetTable": lambda _: answer}) as (_, broker):
        assert broker.describe("nyc.weather") == penstock.Table(
            name="lake.nyc.weather",
            columns=(penstock.Column(name="origin", type="VARCHAR", mask="hidden", partly_null=True),),
            queryable=False,
            rows_filtered=False,
            applied_policy=None,
        )


def test_an_explanation_keeps_its_tree() -> None:
    tree = decision_pb2.ExplanationNode(
        layer="grants",
        verdict=decision_pb2.VERDICT_NARROWED,
        sentence="one grant",
        children=[decision_pb2.ExplanationNode(layer="grant", verdict=decision_pb2.VERDICT_ALLOWED, sentence="s")],
    )
    answer = access_service_pb2.ExplainAccessResponse(explanation=tree)
    with connected({"ExplainAccess": lambda _: answer}) as (_, broker):
        explanation = broker.explain("nyc.flights")

    assert explanation.verdict is penstock.Verdict.NARROWED
    assert [child.verdict for child in explanation.children] == [penstock.Verdict.ALLOWED]


def test_a_verdict_of_a_newer_server_is_not_guessed() -> None:
    answer = access_service_pb2.ExplainAccessResponse(explanation=decision_pb2.ExplanationNode(verdict=99))  # type: ignore[arg-type]  # of tomorrow
    with (
        connected({"ExplainAccess": lambda _: answer}) as (_, broker),
        pytest.raises(penstock.PenstockError) as caught,
    ):
        broker.explain("nyc.flights")

    assert caught.value.reason == "UNKNOWN_VALUE"


def test_a_batch_of_tables_is_answered_in_its_order() -> None:
    answer = access_service_pb2.CheckAccessResponse(
        results=[
            access_service_pb2.AccessResult(table="x", access=access_service_pb2.TABLE_ACCESS_NOT_FOUND),
            access_service_pb2.AccessResult(table="y", access=access_service_pb2.TABLE_ACCESS_SELECT, columns=[COLUMN]),
        ],
        policy_version="v1",
    )
    with connected({"CheckAccess": lambda _: answer}) as (_, broker):
        first, second = broker.check(["x", "y"])

    assert (first.access, first.columns) == (penstock.TableAccess.NOT_FOUND, ())
    assert (second.access, second.policy_version) == (penstock.TableAccess.SELECT, "v1")


AWS = credential_service_pb2.IssueAwsCredentialsResponse(
    access_key_id="AKIA",
    secret_access_key="s3cr3t",
    session_token="t0k3n",
    expire_time=INSTANT,
    session_policy="{}",
    lease_id="l1",
    role_arn="arn:aws:iam::1:role/r",
    revocable="no",
    grants=["g"],
    policy_version="v1",
    region="eu-west-1",
)


def test_aws_credentials_are_asked_for_as_told_and_keep_their_secret() -> None:
    with connected({"IssueAwsCredentials": lambda _: AWS}) as (server, broker):
        arn = "arn:aws:s3:::acme/x/*"
        credentials = broker.aws_credentials([arn], access=["read", "write"], ttl=timedelta(hours=1), purpose="load")
        broker.aws_credentials([arn])

    assert (credentials.secret_access_key, credentials.session_token) == ("s3cr3t", "t0k3n")
    assert (credentials.expires_at, credentials.region) == (AT, "eu-west-1")
    assert "s3cr3t" not in repr(credentials)
    assert "t0k3n" not in repr(credentials)
    first, second = (seen.request for seen in server.seen)
    assert list(first.access) == [credential_service_pb2.AWS_ACCESS_READ, credential_service_pb2.AWS_ACCESS_WRITE]
    assert (first.ttl.seconds, first.purpose) == (3600, "load")
    assert list(second.access) == [credential_service_pb2.AWS_ACCESS_READ]
    assert not second.HasField("ttl")
    assert first.request_id != second.request_id


def test_a_redshift_login_keeps_its_password() -> None:
    answer = credential_service_pb2.IssueRedshiftCredentialsResponse(
        user="IAM:pk_alice", password="hunter2", host="h", port=5439, database="prod", expire_time=INSTANT
    )
    with connected({"IssueRedshiftCredentials": lambda _: answer}) as (server, broker):
        login = broker.redshift_login("analytics", ttl=900)

    assert (login.user, login.password, login.port, login.expires_at) == ("IAM:pk_alice", "hunter2", 5439, AT)
    assert "hunter2" not in repr(login)
    assert server.seen[0].request.ttl.seconds == 900


def test_leases_are_read_page_by_page() -> None:
    lease = credential_service_pb2.Lease(
        lease_id="l1",
        door=credential_service_pb2.DOOR_AWS,
        state=credential_service_pb2.LEASE_STATE_ISSUED,
        create_time=INSTANT,
    )

    def page(request: credential_service_pb2.ListLeasesRequest) -> credential_service_pb2.ListLeasesResponse:
        return credential_service_pb2.ListLeasesResponse(
            leases=[lease], next_page_token="" if request.page_token else "2"
        )

    with connected({"ListLeases": page}) as (_, broker):
        leases = broker.leases()

    assert [(each.door, each.created_at) for each in leases] == [(penstock.Door.AWS, AT)] * 2


def test_sign_in_metadata_is_asked_for_without_a_token() -> None:
    issuer = identity_service_pb2.SignInIssuer(issuer="https://idp", client_id="cli", audience="penstock")
    answer = identity_service_pb2.GetSignInMetadataResponse(issuers=[issuer])

    def token() -> str:
        pytest.fail("a token was asked for")

    with connected({"GetSignInMetadata": lambda _: answer}, token=token) as (server, broker):
        [metadata] = broker.sign_in_metadata()

    assert (metadata.issuer, metadata.client_id) == ("https://idp", "cli")
    assert "authorization" not in server.seen[0].metadata


BAD: dict[str, tuple[Callable[[penstock.Broker], object], str]] = {
    "an unknown access": (lambda broker: broker.aws_credentials(["a"], access="delete"), "access"),
    "resources as one text": (lambda broker: broker.aws_credentials("arn"), "resources"),
    "tables as one text": (lambda broker: broker.check("a.b"), "tables"),
    "a lifetime of nothing": (lambda broker: broker.redshift_login("a", ttl=0), "ttl"),
    "a timeout of nothing": (lambda broker: broker.query("select 1", timeout=0), "timeout"),
    "a timeout without end": (lambda broker: broker.query("select 1", timeout=float("inf")), "timeout"),
    "a statement with half a character": (lambda broker: broker.query("select '\ud800'"), "sql"),
}


@pytest.mark.parametrize(("call", "field"), BAD.values(), ids=BAD)
def test_what_cannot_be_right_is_refused_before_it_is_sent(
    call: Callable[[penstock.Broker], object], field: str
) -> None:
    with connected({}) as (server, broker), pytest.raises(penstock.InvalidRequest) as caught:
        call(broker)

    assert caught.value.field == field
    assert server.seen == []


def _refuse(code: grpc.StatusCode, status: bytes = b"") -> Callable[[Any], Any]:
    def refuse(_: object) -> object:
        raise Refusal(code=code, status=status)

    return refuse


def test_a_refusal_has_reason_hint_and_request_id() -> None:
    code = grpc.StatusCode.PERMISSION_DENIED
    status = status_bytes(code, "the location is closed", error_info("LOCATION_CLOSED", hint="use the query door"))
    with (
        connected({"IssueAwsCredentials": _refuse(code, status)}) as (_, broker),
        pytest.raises(penstock.AccessDenied) as caught,
    ):
        broker.aws_credentials(["arn:aws:s3:::acme/*"])

    error = caught.value
    assert (error.reason, error.message, error.hint, error.request_id) == (
        "LOCATION_CLOSED",
        "the location is closed",
        "use the query door",
        "req-1",
    )


def test_text_of_a_foreign_server_is_not_shown() -> None:
    with (
        connected({"WhoAmI": _refuse(grpc.StatusCode.PERMISSION_DENIED)}) as (_, broker),
        pytest.raises(penstock.AccessDenied) as caught,
    ):
        broker.whoami()

    assert "nobody should see" not in str(caught.value)
    assert caught.value.message == "the server refused the call"


def test_every_call_has_a_deadline() -> None:
    release = threading.Event()

    def wait(_: object) -> identity_service_pb2.WhoAmIResponse:
        release.wait(10)
        return WHO

    with scripted_server({"WhoAmI": wait}) as server:
        with penstock.connect(server.address, timeout=0.3) as broker, pytest.raises(penstock.Unavailable) as caught:
            broker.whoami()
        release.set()

    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert server.seen[0].timeout is not None
    assert server.seen[0].timeout <= 0.3


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with penstock.connect(f"127.0.0.1:{port}", token="t") as broker, pytest.raises(penstock.Unavailable) as caught:
        broker.whoami()

    assert caught.value.message == "the server cannot be reached"


def test_a_closed_broker_says_so() -> None:
    broker = penstock.connect("127.0.0.1:1", token="t")
    broker.close()
    broker.close()

    with pytest.raises(penstock.PenstockError, match="closed"):
        broker.whoami()


async def test_a_closed_asynchronous_broker_says_so() -> None:
    broker = aio.connect("127.0.0.1:1", token="t")
    await broker.close()

    with pytest.raises(penstock.PenstockError, match="closed"):
        await broker.whoami()


@pytest.mark.parametrize("variable", ["http_proxy", "grpc_proxy", "https_proxy"])
def test_a_token_in_plain_text_never_goes_to_a_proxy(variable: str) -> None:
    """gRPC sends plain-text calls to loopback addresses through `http_proxy` unless it is told not to."""
    code = textwrap.dedent("""
        import sys, penstock
        with penstock.connect(sys.argv[1], token="t") as broker:
            print(broker.whoami().username)
    """)
    with socket.create_server(("127.0.0.1", 0)) as proxy, scripted_server({"WhoAmI": lambda _: WHO}) as server:
        proxy.setblocking(False)
        environment = {**os.environ, variable: f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        done = subprocess.run(
            [sys.executable, "-c", code, server.address],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        with pytest.raises(BlockingIOError):
            proxy.accept()

    assert done.stdout == "alice\n", done.stderr
