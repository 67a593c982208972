"""The tables, in types that SQLite and PostgreSQL share. Instants are microseconds since the epoch, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, Row, String, Table, text

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Generation, Lease, LeaseId, LeaseStatus, Revocation, RevocationKind
from penstock_server.model.resource import Door

SCHEMA_VERSION = 3
"""Raised with every change of a table; a file of another version is refused, never guessed at."""

METADATA = MetaData()

SCHEMA = Table(
    "penstock_schema",
    METADATA,
    Column("only", Integer, CheckConstraint('"only" = 1'), primary_key=True),
    Column("version", Integer, nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("door", String, nullable=False),
    Column("role", String, nullable=False),
    Column("source_identity", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("grounds", String, nullable=False),
    Column("status", String, nullable=False),
    Column("policy_version", String, nullable=False),
    Column("request_id", String, nullable=True),
    Column("request_digest", String, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=True),
)
Index("leases_by_expiry", LEASES.c.expires_at)
Index("leases_by_identity", LEASES.c.issuer, LEASES.c.subject, LEASES.c.id)
Index("leases_by_role", LEASES.c.role)
# One credential for each idempotency key: a failed attempt gave none, so its key may be used again.
_UNFAILED = text("request_id IS NOT NULL AND status <> 'failed'")
Index(
    "leases_by_request",
    LEASES.c.issuer,
    LEASES.c.subject,
    LEASES.c.client_id,
    LEASES.c.request_id,
    unique=True,
    sqlite_where=_UNFAILED,
    postgresql_where=_UNFAILED,
)

REVOCATIONS = Table(
    "revocations",
    METADATA,
    Column("kind", String, primary_key=True),
    Column("target", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("leaves_at", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("cause", String, nullable=False),
    Column("leases", BigInteger, nullable=False),
    # Whoever serves records it, where it was asked for outside of the service.
    Column("recorded", Integer, nullable=False),
)
Index("revocations_by_generation", REVOCATIONS.c.generation)

GENERATION = Table(
    "revocation_generation",
    METADATA,
    Column("only", Integer, CheckConstraint('"only" = 1'), primary_key=True),
    Column("generation", BigInteger, nullable=False),
)

WRITER = Table(
    "revocation_writer",
    METADATA,
    Column("only", Integer, CheckConstraint('"only" = 1'), primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", BigInteger, nullable=False),
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

SPARK_RUNS = Table(
    "spark_runs",
    METADATA,
    Column("lease_id", String(32), primary_key=True),
    Column("platform", String, nullable=False),
    Column("region", String, nullable=False),
    Column("application", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
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
        "client_id": lease.client_id,
        "door": lease.door.value,
        "role": lease.role,
        "source_identity": lease.source_identity,
        "scope": lease.scope,
        "grounds": lease.grounds,
        "status": lease.status.value,
        "policy_version": lease.policy_version,
        "request_id": lease.request_id,
        "request_digest": lease.request_digest,
        "generation": lease.generation,
        "created_at": to_microseconds(lease.created_at),
        "issued_at": None if lease.issued_at is None else to_microseconds(lease.issued_at),
        "expires_at": to_microseconds(lease.expires_at),
        "revoked_at": None if lease.revoked_at is None else to_microseconds(lease.revoked_at),
    }


def lease_of(row: Row[tuple[object, ...]]) -> Lease:
    """Give the lease of a row."""
    return Lease(
        id=LeaseId(row.id),
        issuer=row.issuer,
        subject=row.subject,
        client_id=row.client_id,
        door=Door(row.door),
        role=row.role,
        source_identity=row.source_identity,
        scope=row.scope,
        grounds=row.grounds,
        status=LeaseStatus(row.status),
        policy_version=PolicyVersion(row.policy_version),
        request_id=row.request_id,
        request_digest=row.request_digest,
        generation=Generation(row.generation),
        created_at=from_microseconds(row.created_at),
        issued_at=None if row.issued_at is None else from_microseconds(row.issued_at),
        expires_at=from_microseconds(row.expires_at),
        revoked_at=None if row.revoked_at is None else from_microseconds(row.revoked_at),
    )


def revocation_of(row: Row[tuple[object, ...]]) -> Revocation:
    """Give the revocation of a row."""
    return Revocation(
        kind=RevocationKind(row.kind),
        target=row.target,
        role=row.role,
        until=from_microseconds(row.until),
        leaves_at=from_microseconds(row.leaves_at),
        generation=Generation(row.generation),
        cause=row.cause,
        leases=row.leases,
    )
