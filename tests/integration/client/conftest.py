"""Penstock on this machine with an OpenID provider and a stand-in for AWS, and two people who have signed in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock.cli.running import run
from penstock_server.dev.environment import FREE_PORTS, LocalEnvironment
from support.household import Command, Household, Ran

CLICK = Path(__file__).parents[1] / "docs" / "click.py"


@pytest.fixture(scope="session")
def household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    folder = tmp_path_factory.mktemp("household")
    with LocalEnvironment(folder / "server", FREE_PORTS) as local:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK")},
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "BROWSER": f"{sys.executable} {CLICK} %s",
            "DISPLAY": ":0",
        }
        home = Household(
            server=local.address,
            aws_url=local.environ["PENSTOCK__CREDENTIALS__AWS__ENDPOINT_URL"],
            environ=environ,
        )
        for person in ("alice", "bob"):
            done = home.login(person)
            assert done.returncode == 0, done.stderr
        yield home


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    def run_it(*arguments: str) -> Ran:
        capfdbinary.readouterr()
        code = run(list(arguments))
        captured = capfdbinary.readouterr()
        return Ran(code=int(code), out=captured.out.decode(), err=captured.err.decode())

    return run_it


@pytest.fixture
def at_home(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use the sign-ins that are kept there."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, household.environ[name])
