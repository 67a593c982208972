"""An engine for one command: a zygote of its own that looks at catalogs, and ends with the command."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from penstock_server.broker.source_stores import source_stores
from penstock_server.config.settings import CatalogSettings, Settings
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.launch import ZYGOTE, private_zygote
from penstock_server.model.clock import SystemClock
from penstock_server.model.ports import ObjectStore, TableRegistry
from penstock_server.model.schema import CatalogSnapshot

MEMORY_BYTES: Final = 512 * 1024 * 1024


@asynccontextmanager
async def private_engine(
    catalogs: tuple[CatalogSettings, ...],
    stores: Mapping[str, ObjectStore] | None = None,
    registries: Mapping[str, TableRegistry] | None = None,
) -> AsyncIterator[DuckDbEngine]:
    """Give an engine that works as a server's does, sandbox included, and ends with the block."""
    budgets = EngineBudgets(memory_bytes=MEMORY_BYTES, threads=1, workers_ahead=0, readers_ahead=0)
    with private_zygote(ZYGOTE) as control:
        engine = DuckDbEngine(catalogs=catalogs, budgets=budgets, stores=stores, registries=registries)
        engine.attach(control)
        async with engine:
            yield engine


@asynccontextmanager
async def engine_of(settings: Settings) -> AsyncIterator[DuckDbEngine]:
    """Give an engine for the catalogs of a configuration; those on S3 are asked over the network."""
    async with (
        source_stores(settings, clock=SystemClock(), environ=os.environ) as stores,
        private_engine(settings.catalogs, stores.by_catalog, stores.registries) as engine,
    ):
        yield engine


async def inspect_catalogs(catalogs: tuple[CatalogSettings, ...]) -> CatalogSnapshot:
    """Look at catalogs as a server would at its start.

    Raises:
        ConfigurationError: a catalog cannot be read, or holds what would defeat the policy.
        Unavailable: no process can be had.
    """
    async with private_engine(catalogs) as engine:
        return await engine.inspect()
