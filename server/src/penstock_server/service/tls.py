"""Certificates to gRPC's credentials."""

from __future__ import annotations

from pathlib import Path

import grpc

from penstock_server.config.settings import TlsSettings
from penstock_server.errors import ConfigurationError


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials:
    """Give the credentials of a TLS server, and of one that asks for client certificates where `client_ca` is set.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    authorities = None if settings.client_ca is None else read_pem(settings.client_ca)
    return grpc.ssl_server_credentials(
        [(read_pem(settings.private_key), read_pem(settings.certificate))],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def read_pem(path: Path) -> bytes:
    """Read a PEM file. Raises ConfigurationError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read ({error.strerror})",)) from error
