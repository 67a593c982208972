"""Iceberg tables of one catalog, as the front knows them: the current snapshot of each, planned once.

INVARIANT: what is read is one snapshot, that of the metadata file which the registry named when the statement was
supplied; its files do not change, and each range of them is read as it was listed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from penstock_server.engines.duckdb.iceberg.plan import IcebergField, IcebergPlan
from penstock_server.engines.duckdb.objects.courier import Courier, courier_of
from penstock_server.engines.duckdb.objects.paths import PROTOCOL, path_of
from penstock_server.engines.duckdb.relations import IcebergFiles
from penstock_server.errors import ConfigurationError
from penstock_server.model.objects import ObjectFault, StoredObject
from penstock_server.model.ports import ObjectStore, TableRegistry
from penstock_server.model.registered import RegisteredTable
from penstock_server.model.resource import S3Location, TableName
from penstock_server.model.schema import TableSchema

log = logging.getLogger(__name__)

Planner = Callable[[Courier, str], Awaitable[IcebergPlan]]
"""Has a process read the metadata at a path, of the objects that a courier brings. Raises Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    table: RegisteredTable
    plan: IcebergPlan
    objects: tuple[StoredObject, ...]


class IcebergTables:
    """Belongs to one event loop. Inspect it first: that pins the columns by which tables are read."""

    def __init__(self, *, registry: TableRegistry, store: ObjectStore, planner: Planner) -> None:
        self._registry = registry
        self._store = store
        self._planner = planner
        self._planned: dict[tuple[str, str], _Planned] = {}
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._pinned: dict[tuple[str, str], tuple[IcebergField, ...]] = {}
        self._places: dict[tuple[str, str], S3Location] = {}

    async def inspect(self, catalog: str) -> tuple[TableSchema, ...]:
        """Give the tables that can be read, with their columns; the log tells which are left out, and why.

        Raises:
            ConfigurationError: one table lies within another one.
            ObjectFault: the registry or the store does not answer.
            Unavailable: no process can be had.
        """
        registered = sorted(await self._registry.tables(), key=lambda table: (table.database, table.table))
        _check_apart(catalog, registered)
        found: list[TableSchema] = []
        for table in registered:
            plan = (await self._current(table)).plan
            name = TableName(catalog=catalog, database=table.database, table=table.table)
            if plan.refused:
                log.warning("table is left out", extra={"table": str(name), "fault": plan.refused})
                continue
            self._pinned[table.database, table.table] = plan.fields
            self._places[table.database, table.table] = table.location
            place = S3Location(bucket=table.location.bucket, key=table.location.key.rstrip("/"))
            columns = tuple(field.column for field in plan.fields)
            found.append(TableSchema(name=name, columns=columns, location=place))
        return tuple(found)

    async def locate(self, name: TableName) -> IcebergFiles:
        """Give the files of the current snapshot.

        Raises:
            ObjectFault: the table cannot be read any more, or lies elsewhere or has other columns than were inspected.
            Unavailable: no process can be had.
        """
        registered = await self._registry.table(name.database, name.table)
        # SECURITY: tables were found to lie apart where they lay then; whoever may register one could move it onto
        # another one (test_a_table_that_is_moved_onto_another_one_is_unreadable).
        if registered.location != self._places.get((name.database, name.table)):
            raise ObjectFault("it lies elsewhere than when the policy was bound; reload the policy")
        current = await self._current(registered)
        if current.plan.refused:
            raise ObjectFault(current.plan.refused)
        # SECURITY: policies name columns, and a name may have come to mean another column.
        if current.plan.fields != self._pinned.get((name.database, name.table)):
            raise ObjectFault("its columns are others than when the policy was bound; reload the policy")
        return IcebergFiles(
            plan=current.plan, objects=current.objects, within=current.table.location, store=self._store
        )

    async def _current(self, table: RegisteredTable) -> _Planned:
        """Give what is read of a table as it is registered, planned anew where the registry names other metadata."""
        key = (table.database, table.table)
        async with self._turns[key]:
            known = self._planned.get(key)
            if known is None or known.table != table:
                known = self._planned[key] = await self._plan(table)
            return known

    async def _plan(self, table: RegisteredTable) -> _Planned:
        listed = {path_of(stored): stored for stored in await self._store.listed(table.location)}
        courier = courier_of(self._store, tuple(listed.values()), within=table.location)
        metadata = f"{PROTOCOL}://{table.metadata.bucket}/{table.metadata.key}"
        try:
            plan = await self._planner(courier, metadata)
        finally:
            courier.end()
        if courier.fault is not None:
            raise ObjectFault(courier.fault)
        objects = tuple(listed[path] for path in (*plan.data, *plan.deletes) if path in listed)
        if len(objects) != len(plan.data) + len(plan.deletes):
            raise ObjectFault("a snapshot names a file that is not below its location")
        return _Planned(table=table, plan=plan, objects=objects)


def _check_apart(catalog: str, tables: Sequence[RegisteredTable]) -> None:
    """Require that no table lies within another: the files of one could be named by the other.

    SECURITY: else whoever writes one table shows the other's rows under his own table's policy.
    """
    problems = tuple(
        f"catalog `{catalog}`: `{one.database}.{one.table}` lies within `{other.database}.{other.table}`; move it"
        for one in tables
        for other in tables
        if one is not other
        and one.location.bucket == other.location.bucket
        and one.location.key.startswith(other.location.key)
    )
    if problems:
        raise ConfigurationError(problems)
