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
    authorities = None if settings.client_ca is None else _read(settings.client_ca)
    return grpc.ssl_server_credentials(
        [(_read(settings.private_key), _read(settings.certificate))],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read ({error.strerror})",)) from error
