"""What the audit keeps of a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from penstock_server.model.decision import PolicyVersion


class Event(StrEnum):
    """What happened."""

    SERVICE_STARTED = "service.started"
    SERVICE_STOPPED = "service.stopped"
    POLICY_LOADED = "policy.loaded"
    POLICY_LOAD_FAILED = "policy.load_failed"
    AUTHENTICATION_REFUSED = "authentication.refused"
    IDENTITY_SHOWN = "identity.shown"
    CATALOG_LISTED = "catalog.listed"
    TABLE_DESCRIBED = "table.described"
    ACCESS_CHECKED = "access.checked"
    ACCESS_EXPLAINED = "access.explained"
    POLICY_SHOWN = "policy.shown"
    POLICY_VALIDATED = "policy.validated"
    POLICY_PLANNED = "policy.planned"
    POLICY_RELOADED = "policy.reloaded"
    QUERY_DESCRIBED = "query.described"
    QUERY_ADMITTED = "query.admitted"
    QUERY_REFUSED = "query.refused"
    QUERY_FINISHED = "query.finished"
    QUERIES_LISTED = "queries.listed"
    QUERY_CANCELLED = "query.cancelled"
    EXTRACTS_LISTED = "extracts.listed"
    EXTRACT_WARMED = "extracts.warmed"
    EXTRACTS_DROPPED = "extracts.dropped"
    CREDENTIALS_REQUESTED = "credentials.requested"
    CREDENTIALS_ISSUED = "credentials.issued"
    CREDENTIALS_REFUSED = "credentials.refused"
    CREDENTIALS_FAILED = "credentials.failed"
    LEASES_LISTED = "leases.listed"
    LEASE_SHOWN = "leases.shown"
    LEASES_REVOKED = "leases.revoked"
    REVOCATIONS_WRITTEN = "revocations.written"
    SESSIONS_ENDED = "sessions.ended"
    SPARK_JOBS_STOPPED = "spark.stopped"
    AUDIT_READ = "audit.read"
    POSTURE_SHOWN = "posture.shown"
    AUDIT_RECOVERED = "audit.recovered"


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One fact, before it is numbered and chained.

    `occurred_at` is aware UTC. `request_id` is "" for events of the service itself; `issuer`, `subject` and
    `username` are "" where nobody is authenticated. `resources` are table names, ARNs or logins. `reason` is the
    error reason or rule that decided, with what an operator needs and a caller must not see. `details` are further
    (name, text) pairs: the verbatim SQL, fingerprints, the session policy, lease id. Never a secret, never a cell.
    """

    event: Event
    outcome: Outcome
    occurred_at: datetime
    request_id: str
    issuer: str
    subject: str
    username: str
    resources: tuple[str, ...]
    policy_version: PolicyVersion | None
    reason: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A chained record: `sequence` counts from 1, `digest` is hex SHA-256 over the previous digest and this line."""

    sequence: int
    record: AuditRecord
    previous_digest: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheckpoint:
    """The end of the chain: whoever keeps it elsewhere can prove later that nothing before it was changed or cut."""

    sequence: int
    digest: str
    occurred_at: datetime
