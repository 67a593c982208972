"""Mutation control of what shapes an answer: batches, plans, values of a PIVOT, comparisons, and the end by kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from penstock_server.engines.duckdb import canonical, explaining, functions, instance, pivoting
from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.engines.duckdb.relations import SOURCE
from penstock_server.errors import LimitExceeded
from support import engine_processes as processes
from support.protections import Protection, off
from support.sealed import ask

MEMORY = 128 * 1024 * 1024
ONE_LONG_CALL = "SELECT levenshtein(repeat('a', 60000), repeat('b', 60000)) AS d"


def _messages(cuts: tuple[int, ...]) -> list[bytes]:
    whole = pa.record_batch({"x": pa.array(range(20_000), pa.int64())})
    parts, before = [], 0
    for cut in (*cuts, 20_000):
        parts.append(whole.slice(before, cut - before))
        before = cut
    return list(canonical.batches(pa.RecordBatchReader.from_batches(whole.schema, parts), message_bytes=None))


def _cuts_of_the_source_show(_: Path) -> bool:
    """Two storages of the same rows, cut where hidden rows made them be cut."""
    return _messages((7_000, 9_000)) != _messages((12_345,))


def _a_source_is_written_to(folder: Path) -> bool:
    file = folder / "x.duckdb"
    writer = duckdb.connect(str(file))
    writer.execute("CREATE TABLE t AS SELECT 1 AS x")
    writer.close()
    reader = instance.prepare_reader(memory_bytes=MEMORY)
    try:
        instance.admit_source(reader, paths=(), database=file)
        reader.execute(f'INSERT INTO "{SOURCE}".main.t VALUES (2)')
    except duckdb.Error:
        return False
    finally:
        reader.close()
    return True


def _a_plan_shows_names_inside_the_engine(_: Path) -> bool:
    ((_, plan),) = ask("explain select id from flights where id > 1").rows
    return "penstock" in plan


def _the_machine_s_state_is_measured(_: Path) -> bool:
    return ask("explain analyze select id from flights").error is None


def _a_value_of_ours_is_taken_for_the_callers(_: Path) -> bool:
    return ask(f"pivot flights on carrier in ('{pivoting.VALUE}'), id using count(*)").error is None


def _memory_is_read_past_an_operand(_: Path) -> bool:
    """It may end the process, or answer: either way the engine was made to do it."""
    allowed = functions.is_allowed("is distinct from")
    program = (
        "from penstock_server.engines.duckdb import functions\n"
        + ("functions.is_allowed = lambda *_, **__: True\n" if allowed else "")
        + "from support.sealed import ask\n"
        "sql = 'select \"IS DISTINCT FROM\"({\\'a\\': id, \\'b\\': carrier}, carrier) from flights'\n"
        "raise SystemExit(1 if ask(sql).error is None else 0)\n"
    )
    path = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, env={**os.environ, "PYTHONPATH": path}
    )
    return ran.returncode != 0


def _writable(patch: pytest.MonkeyPatch) -> None:
    def admit(connection: duckdb.DuckDBPyConnection, *, paths: tuple[Path, ...], database: Path) -> None:
        assert paths == ()
        connection.execute(f"ATTACH '{database}' AS \"{SOURCE}\"")

    patch.setattr(instance, "admit_source", admit)


def _as_the_engine_says(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(explaining, "_governed", lambda node, tables: node)


def _as_they_come(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    yield from reader


def _analyzed_too(patch: pytest.MonkeyPatch) -> None:
    real = explaining.split
    patch.setattr(explaining, "split", lambda sql: real(sql.replace("analyze", " " * len("analyze"))))


PROTECTIONS = [
    Protection(
        name="rows are cut by count alone",
        weaken=off(canonical, "_frames", _as_they_come),
        attack=_cuts_of_the_source_show,
    ),
    Protection(name="a source is opened to be read", weaken=_writable, attack=_a_source_is_written_to),
    Protection(
        name="a plan is in the caller's names", weaken=_as_the_engine_says, attack=_a_plan_shows_names_inside_the_engine
    ),
    Protection(name="nothing is measured", weaken=_analyzed_too, attack=_the_machine_s_state_is_measured),
    Protection(
        name="values of ours stand where they were put",
        weaken=off(pivoting.Completed, "check", lambda *_: None),
        attack=_a_value_of_ours_is_taken_for_the_callers,
    ),
    Protection(
        name="comparisons are no functions",
        weaken=off(functions, "is_allowed", lambda *_, **__: True),
        attack=_memory_is_read_past_an_operand,
    ),
]


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda protection: protection.name)
def test_it_holds_its_attack_and_nothing_else_does(
    protection: Protection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protection.require_alone(tmp_path, monkeypatch)


@pytest.mark.parametrize("killed", [True, False])
async def test_only_a_kill_ends_one_long_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    catalog = processes.make_catalog(tmp_path / "lake")
    with processes.zygote(ZYGOTE) as zygote:
        async with processes.engine(zygote, catalog) as engine:
            await processes.answer(engine, "SELECT 1 AS one")
            if not killed:
                monkeypatch.setattr(Child, "kill", lambda _: None)
            async with engine.session(processes.limits(timeout=2)) as session:
                await processes.prepare(session, ONE_LONG_CALL)
                worker = processes.worker_of(session)
                with pytest.raises(LimitExceeded):
                    await anext(session.run())
            if killed:
                await processes.until(lambda: processes.state(worker) == "gone", within=20, what="the worker ends")
            else:
                spent = processes.cpu_seconds(worker)
                await processes.until(
                    lambda: processes.cpu_seconds(worker) > spent + 0.2, within=20, what="it works on"
                )
                os.kill(worker, signal.SIGKILL)
                monkeypatch.undo()
