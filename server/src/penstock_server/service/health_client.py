"""Asks a running server whether it serves: the health check of a container."""

from __future__ import annotations

import socket

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2

from penstock_server.config.settings import ServerSettings
from penstock_server.service.tls import read_pem

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listened on by the server, called here
"""Where to call a server that listens on every address."""


def is_serving(settings: ServerSettings, *, service: str, timeout_seconds: float) -> bool:
    """Tell whether the server of this configuration serves; False where it cannot be reached in time.

    `service` is a name that health knows: "" is the whole server.

    With `client_ca` the server wants a client certificate that this check has not got: then an open port counts.

    Raises:
        ConfigurationError: the certificate cannot be read.
    """
    host, _, port = settings.listen.rpartition(":")
    host = _EVERYWHERE.get(host.strip("[]"), host.strip("[]"))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if settings.tls is None:
        with grpc.insecure_channel(address) as channel:
            return _asks(channel, service, timeout_seconds)
    if settings.tls.client_ca is not None:
        return _is_open(host, int(port), timeout_seconds)
    certificate = read_pem(settings.tls.certificate)
    # The server is known by the very certificate of its configuration, under a name that stands in it.
    credentials = grpc.ssl_channel_credentials(root_certificates=certificate)
    options = [("grpc.ssl_target_name_override", _name_in(certificate))]
    with grpc.secure_channel(address, credentials, options=options) as channel:
        return _asks(channel, service, timeout_seconds)


def _name_in(certificate: bytes) -> str:
    """Give a name for which a certificate is good, or "" where it has none."""
    try:
        names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound):
        return ""
    hosts = names.value.get_values_for_type(x509.DNSName)
    addresses = [str(address) for address in names.value.get_values_for_type(x509.IPAddress)]
    return next(iter((*hosts, *addresses)), "").replace("*", "penstock")


def _asks(channel: grpc.Channel, service: str, timeout_seconds: float) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _is_open(host: str, port: int, timeout_seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout_seconds):
            return True
    except OSError:
        return False
