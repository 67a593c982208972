"""The context of one request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What is known of a call besides its message.

    `request_id` is ours (UUID4 text) and stands in the `x-request-id` trailer, the log and the audit.
    `peer_address` is the literal IP address of the connection, or "" for a local socket.
    `client_certificate` is the DER bytes of the client's verified certificate, or None.
    """

    request_id: str
    peer_address: str
    client_certificate: bytes | None
