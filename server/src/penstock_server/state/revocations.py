"""What was revoked, until no session that is meant lives any more. One transaction takes leases back and says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from penstock_server.model.clock import Clock
from penstock_server.model.lease import Generation, Lease, LeaseId, LeaseStatus, Revocation, RevocationKind, Revoked
from penstock_server.state.database import Database
from penstock_server.state.leases import generation as generation_of
from penstock_server.state.tables import (
    GENERATION,
    LEASES,
    REVOCATIONS,
    TOKEN_FLOORS,
    WRITER,
    lease_of,
    revocation_of,
    to_microseconds,
)

UNKNOWN_ISSUE: Final = timedelta(minutes=5)
"""How far after now a call that is under way may make a session, with the difference of the clocks."""
LONGEST_SESSION: Final = timedelta(hours=1)
"""AWS: a session whose role was assumed with a role's credentials lives one hour at most."""

_LIVE = (LeaseStatus.ISSUING.value, LeaseStatus.ISSUED.value)


class Revocations:
    """The port `RevocationStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def revoke_lease(self, lease_id: LeaseId, *, cause: str, recorded: bool) -> Revoked:
        """Take one lease back; doing it again changes nothing. An unknown one is nothing to take."""
        return await self.revoke_leases((lease_id,), cause=cause, recorded=recorded)

    async def revoke_leases(self, lease_ids: Sequence[LeaseId], *, cause: str, recorded: bool) -> Revoked:
        """Take leases back, all in one transaction; each as `revoke_lease` does."""
        now = self._clock.now()

        def work(connection: Connection) -> Revoked:
            rows = connection.execute(select(LEASES).where(LEASES.c.id.in_(lease_ids), LEASES.c.status.in_(_LIVE)))
            leases = [lease_of(row) for row in rows]
            for lease in leases:
                _take(connection, lease, now, cause=cause, recorded=recorded)
            return Revoked(leases=len(leases), generation=generation_of(connection))

        return await self._database.run(work)

    async def revoke_person(
        self, *, issuer: str, subject: str, source_identity: str, cause: str, recorded: bool
    ) -> Revoked:
        """Take back all that an identity holds, and refuse its tokens of until now."""
        now = self._clock.now()

        def work(connection: Connection) -> Revoked:
            _raise_floor(connection, issuer, subject, int(now.timestamp()))
            mine = (LEASES.c.issuer == issuer, LEASES.c.subject == subject)
            return _take_all(
                connection, RevocationKind.PERSON, source_identity, mine, now, cause=cause, recorded=recorded
            )

        return await self._database.run(work)

    async def revoke_role(self, role: str, *, cause: str, recorded: bool) -> Revoked:
        """Take back all sessions of a role that were made until now."""
        now = self._clock.now()

        def work(connection: Connection) -> Revoked:
            return _take_all(
                connection, RevocationKind.ROLE, role, (LEASES.c.role == role,), now, cause=cause, recorded=recorded
            )

        return await self._database.run(work)

    async def generation(self) -> Generation:
        """Give the generation of now."""
        return await self._database.run(generation_of)

    async def entries(self) -> tuple[Generation, Sequence[Revocation]]:
        """Give the generation and all entries that still matter, in one view."""
        now = to_microseconds(self._clock.now())

        def work(connection: Connection) -> tuple[Generation, Sequence[Revocation]]:
            rows = connection.execute(select(REVOCATIONS).where(REVOCATIONS.c.leaves_at > now))
            return generation_of(connection), tuple(revocation_of(row) for row in rows)

        return await self._database.run(work)

    async def unrecorded(self) -> Sequence[Revocation]:
        """Give those that nobody has recorded in the audit yet."""
        query = select(REVOCATIONS).where(REVOCATIONS.c.recorded == 0).order_by(REVOCATIONS.c.generation).limit(1_000)
        return await self._database.run(
            lambda connection: tuple(revocation_of(row) for row in connection.execute(query))
        )

    async def note_recorded(self, generation: Generation) -> None:
        """Note that the revocation of a generation is in the audit, unless it was widened meanwhile."""
        await self._database.run(
            lambda connection: connection.execute(
                update(REVOCATIONS).where(REVOCATIONS.c.generation == generation).values(recorded=1)
            )
        )

    async def claim_writer(self, holder: str, *, lasts: timedelta) -> bool:
        """Become or stay the one who writes the document, for a while; False where another one is."""
        now = self._clock.now()

        def work(connection: Connection) -> bool:
            row = connection.execute(select(WRITER.c.holder, WRITER.c.until)).one_or_none()
            if row is not None and row.holder != holder and row.until > to_microseconds(now):
                return False
            connection.execute(delete(WRITER))
            connection.execute(insert(WRITER).values(only=1, holder=holder, until=to_microseconds(now + lasts)))
            return True

        return await self._database.run(work)

    async def release_writer(self, holder: str) -> None:
        """Let another one write, at the end."""
        await self._database.run(lambda connection: connection.execute(delete(WRITER).where(WRITER.c.holder == holder)))


def _take_all(
    connection: Connection,
    kind: RevocationKind,
    target: str,
    meant: tuple[ColumnElement[bool], ...],
    now: datetime,
    *,
    cause: str,
    recorded: bool,
) -> Revoked:
    rows = connection.execute(
        select(LEASES).where(*meant, LEASES.c.status.in_(_LIVE), LEASES.c.expires_at > to_microseconds(now))
    )
    leases = [lease_of(row) for row in rows]
    for lease in leases:
        if lease.issued_at is None:
            # Nobody knows yet when this session is made, so it is named by its own id too.
            _take(connection, lease, now, cause=cause, recorded=True)
    # INVARIANT: T is not earlier than any session that is meant was made, by AWS's clock or by ours.
    until = max(now, *(lease.issued_at for lease in leases if lease.issued_at is not None), now)
    connection.execute(
        update(LEASES)
        .where(LEASES.c.id.in_([lease.id for lease in leases]))
        .values(status=LeaseStatus.REVOKED.value, revoked_at=to_microseconds(now))
    )
    entry = Revocation(
        kind=kind,
        target=target,
        role="",
        until=_whole_second(until),
        leaves_at=_whole_second(until) + LONGEST_SESSION + UNKNOWN_ISSUE,
        generation=_next_generation(connection),
        cause=cause,
        leases=len(leases),
    )
    _put(connection, entry, recorded=recorded)
    return Revoked(leases=len(leases), generation=entry.generation)


def _take(connection: Connection, lease: Lease, now: datetime, *, cause: str, recorded: bool) -> None:
    connection.execute(
        update(LEASES)
        .where(LEASES.c.id == lease.id)
        .values(status=LeaseStatus.REVOKED.value, revoked_at=to_microseconds(now))
    )
    made = now + UNKNOWN_ISSUE if lease.issued_at is None else max(now, lease.issued_at)
    entry = Revocation(
        kind=RevocationKind.LEASE,
        target=lease.id,
        role=lease.role,
        until=_whole_second(made),
        leaves_at=lease.expires_at + UNKNOWN_ISSUE,
        generation=_next_generation(connection),
        cause=cause,
        leases=1,
    )
    _put(connection, entry, recorded=recorded)


def _put(connection: Connection, entry: Revocation, *, recorded: bool) -> None:
    """Write an entry; one that is there already is only ever widened."""
    here = (REVOCATIONS.c.kind == entry.kind.value, REVOCATIONS.c.target == entry.target)
    before = connection.execute(select(REVOCATIONS).where(*here)).one_or_none()
    values: dict[str, str | int] = {
        "role": entry.role,
        "until": to_microseconds(entry.until),
        "leaves_at": to_microseconds(entry.leaves_at),
        "generation": entry.generation,
        "cause": entry.cause,
        "leases": entry.leases,
        "recorded": int(recorded),
    }
    if before is None:
        connection.execute(insert(REVOCATIONS).values(kind=entry.kind.value, target=entry.target, **values))
        return
    values["until"] = max(before.until, to_microseconds(entry.until))
    values["leaves_at"] = max(before.leaves_at, to_microseconds(entry.leaves_at))
    connection.execute(update(REVOCATIONS).where(*here).values(**values))


def _next_generation(connection: Connection) -> Generation:
    value = Generation(generation_of(connection) + 1)
    connection.execute(delete(GENERATION))
    connection.execute(insert(GENERATION).values(only=1, generation=value))
    return value


def _raise_floor(connection: Connection, issuer: str, subject: str, seconds: int) -> None:
    here = (TOKEN_FLOORS.c.issuer == issuer, TOKEN_FLOORS.c.subject == subject)
    present = connection.execute(select(func.max(TOKEN_FLOORS.c.floor)).where(*here)).scalar_one_or_none()
    if present is None:
        connection.execute(insert(TOKEN_FLOORS).values(issuer=issuer, subject=subject, floor=seconds))
    else:
        connection.execute(update(TOKEN_FLOORS).where(*here).values(floor=max(int(present), seconds)))


def _whole_second(instant: datetime) -> datetime:
    """Round up: TokenIssueTime has whole seconds, and a session of this very second is meant too."""
    return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + timedelta(seconds=1)
