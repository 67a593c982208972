"""What every caller may rely on: health, reflection, request ids, quiet logs, limits of the transport."""

import json

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from penstock.v1 import access_service_pb2, identity_service_pb2
from penstock.v1.query_service_pb2 import ParameterValue
from support.calls import Client, client
from support.server import ServerProcess
from support.small_lake import token_for

CANARY = "canary7e5c31"


def check(server: ServerProcess, service: str) -> int:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return int(call(health_pb2.HealthCheckRequest(service=service), timeout=10).status)


@pytest.mark.parametrize("service", ["", "penstock.v1.QueryService", "penstock.v1.CredentialService"])
def test_health_is_told_for_the_server_and_each_service(server: ServerProcess, service: str) -> None:
    assert check(server, service) == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service_is_not_found(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        check(server, "penstock.v1.Nothing")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_can_be_watched(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(), timeout=10)
        assert next(call).status == health_pb2.HealthCheckResponse.SERVING
        call.cancel()


def _services(server: ServerProcess) -> set[str]:
    with grpc.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = list(stub.ServerReflectionInfo(iter([request]), timeout=10))
    return {service.name for service in answers[0].list_services_response.service}


def test_reflection_lists_the_contract_where_it_is_configured(server: ServerProcess) -> None:
    found = _services(server)
    assert {"penstock.v1.QueryService", "penstock.v1.AuditService", "grpc.health.v1.Health"} <= found


def test_every_answer_has_its_own_request_id(alice: Client) -> None:
    seen = set()
    _, call = alice.identity.WhoAmI.with_call(identity_service_pb2.WhoAmIRequest(), metadata=alice.metadata, timeout=10)
    seen.add(dict(call.trailing_metadata())["x-request-id"])
    seen.add(alice.query("select 1").request_id)
    seen.add(alice.refused_query("selec 1").request_id)
    alice.metadata = ()
    seen.add(alice.refused(alice.identity.WhoAmI, identity_service_pb2.WhoAmIRequest()).request_id)
    assert len(seen) == 4
    assert "" not in seen


def test_logs_hold_neither_tokens_nor_what_was_asked_or_answered(server: ServerProcess, alice: Client) -> None:
    token = dict(alice.metadata)["authorization"].removeprefix("Bearer ")
    alice.rows(f"select '{CANARY}' x, $1 y", parameters=[ParameterValue(string_value=CANARY)])
    for sql in ("selec '{}'", "select cast('{}' as integer)", "select {}", "select * from {}"):
        alice.refused_query(sql.format(CANARY))
    alice.refused(alice.access.ExplainAccess, access_service_pb2.ExplainAccessRequest(table=CANARY))
    with client(server.address, f"{token[:-4]}AAAA") as forger:
        forger.refused(forger.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    written = server.written()
    calls = [line for line in server.log_lines() if line.get("message") == "call"]
    assert len(calls) >= 7
    assert CANARY not in written
    assert token[:40] not in written
    assert "Bearer" not in written
    assert {"method", "request_id", "peer", "ended", "milliseconds", "subject"} <= set(calls[0]) | {"subject"}
    for line in written.splitlines():
        assert isinstance(json.loads(line), dict)


def test_a_message_past_the_transports_limit_is_refused_by_grpc(alice: Client) -> None:
    request = access_service_pb2.CheckAccessRequest(tables=["x" * 5_000_000])
    with pytest.raises(grpc.RpcError) as raised:
        alice.call(alice.access.CheckAccess, request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert alice.rows("select 1 one") == [{"one": 1}]


def test_a_message_of_two_mebibytes_is_refused_by_type(alice: Client) -> None:
    told = alice.refused(alice.access.CheckAccess, access_service_pb2.CheckAccessRequest(tables=["x" * 2_000_000]))
    assert (told.reason, told.fields[0]) == ("INVALID_FIELD", ("request", "at most 1 MiB"))


def test_headers_larger_than_a_token_can_be_are_refused(server: ServerProcess) -> None:
    with client(server.address, "x" * 100_000) as caller, pytest.raises(grpc.RpcError):
        caller.call(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
    with client(server.address, token_for("alice")) as caller:
        caller.call(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
