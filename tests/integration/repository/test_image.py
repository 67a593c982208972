"""The image holds what a configuration may need."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_image_has_every_driver_and_nothing_for_development() -> None:
    project = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())["project"]
    (sync,) = re.findall(r"^RUN uv sync .*$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "--locked --no-dev" in sync
    assert set(re.findall(r"--extra (\S+)", sync)) == set(project["optional-dependencies"]) - {"dev"}
