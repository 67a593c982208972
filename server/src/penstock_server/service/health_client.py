"""Asks a running server whether it serves: the health check of a container."""

from __future__ import annotations

import socket

import grpc
from grpc_health.v1 import health_pb2

from penstock_server.config.settings import ServerSettings


def is_serving(settings: ServerSettings, *, timeout_seconds: float) -> bool:
    """Tell whether the server of this configuration serves; False where it cannot be reached in time.

    With `client_ca` the server wants a client certificate that this check has not got: then an open port counts.
    """
    host, _, port = settings.listen.rpartition(":")
    host = host.strip("[]")
    if host in ("0.0.0.0", "::"):  # noqa: S104 - what is listened on, here to be called
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if settings.tls is None:
        with grpc.insecure_channel(address) as channel:
            return _asks(channel, timeout_seconds)
    if settings.tls.client_ca is not None:
        return _is_open(host, int(port), timeout_seconds)
    # The certificate names the server's public host, and is not ours to check: nothing secret is sent.
    certificate = settings.tls.certificate.read_bytes()
    credentials = grpc.ssl_channel_credentials(root_certificates=certificate)
    with grpc.secure_channel(address, credentials) as channel:
        return _asks(channel, timeout_seconds)


def _asks(channel: grpc.Channel, timeout_seconds: float) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = check(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _is_open(host: str, port: int, timeout_seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout_seconds):
            return True
    except OSError:
        return False
