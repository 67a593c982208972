from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from penstock_server.identity.keys.fetching import Fetched, fetch, read_url
from penstock_server.identity.keys.key_set import KeysUnreadable
from support.key_server import KeyServer, Page, key_server, make_authority

TLS = ssl.create_default_context()


def _get(address: str, *, seconds: float = 3.0, tls: ssl.SSLContext = TLS) -> Fetched:
    return fetch(read_url(address), tls=tls, deadline=time.monotonic() + seconds)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        yield running


def test_a_document_is_fetched_with_its_age(server: KeyServer) -> None:
    server.publish("/a?b=c", "{}", Cache_Control="public, max-age=77")
    assert _get(f"{server.origin}/a?b=c") == Fetched(body=b"{}", max_age_seconds=77)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 204, 206, 401, 404, 500, 503])
def test_only_200_is_an_answer_and_redirects_are_not_followed(server: KeyServer, status: int) -> None:
    server.pages["/a"] = Page(status=status, headers={"Location": f"{server.origin}/b"}, body=b"")
    with pytest.raises(KeysUnreadable, match=f"answered {status}"):
        _get(f"{server.origin}/a")
    assert server.asked == ["/a"]


def test_half_a_mebibyte_is_the_most(server: KeyServer) -> None:
    server.pages["/a"] = Page(body=b" " * (512 * 1024))
    assert len(_get(f"{server.origin}/a").body) == 512 * 1024
    server.pages["/a"] = Page(body=b" " * (512 * 1024 + 1))
    with pytest.raises(KeysUnreadable, match="more than 512 KiB"):
        _get(f"{server.origin}/a")


def test_an_answer_that_ends_early_is_refused(server: KeyServer) -> None:
    server.pages["/a"] = Page(body=b"{}", announced_length=100)
    with pytest.raises(KeysUnreadable):
        _get(f"{server.origin}/a")


def test_a_server_that_drips_is_cut_off_at_the_deadline(server: KeyServer) -> None:
    """Each byte arrives well within any time-out of a single read."""
    server.pages["/a"] = Page(body=b" " * 100, drip_seconds=0.1)
    started = time.monotonic()
    with pytest.raises(KeysUnreadable, match="did not answer in time"):
        _get(f"{server.origin}/a", seconds=0.5)
    assert time.monotonic() - started < 8


def test_a_server_that_says_nothing_is_cut_off_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(KeysUnreadable, match="did not answer in time"):
                _get(f"{scheme}://127.0.0.1:{port}/", seconds=0.3)


def test_a_server_that_is_not_there_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(KeysUnreadable, match="cannot be asked"):
        _get(f"http://127.0.0.1:{port}/")


def test_an_answer_that_is_no_http_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(KeysUnreadable, match="cannot be asked"):
            _get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


@pytest.mark.parametrize("address", ["10.0.0.1", "192.0.2.7", "2001:db8::1", "0.0.0.0"])
def test_plain_text_goes_to_no_address_that_is_not_loopback(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that says where `localhost` is: the one thing here that a test cannot do for real."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(KeysUnreadable, match="not a loopback address"):
        _get("http://localhost/", seconds=0.2)


@pytest.mark.parametrize(
    "address",
    [
        "http://login.test/",
        "http://127.0.0.1.attacker.test/",
        "http://localhost.attacker.test/",
        "http://0.0.0.0/",
        "http://169.254.169.254/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@login.test/",
        "https://user:pw@login.test/",
        "https://127.0.0.1@login.test/",
        "https://login.test/#fragment",
        "https://login.test/ x",
        "https://login.test/\r\nHost: x",
        "https://login.t\u00ebst/",
        "https://login.test:99999/",
        "https://[::1/",
        "login.test",
        "",
    ],
)
def test_addresses_that_may_not_be_fetched(address: str) -> None:
    with pytest.raises(KeysUnreadable):
        read_url(address)


def test_addresses_that_may_be_fetched() -> None:
    assert read_url("https://login.test").target == "/"
    assert read_url("https://login.test/a/b?c=d").target == "/a/b?c=d"
    assert read_url("https://LOGIN.test:8443/").origin() == ("https", "login.test", 8443)
    assert read_url("http://[::1]:8080/").origin() == ("http", "::1", 8080)
    assert read_url("http://127.9.9.9/").port == 80


def test_a_proxy_of_the_environment_is_not_used(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.publish("/a", "{}")
    assert _get(f"{server.origin}/a").body == b"{}"


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Callable[..., ssl.SSLContext]]:
    made = make_authority(tmp_path)
    return ssl.create_default_context(cafile=made.certificate), made.issue


def test_a_configured_authority_is_trusted_and_no_other(
    authority: tuple[ssl.SSLContext, Callable[..., ssl.SSLContext]],
) -> None:
    trusting, issue = authority
    with key_server(issue()) as server:
        server.publish("/a", "{}")
        assert _get(f"{server.origin}/a", tls=trusting).body == b"{}"
        with pytest.raises(KeysUnreadable, match="no certificate that is trusted"):
            _get(f"{server.origin}/a")
        assert server.asked == ["/a"]


def test_a_certificate_of_another_host_is_refused(
    authority: tuple[ssl.SSLContext, Callable[..., ssl.SSLContext]],
) -> None:
    trusting, issue = authority
    with key_server(issue("127.0.0.2")) as server:
        server.publish("/a", "{}")
        with pytest.raises(KeysUnreadable, match="no certificate that is trusted"):
            _get(f"{server.origin}/a", tls=trusting)
        assert server.asked == []
