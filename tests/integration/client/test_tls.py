"""TLS with an authority of one's own, with one that is not, and mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import penstock
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from penstock.v1 import identity_service_pb2
from support.scripted_server import ScriptedServer, scripted_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def chain(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _pair(name: str, *, issuer: Pair | None = None, addresses: tuple[str, ...] = ()) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if addresses:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(each)) for each in addresses])
        builder = builder.add_extension(names, critical=False)
    return Pair(certificate=builder.sign(issuer.key if issuer else key, hashes.SHA256()), key=key)


CA = _pair("authority")
SERVER = _pair("server", issuer=CA, addresses=("127.0.0.1",))
ELSEWHERE = _pair("elsewhere", issuer=CA, addresses=("10.0.0.1",))
SCRIPT = {"WhoAmI": lambda _: identity_service_pb2.WhoAmIResponse(username="alice")}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(SCRIPT, credentials=grpc.ssl_server_credentials([(SERVER.private, SERVER.chain)])) as running:
        yield running


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(CA.chain)

    with penstock.connect(server.address, token="t", ca=file) as broker:
        assert broker.whoami().username == "alice"


def test_an_authority_that_is_not_named_is_not_trusted(server: ScriptedServer) -> None:
    with penstock.connect(server.address, token="t", tls=True) as broker, pytest.raises(penstock.Unavailable) as caught:
        broker.whoami()

    assert caught.value.message == "the server's certificate is not trusted"
    assert server.seen == []


def test_a_certificate_for_another_address_is_not_accepted() -> None:
    credentials = grpc.ssl_server_credentials([(ELSEWHERE.private, ELSEWHERE.chain)])
    with (
        scripted_server(SCRIPT, credentials=credentials) as server,
        penstock.connect(server.address, token="t", ca=CA.chain) as broker,
        pytest.raises(penstock.Unavailable),
    ):
        broker.whoami()

    assert server.seen == []


def test_tls_to_a_plain_server_tells_why() -> None:
    with (
        scripted_server(SCRIPT) as server,
        penstock.connect(server.address, token="t", ca=CA.chain) as broker,
        pytest.raises(penstock.Unavailable) as caught,
    ):
        broker.whoami()

    assert caught.value.message == "the server does not speak TLS"


def test_a_client_certificate_opens_a_server_that_asks_for_one(tmp_path: Path) -> None:
    client = _pair("client", issuer=CA)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(client.chain)
    key.write_bytes(client.private)
    credentials = grpc.ssl_server_credentials(
        [(SERVER.private, SERVER.chain)], root_certificates=CA.chain, require_client_auth=True
    )
    with scripted_server(SCRIPT, credentials=credentials) as server:
        with penstock.connect(server.address, token="t", ca=CA.chain, client_certificate=(chain, key)) as broker:
            assert broker.whoami().username == "alice"
        with penstock.connect(server.address, token="t", ca=CA.chain) as broker, pytest.raises(penstock.Unavailable):
            broker.whoami()
