"""Calls without a connection, for the parts of the service that never use one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.service.calls import Call, Transport


def principal(subject: str = "alice", *, issuer: str = "https://login.test") -> Principal:
    """A principal as the verifier would give it."""
    return Principal(
        issuer=issuer,
        subject=subject,
        username=subject,
        groups=frozenset(),
        groups_complete=True,
        attributes=(),
        client_id="penstock-cli",
        authentication_methods=(),
        issued_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
        expires_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
    )


def context() -> RequestContext:
    """The context of a call from this machine."""
    return RequestContext(request_id="the-request", peer_address="127.0.0.1", client_certificate=None)


def call(*, method: str = "/penstock.v1.CatalogService/ListTables", who: Principal | None = None) -> Call:
    """A call that has no transport: nothing may be sent on it."""
    return Call(
        method=method,
        open=False,
        transport=cast("Transport", None),
        metadata=(),
        context=context(),
        principal=who or principal(),
    )
