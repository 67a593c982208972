"""The context of one request, and what of it a decision may look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.model.posture import NOTHING_KNOWN, Posture


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What is known of a call besides its message.

    `request_id` is ours (UUID4 text) and stands in the `x-request-id` trailer, the log and the audit.
    `peer_address` is the literal IP address of the connection, or "" for a local socket.
    `client_certificate` is the DER bytes of the client's verified certificate, or None. `posture` is what was known of
    buckets when the call began.
    """

    request_id: str
    peer_address: str
    client_certificate: bytes | None
    posture: Posture = NOTHING_KNOWN

    def facts(
        self, *, at: datetime, requested_ttl: timedelta | None = None, purpose: str = "", carried: bool = False
    ) -> RequestFacts:
        """Give what a decision at an instant (aware) may look at; further facts as `RequestFacts` has them."""
        return RequestFacts(
            at=at,
            source_address=self.peer_address,
            requested_ttl=requested_ttl,
            purpose=purpose,
            carried=carried,
            posture=self.posture,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a decision may look at besides the principal.

    `at` is the instant of the decision, aware UTC. `source_address` is the literal IP address of the caller, or ""
    where there is none. `requested_ttl` is how long an asked credential is to live, None at other doors or where it is
    left open. `purpose` is what the caller gave, or "". `carried` = what is decided leaves in a credential, which works
    from any address. `posture` is what is known of buckets; by default nothing, which meets no requirement.
    """

    at: datetime
    source_address: str
    requested_ttl: timedelta | None
    purpose: str
    carried: bool
    posture: Posture = NOTHING_KNOWN

    @classmethod
    def of_instant(cls, at: datetime) -> RequestFacts:
        """Give the facts of a question of which nothing but the instant (aware) is known."""
        return cls(at=at, source_address="", requested_ttl=None, purpose="", carried=False)
