"""An engine for one command: a zygote of its own that looks at catalogs, and ends with the command."""

from __future__ import annotations

from typing import Final

from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.launch import ZYGOTE, private_zygote
from penstock_server.model.schema import CatalogSnapshot

_MEMORY_BYTES: Final = 512 * 1024 * 1024


async def inspect_catalogs(catalogs: tuple[CatalogSettings, ...]) -> CatalogSnapshot:
    """Look at catalogs as a server would at its start, sandbox included.

    Raises:
        ConfigurationError: a catalog cannot be read, or holds what would defeat the policy.
        Unavailable: no process can be had.
    """
    budgets = EngineBudgets(memory_bytes=_MEMORY_BYTES, threads=1, workers_ahead=0, readers_ahead=0)
    with private_zygote(ZYGOTE) as control:
        engine = DuckDbEngine(catalogs=catalogs, budgets=budgets)
        engine.attach(control)
        async with engine:
            return await engine.inspect()
