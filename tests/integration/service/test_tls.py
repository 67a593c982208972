"""TLS and mutual TLS, and tokens that are bound to a client's certificate."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from penstock.v1 import identity_service_pb2
from support.calls import Client, read_refusal
from support.certificates import Authority, Identity
from support.server import ServerProcess, free_port, start_server, wait_until
from support.small_lake import mint, token_for, write_world

AUTHORITY = Authority()
SERVER = AUTHORITY.issue("penstock.test")
CLIENT = AUTHORITY.issue("alice-laptop")
OTHER_CLIENT = AUTHORITY.issue("bob-laptop")
STRANGER = Authority("somebody else").issue("alice-laptop")


def configure(folder: Path, port: int, *, mutual: bool) -> Path:
    SERVER.write(folder, "server")
    (folder / "ca.pem").write_bytes(AUTHORITY.certificate)
    tls = "certificate: server.pem, private_key: server.key" + (", client_ca: ca.pem" if mutual else "")
    configuration = write_world(folder, port=port)
    text = configuration.read_text().replace(f":{port}\n", f":{port}\n  tls: {{{tls}}}\n", 1)
    configuration.write_text(text)
    return configuration


@contextmanager
def secure(server: ServerProcess, token: str, client: Identity | None = None) -> Iterator[Client]:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=AUTHORITY.certificate,
        private_key=None if client is None else client.private_key,
        certificate_chain=None if client is None else client.certificate,
    )
    with grpc.secure_channel(
        server.address, credentials, options=[("grpc.ssl_target_name_override", "penstock.test")]
    ) as channel:
        yield Client(channel, token)


def who(caller: Client) -> str:
    answer = caller.call(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest(), seconds=10)
    return str(answer.subject)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("tls")
    port = free_port()
    server = start_server(configure(folder, port, mutual=False), port=port)
    try:
        wait_until(lambda: '"serving"' in server.written(), seconds=40, what="serving")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("mutual")
    port = free_port()
    server = start_server(configure(folder, port, mutual=True), port=port)
    try:
        wait_until(lambda: '"serving"' in server.written(), seconds=40, what="serving")
        yield server
    finally:
        server.stop()


def test_a_tls_server_answers_who_trusts_its_certificate(tls: ServerProcess) -> None:
    with secure(tls, token_for("alice")) as alice:
        assert who(alice) == "alice"
        assert alice.rows("select count(*) n from nyc.flights") == [{"n": 334}]


def test_a_tls_server_does_not_speak_plain_text(tls: ServerProcess) -> None:
    with grpc.insecure_channel(tls.address) as channel, pytest.raises(grpc.RpcError) as raised:
        who(Client(channel, token_for("alice")))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_mutual_server_lets_in_only_clients_of_its_authority(mutual: ServerProcess) -> None:
    with secure(mutual, token_for("alice"), CLIENT) as alice:
        assert who(alice) == "alice"
    for certificate in (None, STRANGER):
        with secure(mutual, token_for("alice"), certificate) as caller, pytest.raises(grpc.RpcError) as raised:
            who(caller)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_bound_token_is_good_on_its_own_certificate_only(tls: ServerProcess, mutual: ServerProcess) -> None:
    bound = mint()("alice", cnf={"x5t#S256": CLIENT.thumbprint()})
    with secure(mutual, bound, CLIENT) as alice:
        assert who(alice) == "alice"
    for server, certificate in ((mutual, OTHER_CLIENT), (tls, None), (tls, CLIENT)):
        with secure(server, bound, certificate) as thief, pytest.raises(grpc.RpcError) as raised:
            who(thief)
        assert read_refusal(raised.value).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("kind", ["tls", "mutual"])
def test_the_health_command_works_over_tls(request: pytest.FixtureRequest, kind: str) -> None:
    server: ServerProcess = request.getfixturevalue(kind)
    command = [str(Path(sys.executable).with_name("penstock-server")), "health", "--config"]
    done = subprocess.run(
        [*command, str(server.folder / "penstock.yaml")], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_health_command_notices_a_server_that_is_not_there(tmp_path: Path) -> None:
    configuration = configure(tmp_path, free_port(), mutual=False)
    command = [str(Path(sys.executable).with_name("penstock-server")), "health", "--config", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
