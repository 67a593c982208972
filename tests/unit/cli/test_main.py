from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.cli.main import COMMANDS, run
from penstock_server.cli.serve import DRAIN
from penstock_server.service.server import DRAIN_TIME
from support.configuration import write_configuration


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in overview
        assert run([command, "--help"]) == 0
        assert "Usage: penstock-server" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["sevre"], ["serve", "--lisen", "x"], ["audit", "shwo"], ["check", "extra"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_misspelt_command_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    run(["chekc"])
    assert "check" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "check", "health"])
def test_a_wrong_configuration_is_told_in_lines_and_exit_code_1(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_configuration(tmp_path, query="query: {timeuot: 60s}\n")
    assert run([command, "--config", str(path)]) == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == f"{path}:11: unknown key `query.timeuot`; did you mean `timeout`?\n"


def test_a_missing_configuration_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(tmp_path / "absent.yaml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/absent.yaml: cannot be read: No such file or directory\n"


def test_the_supervisors_process_loads_no_grpc_no_engine_and_no_aws() -> None:
    program = (
        "import sys; from penstock_server.cli.main import application; application(['serve']);"
        "print([name for name in ('grpc', 'duckdb', 'pyarrow', 'boto3', 'jose', 'uvloop', 'sqlalchemy', 'numpy')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_the_supervisor_waits_longer_than_the_front_drains_and_shorter_than_kubernetes() -> None:
    assert DRAIN_TIME + timedelta(seconds=2) <= DRAIN < timedelta(seconds=30)


def test_version_names_the_server_and_its_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert "penstock-server 0." in capsys.readouterr().out
