"""What `make lint` asks, but for the types: layers, style, the contract's rules, and generated code that is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("lint-imports", "--no-cache"),
        ("ruff", "check", "--no-cache"),
        ("ruff", "format", "--check", "--no-cache"),
        ("buf", "lint"),
        ("buf", "format", "-d", "--exit-code"),
    ],
    ids=" ".join,
)
def test_the_check_passes(command: tuple[str, ...]) -> None:
    done = run(str(BIN / command[0]), *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_types_fit() -> None:
    done = subprocess.run(
        [BIN / "mypy", "client/src", "server/src", "tests", "bench", "examples/two_people"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_code_is_that_of_the_contract(tmp_path: Path) -> None:
    protos = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "proto" / "penstock").rglob("*.proto"))
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python")]
    outputs += [f"--{kind}_out=quiet:{tmp_path}" for kind in ("mypy", "mypy_grpc")]
    plugins = [f"--plugin=protoc-gen-{name}={BIN / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    done = run(sys.executable, "-m", "grpc_tools.protoc", "-Iproto", *plugins, *outputs, *protos)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text() for path in (tmp_path / "penstock" / "v1").iterdir()}
    committed = ROOT / "client" / "src" / "penstock" / "v1"
    kept = {
        path.name: path.read_text() for path in committed.iterdir() if path.is_file() and path.name != "__init__.py"
    }
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name] != kept[name]] == []
