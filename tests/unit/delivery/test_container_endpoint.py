"""The loopback endpoint, as programs ask it, and as browser pages and strangers would."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from botocore.credentials import ContainerProvider
from botocore.exceptions import CredentialRetrievalError
from botocore.utils import ContainerMetadataFetcher
from penstock import AccessDenied, InvalidRequest, NotFound, PenstockError, Unauthenticated, Unavailable
from penstock.delivery import RenewingSession
from penstock.delivery.container_endpoint import ContainerEndpoint
from support.aws_sessions import Clock, Issuer


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(Clock())


@pytest.fixture(scope="module")
def running() -> Iterator[ContainerEndpoint]:
    clock = Clock()
    with ContainerEndpoint(RenewingSession(Issuer(clock), now=clock)) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(running: ContainerEndpoint, issuer: Issuer) -> ContainerEndpoint:
    # One endpoint for all tests, with a session of its own for each: to end one takes a moment.
    running._server.renewing = RenewingSession(issuer, now=issuer.now)
    return running


class Asked:
    """What the endpoint answered."""

    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        self.status = int(head.split(b" ", 2)[1]) if head else 0
        self.head = head.decode("latin-1").lower()
        self.body = body.decode()


def _port(endpoint: ContainerEndpoint) -> int:
    port = urlsplit(endpoint.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).port
    assert port is not None
    return port


def _provider(endpoint: ContainerEndpoint) -> Any:
    # The stubs take a fetcher of another kind, and know none of the members without a check of the expiry.
    return ContainerProvider(environ=endpoint.variables, fetcher=cast("Any", ContainerMetadataFetcher()))


def _ask(
    endpoint: ContainerEndpoint,
    *extra: str,
    host: str | None = "",
    token: str | None = "",
    path: str = "/credentials",
    method: str = "GET",
) -> Asked:
    """Ask as a program does but for what is given; "" is the right one, None leaves it out."""
    lines = [f"{method} {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host or f'127.0.0.1:{_port(endpoint)}'}")
    if token is not None:
        lines.append(f"Authorization: {token or endpoint.variables['AWS_CONTAINER_AUTHORIZATION_TOKEN']}")
    with socket.create_connection(("127.0.0.1", _port(endpoint)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, *extra, "", ""]).encode("latin-1"))
        raw = b""
        while piece := connection.recv(65536):
            raw += piece
    return Asked(raw)


def test_a_program_gets_the_session_in_the_form_of_containers(endpoint: ContainerEndpoint) -> None:
    answer = _ask(endpoint)

    assert answer.status == 200
    assert json.loads(answer.body) == {
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "secret-1",
        "Token": "token-1",
        "Expiration": "2026-11-24T13:00:00Z",
    }
    assert "cache-control: no-store" in answer.head
    assert "content-type: application/json" in answer.head


def test_botocore_gets_the_session(endpoint: ContainerEndpoint) -> None:
    found = _provider(endpoint).load()

    frozen = (found._access_key, found._secret_key, found._token)
    assert frozen == ("ASIA1", "secret-1", "token-1")


def test_it_listens_on_the_loopback_address_alone(endpoint: ContainerEndpoint) -> None:
    assert endpoint._server.socket.getsockname()[0] == "127.0.0.1"
    assert endpoint.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")


def test_port_and_token_are_new_at_each_start(endpoint: ContainerEndpoint, issuer: Issuer) -> None:
    with ContainerEndpoint(RenewingSession(issuer)) as other:
        assert {*endpoint.variables.values()}.isdisjoint(other.variables.values())
    assert len(endpoint.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) >= 43


PAGES = {
    "a page of another site": ["Origin: https://evil.example"],
    "a page without an origin": ["Origin: null"],
    "a page of the same origin": ["Origin: http://127.0.0.1"],
    "an image": ["Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
    "an address that was typed in": ["Sec-Fetch-Site: none"],
    "a hint of a client": ["sec-ch-ua: x"],
    "a page that was linked from": ["Referer: https://evil.example/"],
    "headers in other letters": ["oRiGiN: https://evil.example"],
    "an empty origin": ["Origin:"],
}


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
def test_a_browser_is_refused_even_with_the_token(
    endpoint: ContainerEndpoint, issuer: Issuer, headers: list[str]
) -> None:
    answer = _ask(endpoint, *headers)

    assert answer.status == 403
    assert issuer.count == 0


HOSTS = {
    "a name that was rebound": "evil.example",
    "a name that was rebound, with the port": "evil.example:{port}",
    "localhost": "localhost:{port}",
    "no port": "127.0.0.1",
    "another port": "127.0.0.1:1",
    "another way to write the address": "127.1:{port}",
    "a dot at the end": "127.0.0.1.:{port}",
    "a user": "x@127.0.0.1:{port}",
    "the address of other protocols": "[::ffff:127.0.0.1]:{port}",
    "two hosts in one": "127.0.0.1:{port}, evil.example",
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_another_host_is_refused_even_with_the_token(endpoint: ContainerEndpoint, issuer: Issuer, host: str) -> None:
    assert _ask(endpoint, host=host.format(port=_port(endpoint))).status == 403
    assert issuer.count == 0


def test_no_host_and_two_hosts_are_refused(endpoint: ContainerEndpoint) -> None:
    assert _ask(endpoint, host=None).status == 403
    assert _ask(endpoint, f"Host: 127.0.0.1:{_port(endpoint)}").status == 403


@pytest.mark.parametrize("token", [None, "x", "Bearer x", "é"])
def test_without_the_token_nothing_is_told(endpoint: ContainerEndpoint, issuer: Issuer, token: str | None) -> None:
    answer = _ask(endpoint, token=token)

    assert answer.status == 401
    assert "secret" not in answer.body
    assert "www-authenticate" not in answer.head
    assert issuer.count == 0


def test_the_token_is_taken_as_it_is_and_once(endpoint: ContainerEndpoint) -> None:
    right = endpoint.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]

    assert _ask(endpoint, token=f"Bearer {right}").status == 401
    assert _ask(endpoint, token=right[:-1]).status == 401
    assert _ask(endpoint, f"Authorization: {right}").status == 401


@pytest.mark.parametrize("path", ["/", "/credentials/", "/credentials?x", "/../credentials", "*"])
def test_another_path_is_not_there(endpoint: ContainerEndpoint, path: str) -> None:
    assert _ask(endpoint, path=path).status == 404


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "HEAD", "DELETE", "TRACE", "<script>"])
def test_nothing_but_get_is_answered_and_nothing_of_it_is_repeated(endpoint: ContainerEndpoint, method: str) -> None:
    answer = _ask(endpoint, "Access-Control-Request-Method: GET", method=method, path="/<script>")

    assert answer.status >= 400
    assert "access-control" not in answer.head
    assert "script" not in answer.body


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (AccessDenied("no", reason="NO_GRANT", hint="ask"), 403),
        (Unauthenticated("no"), 401),
        (InvalidRequest("no"), 400),
        (NotFound("no"), 404),
        (Unavailable("no"), 503),
        (PenstockError("no"), 500),
    ],
)
def test_a_refusal_is_told_and_not_kept(
    endpoint: ContainerEndpoint, issuer: Issuer, refusal: PenstockError, status: int
) -> None:
    issuer.refusal = refusal
    answer = _ask(endpoint)
    issuer.refusal = None

    assert answer.status == status
    assert json.loads(answer.body)["message"].startswith("no")
    assert _ask(endpoint).status == 200


def test_a_fault_tells_its_class_alone(
    endpoint: ContainerEndpoint, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    issuer.refusal = RuntimeError("holds secret-1")

    answer = _ask(endpoint)

    assert answer.status == 500
    assert "RuntimeError" in answer.body
    assert "secret-1" not in answer.body
    assert capfd.readouterr() == ("", "")


def test_requests_leave_no_line_in_any_log(
    endpoint: ContainerEndpoint, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    _ask(endpoint)
    _ask(endpoint, token="x", path="/\x1b[2J")

    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_connections_that_say_nothing_do_not_take_every_place_for_good(endpoint: ContainerEndpoint) -> None:
    idle = [socket.create_connection(("127.0.0.1", _port(endpoint)), timeout=10) for _ in range(40)]
    for each in idle:
        each.close()

    answers = [_ask(endpoint).status for _ in range(3)]
    assert 200 in answers


def test_once_closed_nothing_listens(issuer: Issuer) -> None:
    with ContainerEndpoint(RenewingSession(issuer)) as endpoint:
        port = _port(endpoint)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_nothing_of_the_token_shows_in_the_repr(endpoint: ContainerEndpoint) -> None:
    assert endpoint.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] not in repr(endpoint)


def test_a_refusal_reaches_whoever_uses_botocore(
    endpoint: ContainerEndpoint, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    issuer.refusal = AccessDenied("no grant covers it", reason="NO_GRANT")

    with pytest.raises(CredentialRetrievalError, match="no grant covers it"):
        _provider(endpoint).load()
