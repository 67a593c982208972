"""The tables, in types that SQLite and PostgreSQL share. Instants are microseconds since the epoch, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, Row, String, Table, text

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Lease, LeaseId, LeaseStatus
from penstock_server.model.resource import Door

SCHEMA_VERSION = 1
"""Raised with every change of a table; a file of another version is refused, never guessed at."""

METADATA = MetaData()

SCHEMA = Table(
    "penstock_schema",
    METADATA,
    Column("only", Integer, CheckConstraint("only = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("door", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("status", String, nullable=False),
    Column("policy_version", String, nullable=False),
    Column("request_id", String, nullable=True),
    Column("request_digest", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
Index("leases_by_expiry", LEASES.c.expires_at)
Index("leases_by_identity", LEASES.c.issuer, LEASES.c.subject, LEASES.c.id)
# One credential for each idempotency key: a failed attempt gave none, so its key may be used again.
_UNFAILED = text("request_id IS NOT NULL AND status <> 'failed'")
Index(
    "leases_by_request",
    LEASES.c.issuer,
    LEASES.c.subject,
    LEASES.c.request_id,
    unique=True,
    sqlite_where=_UNFAILED,
    postgresql_where=_UNFAILED,
)

DATABASE_USERS = Table(
    "database_users",
    METADATA,
    Column("warehouse", String, primary_key=True),
    Column("database_user", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("bound_at", BigInteger, nullable=False),
)

TOKEN_FLOORS = Table(
    "token_floors",
    METADATA,
    Column("issuer", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("floor", BigInteger, nullable=False),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """Give an aware instant as microseconds since the epoch, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Give the aware instant back."""
    return _EPOCH + microseconds * _MICROSECOND


def lease_values(lease: Lease) -> dict[str, str | int | None]:
    """Give the row of a lease."""
    return {
        "id": lease.id,
        "issuer": lease.issuer,
        "subject": lease.subject,
        "door": lease.door.value,
        "scope": lease.scope,
        "status": lease.status.value,
        "policy_version": lease.policy_version,
        "request_id": lease.request_id,
        "request_digest": lease.request_digest,
        "created_at": to_microseconds(lease.created_at),
        "expires_at": to_microseconds(lease.expires_at),
    }


def lease_of(row: Row[tuple[object, ...]]) -> Lease:
    """Give the lease of a row."""
    return Lease(
        id=LeaseId(row.id),
        issuer=row.issuer,
        subject=row.subject,
        door=Door(row.door),
        scope=row.scope,
        status=LeaseStatus(row.status),
        policy_version=PolicyVersion(row.policy_version),
        request_id=row.request_id,
        request_digest=row.request_digest,
        created_at=from_microseconds(row.created_at),
        expires_at=from_microseconds(row.expires_at),
    )
