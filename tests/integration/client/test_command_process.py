"""What only a process of its own shows: Ctrl-C, a reader that goes away, a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from penstock.v1 import decision_pb2
from support.scripted_server import ScriptedServer, answer, scripted_server, stalled

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
APPLIED = decision_pb2.AppliedPolicy(
    table="lake.nyc.flights",
    grants=["analysts"],
    masked_columns=[decision_pb2.MaskedColumn(column="tailnum", mask="hidden")],
    partly_null_columns=["origin"],
)
TABLE = pa.table({"tailnum": ["[redacted]"], "origin": pa.array([None], pa.string())})


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK", "NO_COLOR"))}
    return {**kept, "PENSTOCK_TOKEN": "t", "XDG_CONFIG_HOME": str(tmp_path), "TERM": "xterm-256color"}


@pytest.fixture
def whole() -> Iterator[ScriptedServer]:
    with scripted_server({"ExecuteQuery": lambda _: answer(TABLE, applied_policies=[APPLIED])}) as server:
        yield server


def _on_a_terminal(arguments: list[str], environ: dict[str, str]) -> str:
    """Run with standard output and error on a terminal; give what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PENSTOCK, *arguments], env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(ours)
    assert process.wait(30) is not None
    return shown.decode()


@pytest.mark.parametrize("parts", [0, 2])
def test_ctrl_c_cancels_at_the_server_and_leaves_nothing(environ: dict[str, str], tmp_path: Path, parts: int) -> None:
    release = threading.Event()
    table = pa.table({"n": list(range(10))})
    script = {"ExecuteQuery": lambda _: stalled(answer(table, batches=2)[:parts], release)}
    with scripted_server(script) as server:
        process = subprocess.Popen(
            [PENSTOCK, "--server", server.address, "query", "x", "--output", str(tmp_path / "answer.csv")],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.begun.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert server.ended.wait(10)
        release.set()

    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_the_statement_quietly(environ: dict[str, str]) -> None:
    release = threading.Event()
    table = pa.table({"n": list(range(200_000))})
    parts = answer(table, batches=20)

    def endless() -> Iterator[object]:
        yield parts[0]
        while not release.is_set():
            yield parts[1]

    with scripted_server({"ExecuteQuery": lambda _: endless()}) as server:
        process = subprocess.Popen(
            [PENSTOCK, "--server", server.address, "query", "x", "--format", "csv"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'"n"\n'
        process.stdout.close()
        assert server.ended.wait(30)
        release.set()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 1

    assert err == b""


def test_a_terminal_gets_colour_for_masked_and_nulled_cells(environ: dict[str, str], whole: ScriptedServer) -> None:
    shown = _on_a_terminal(["--server", whole.address, "query", "x"], environ)

    assert "\x1b[3;33m[redacted]\x1b[0m" in shown
    assert "\x1b[2mNULL*\x1b[0m" in shown


def test_no_color_is_honoured(environ: dict[str, str], whole: ScriptedServer) -> None:
    shown = _on_a_terminal(["--server", whole.address, "query", "x"], {**environ, "NO_COLOR": "1"})

    assert "[redacted]" in shown
    assert "33m" not in shown


def test_a_pipe_gets_no_escape_sequence(environ: dict[str, str], whole: ScriptedServer) -> None:
    done = subprocess.run(
        [PENSTOCK, "--server", whole.address, "query", "x"], env=environ, capture_output=True, timeout=60, check=True
    )

    assert b"\x1b" not in done.stdout + done.stderr


def test_progress_is_shown_on_a_terminal_only(environ: dict[str, str], whole: ScriptedServer, tmp_path: Path) -> None:
    arguments = ["--server", whole.address, "query", "x", "--output", str(tmp_path / "a.csv")]
    piped = subprocess.run([PENSTOCK, *arguments], env=environ, capture_output=True, timeout=60, check=True)

    assert (piped.stdout, piped.stderr) == (b"", b"")
    assert "rows" in _on_a_terminal(arguments, environ)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_bytes_for_programs_are_not_written_to_a_terminal(
    environ: dict[str, str], whole: ScriptedServer, form: str
) -> None:
    shown = _on_a_terminal(["--server", whole.address, "query", "x", "--format", form], environ)

    assert "is not for a terminal" in shown
    assert whole.seen == []
