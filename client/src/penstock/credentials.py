"""Credentials that the server issues. Their secrets do not show in `repr`; whoever holds one can read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    """A temporary AWS session.

    `session_policy` is the JSON that was sent to AWS, `grants` the caller's grants that were used, `revocable` says
    in words whether and how the session can be ended early.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    session_policy: str
    lease_id: str
    role_arn: str
    region: str
    revocable: str
    grants: tuple[str, ...]
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftLogin:
    """A temporary database login; `user` is to be used exactly as it stands.

    `expires_at` is when the password stops working for new sessions.
    """

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str
    expires_at: datetime
    lease_id: str
    database_groups: tuple[str, ...]
    revocable: str
    grants: tuple[str, ...]
    policy_version: str


class Door(StrEnum):
    """A way by which data is reached."""

    QUERY = "query"
    AWS = "aws"
    REDSHIFT = "redshift"
    SPARK = "spark"


class LeaseState(StrEnum):
    """Where a lease stands; ISSUING counts as live: a credential may have been made."""

    ISSUING = "issuing"
    ISSUED = "issued"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A credential that has not ended; never its secret. `scope` says in words what it reaches.

    `issuer` and `subject` say who holds it; `role_arn` is the IAM role of an AWS session, "" at other doors.
    """

    lease_id: str
    door: Door
    state: LeaseState
    scope: str
    issuer: str
    subject: str
    role_arn: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedLease:
    """A revoked lease; `effect` says whether AWS denies the credential already, will, or lets it work to its end."""

    lease: Lease
    effect: str
