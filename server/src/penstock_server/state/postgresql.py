"""The state on a PostgreSQL server, shared by all replicas of the service."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from penstock_server.errors import ConfigurationError
from penstock_server.model.secret import Secret
from penstock_server.state.database import Database, opened

SCHEMA_NAME: Final = "penstock"
"""A schema of our own: whoever may create in another one cannot put a table in the place of ours."""
LOCK_KEY: Final = 0x70656E73746F636B
"""Names the lock that every transaction of ours holds; the letters of the product's name."""
WAITS_MILLISECONDS: Final = 5_000
"""How long a transaction waits for the one before it, of whichever replica."""
CONNECTS_WITHIN_SECONDS: Final = 5

_DRIVER: Final = "psycopg"
_OPTIONS: Final = frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey"})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def open_server(url: Secret[str], *, waits_milliseconds: int = WAITS_MILLISECONDS) -> Database:
    """Open the state on a server and make its tables, in the schema `penstock`, where there are none. Blocks.

    The URL is `postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE`, with `?host=/FOLDER` for a socket, and
    `sslrootcert`, `sslcert`, `sslkey`. Over a network the server must prove its name: `sslmode` is `verify-full`, and
    nothing weaker.

    Raises:
        ConfigurationError: the URL has no such form, the driver is not installed, the server cannot be reached or used,
            or its tables are of another version. Its text never holds the URL: that may hold a password.
    """
    address = _address(url)
    if find_spec(_DRIVER) is None:
        raise ConfigurationError(
            ("state.url: the driver of PostgreSQL is not installed; install `penstock-server[postgres]`",)
        )
    engine = create_engine(
        address,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        # INVARIANT: each statement sees what was committed before it, so what follows the lock sees all before us.
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        # A server that became a standby is not the state; statements are not prepared, for poolers' sake.
        connect_args={
            "target_session_attrs": "read-write",
            "connect_timeout": CONNECTS_WITHIN_SECONDS,
            "application_name": "penstock",
            "prepare_threshold": None,
        },
    )
    beginning = _beginning(waits_milliseconds)
    event.listen(engine, "begin", lambda connection: _begin(connection, beginning))
    return opened(engine, name=f"{_host(address)}/{address.database}", schema=SCHEMA_NAME)


def _begin(connection: Connection, beginning: str) -> None:
    connection.exec_driver_sql(beginning)


def _beginning(waits_milliseconds: int) -> str:
    """Give what each transaction begins with, in one message.

    INVARIANT: transactions of all replicas follow one another, as those on one SQLite file do: the lock is taken first
    and held until the end. What `state` says about races rests on it.
    """
    return (
        f"SET LOCAL search_path = {SCHEMA_NAME}, pg_catalog;"
        f"SET LOCAL lock_timeout = {waits_milliseconds};"
        f"SET LOCAL statement_timeout = {waits_milliseconds + 5_000};"
        f"SET LOCAL idle_in_transaction_session_timeout = {waits_milliseconds + 5_000};"
        # A lease must be on disk before its credential exists; what waits for standbys too is left as it is.
        "SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
        " THEN set_config('synchronous_commit', 'on', true) END;"
        f"SELECT pg_advisory_xact_lock({LOCK_KEY});"
    )


def check_server_url(url: Secret[str]) -> None:
    """Look at the URL of a server without reaching it.

    Raises:
        ConfigurationError: as `open_server`.
    """
    _address(url)


def _address(url: Secret[str]) -> URL:
    """Parse the URL and close what it leaves open; messages say what is wrong, never what it is."""
    try:
        parsed = make_url(url.reveal())
    except ArgumentError:
        raise _refused("is not a URL; write `postgresql://USER@HOST/DATABASE`") from None
    if parsed.drivername != "postgresql":
        raise _refused("is not a URL of PostgreSQL; write `postgresql://USER@HOST/DATABASE`")
    if set(parsed.query) - _OPTIONS or not all(isinstance(value, str) for value in parsed.query.values()):
        raise _refused(
            f"has options that are not known; there are {', '.join(f'`{name}`' for name in sorted(_OPTIONS))}"
        )
    if not _host(parsed) or not parsed.database:
        raise _refused("names no host or no database; write `postgresql://USER@HOST/DATABASE`")
    return parsed.set(drivername=f"postgresql+{_DRIVER}").update_query_dict(_transport(parsed))


def _transport(address: URL) -> dict[str, str]:
    """Give the options of TLS: whoever could answer in the server's place would decide what is revoked.

    Source: https://www.postgresql.org/docs/current/libpq-ssl.html (`verify-full`; `sslrootcert=system`).
    """
    written = {name: str(value) for name, value in address.query.items()}
    if _host(address).startswith("/") or _host(address) in _LOCAL:
        return written
    if written.get("sslmode", "verify-full") != "verify-full":
        raise _refused("has an `sslmode` that lets another server answer; over a network it must be `verify-full`")
    return {"sslrootcert": "system"} | written | {"sslmode": "verify-full"}


def _host(address: URL) -> str:
    return address.host or str(address.query.get("host", ""))


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError((f"state.url: what it leads to {why}",))
