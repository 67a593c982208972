"""Two tiny worlds that differ in hidden cells alone, asked the same questions through the whole engine, to the byte.

The worlds lie beside this module as Parquet files: the same permitted cells in the same order, other hidden rows, other
hidden cells under other strings, and another count of them. What a caller gets must not tell which world it is of.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import ResolvedReference, StatementLimits, StatementSession
from penstock_server.errors import ConfigurationError, PenstockError, QueryError, Unavailable
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.predicate import Always, Compare, Comparison
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily

log = logging.getLogger(__name__)

WORLDS: Final = tuple(Path(__file__).parent / "worlds" / name for name in ("one", "two"))
"""The folder of each world's catalog."""

CATALOG: Final = "self_test"
EXTRACT_BYTES: Final = 16 * 2**20
"""What an extract of a world may take, generously; with less than that none is compared."""

_TIMEOUT: Final = timedelta(seconds=30)

STATEMENTS: Final = (
    # Raw bytes in the slots of NULL cells, and dictionaries.
    "SELECT * FROM cells",
    # What statistics and the order of a scan would move.
    "SELECT name, count(*), min(amount), max(amount), sum(amount), min(tags) FROM cells GROUP BY name ORDER BY ALL",
    # What an error quotes.
    "SELECT CAST(name AS INTEGER) FROM cells",
)

OpenSession = Callable[[CatalogSettings, StatementLimits], StatementSession]
"""Opens a session over the catalog of one world."""


def world_catalog(folder: Path) -> CatalogSettings:
    """Give the catalog of one world."""
    return CatalogSettings(name=CATALOG, kind=CatalogKind.PARQUET, path=folder, location=None)


async def require_alike(open_session: OpenSession, *, memory_bytes: int, kept: bool) -> int:
    """Ask both worlds every question, inline and, where extracts are `kept`, over one; give how many were compared.

    Raises:
        ConfigurationError: an answer differs, or none came; nothing may be served.
        Unavailable: a process could not be had.
    """
    limits = StatementLimits(timeout=_TIMEOUT, stall_timeout=_TIMEOUT, memory_bytes=memory_bytes, max_rows=None)
    compared = 0
    for fingerprint in (None, "self-test") if kept else (None,):
        for number, sql in enumerate(STATEMENTS):
            one, two = [
                await _transcript(open_session(world_catalog(folder), limits), sql, fingerprint) for folder in WORLDS
            ]
            if one != two:
                raise ConfigurationError(
                    (f"two worlds that differ in hidden cells alone answer `{sql}` differently; nothing is served",)
                )
            if number == 0 and (len(one) < 2 or not isinstance(one[-1], bytes)):
                raise ConfigurationError(("the worlds of the self-test give no answer; nothing is served",))
            compared += 1
    log.info("two worlds are alike", extra={"compared": compared})
    return compared


async def _transcript(session: StatementSession, sql: str, fingerprint: str | None) -> list[bytes | str]:
    """Give all that a caller would get: schema, batches, and the error with everything it tells."""
    told: list[bytes | str] = []
    try:
        async with session:
            async for part in _answer(session, sql, fingerprint):
                told.append(part)  # noqa: PERF401 - what came before an error is told too
    except Unavailable:
        raise
    except PenstockError as error:
        position = error.position if isinstance(error, QueryError) else None
        told.append(repr((type(error).__name__, error.reason, error.message, error.hint, error.metadata, position)))
    return told


async def _answer(session: StatementSession, sql: str, fingerprint: str | None) -> AsyncIterator[bytes]:
    references = await session.parse(sql)
    resolved = [
        ResolvedReference(reference=reference, table=_GOVERNED, fingerprint=fingerprint) for reference in references
    ]
    bound = await session.bind(resolved, ())
    await session.supply()
    yield bound.schema
    async for batch in session.run():
        yield batch


_TEXT: Final = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
_COLUMNS: Final = {
    "id": ColumnType(sql="BIGINT", family=TypeFamily.INTEGER),
    "region": _TEXT,
    "grade": _TEXT,
    "name": _TEXT,
    "amount": ColumnType(sql="DOUBLE", family=TypeFamily.FLOAT),
    "tags": ColumnType(sql="VARCHAR[]", family=TypeFamily.OTHER),
    "note": _TEXT,
}
_OPEN: Final = Compare(column="grade", op=Comparison.EQUAL, value="open")


def _shown(name: str) -> GovernedColumn:
    when = Always() if name == "id" else _OPEN
    return GovernedColumn(column=Column(name=name, type=_COLUMNS[name]), cases=(CellCase(when=when, mask=None),))


_GOVERNED: Final = GovernedTable(
    schema=TableSchema(
        name=TableName(catalog=CATALOG, database="penstock", table="cells"),
        columns=tuple(Column(name=name, type=kind) for name, kind in _COLUMNS.items()),
        location=None,
    ),
    columns=tuple(_shown(name) for name in ("id", "name", "amount", "tags")),
    rows=(Compare(column="region", op=Comparison.EQUAL, value="ours"),),
)
