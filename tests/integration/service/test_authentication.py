"""What a caller without an acceptable token gets: the same no, whatever the cause."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from penstock.v1 import (
    access_service_pb2,
    audit_service_pb2,
    catalog_service_pb2,
    credential_service_pb2,
    identity_service_pb2,
    policy_service_pb2,
    query_service_pb2,
)
from support.calls import Client, Refusal, client, refusal
from support.server import ServerProcess, wait_until
from support.small_lake import mint, token_for
from support.tokens import TokenMint, base64url, rsa_key
from support.trail import records

SERVICES = (
    access_service_pb2.DESCRIPTOR,
    audit_service_pb2.DESCRIPTOR,
    catalog_service_pb2.DESCRIPTOR,
    credential_service_pb2.DESCRIPTOR,
    identity_service_pb2.DESCRIPTOR,
    policy_service_pb2.DESCRIPTOR,
    query_service_pb2.DESCRIPTOR,
)
METHODS = [
    f"/{service.full_name}/{method.name}"
    for file in SERVICES
    for service in file.services_by_name.values()
    for method in service.methods
]


def _long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=2)


def _id_token() -> str:
    return mint()("alice", header={"typ": "JWT"}, aud="penstock-cli", nonce="n", drop=("client_id",))


def _signed_with_the_public_key() -> str:
    """The old confusion: HS256 under the published key."""
    public = json.dumps(rsa_key().public_jwk()).encode()
    header, payload = (
        base64url(json.dumps(part).encode()) for part in (mint().header(alg="HS256"), mint().claims("alice"))
    )
    mac = hmac.digest(public, f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}.{base64url(mac)}"


BAD_TOKENS: dict[str, tuple[Callable[[], str | None], str]] = {
    "none": (lambda: None, "authorization-missing"),
    "empty": (lambda: "", "token-encoding"),
    "junk": (lambda: "junk", "token-encoding"),
    "foreign issuer": (lambda: TokenMint(key=rsa_key(), issuer="https://evil.test")("alice"), "issuer-unknown"),
    "foreign key": (lambda: mint()("alice", key=rsa_key("other")), "signature"),
    "expired": (lambda: TokenMint(key=rsa_key(), now=_long_ago)("alice"), "expired"),
    "ID token": (_id_token, "typ"),
    "other audience": (lambda: TokenMint(key=rsa_key(), audience="other")("alice"), "audience"),
    "public key as secret": (_signed_with_the_public_key, "algorithm"),
    "no signature": (
        lambda: mint()("alice").rpartition(".")[0] + "." + base64.urlsafe_b64encode(b"x" * 256).decode().rstrip("="),
        "signature",
    ),
}


def who_am_i(address: str, token: str | None) -> Refusal:
    with client(address, token) as caller:
        return caller.refused(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_an_unacceptable_token_gets_one_answer_and_the_audit_the_rule(server: ServerProcess, case: str) -> None:
    make, rule = BAD_TOKENS[case]
    plain = who_am_i(server.address, None)
    told = who_am_i(server.address, make())
    assert told.without_request_id() == plain.without_request_id()
    assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert told.metadata == {"hint": "sign in again with `penstock login`, or present a fresh access token"}
    assert told.request_id

    def audited() -> bool:
        return any(
            record["event"] == "authentication.refused" and record["reason"].startswith(rule)
            for record in records(server.folder)
        )

    wait_until(audited, seconds=10, what=f"an audit record of the rule {rule}")


def test_two_authorization_headers_are_refused_even_if_both_are_good(server: ServerProcess) -> None:
    with client(server.address, token_for("alice")) as caller:
        caller.metadata = (*caller.metadata, *caller.metadata)
        told = caller.refused(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    assert told.reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("method", METHODS)
def test_only_sign_in_health_and_reflection_are_open(server: ServerProcess, method: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_stream(method)  # works for methods of both kinds
        if method == "/penstock.v1.IdentityService/GetSignInMetadata":
            assert list(call(b"", timeout=10))
            return
        with refusal() as found:
            list(call(b"", timeout=10))
    assert found[0].reason == "UNAUTHENTICATED"


def test_a_bad_token_is_told_before_a_bad_request(server: ServerProcess) -> None:
    requests: list[tuple[str, Message]] = [
        ("ListTables", catalog_service_pb2.ListTablesRequest(page_size=-5, pattern="x" * 10_000)),
        ("GetTable", catalog_service_pb2.GetTableRequest(name="")),
    ]
    with client(server.address, "junk") as caller:
        for name, request in requests:
            told = caller.refused(getattr(caller.catalog, name), request)
            assert told.reason == "UNAUTHENTICATED"


def test_a_good_token_says_who_calls(alice: Client) -> None:
    me = alice.call(alice.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    assert (me.username, me.subject, me.issuer) == ("alice", "alice", "https://login.test")
    assert list(me.groups) == ["analysts"]
    assert me.groups_complete
    assert not me.administrator
    assert not me.auditor
    assert me.policy_version
    left = me.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(minutes=5) < left <= timedelta(minutes=10)


def test_sign_in_metadata_needs_no_token(nobody: Client) -> None:
    answer = nobody.call(nobody.identity.GetSignInMetadata, identity_service_pb2.GetSignInMetadataRequest())
    issuer = answer.issuers[0]
    assert (issuer.issuer, issuer.client_id, issuer.audience) == ("https://login.test", "penstock-cli", "penstock")
    assert issuer.default
