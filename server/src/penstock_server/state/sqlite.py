"""One SQLite file, one connection, one thread."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.state.tables import METADATA, SCHEMA, SCHEMA_VERSION

T = TypeVar("T")

BUSY_TIMEOUT_MILLISECONDS = 5_000


class Database:
    """Runs blocking work against the file, one piece at a time, each in a transaction of its own."""

    def __init__(self, engine: Engine, executor: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._executor = executor

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and give its result once it is on disk.

        Raises:
            Unavailable: `STATE_UNAVAILABLE`; nothing was changed.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._transact, work)
        except (SQLAlchemyError, OSError, RuntimeError) as error:
            raise _unavailable(error) from error

    def run_now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as `run` does, but block until it is done: for start-up only."""
        return self._executor.submit(self._transact, work).result()

    async def close(self) -> None:
        """Close the file after the work that waits already; calling it twice is harmless."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Close the file as `close` does, but block until it is done."""
        try:
            # SQLite: a connection is closed by the thread that opened it.
            self._executor.submit(self._engine.dispose).result()
        except RuntimeError:
            return  # closed before
        self._executor.shutdown()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)


def open_database(path: Path) -> Database:
    """Open or create the file, for its owner alone, and check its schema version.

    Raises:
        ConfigurationError: the file is not ours, not a database, of another version, or cannot be opened.
    """
    _prepare_file(path)
    engine = create_engine(f"sqlite+pysqlite:///{path}", poolclass=StaticPool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    database = Database(engine, ThreadPoolExecutor(max_workers=1, thread_name_prefix="state"))
    try:
        database.run_now(lambda connection: _check_schema(connection, path))
    except ConfigurationError:
        database.close_now()
        raise
    except (SQLAlchemyError, OSError) as error:
        database.close_now()
        cause = getattr(error, "orig", None) or error
        raise ConfigurationError((f"state.url: `{path}` cannot be used as the state database: {cause}",)) from error
    return database


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


def _check_schema(connection: Connection, path: Path) -> None:
    existing = set(inspect(connection).get_table_names())
    if not existing:
        METADATA.create_all(connection)
        connection.execute(insert(SCHEMA).values(only=1, version=SCHEMA_VERSION))
        return
    version = connection.execute(select(SCHEMA.c.version)).scalar_one_or_none() if SCHEMA.name in existing else None
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            (
                f"state.url: `{path}` holds schema version {version}, this version of Penstock reads"
                f" {SCHEMA_VERSION}; name another file, or run the version that wrote it",
            )
        )


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        Reason.STATE_UNAVAILABLE,
        "the state of leases cannot be read or written",
        retry_after_seconds=2.0,
        hint="try again; if it goes on, tell the operator the request id",
        # SQLAlchemy's own text repeats the statement's parameters.
        detail=f"{type(error).__name__}: {getattr(error, 'orig', None) or ''}",
    )
