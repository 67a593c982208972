"""The entry: opens the state and gives its stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from penstock_server.config.secrets import SecretReferences, is_reference
from penstock_server.errors import ConfigurationError
from penstock_server.model.clock import Clock
from penstock_server.model.principal import Principal
from penstock_server.state.database import Database
from penstock_server.state.leases import Leases
from penstock_server.state.postgresql import open_server
from penstock_server.state.revocations import Revocations
from penstock_server.state.spark_runs import SparkRuns
from penstock_server.state.sqlite import open_file
from penstock_server.state.tables import DATABASE_USERS, TOKEN_FLOORS, to_microseconds


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

    async def reread(self) -> None:
        """Take up the floors that somebody else has raised on disk."""
        for identity, floor in (await self._database.run(_read_floors)).items():
            self._snapshot[identity] = max(floor, self._snapshot.get(identity, floor))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The stores over one database; `close` ends all of them."""

    leases: Leases
    revocations: Revocations
    bindings: Bindings
    floors: Floors
    spark_runs: SparkRuns
    database: Database

    async def close(self) -> None:
        """Close the database; further calls raise Unavailable."""
        await self.database.close()


def open_state(url: str, clock: Clock, secrets: SecretReferences) -> State:
    """Open the state behind a URL or a reference to one. Blocks: call it at start.

    `sqlite:///relative/path` and `sqlite:////absolute/path` are a file of this machine; a reference (`env:NAME`,
    `file:/path`) leads to the URL of a PostgreSQL server, which replicas share; see `postgresql.open_server`.

    Raises:
        ConfigurationError: the URL has no such form, or the database cannot be used.
    """
    database = open_server(secrets.resolve(url)) if is_reference(url) else open_file(_sqlite_path(url))
    return State(
        leases=Leases(database, clock),
        revocations=Revocations(database, clock),
        bindings=Bindings(database, clock),
        floors=Floors(database, database.run_now(_read_floors)),
        spark_runs=SparkRuns(database, clock),
        database=database,
    )


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(("state.url: not a URL; write `sqlite:///path/to/penstock.db`",)) from error
    if parsed.drivername != "sqlite":
        raise ConfigurationError(
            (
                f"state.url: `{parsed.drivername}` is no such database; write `sqlite:///path`, or a reference"
                " to the URL of a PostgreSQL server",
            )
        )
    if parsed.query or parsed.host or parsed.username:
        raise ConfigurationError(("state.url: `sqlite:///path` takes no host, user or options",))
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError(("state.url: leases must outlive the process; name a file, `sqlite:///path`",))
    return Path(parsed.database)


def _read_floors(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(select(TOKEN_FLOORS.c.issuer, TOKEN_FLOORS.c.subject, TOKEN_FLOORS.c.floor))
    return {(row.issuer, row.subject): int(row.floor) for row in rows}
