"""The test of the barriers before serving: it is red as soon as one of them is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.sandbox import confinement, kernel, landlock
from penstock_server.errors import ConfigurationError
from support import engine_processes as processes


async def test_nothing_is_inspected_before_the_barriers_are_tried(
    engine: DuckDbEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await engine.inspect()
    (record,) = [record for record in caplog.records if record.message == "barriers hold"]
    assert record.__dict__["attempts"] > 15
    assert set(record.__dict__["barriers"]) == set(confinement.Barrier)


@pytest.fixture
def clean() -> Iterator[None]:
    """What a probe that got through has written."""
    yield
    for file in Path("/tmp").glob("penstock-probe*"):
        file.unlink()


@pytest.mark.parametrize(
    ("missing", "breach"),
    [
        ("landlock", "open a source"),
        ("landlock", "open a file of the system"),
        ("seccomp", "make a network socket"),
        ("seccomp", "fork"),
        ("seccomp", "hold the front's process"),
        ("seccomp", "execute a program"),
        ("everything", "open a source"),
        ("everything", "signal the zygote"),
        ("doors", "find files by SQL"),
    ],
)
@pytest.mark.usefixtures("clean")
async def test_a_missing_barrier_stops_the_service(catalog: CatalogSettings, missing: str, breach: str) -> None:
    with processes.zygote((*processes.WEAK_ZYGOTE, missing)) as weak:
        async with processes.engine(weak, catalog) as engine:
            with pytest.raises(ConfigurationError) as caught:
                await engine.inspect()
    assert breach in str(caught.value)


async def test_a_kernel_without_landlock_serves_nothing(engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(ConfigurationError, match="Landlock"):
        await engine.inspect()


async def test_an_unknown_processor_serves_nothing(engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match="riscv64"):
        await engine.inspect()
