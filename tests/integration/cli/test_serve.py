"""The command itself, as an operator starts it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from penstock_server.cli.main import run
from penstock_server.cli.serve import FRONT
from support.server import descendants, free_port, wait_until
from support.small_lake import write_world

PROGRAM = str(Path(sys.executable).with_name("penstock-server"))


@contextmanager
def serving(config: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command with its output in `serve.log`; told to end if it is still there."""
    with (config.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", "--config", str(config), *arguments], stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(40)


def log_of(config: Path) -> str:
    return (config.parent / "serve.log").read_text()


def refused(config: Path, *arguments: str) -> str:
    """Start it, expect that it ends by itself with exit code 1, and give what it wrote."""
    with serving(config, *arguments) as process:
        assert process.wait(40) == 1
    written = log_of(config)
    assert "Traceback" not in written
    return written


def wait_for_health(config: Path) -> None:
    end = time.monotonic() + 40
    while run(["health", "--config", str(config)]) != 0:
        assert time.monotonic() < end, log_of(config)
        time.sleep(0.1)


def test_serve_serves_until_sigterm_and_leaves_nothing_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_world(tmp_path, port=free_port())
    with serving(config) as process:
        wait_for_health(config)
        children = descendants(process.pid)
        assert len(children) >= 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        wait_until(lambda: not descendants(process.pid), seconds=10, what="no child left")
    assert run(["health", "--config", str(config)]) == 1
    assert all(json.loads(line)["level"] in {"info", "warning"} for line in log_of(config).splitlines())
    capsys.readouterr()
    assert run(["audit", "show", "--config", str(config), "--json"]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["service.started", "policy.loaded", "service.stopped"]


def test_a_port_in_use_and_a_trail_in_use_are_told(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = write_world(tmp_path / "one", port=port)
    two = write_world(tmp_path / "two", port=port)
    with serving(one):
        wait_for_health(one)
        assert f"`127.0.0.1:{port}` cannot be bound" in refused(two)
        two.write_text(two.read_text().replace("path: var/audit", f"path: {tmp_path}/one/var/audit"))
        assert "another process writes this audit trail" in refused(two, "--listen", f"127.0.0.1:{free_port()}")
    assert "serving" in log_of(one)


def test_a_flag_wins_over_the_file_and_is_checked_like_it(tmp_path: Path) -> None:
    config = write_world(tmp_path, port=free_port())
    assert refused(config, "--listen", "0.0.0.0:1") == (
        "--listen: `server.listen` `0.0.0.0:1` is reachable from outside; set `server.tls`, or listen on loopback\n"
    )
    port = free_port()
    with serving(config, "--listen", f"127.0.0.1:{port}"):
        deadline = time.monotonic() + 40
        while run(["health", "--address", f"127.0.0.1:{port}"]) != 0:
            assert time.monotonic() < deadline, log_of(config)
            time.sleep(0.1)


def test_a_policy_that_does_not_bind_ends_the_start_with_its_line(tmp_path: Path) -> None:
    config = write_world(tmp_path, port=free_port())
    policy = tmp_path / "policies" / "nyc.yaml"
    policy.write_text(policy.read_text().replace("[delay]", "[dealy]"))
    assert f"{policy}:9: " in refused(config)


def test_a_module_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise SystemExit('taken over')")
    interpreter = FRONT[: FRONT.index("-m")]
    for options, code in ((interpreter, 0), ((sys.executable,), 1)):
        command = [*options, "-c", "import uvloop"]
        assert subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, timeout=60).returncode == code
