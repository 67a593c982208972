from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres_server import OWNER, connected, postgres_server
from support.row_security import Connection, prepare


@pytest.fixture(scope="session")
def postgres() -> Iterator[Connection]:
    """A connection to a real PostgreSQL server as its superuser."""
    with postgres_server() as server, connected(server, OWNER) as connection:
        prepare(connection)
        yield connection
