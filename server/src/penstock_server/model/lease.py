"""Credentials that were handed out, and what takes them back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.resource import Door

LeaseId = NewType("LeaseId", str)
"""128 random bits as 32 hex digits; carries no authority."""

Generation = NewType("Generation", int)
"""Counts revocations: it grows by one with each, and never falls."""


class LeaseStatus(StrEnum):
    """Where a lease stands. ISSUING counts as live for ever after: a crash may have left a credential behind it."""

    ISSUING = "issuing"
    ISSUED = "issued"
    FAILED = "failed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One credential: who holds it, for what, until when. Secrets are never stored.

    `client_id` is the client of the caller's token, "" where it names none. `role` is the ARN of the role that AWS's
    session is of, "" at other doors; `source_identity` is the stable name of its holder. `scope` is the text of what
    was issued (ARNs with permissions, or `redshift:NAME`); `grounds` is what a re-check needs to decide it anew
    (`credentials.rechecks`), "" where none is done. `request_id` is the caller's idempotency key (UUID4) or None;
    `request_digest` is a hash of the request. `generation` is that of revocations when the lease began. `issued_at` is
    when the session was made by AWS's clock, None while that is not known. `revoked_at` is None unless REVOKED.
    """

    id: LeaseId
    issuer: str
    subject: str
    client_id: str
    door: Door
    role: str
    source_identity: str
    scope: str
    grounds: str
    status: LeaseStatus
    policy_version: PolicyVersion
    request_id: str | None
    request_digest: str
    generation: Generation
    created_at: datetime
    issued_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None


class Begun(StrEnum):
    """What became of a lease that was to begin."""

    BEGUN = "begun"
    REPEATED = "repeated"
    TOO_FAST = "too fast"
    TOO_MANY = "too many"


class RevocationKind(StrEnum):
    """What a revocation takes back: one lease, all of a person, or all of a role."""

    PERSON = "person"
    LEASE = "lease"
    ROLE = "role"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One entry of the revocation document.

    `target` is a stable name, a lease's id or a role's ARN; `role` is the role of a lease, "" where it has none, and
    for the other kinds. Sessions that were made until `until` (whole seconds, by AWS's clock) are meant; after
    `leaves_at` none of them lives any more. `cause` says in words who or what asked for it.
    """

    kind: RevocationKind
    target: str
    role: str
    until: datetime
    leaves_at: datetime
    generation: Generation
    cause: str
    leases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What a revocation came to: how many `leases` it took back, and the generation since when they are."""

    leases: int
    generation: Generation
