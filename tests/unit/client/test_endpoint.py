from __future__ import annotations

from pathlib import Path

import pytest
from penstock import aio, connect, endpoint
from penstock.errors import InvalidRequest

PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

LOOPBACK = ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "LOCALHOST:1", "[::1]:1", "::1", "127.0.0.1"]
ELSEWHERE = [
    "broker.example.com:50051",
    "10.0.0.1:50051",
    "0.0.0.0:50051",
    "[::]:50051",
    "[2001:db8::1]:50051",
    "localhost.example.com:50051",
    "localhost.:50051",
    "127.0.0.1.example.com:50051",
    "127.1:50051",
    "0x7f000001:50051",
    "2130706433:50051",
]


@pytest.mark.parametrize("target", LOOPBACK)
def test_a_loopback_host_may_be_spoken_to_in_plain_text(target: str) -> None:
    assert endpoint.transport(target).tls is None
    assert endpoint.transport(target, tls=True).tls is not None


@pytest.mark.parametrize("target", ELSEWHERE)
def test_any_other_host_has_tls_unasked(target: str) -> None:
    assert endpoint.transport(target).tls is not None


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("door", [connect, aio.connect])
def test_plain_text_to_another_host_is_refused_before_connecting(
    target: str, door: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grpc.aio.insecure_channel", lambda *_, **__: pytest.fail("a channel was opened"))

    with pytest.raises(InvalidRequest) as caught:
        door(target, token="t", tls=False)  # type: ignore[operator]  # either of the two

    assert caught.value.field == "tls"


@pytest.mark.parametrize(
    ("target", "opened"),
    [
        ("localhost:1", "ipv4:127.0.0.1:1"),
        ("127.0.0.2:1", "ipv4:127.0.0.2:1"),
        ("[::1]:1", "ipv6:[::1]:1"),
    ],
)
def test_a_plain_channel_is_to_a_literal_address_so_no_name_is_looked_up(
    target: str, opened: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("grpc.aio.insecure_channel", lambda address, **_: seen.append(address))

    endpoint.transport(target).open()

    assert seen == [opened]


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("Broker.Example.COM:8443", "broker.example.com", 8443),
        ("broker", "broker", 443),
        ("localhost", "localhost", 50051),
        ("[::1]", "::1", 50051),
        ("[2001:DB8::1]:9", "2001:db8::1", 9),
        ("10.0.0.1", "10.0.0.1", 443),
        (" broker:1 ", "broker", 1),
    ],
)
def test_a_target_is_a_host_with_or_without_a_port(target: str, host: str, port: int) -> None:
    assert endpoint.parse(target) == endpoint.Endpoint(host=host, port=port)


@pytest.mark.parametrize(
    "target",
    [
        "",
        ":50051",
        "broker:",
        "broker:0",
        "broker:65536",
        "broker:-1",
        "broker:1:2",
        "broker:٣",
        "https://broker:443",
        "dns:///broker:443",
        "unix:/tmp/socket",
        "ipv4:127.0.0.1:1",
        "user@broker:443",
        "bro ker:443",
        "broker/x:443",
        "broker\n:443",
        "[broker]:443",
        "[127.0.0.1:443",
        "[fe80::1%eth0]:443",
        "127.0.0.1,10.0.0.1:443",
        "b" * 64 + ":1",
    ],
)
def test_what_is_no_host_and_port_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        endpoint.parse(target)

    assert caught.value.field == "target"


@pytest.mark.parametrize("text", ["broker.example.com:443", "127.0.0.1:50051", "[::1]:50051"])
def test_an_endpoint_prints_as_it_is_read(text: str) -> None:
    assert str(endpoint.parse(text)) == text


def test_an_authority_turns_tls_on_for_a_loopback_host() -> None:
    way = endpoint.transport("localhost:1", ca=PEM)

    assert way.tls == endpoint.Tls(ca=PEM, certificate=None, private_key=None)


def test_an_authority_and_plain_text_contradict_each_other() -> None:
    with pytest.raises(InvalidRequest) as caught:
        endpoint.transport("localhost:1", ca=PEM, tls=False)

    assert caught.value.field == "tls"


def test_an_authority_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(PEM)

    way = endpoint.transport("broker:1", ca=file)

    assert way.tls is not None
    assert way.tls.ca == PEM


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"-----BEGIN PRIVATE KEY-----"])
def test_an_authority_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InvalidRequest) as caught:
        endpoint.transport("broker:1", ca=str(file))

    assert caught.value.field == "ca"


def test_a_client_certificate_needs_a_private_key(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(PEM)

    with pytest.raises(InvalidRequest) as caught:
        endpoint.transport("broker:1", client_certificate=(file, file))

    assert caught.value.field == "client_certificate"
