"""One server, with reflection on, for all tests of this folder that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Client, client
from support.server import ServerProcess, free_port, running_server
from support.small_lake import token_for, write_world


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    port = free_port()
    configuration = write_world(folder, port=port)
    text = configuration.read_text().replace(f":{port}\n", f":{port}\n  reflection: true\n", 1)
    configuration.write_text(text)
    with running_server(folder, configuration=configuration, port=port) as running:
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
