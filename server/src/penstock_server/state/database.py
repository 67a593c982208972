"""Work against a database: one connection, one thread, a transaction each; and the version of its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.state.tables import METADATA, SCHEMA, SCHEMA_VERSION

T = TypeVar("T")


class Database:
    """Runs blocking work, one piece at a time, each in a transaction of its own."""

    def __init__(self, engine: Engine, executor: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._executor = executor

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and give its result once it is on disk.

        Raises:
            Unavailable: `STATE_UNAVAILABLE`. Nothing was changed; only where a server is lost while it commits, the
                change may be there all the same.
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
        """Close the database after the work that waits already; calling it twice is harmless."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Close the database as `close` does, but block until it is done."""
        try:
            # SQLite: a connection is closed by the thread that opened it.
            self._executor.submit(self._engine.dispose).result()
        except RuntimeError:
            return  # closed before
        self._executor.shutdown()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)


def opened(engine: Engine, *, name: str, schema: str | None) -> Database:
    """Give the database of an engine whose tables are of our version, made where there are none. Blocks.

    `name` says in messages which database it is; `schema` is where its tables lie, None for the only place there is.

    Raises:
        ConfigurationError: it cannot be used, or its tables are of another version.
    """
    database = Database(engine, ThreadPoolExecutor(max_workers=1, thread_name_prefix="state"))
    try:
        database.run_now(lambda connection: _check_schema(connection, name=name, schema=schema))
    except ConfigurationError:
        database.close_now()
        raise
    except (SQLAlchemyError, OSError) as error:
        database.close_now()
        raise ConfigurationError(
            (f"state.url: `{name}` cannot be used as the state database: {_cause(error)}",)
        ) from error
    return database


def _check_schema(connection: Connection, *, name: str, schema: str | None) -> None:
    found = inspect(connection)
    if schema is not None and schema not in found.get_schema_names():
        connection.execute(CreateSchema(schema))
    existing = set(found.get_table_names(schema=schema))
    if not existing:
        METADATA.create_all(connection, checkfirst=False)
        connection.execute(insert(SCHEMA).values(only=1, version=SCHEMA_VERSION))
        return
    version = connection.execute(select(SCHEMA.c.version)).scalar_one_or_none() if SCHEMA.name in existing else None
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            (
                f"state.url: `{name}` holds schema version {version}, this version of Penstock reads"
                f" {SCHEMA_VERSION}; name another one, or run the version that wrote it",
            )
        )


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        Reason.STATE_UNAVAILABLE,
        "the state of leases cannot be read or written",
        retry_after_seconds=2.0,
        hint="try again; if it goes on, tell the operator the request id",
        detail=f"{type(error).__name__}: {_cause(error)}",
    )


def _cause(error: Exception) -> str:
    """Give the driver's own words: SQLAlchemy's repeat the parameters, and PostgreSQL's later lines the row."""
    lines = str(getattr(error, "orig", None) or "").splitlines()
    return lines[0] if lines else type(error).__name__
