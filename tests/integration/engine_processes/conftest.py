"""One zygote a module, one engine a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from support import engine_processes as processes


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> CatalogSettings:
    return processes.make_catalog(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(ZYGOTE) as started:
        yield started


@pytest.fixture
async def engine(zygote: processes.Zygote, catalog: CatalogSettings) -> AsyncIterator[DuckDbEngine]:
    async with processes.engine(zygote, catalog) as made:
        yield made


@pytest.fixture(scope="module")
def probe_zygote() -> Iterator[processes.Zygote]:
    with processes.zygote(processes.PROBE_ZYGOTE) as started:
        yield started


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("hidden")
    return path
