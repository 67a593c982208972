"""A home in which people have signed in: what a test of the command's user needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]
"""Runs `penstock` in this process with the arguments given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """A server with its stand-in for AWS, and a home in which alice and bob each have a profile."""

    server: str
    aws_url: str
    environ: dict[str, str]

    def login(self, user: str) -> subprocess.CompletedProcess[str]:
        """Run `penstock login` for a profile of the user's name, with a browser that signs the user in."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("penstock")), "login", self.server, "--profile", user],
            env={**self.environ, "PENSTOCK_TEST_USER": user},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
