"""DuckDB behind `engines.base.QueryEngine`: the front's side, which never loads DuckDB."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import StatementLimits
from penstock_server.engines.duckdb import relations, two_worlds
from penstock_server.engines.duckdb.control import ZygoteControl
from penstock_server.engines.duckdb.extracts.first_time import FirstTimes
from penstock_server.engines.duckdb.extracts.making import ExtractMaker
from penstock_server.engines.duckdb.extracts.store import ExtractStore, Wanted
from penstock_server.engines.duckdb.extracts.versions import RESTING
from penstock_server.engines.duckdb.iceberg.plan import IcebergPlan
from penstock_server.engines.duckdb.iceberg.tables import IcebergTables
from penstock_server.engines.duckdb.objects.courier import Courier
from penstock_server.engines.duckdb.pool import ChildPool, Stock, open_child
from penstock_server.engines.duckdb.reading import unreadable
from penstock_server.engines.duckdb.rules_reader import DuckDbRulesReader
from penstock_server.engines.duckdb.sandbox.confinement import Barriers
from penstock_server.engines.duckdb.self_test import require_sealed
from penstock_server.engines.duckdb.session import DuckDbSession
from penstock_server.engines.duckdb.sources import Sources
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind
from penstock_server.engines.duckdb.wire.messages import ChildKind, InspectReply, InspectRequest, Opening, PlanRequest
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import GovernedTable
from penstock_server.model.objects import ObjectFault
from penstock_server.model.ports import ObjectStore, TableRegistry
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot, TableSchema

_PATIENCE_SECONDS = 10.0
_INSPECTION_SECONDS = 300.0
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBudgets:
    """What children may use, and how many are opened ahead.

    `memory_bytes` is a sealed worker's; readers have twice as much, so that what is hidden weighs on them alone.
    `threads` are a sealed worker's; a reader always has one. `extract_bytes` bounds the extracts that are kept; 0 =
    none are. `resting` is how long a source must have been at rest for them. `extracts_from` is the number of the
    statement over a table, under one decision, from which an extract is made for it; before, its rows come inline.
    """

    memory_bytes: int
    threads: int
    workers_ahead: int
    readers_ahead: int
    extract_bytes: int = 0
    resting: timedelta = RESTING
    extracts_from: int = 1


class DuckDbEngine:
    """Implements `base.QueryEngine`, `model.ports.CatalogInspector` and `model.ports.RulesReader`.

    Used as an async context manager on the front's event loop; give it zygotes with `attach`.
    """

    def __init__(
        self,
        *,
        catalogs: tuple[CatalogSettings, ...],
        budgets: EngineBudgets,
        stores: Mapping[str, ObjectStore] | None = None,
        registries: Mapping[str, TableRegistry] | None = None,
    ) -> None:
        self._catalogs = {catalog.name: catalog for catalog in catalogs}
        self._iceberg = {
            name: IcebergTables(registry=registry, store=(stores or {})[name], planner=self._plan_iceberg)
            for name, registry in (registries or {}).items()
        }
        self._sources = Sources(self._catalogs, stores or {}, self._iceberg)
        self._budgets = budgets
        self.barriers: Barriers | None = None
        self._control = ZygoteControl(patience_seconds=_PATIENCE_SECONDS)
        self._sealed = Opening(memory_bytes=budgets.memory_bytes, threads=budgets.threads, readable=())
        self._workers = ChildPool(
            self._control,
            Stock(kind=ChildKind.SEALED_WORKER, opening=self._sealed, ahead=budgets.workers_ahead),
        )
        self._readers = ChildPool(
            self._control,
            Stock(
                kind=ChildKind.SOURCE_READER,
                opening=self._reading(tuple(path for catalog in catalogs for path in _paths(catalog))),
                ahead=budgets.readers_ahead,
            ),
        )

        self._builders = ChildPool(
            self._control,
            Stock(
                kind=ChildKind.EXTRACT_BUILDER,
                opening=replace(self._sealed, threads=1, file_bytes=budgets.extract_bytes),
                ahead=min(1, budgets.extract_bytes),
            ),
        )
        maker = ExtractMaker(readers=self._readers, builders=self._builders)
        self._first_times = FirstTimes(extracts_from=budgets.extracts_from if budgets.extract_bytes else 1)
        self.extracts = ExtractStore(
            maker.make,
            quota_bytes=budgets.extract_bytes,
            resting=budgets.resting,
            growing=lambda: maker.growing,
        )

    @property
    def ready(self) -> bool:
        """Tell whether a statement could be served now."""
        return self._control.attached and self._workers.ready > 0

    def attach(self, control: socket.socket) -> None:
        """Use this zygote from now on; owns the socket. Statements under way in an earlier one are lost."""
        self._control.attach(control)

    def session(self, limits: StatementLimits) -> DuckDbSession:
        """Give a session; the process behind it is taken from the warm pool on entry.

        Raises:
            ValueError: the memory is not that of the workers, which are opened before any statement is known.
        """
        if limits.memory_bytes != self._budgets.memory_bytes:
            raise ValueError("a statement's memory is that of the engine's workers")
        return DuckDbSession(
            limits=limits,
            workers=self._workers,
            readers=self._readers,
            extracts=self.extracts,
            sources=self._sources,
            first_times=self._first_times,
        )

    async def warm(self, table: GovernedTable, *, fingerprint: str, expires_at: datetime | None) -> bool:
        """Make an extract of all columns of a table for decisions of a fingerprint; False where it cannot be kept.

        Raises:
            Unavailable: the table cannot be read, or a process was lost.
        """
        try:
            wanted = Wanted(
                table=table,
                fingerprint=fingerprint,
                source=await self._sources.locate(table.name),
                columns=tuple(governed.column.name for governed in table.columns),
                expires_at=expires_at,
            )
            return await self.extracts.get(wanted) is not None
        except (OSError, KeyError, ValueError, ObjectFault) as error:
            raise unreadable(table.name, type(error).__name__) from error

    async def query_rules(self, sql: str, *, catalog: str, snapshot: CatalogSnapshot) -> QueriedRules:
        """Run the query of a rules dataset as the broker itself. Raises as `model.ports.RulesReader.query_rules`."""
        reader = DuckDbRulesReader(
            session=self.session, control=self._control, opening=self._sealed, catalogs=frozenset(self._catalogs)
        )
        return await reader.query_rules(sql, catalog=catalog, snapshot=snapshot)

    async def prove_sealed(self) -> Barriers:
        """Have a sealed process try to reach the catalogs and the machine; give the barriers that held.

        Raises:
            ConfigurationError: the barriers do not hold.
            Unavailable: no process can be had (`WORKER_LOST`).
        """
        sources = tuple(path for catalog in self._catalogs.values() for path in _paths(catalog))
        return await require_sealed(self._control, self._sealed, sources)

    async def prove_worlds_alike(self) -> int:
        """Ask two worlds that differ in hidden cells alone the same questions; give how many answers were compared.

        Raises:
            ConfigurationError: an answer tells one from the other.
            Unavailable: no process can be had (`WORKER_LOST`).
        """
        readers = ChildPool(
            self._control, Stock(kind=ChildKind.SOURCE_READER, opening=self._reading(two_worlds.WORLDS), ahead=0)
        )
        kept = self._budgets.extract_bytes

        def open_session(world: CatalogSettings, limits: StatementLimits) -> DuckDbSession:
            maker = ExtractMaker(readers=readers, builders=self._builders)
            return DuckDbSession(
                limits=limits,
                workers=self._workers,
                readers=readers,
                extracts=ExtractStore(maker.make, quota_bytes=kept),
                sources=Sources({world.name: world}, {}),
                first_times=FirstTimes(extracts_from=1),
            )

        return await two_worlds.require_alike(
            open_session, memory_bytes=self._budgets.memory_bytes, kept=kept >= two_worlds.EXTRACT_BYTES
        )

    async def inspect(self) -> CatalogSnapshot:
        """Open every catalog and pin its schema, each in a process of its own.

        Before that a sealed process tries to reach the catalogs and the machine: nothing is inspected, and so nothing
        served, where it can.

        Raises:
            ConfigurationError: the barriers do not hold, or a catalog cannot be read or holds what would defeat the
                policy (macros, views, colliding names), with the place and the reason.
            Unavailable: no process can be had (`WORKER_LOST`).
        """
        self.barriers = await self.prove_sealed()
        replies = [await self._inspect(catalog) for catalog in self._catalogs.values()]
        problems = tuple(problem for reply in replies for problem in reply.problems)
        if problems:
            raise ConfigurationError(problems)
        tables: tuple[TableSchema, ...] = tuple(table for reply in replies for table in reply.tables)
        return CatalogSnapshot(tables=tables)

    async def __aenter__(self) -> Self:
        self._workers.start()
        self._readers.start()
        self._builders.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.extracts.close()
        await self._workers.close()
        await self._builders.close()
        await self._readers.close()
        # Before the zygote is let go: it reaps them.
        await self._control.settle(_END_SECONDS)
        self._control.detach()

    async def _inspect(self, catalog: CatalogSettings) -> InspectReply:
        if catalog.glue is not None:
            return await self._inspect_iceberg(catalog)
        child = await open_child(self._control, ChildKind.INSPECTOR, self._reading(_paths(catalog)))
        place = f"catalog `{catalog.name}` ({catalog.place})"
        courier: Courier | None = None
        try:
            async with asyncio.timeout(_INSPECTION_SECONDS):
                objects = tuple(await self._sources.listed(catalog))
                if catalog.s3 is not None:
                    courier = self._sources.courier(catalog, objects)
                    await courier.hand_to(child)
                await child.channel.send(FrameKind.INSPECT, InspectRequest(catalog=catalog, objects=objects))
                reply = await child.expect(FrameKind.INSPECTED, InspectReply)
        except ObjectFault as error:
            return InspectReply(tables=(), problems=(f"{place}: cannot be listed: {error}",))
        except (BrokenConversation, TimeoutError):
            # A broken file may take the process with it: that is this catalog's problem, not the service's.
            return InspectReply(tables=(), problems=(f"{place}: cannot be read; check that its files are whole",))
        finally:
            child.discard()
            if courier is not None:
                courier.end()
        if reply.problems and courier is not None and courier.fault is not None:
            return InspectReply(tables=(), problems=(*reply.problems, f"{place}: {courier.fault}"))
        return reply

    async def _inspect_iceberg(self, catalog: CatalogSettings) -> InspectReply:
        try:
            return InspectReply(tables=await self._iceberg[catalog.name].inspect(catalog.name), problems=())
        except ConfigurationError as error:
            return InspectReply(tables=(), problems=error.problems)
        except ObjectFault as error:
            return InspectReply(tables=(), problems=(f"catalog `{catalog.name}` ({catalog.place}): {error}",))

    async def _plan_iceberg(self, courier: Courier, metadata: str) -> IcebergPlan:
        """Have a process of its own read what the metadata of one table says."""
        child = await open_child(self._control, ChildKind.ICEBERG_PLANNER, self._reading(()))
        try:
            async with asyncio.timeout(_INSPECTION_SECONDS):
                await courier.hand_to(child)
                await child.channel.send(FrameKind.PLAN, PlanRequest(metadata=metadata))
                return await child.expect(FrameKind.PLANNED, IcebergPlan)
        except (BrokenConversation, TimeoutError):
            return IcebergPlan(refused="its metadata cannot be read; check that its files are whole")
        finally:
            child.discard()

    def _reading(self, readable: tuple[Path, ...]) -> Opening:
        return Opening(memory_bytes=2 * self._budgets.memory_bytes, threads=1, readable=readable)


def _paths(catalog: CatalogSettings) -> tuple[Path, ...]:
    match catalog.kind:
        case CatalogKind.S3 | CatalogKind.GLUE:
            return ()
        case CatalogKind.PARQUET:
            return (catalog.path,)
        case CatalogKind.DATABASE:
            return relations.database_paths(catalog.path)
