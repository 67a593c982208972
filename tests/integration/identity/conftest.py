from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.provider import Provider, provider


@pytest.fixture(scope="session")
def real_provider() -> Iterator[Provider]:
    """One real OpenID provider for all tests; those that change its keys leave it with keys that work."""
    with provider() as running:
        yield running
