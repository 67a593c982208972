"""What the zygote is made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ENVIRONMENT
from support import engine_processes as processes


def run_isolated(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_zygote_has_no_module_of_the_service_and_one_thread() -> None:
    code = (
        "import sys; from penstock_server.engines.duckdb import zygote; from penstock_server.engines.duckdb.sandbox "
        "import kernel; print(sorted(zygote.FOREIGN_MODULES & sys.modules.keys()), kernel.tasks())"
    )
    assert run_isolated(code).stdout == "[] 1\n"


def test_the_front_s_side_loads_neither_duckdb_nor_arrow() -> None:
    code = (
        "import sys; import penstock_server.engines.duckdb.engine, penstock_server.engines.duckdb.launch, "
        "penstock_server.engines.duckdb.link, penstock_server.supervisor; "
        "print(sorted({'duckdb', '_duckdb', 'pyarrow', 'numpy', 'grpc'} & sys.modules.keys()))"
    )
    assert run_isolated(code).stdout == "[]\n"


def test_the_supervisor_s_command_loads_neither_grpc_nor_duckdb_and_has_one_thread() -> None:
    code = (
        "import sys; import penstock_server.cli.main; from penstock_server.engines.duckdb.sandbox import kernel; "
        "print(sorted({'grpc', 'duckdb', '_duckdb', 'pyarrow', 'boto3', 'jose'} & sys.modules.keys()), kernel.tasks())"
    )
    assert run_isolated(code).stdout == "[] 1\n"


@pytest.mark.parametrize("module", ["asyncio", "ssl"])
def test_a_zygote_with_a_foreign_module_ends(module: str) -> None:
    code = (
        f"import {module}; from penstock_server.engines.duckdb import zygote; zygote.require_only_own_modules(); "
        "print('went on')"
    )
    ended = run_isolated(code)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert module in ended.stderr


def test_a_zygote_with_a_second_thread_ends() -> None:
    code = (
        "import threading; from penstock_server.engines.duckdb import zygote; "
        "threading.Thread(target=threading.Event().wait, daemon=True).start(); zygote.require_one_thread(); "
        "print('went on')"
    )
    ended = run_isolated(code)
    assert (ended.returncode, ended.stdout) == (3, "")


async def test_a_running_zygote_has_one_thread_and_few_descriptors(
    zygote: processes.Zygote, engine: DuckDbEngine
) -> None:
    await processes.answer(engine, "SELECT 1 AS one")
    assert "Threads:\t1\n" in processes.proc(zygote.pid, "status")
    # Standard streams, the control socket, the wakeup pipe.
    assert len(processes.names_in(Path(f"/proc/{zygote.pid}/fd"))) <= 7
