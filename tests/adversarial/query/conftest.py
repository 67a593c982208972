"""The worlds, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import worlds


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("worlds")
    worlds.build(made)
    return made
