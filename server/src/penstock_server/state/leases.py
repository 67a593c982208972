"""Leases: written before a credential is asked for, and never handed out where they were revoked meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from penstock_server.model.clock import Clock
from penstock_server.model.lease import Begun, Generation, Lease, LeaseId, LeaseStatus, RevocationKind
from penstock_server.model.principal import Principal
from penstock_server.model.resource import Door
from penstock_server.state.database import Database
from penstock_server.state.tables import (
    GENERATION,
    LEASES,
    REVOCATIONS,
    TOKEN_FLOORS,
    lease_of,
    lease_values,
    to_microseconds,
)

CLEANED_PER_LEASE = 64
"""Ended leases that leave with each new one: the table shrinks faster than it grows, and no call pays for a backlog."""
CLEANED_AT_ONCE: Final = 1_000
KEY_LIVES: Final = timedelta(minutes=10)
"""How long an idempotency key is remembered."""
MOST_A_MINUTE: Final = 60
"""Leases that one identity may begin within a minute, whatever becomes of them."""
MOST_OF_AN_IDENTITY: Final = 1_000
MOST_LEASES: Final = 200_000
"""Rows of the whole table; past it nothing is issued until some have ended."""

_LIVE = LEASES.c.status.in_((LeaseStatus.ISSUING.value, LeaseStatus.ISSUED.value))


class Leases:
    """The port `LeaseStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, lease: Lease) -> Begun:
        """Write a lease in status ISSUING, with the generation of revocations of now; tell why not where it may not."""
        now = self._clock.now()

        def work(connection: Connection) -> Begun:
            clean(connection, now, most=CLEANED_PER_LEASE)
            _forget_old_keys(connection, lease, now)
            full = _full(connection, lease, now)
            if full is not None:
                return full
            row = lease_values(lease) | {"generation": generation(connection)}
            try:
                with connection.begin_nested():
                    connection.execute(insert(LEASES).values(row))
            except IntegrityError:
                if lease.request_id is None:
                    raise  # the id of a lease is random: a collision is a fault, not a repeated request
                return Begun.REPEATED
            return Begun.BEGUN

        return await self._database.run(work)

    async def fail(self, lease_id: LeaseId) -> None:
        """Move a lease to FAILED: no credential came of it. A revoked one stays revoked."""
        await self._database.run(
            lambda connection: connection.execute(
                update(LEASES).where(LEASES.c.id == lease_id, _LIVE).values(status=LeaseStatus.FAILED.value)
            )
        )

    async def finish(self, lease_id: LeaseId, *, issued_at: datetime, token_issued_at: datetime) -> bool:
        """Move a lease to ISSUED; False where anything that concerns it was revoked since it began.

        What concerns it: itself, its holder, its role, and the token that it was asked with. `issued_at` is when AWS
        made the session, by AWS's clock.

        INVARIANT: one transaction reads and writes, so that a revocation is either seen here, or sees this lease with
        the instant at which its session was made.
        """

        def work(connection: Connection) -> bool:
            row = connection.execute(select(LEASES).where(LEASES.c.id == lease_id)).one_or_none()
            if row is None:
                return False
            made = {"issued_at": to_microseconds(issued_at)}
            lease = lease_of(row)
            if lease.status is not LeaseStatus.ISSUING or _moved(connection, lease, token_issued_at):
                connection.execute(update(LEASES).where(LEASES.c.id == lease_id).values(**made))
                return False
            connection.execute(
                update(LEASES).where(LEASES.c.id == lease_id).values(status=LeaseStatus.ISSUED.value, **made)
            )
            return True

        return await self._database.run(work)

    async def find(self, lease_id: LeaseId) -> Lease | None:
        """Find a lease that has not ended, whoever holds it. A failed one is none."""
        now = to_microseconds(self._clock.now())
        found = await self._select(select(LEASES).where(LEASES.c.id == lease_id, *_shown(now)))
        return found[0] if found else None

    async def find_request(self, principal: Principal, request_id: str) -> Lease | None:
        """Find the lease of an idempotency key of this identity and client, unless that attempt failed."""
        found = await self._select(
            select(LEASES).where(
                LEASES.c.issuer == principal.issuer,
                LEASES.c.subject == principal.subject,
                LEASES.c.client_id == (principal.client_id or ""),
                LEASES.c.request_id == request_id,
                LEASES.c.status != LeaseStatus.FAILED.value,
            )
        )
        return found[0] if found else None

    async def of(self, principal: Principal, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of an identity that have not ended, by id, with ids greater than `after`.

        A lease in status ISSUING counts: its credential may exist.
        """
        now = to_microseconds(self._clock.now())
        mine = (LEASES.c.issuer == principal.issuer, LEASES.c.subject == principal.subject)
        return await self._select(_page(after, limit).where(*mine, *_shown(now)))

    async def all(self, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of everybody that have not ended, by id, with ids greater than `after`."""
        now = to_microseconds(self._clock.now())
        return await self._select(_page(after, limit).where(*_shown(now)))

    async def live(self, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases that are neither over nor revoked, by id: what a re-check has to look at."""
        now = to_microseconds(self._clock.now())
        return await self._select(_page(after, limit).where(LEASES.c.expires_at > now, _LIVE))

    async def live_at(self, door: Door, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` leases of one door that are neither over nor revoked, by id, as `live` does."""
        now = to_microseconds(self._clock.now())
        here = LEASES.c.door == door.value
        return await self._select(_page(after, limit).where(here, LEASES.c.expires_at > now, _LIVE))

    async def clean(self) -> None:
        """Let ended leases and entries go, a bounded number of them."""
        now = self._clock.now()
        await self._database.run(lambda connection: clean(connection, now, most=CLEANED_AT_ONCE))

    async def _select(self, query: Select[tuple[object, ...]]) -> Sequence[Lease]:
        return await self._database.run(lambda connection: tuple(lease_of(row) for row in connection.execute(query)))


def generation(connection: Connection) -> Generation:
    """Give the generation of revocations."""
    return Generation(connection.execute(select(GENERATION.c.generation)).scalar_one_or_none() or 0)


def clean(connection: Connection, now: datetime, *, most: int) -> None:
    """Let up to `most` leases that have ended go, and as many revocations of which no session lives any more."""
    instant = to_microseconds(now)
    ended = select(LEASES.c.id).where(LEASES.c.expires_at <= instant).limit(most)
    connection.execute(delete(LEASES).where(LEASES.c.id.in_(ended)))
    connection.execute(delete(REVOCATIONS).where(REVOCATIONS.c.leaves_at <= instant, REVOCATIONS.c.recorded == 1))


def _page(after: str, limit: int) -> Select[tuple[object, ...]]:
    return select(LEASES).where(LEASES.c.id > after).order_by(LEASES.c.id).limit(limit)


def _shown(now: int) -> tuple[ColumnElement[bool], ...]:
    return (LEASES.c.expires_at > now, LEASES.c.status != LeaseStatus.FAILED.value)


def _forget_old_keys(connection: Connection, lease: Lease, now: datetime) -> None:
    if lease.request_id is None:
        return
    connection.execute(
        update(LEASES)
        .where(
            LEASES.c.issuer == lease.issuer,
            LEASES.c.subject == lease.subject,
            LEASES.c.client_id == lease.client_id,
            LEASES.c.request_id == lease.request_id,
            LEASES.c.created_at <= to_microseconds(now - KEY_LIVES),
        )
        .values(request_id=None)
    )


def _full(connection: Connection, lease: Lease, now: datetime) -> Begun | None:
    counted = select(func.count()).select_from(LEASES)
    if connection.execute(counted).scalar_one() >= MOST_LEASES:
        return Begun.TOO_MANY
    mine = counted.where(LEASES.c.issuer == lease.issuer, LEASES.c.subject == lease.subject)
    if connection.execute(mine).scalar_one() >= MOST_OF_AN_IDENTITY:
        return Begun.TOO_MANY
    lately = mine.where(LEASES.c.created_at > to_microseconds(now - timedelta(minutes=1)))
    return Begun.TOO_FAST if connection.execute(lately).scalar_one() >= MOST_A_MINUTE else None


def _moved(connection: Connection, lease: Lease, token_issued_at: datetime) -> bool:
    concerning = or_(
        (REVOCATIONS.c.kind == RevocationKind.LEASE.value) & (REVOCATIONS.c.target == lease.id),
        (REVOCATIONS.c.kind == RevocationKind.PERSON.value) & (REVOCATIONS.c.target == lease.source_identity),
        (REVOCATIONS.c.kind == RevocationKind.ROLE.value) & (REVOCATIONS.c.target == lease.role),
    )
    since = select(REVOCATIONS.c.target).where(concerning, REVOCATIONS.c.generation > lease.generation)
    # SECURITY: a person may have been revoked after the token was verified and before the lease began; their floor
    # tells, because it is raised with the revocation.
    below = select(TOKEN_FLOORS.c.floor).where(
        TOKEN_FLOORS.c.issuer == lease.issuer,
        TOKEN_FLOORS.c.subject == lease.subject,
        TOKEN_FLOORS.c.floor >= int(token_issued_at.timestamp()),
    )
    return bool(connection.execute(select(or_(exists(since), exists(below)))).scalar_one())
