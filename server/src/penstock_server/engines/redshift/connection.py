"""One connection to a warehouse, made again where it was lost; its calls run one after the other in a thread."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from penstock_server.errors import Reason, Unavailable
from penstock_server.model.secret import Secret

T = TypeVar("T")

log = logging.getLogger(__name__)

SOCKET_SECONDS: Final = 10
DEADLINE_SECONDS: Final = 30.0
_CLOSING_SECONDS: Final = 5.0
_ROWS_AT_ONCE: Final = 1_000
"""Redshift: a cluster of one node gives at most 1,000 rows of a cursor at once."""

_QUESTION: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseAddress:
    """Where a warehouse is and who logs in; `password` is asked for at each login, so that it can be rotated."""

    host: str
    port: int
    database: str
    user: str
    password: Callable[[], Secret[str]]
    encrypted: bool


class WarehouseConnection:
    """Runs statements as one user."""

    def __init__(self, address: WarehouseAddress) -> None:
        self._address = address
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warehouse")
        self._connection: Any = None

    async def execute(self, *statements: str) -> None:
        """Run statements in one transaction: all of them take effect, or none.

        Raises:
            Unavailable: the warehouse is away, refuses the login, or a statement fails.
        """
        await self._run(lambda connection: _execute(connection, statements))

    async def call(self, procedure: str, *arguments: str) -> None:
        """Call a procedure; each argument is a text. Raises as `execute`."""
        places = ", ".join(["%s"] * len(arguments))
        await self._run(lambda connection: _call(connection, f"CALL {procedure}({places})", arguments))

    async def rows(self, procedure: str, what: str) -> Sequence[Row]:
        """Give all rows of what a procedure opens a cursor for. Raises as `execute`."""
        return await self._run(lambda connection: _fetch(connection, procedure, what))

    async def close(self) -> None:
        """Close it; what runs meanwhile is waited for a short time, and ends by its own time-out."""
        with suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await asyncio.wrap_future(self._executor.submit(self._drop))
        self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[Any], T]) -> T:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await asyncio.wrap_future(self._executor.submit(self._attempt, work))
        except TimeoutError as error:
            raise _away(f"no answer in {DEADLINE_SECONDS:.0f} s") from error
        except RuntimeError as error:
            raise _away("the service is stopping") from error

    def _attempt(self, work: Callable[[Any], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._connect()
            done = work(self._connection)
            self._connection.commit()
        except Exception as error:
            # The driver shows a broken connection as almost anything (2.2.0); what it was in is not known.
            self._drop()
            if isinstance(error, Unavailable):
                raise
            raise _away(_describe(error)) from error
        return done

    def _connect(self) -> Any:  # noqa: ANN401 - the driver has no types
        try:
            # The driver is an extra, and slow to load: only who has a warehouse needs it.
            import redshift_connector  # noqa: PLC0415
        except ImportError as error:
            raise _away("the driver is not installed; install `penstock-server[redshift]`") from error
        address = self._address
        return redshift_connector.connect(
            host=address.host,
            port=address.port,
            database=address.database,
            user=address.user,
            password=address.password().reveal(),
            ssl=address.encrypted,
            # SECURITY: the driver's default does not compare the name of the host.
            sslmode="verify-full",
            timeout=SOCKET_SECONDS,
            application_name="penstock",
            iam=False,
        )

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            close_driver(connection)


def close_driver(connection: Any) -> None:  # noqa: ANN401
    """Close a connection of the driver; where the server is gone, the driver forgets to close its socket (2.2.0)."""
    with suppress(Exception):
        connection.close()
    for name in ("_sock", "_usock"):
        with suppress(Exception):
            getattr(connection, name).close()


def _execute(connection: Any, statements: Sequence[str]) -> None:  # noqa: ANN401
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _call(connection: Any, statement: str, arguments: Sequence[str]) -> None:  # noqa: ANN401
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)


def _fetch(connection: Any, procedure: str, what: str) -> Sequence[Row]:  # noqa: ANN401
    # The driver prepares a text once and keeps the columns that it had then, so each question has a cursor of its own.
    name = f"penstock_{what}"
    if _QUESTION.fullmatch(what) is None:
        raise ValueError("the question has no plain name")
    found: list[Row] = []
    with connection.cursor() as cursor:
        cursor.execute(f"CALL {procedure}(%s, '{name}')", (what,))
        while True:
            cursor.execute(f"FETCH FORWARD {_ROWS_AT_ONCE} FROM {name}")
            page = [tuple(row) for row in cursor.fetchall()]
            found.extend(page)
            if len(page) < _ROWS_AT_ONCE:
                break
        cursor.execute(f"CLOSE {name}")
    return tuple(found)


def _describe(error: Exception) -> str:
    """Give what the log and the audit have of a driver's error: its class and state, no text of the server's."""
    told = error.args[0] if error.args else None
    state = told.get("C", "") if isinstance(told, dict) else ""
    return f"{type(error).__name__} {state}".strip()


def _away(detail: str) -> Unavailable:
    return Unavailable(
        Reason.AWS_UNAVAILABLE,
        "the warehouse does not answer as it should",
        retry_after_seconds=5.0,
        hint="try again; if it stays so, tell the operator the request id",
        detail=f"warehouse: {detail}",
    )
