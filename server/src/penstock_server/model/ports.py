"""What siblings need of each other, as Protocols; `broker/wiring.py` fills them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from penstock_server.model.audit import AuditCheckpoint, AuditEntry, AuditRecord
from penstock_server.model.lease import Begun, Generation, Lease, LeaseId, Revocation, Revoked
from penstock_server.model.objects import StoredObject
from penstock_server.model.posture import BucketPosture
from penstock_server.model.principal import Principal
from penstock_server.model.registered import RegisteredTable
from penstock_server.model.resource import Door, S3Location
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.model.secret import Secret
from penstock_server.model.spark import KeptRun, SparkRun, SparkStart, SparkState


class AuditSink(Protocol):
    """Where records go. An answer waits for `record` to return."""

    async def record(self, record: AuditRecord) -> None:
        """Append and sync one record.

        Raises:
            Unavailable: the record is not durable (`AUDIT_UNAVAILABLE`); the caller must not answer.
        """
        ...


class AuditReader(Protocol):
    """What auditors read."""

    async def entries(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Give up to `limit` entries with a sequence greater than `after`, oldest first."""
        ...

    async def checkpoint(self) -> AuditCheckpoint:
        """Give the end of the chain."""
        ...


class ObjectStore(Protocol):
    """Where the objects of one catalog lie. Methods raise `model.objects.ObjectFault`."""

    async def listed(self, prefix: S3Location) -> Sequence[StoredObject]:
        """Give every object whose key begins with this one, by key."""
        ...

    async def read(self, stored: StoredObject, *, offset: int, length: int, within: S3Location) -> bytes:
        """Give `length` bytes of the object as it was listed, by rights that reach no further than `within`."""
        ...


class TableRegistry(Protocol):
    """Which Iceberg tables a catalog has. Methods raise `model.objects.ObjectFault`."""

    async def tables(self) -> Sequence[RegisteredTable]:
        """Give every table."""
        ...

    async def table(self, database: str, table: str) -> RegisteredTable:
        """Give one table as it is now."""
        ...


class LeaseStore(Protocol):
    """Leases, durable before a credential is asked for. Methods raise Unavailable (`STATE_UNAVAILABLE`)."""

    async def begin(self, lease: Lease) -> Begun:
        """Write a lease in status ISSUING, or tell why it may not begin."""
        ...

    async def fail(self, lease_id: LeaseId) -> None:
        """Move a lease to FAILED: no credential came of it."""
        ...

    async def finish(self, lease_id: LeaseId, *, issued_at: datetime, token_issued_at: datetime) -> bool:
        """Move a lease to ISSUED; False where anything that concerns it was revoked since it began."""
        ...

    async def find(self, lease_id: LeaseId) -> Lease | None:
        """Find a lease that has not ended, whoever holds it."""
        ...

    async def find_request(self, principal: Principal, request_id: str) -> Lease | None:
        """Find the lease of an idempotency key of this identity and client, unless that attempt failed."""
        ...

    async def of(self, principal: Principal, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of an identity that have not ended, by id, with ids greater than `after`."""
        ...

    async def all(self, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of everybody that have not ended, by id, with ids greater than `after`."""
        ...

    async def live(self, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases that are neither over nor revoked, by id, with ids greater than `after`."""
        ...

    async def live_at(self, door: Door, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of one door that are neither over nor revoked, by id, as `live` does."""
        ...


class RevocationStore(Protocol):
    """Takes leases back, durably. Methods raise Unavailable (`STATE_UNAVAILABLE`)."""

    async def revoke_lease(self, lease_id: LeaseId, *, cause: str, recorded: bool) -> Revoked:
        """Take one lease back; doing it again changes nothing. `recorded` = whoever asks writes the audit."""
        ...

    async def revoke_leases(self, lease_ids: Sequence[LeaseId], *, cause: str, recorded: bool) -> Revoked:
        """Take leases back, all in one transaction."""
        ...

    async def entries(self) -> tuple[Generation, Sequence[Revocation]]:
        """Give the generation of revocations and all that still matter, in one view."""
        ...

    async def unrecorded(self) -> Sequence[Revocation]:
        """Give those that nobody has recorded in the audit yet."""
        ...

    async def note_recorded(self, generation: Generation) -> None:
        """Note that the revocation of a generation is in the audit."""
        ...

    async def claim_writer(self, holder: str, *, lasts: timedelta) -> bool:
        """Become or stay the one who writes the revocation document, for a while; False where another one is."""
        ...

    async def release_writer(self, holder: str) -> None:
        """Let another one write."""
        ...


class SparkRunStore(Protocol):
    """Runs of Spark jobs, durable before one is asked for. Methods raise Unavailable (`STATE_UNAVAILABLE`)."""

    async def begin(self, lease_id: LeaseId, *, platform: str, region: str, application: str) -> None:
        """Write a run that is about to be asked for."""
        ...

    async def started(self, lease_id: LeaseId, run_id: str) -> None:
        """Note the id that its service gave a run."""
        ...

    async def ended(self, lease_id: LeaseId) -> None:
        """Forget a run of which nothing runs any more."""
        ...

    async def find(self, lease_id: LeaseId) -> KeptRun | None:
        """Find the run of a lease."""
        ...

    async def page(self, *, after: str, limit: int) -> Sequence[KeptRun]:
        """Give up to `limit` runs, by the ids of their leases, with ids greater than `after`."""
        ...


class SparkJobs(Protocol):
    """A service that runs Spark jobs. Methods raise Unavailable, or LimitExceeded where too many calls wait."""

    async def start(self, request: SparkStart) -> SparkRun:
        """Start a run."""
        ...

    async def state(self, run: SparkRun) -> SparkState:
        """Ask where a run stands."""
        ...

    async def stop(self, run: SparkRun) -> None:
        """Ask that a run end; one that has ended is no error."""
        ...

    async def find(self, *, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        """Find the run of a name that was started since an instant, whose id nobody knows."""
        ...


class DatabaseUserBindings(Protocol):
    """Binds (warehouse, database user) to one identity for ever."""

    async def bind(self, *, warehouse: str, database_user: str, principal: Principal) -> bool:
        """Bind, or confirm the binding; False where somebody else holds the name. Raises Unavailable."""
        ...


class TokenFloors(Protocol):
    """Tokens issued at or before the floor of an identity are refused."""

    def floor(self, issuer: str, subject: str) -> int | None:
        """Give the floor in seconds since the epoch, or None. Never blocks: reads a snapshot in memory."""
        ...


class CatalogInspector(Protocol):
    """Reads names and types of all tables, in a process of its own."""

    async def inspect(self) -> CatalogSnapshot:
        """Open every catalog and pin its schema.

        Raises:
            ConfigurationError: a catalog cannot be read, or holds what would defeat the policy (macros, views,
                colliding names), with the place and the reason.
        """
        ...


class RulesReader(Protocol):
    """Asks the queries of rules datasets, as the broker itself: whole tables, no policy between."""

    async def query_rules(self, sql: str, *, catalog: str, snapshot: CatalogSnapshot) -> QueriedRules:
        """Run one read-only statement over the tables of one catalog, in processes of its own, and give its rows.

        Raises:
            QueryError: the statement is not accepted, or names what is not there; or it failed on the rows of its
                tables, which is then told without any of them.
            LimitExceeded: it takes too long or too much memory, or gives too many rows.
            Unavailable: a table cannot be read, or no process can be had.
        """
        ...


class SecretResolver(Protocol):
    """Turns a reference (`env:NAME`, `file:/path`) into the secret."""

    def resolve(self, reference: str) -> Secret[str]:
        """Read the secret now.

        Raises:
            ConfigurationError: the reference has no such form, or there is nothing behind it.
        """
        ...


class BucketCheck(Protocol):
    """Who looks at a bucket."""

    async def check(self, bucket: str) -> BucketPosture:
        """Give what can be found out of a bucket; what cannot is not known, and raises nothing."""
        ...
