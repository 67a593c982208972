"""The entry: opens the state and gives its three stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError

from penstock_server.errors import ConfigurationError
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Lease, LeaseId, LeaseStatus
from penstock_server.model.principal import Principal
from penstock_server.state.sqlite import Database, open_database
from penstock_server.state.tables import (
    DATABASE_USERS,
    LEASES,
    TOKEN_FLOORS,
    lease_of,
    lease_values,
    to_microseconds,
)

CLEANED_PER_LEASE = 64
"""Ended leases that leave with each new one: the table shrinks faster than it grows, and no call pays for a backlog."""


class Leases:
    """The port `LeaseStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, lease: Lease) -> bool:
        """Write a lease in status ISSUING; False where its identity has a credential for that request id already."""
        now = to_microseconds(self._clock.now())

        def work(connection: Connection) -> bool:
            ended = select(LEASES.c.id).where(LEASES.c.expires_at <= now).limit(CLEANED_PER_LEASE)
            connection.execute(delete(LEASES).where(LEASES.c.id.in_(ended)))
            try:
                with connection.begin_nested():
                    connection.execute(insert(LEASES).values(lease_values(lease)))
            except IntegrityError:
                if lease.request_id is None:
                    raise  # the id of a lease is random: a collision is a fault, not a repeated request
                return False
            return True

        return await self._database.run(work)

    async def finish(self, lease_id: LeaseId, *, status: LeaseStatus) -> None:
        """Move a lease to ISSUED or FAILED."""
        await self._database.run(
            lambda connection: connection.execute(
                update(LEASES).where(LEASES.c.id == lease_id).values(status=status.value)
            )
        )

    async def find_request(self, principal: Principal, request_id: str) -> Lease | None:
        """Find the lease of an idempotency key of this identity, unless that attempt failed."""

        def work(connection: Connection) -> Lease | None:
            row = connection.execute(
                select(LEASES).where(
                    LEASES.c.issuer == principal.issuer,
                    LEASES.c.subject == principal.subject,
                    LEASES.c.request_id == request_id,
                    LEASES.c.status != LeaseStatus.FAILED.value,
                )
            ).one_or_none()
            return None if row is None else lease_of(row)

        return await self._database.run(work)

    async def of(self, principal: Principal, *, after: str, limit: int) -> Sequence[Lease]:
        """Give up to `limit` live leases of an identity, by id, with ids greater than `after`.

        A lease in status ISSUING counts: its credential may exist.
        """
        now = to_microseconds(self._clock.now())

        def work(connection: Connection) -> Sequence[Lease]:
            rows = connection.execute(
                select(LEASES)
                .where(
                    LEASES.c.issuer == principal.issuer,
                    LEASES.c.subject == principal.subject,
                    LEASES.c.id > after,
                    LEASES.c.expires_at > now,
                    LEASES.c.status != LeaseStatus.FAILED.value,
                )
                .order_by(LEASES.c.id)
                .limit(limit)
            )
            return tuple(lease_of(row) for row in rows)

        return await self._database.run(work)


class Bindings:
    """The port `DatabaseUserBindings`. A binding never ends by itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def bind(self, *, warehouse: str, database_user: str, principal: Principal) -> bool:
        """Bind, or confirm the binding; False where somebody else holds the name."""
        now = to_microseconds(self._clock.now())

        def work(connection: Connection) -> bool:
            holder = connection.execute(
                select(DATABASE_USERS.c.issuer, DATABASE_USERS.c.subject).where(
                    DATABASE_USERS.c.warehouse == warehouse, DATABASE_USERS.c.database_user == database_user
                )
            ).one_or_none()
            if holder is not None:
                return (holder.issuer, holder.subject) == (principal.issuer, principal.subject)
            connection.execute(
                insert(DATABASE_USERS).values(
                    warehouse=warehouse,
                    database_user=database_user,
                    issuer=principal.issuer,
                    subject=principal.subject,
                    bound_at=now,
                )
            )
            return True

        return await self._database.run(work)


class Floors:
    """The port `TokenFloors`: reads come from memory, a change is on disk before it counts."""

    def __init__(self, database: Database, snapshot: dict[tuple[str, str], int]) -> None:
        self._database = database
        self._snapshot = snapshot

    def floor(self, issuer: str, subject: str) -> int | None:
        """Give the floor in seconds since the epoch, or None. Never blocks."""
        return self._snapshot.get((issuer, subject))

    async def raise_to(self, issuer: str, subject: str, seconds: int) -> None:
        """Refuse tokens of this identity that were issued at or before `seconds`; a floor never falls."""

        def work(connection: Connection) -> int:
            here = (TOKEN_FLOORS.c.issuer == issuer, TOKEN_FLOORS.c.subject == subject)
            present = connection.execute(select(TOKEN_FLOORS.c.floor).where(*here)).scalar_one_or_none()
            if present is None:
                connection.execute(insert(TOKEN_FLOORS).values(issuer=issuer, subject=subject, floor=seconds))
                return seconds
            connection.execute(update(TOKEN_FLOORS).where(*here).values(floor=max(present, seconds)))
            return max(int(present), seconds)

        floor = await self._database.run(work)
        self._snapshot[issuer, subject] = max(floor, self._snapshot.get((issuer, subject), floor))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The three stores over one database; `close` ends all of them."""

    leases: Leases
    bindings: Bindings
    floors: Floors
    database: Database

    async def close(self) -> None:
        """Close the database; further calls raise Unavailable."""
        await self.database.close()


def open_state(url: str, clock: Clock) -> State:
    """Open the state behind a URL (`sqlite:///relative/path`, `sqlite:////absolute/path`). Blocks: call it at start.

    Raises:
        ConfigurationError: the URL has no such form, or the database cannot be used.
    """
    database = open_database(_sqlite_path(url))
    return State(
        leases=Leases(database, clock),
        bindings=Bindings(database, clock),
        floors=Floors(database, database.run_now(_read_floors)),
        database=database,
    )


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(("state.url: not a URL; write `sqlite:///path/to/penstock.db`",)) from error
    if parsed.drivername != "sqlite":
        raise ConfigurationError(
            (f"state.url: `{parsed.drivername}` is not available in this version; write `sqlite:///path`",)
        )
    if parsed.query or parsed.host or parsed.username:
        raise ConfigurationError(("state.url: `sqlite:///path` takes no host, user or options",))
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError(("state.url: leases must outlive the process; name a file, `sqlite:///path`",))
    return Path(parsed.database)


def _read_floors(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(select(TOKEN_FLOORS.c.issuer, TOKEN_FLOORS.c.subject, TOKEN_FLOORS.c.floor))
    return {(row.issuer, row.subject): int(row.floor) for row in rows}
