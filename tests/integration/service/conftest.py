"""One server for all tests of this folder that do it no harm."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Client, client
from support.server import ServerProcess, running_server
from support.small_lake import token_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    with running_server(folder, extra="") as running:
        yield running


@pytest.fixture
def alice(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, token_for("alice")) as caller:
        yield caller


@pytest.fixture
def bob(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, token_for("bob")) as caller:
        yield caller


@pytest.fixture
def carol(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, token_for("carol")) as caller:
        yield caller


@pytest.fixture
def nobody(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, None) as caller:
        yield caller
