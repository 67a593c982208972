"""Mutation control of the verifier: whichever of its checks is switched off, a named test goes red.

Each check is taken out of a copy of the package; the tests then run on the copy, in a process of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import penstock_server
import pytest
import yaml

TESTS = Path(__file__).parents[2]
PACKAGE = Path(penstock_server.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: where it stands, what takes its place, and which tests must notice."""

    id: str
    file: str
    text: str
    without: str
    tests: str
    selected: str


CHECKS = [Check(**entry) for entry in yaml.safe_load((TESTS / "vectors/identity/checks.yaml").read_text())]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "penstock_server", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _run(copy: Path, check: Check) -> subprocess.CompletedProcess[str]:
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--timeout=30", str(TESTS / check.tests), "-k", check.selected]
    return subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *arguments],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_the_text_of_every_check_stands_once_in_its_file(check: Check) -> None:
    """So that the list cannot fall behind the code unnoticed."""
    assert (PACKAGE / "identity" / check.file).read_text().count(check.text) == 1


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_a_check_that_is_switched_off_turns_a_test_red(check: Check, copy: Path) -> None:
    file = copy / "penstock_server" / "identity" / check.file
    file.write_text(file.read_text().replace(check.text, check.without))
    run = _run(copy, check)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-2000:] + run.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("tests", sorted({check.tests for check in CHECKS}))
def test_the_same_tests_are_green_on_a_copy_that_is_whole(tests: str, copy: Path) -> None:
    """The control: what turns them red is the missing check, not that they run on a copy."""
    selected = " or ".join(check.selected for check in CHECKS if check.tests == tests)
    whole = Check(id="", file="", text="", without="", tests=tests, selected=selected)
    run = _run(copy, whole)
    assert run.returncode == pytest.ExitCode.OK, run.stdout[-2000:] + run.stderr[-2000:]
