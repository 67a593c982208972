"""The state on a real PostgreSQL server: as one replica of the service opens it, or several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock_server.config.secrets import SecretReferences
from penstock_server.model.clock import Clock
from penstock_server.state.postgresql import SCHEMA_NAME
from penstock_server.state.store import State, open_state

from support.postgres_server import OWNER, connected


def url_of(server: str) -> str:
    """Give the URL of the state, of the connection string of `postgres_server`."""
    folder = server.split(maxsplit=1)[0].removeprefix("host=")
    return f"postgresql://{OWNER}@/postgres?host={folder}"


@contextmanager
def replica(server: str, clock: Clock) -> Iterator[State]:
    """Open the state as one more replica does, closed at the end."""
    state = open_state("env:STATE_URL", clock, SecretReferences({"STATE_URL": url_of(server)}))
    try:
        yield state
    finally:
        state.database.close_now()


def emptied(server: str) -> None:
    """Remove the tables of the state, so that the next to open it makes them."""
    with connected(server, OWNER) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
