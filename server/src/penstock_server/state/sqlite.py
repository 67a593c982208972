"""The state in one SQLite file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from penstock_server.errors import ConfigurationError
from penstock_server.state.database import Database, opened

BUSY_TIMEOUT_MILLISECONDS = 5_000


def open_file(path: Path) -> Database:
    """Open or create the file, for its owner alone, and check its schema version.

    Raises:
        ConfigurationError: the file is not ours, not a database, of another version, or cannot be opened.
    """
    _prepare_file(path)
    engine = create_engine(f"sqlite+pysqlite:///{path}", poolclass=StaticPool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return opened(engine, name=str(path), schema=None)


def _prepare_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SECURITY: leases say who may reach what; O_NOFOLLOW because a link could make us write another's file.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            (f"state.url: `{path}` cannot be opened: {error.strerror}; name a file in a folder of the service's own",)
        ) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError((f"state.url: `{path}` is not a regular file",))
        os.fchmod(descriptor, 0o600)
    except PermissionError as error:
        raise ConfigurationError((f"state.url: `{path}` belongs to another user; the service must own it",)) from error
    finally:
        os.close(descriptor)


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Python's sqlite3 opens transactions by itself and late; ours begin where SQLAlchemy says so.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}",
            "journal_mode = WAL",
            # A lease must be on disk before its credential exists, so commits are synced (NORMAL would not in WAL).
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
        ):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: two processes on one file wait for each other instead of failing late.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
