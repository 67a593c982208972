"""Credentials that were handed out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.resource import Door

LeaseId = NewType("LeaseId", str)
"""128 random bits as 32 hex digits; carries no authority."""


class LeaseStatus(StrEnum):
    """Where a lease stands."""

    ISSUING = "issuing"
    ISSUED = "issued"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One credential: who holds it, for what, until when. Secrets are never stored.

    `scope` is the canonical text of what was issued (ARNs with permissions, or `redshift:NAME`).
    `request_id` is the caller's idempotency key (UUID4) or None; `request_digest` is a hash of the request.
    """

    id: LeaseId
    issuer: str
    subject: str
    door: Door
    scope: str
    status: LeaseStatus
    policy_version: PolicyVersion
    request_id: str | None
    request_digest: str
    created_at: datetime
    expires_at: datetime
