"""Sign-in in a browser: what the provider answers, and what somebody else answers in its place."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from penstock.login import SignInFailed, SignInMetadata, sign_in_with_browser
from penstock.login.browser import code_of, open_in_browser
from penstock.login.discovery import Provider, discover
from penstock.login.tokens import Tokens, audience_fields, tokens_of
from penstock.login.web import Answer, Web, require_safe
from penstock_server.dev.issuer import DevClient, DevIssuer, DevUser
from support.browser import Browser
from support.key_server import KeyServer, Page, key_server, make_authority

Spoil = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[DevIssuer]:
    users = (DevUser(username="alice", groups=()),)
    with DevIssuer("127.0.0.1", 0, users, "penstock", (DevClient(client_id="penstock-cli"),)) as running:
        yield running


def _metadata(issuer: str, **overrides: Any) -> SignInMetadata:
    values: dict[str, Any] = {
        "client_id": "penstock-cli",
        "scopes": ("openid",),
        "audience": "penstock",
        "device_flow": False,
    }
    return SignInMetadata(issuer=issuer, **(values | overrides))


class Attacker:
    """Answers to the loopback port before the user does, and then lets the user sign in."""

    def __init__(self, *answers: Spoil, path: str = "/callback") -> None:
        self._answers = answers
        self._path = path
        self.statuses: list[int] = []

    def __call__(self, address: str) -> bool:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        target = asked["redirect_uri"].removesuffix("/callback") + self._path
        for answer in self._answers:
            fields = answer({"code": "stolen", "state": asked["state"]})
            try:
                with urllib.request.urlopen(f"{target}?{urlencode(fields)}", timeout=5) as response:
                    self.statuses.append(response.status)
            except urllib.error.HTTPError as refused:
                with refused:
                    self.statuses.append(refused.code)
        return Browser("alice")(address)


def _sign_in(issuer: DevIssuer, opener: Callable[[str], bool]) -> Tokens:
    return sign_in_with_browser(_metadata(issuer.issuer), Web(), show=pytest.fail, open_browser=opener)


@pytest.mark.parametrize(
    "answer",
    [
        lambda fields: fields | {"state": "guessed"},
        lambda fields: fields | {"state": ""},
        lambda fields: fields | {"state": fields["state"] + "x"},
        lambda fields: fields | {"state": "\u00e9"},
        lambda fields: {"code": "stolen"},
        lambda fields: {},
        lambda fields: {"error": "access_denied"},
    ],
)
def test_an_answer_without_the_state_is_turned_away_and_the_real_one_counts(issuer: DevIssuer, answer: Spoil) -> None:
    attacker = Attacker(answer, answer)
    assert _sign_in(issuer, attacker).access_token
    assert attacker.statuses == [404, 404]


def test_another_path_is_turned_away(issuer: DevIssuer) -> None:
    attacker = Attacker(lambda fields: fields, path="/favicon.ico")
    assert _sign_in(issuer, attacker).access_token
    assert attacker.statuses == [404]


def test_where_no_browser_opens_the_address_is_shown(issuer: DevIssuer) -> None:
    shown: list[str] = []

    def show(address: str) -> None:
        shown.append(address)
        Browser("alice")(address)

    sign_in_with_browser(_metadata(issuer.issuer), Web(), show=show, open_browser=lambda _: False)
    fields = parse_qs(urlsplit(shown[0]).query)
    assert fields["code_challenge_method"] == ["S256"]
    assert len(fields["state"][0]) >= 43
    assert len(fields["code_challenge"][0]) == 43
    assert urlsplit(fields["redirect_uri"][0]).hostname == "127.0.0.1"


def test_nothing_is_sent_twice(issuer: DevIssuer) -> None:
    seen: list[dict[str, list[str]]] = []

    def opener(address: str) -> bool:
        seen.append(parse_qs(urlsplit(address).query))
        return Browser("alice")(address)

    for _ in range(2):
        _sign_in(issuer, opener)
    for name in ("state", "code_challenge"):
        assert seen[0][name] != seen[1][name]


def test_a_person_who_never_answers_is_not_waited_for_for_ever(issuer: DevIssuer) -> None:
    with pytest.raises(SignInFailed, match="nobody signed in"):
        sign_in_with_browser(
            _metadata(issuer.issuer), Web(), show=pytest.fail, open_browser=lambda _: True, patience_seconds=0.05
        )


PROVIDER = Provider(
    issuer="https://honest.test",
    authorization_endpoint="https://honest.test/authorize",
    token_endpoint="https://honest.test/token",
    device_authorization_endpoint=None,
    revocation_endpoint=None,
    answers_with_issuer=True,
)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"code": "c", "iss": "https://attacker.test"}, "another provider"),
        ({"code": "c", "iss": ""}, "another provider"),
        ({"code": "c"}, "another provider"),
        ({"error": "access_denied", "iss": "https://attacker.test"}, "another provider"),
        ({"error": "access_denied", "iss": "https://honest.test", "code": "c"}, "access_denied"),
        ({"iss": "https://honest.test"}, "no code"),
        ({"iss": "https://honest.test", "code": ""}, "no code"),
    ],
    ids=str,
)
def test_an_answer_of_another_provider_or_a_refusal_gives_no_code(answer: dict[str, str], why: str) -> None:
    with pytest.raises(SignInFailed, match=why):
        code_of(answer, PROVIDER)


def test_an_error_from_the_outside_is_quoted_and_cut() -> None:
    with pytest.raises(SignInFailed) as caught:
        code_of({"error": "\x1b[31m" + "x" * 1000, "iss": "https://honest.test"}, PROVIDER)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 120


def test_no_browser_is_opened_without_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not open_in_browser("https://honest.test")


# What the provider says about itself.


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        yield running


def _document(server: KeyServer, **members: Any) -> str:
    document: dict[str, Any] = {
        "issuer": server.origin,
        "authorization_endpoint": f"{server.origin}/authorize",
        "token_endpoint": f"{server.origin}/token",
    }
    server.publish("/.well-known/openid-configuration", json.dumps(document | members))
    return server.origin


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"issuer": "https://another.test"}, "names another issuer"),
        ({"issuer": None}, "names another issuer"),
        ({"token_endpoint": "http://attacker.test/token"}, "is not https"),
        ({"token_endpoint": "file:///etc/passwd"}, "is not https"),
        ({"token_endpoint": "https://user:pw@honest.test/token"}, "is not https"),
        ({"token_endpoint": None}, "no token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "is not https"),
        ({"device_authorization_endpoint": "http://attacker.test/"}, "is not https"),
        ({"revocation_endpoint": 7}, "no revocation_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not support PKCE"),
    ],
    ids=str,
)
def test_a_provider_that_leads_elsewhere_is_not_followed(server: KeyServer, members: dict[str, Any], why: str) -> None:
    with pytest.raises(SignInFailed, match=why):
        discover(_document(server, **members), Web())


def test_a_provider_is_what_its_document_says(server: KeyServer) -> None:
    provider = discover(_document(server), Web())
    assert provider.token_endpoint == f"{server.origin}/token"
    assert provider.device_authorization_endpoint is None
    assert not provider.answers_with_issuer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: KeyServer, status: int) -> None:
    """A redirect of the token endpoint would hand the code or the refresh token to whoever it names."""
    server.pages["/.well-known/openid-configuration"] = Page(status=status, headers={"Location": f"{server.origin}/x"})
    with pytest.raises(SignInFailed, match="redirects are not followed"):
        discover(server.origin, Web())
    assert server.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 100_000, b" " * (1024 * 1024 + 1), b"\xff"])
def test_an_answer_that_is_no_json_object_is_refused(server: KeyServer, body: bytes) -> None:
    server.pages["/.well-known/openid-configuration"] = Page(body=body)
    with pytest.raises(SignInFailed, match="without a JSON object"):
        discover(server.origin, Web())


@pytest.mark.parametrize(
    "address",
    [
        "http://login.test",
        "http://0.0.0.0",
        "http://127.0.0.1.attacker.test",
        "ftp://localhost",
        "file:///x",
        "",
        "https://",
        "http://[::1",
    ],
)
def test_an_address_in_plain_text_is_refused(address: str) -> None:
    with pytest.raises(SignInFailed):
        require_safe(address)


def test_loopback_is_not_asked_through_a_proxy(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.publish("/x", "{}")
    assert Web().get(f"{server.origin}/x").status == 200


def test_an_authority_of_the_company_is_trusted_where_it_is_named(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with key_server(authority.issue()) as server:
        server.publish("/x", "{}")
        assert Web(ca=authority.certificate).get(f"{server.origin}/x").status == 200
        with pytest.raises(SignInFailed, match=r"certificate not trusted.*--ca"):
            Web().get(f"{server.origin}/x")
    with pytest.raises(SignInFailed, match="no readable PEM file"):
        Web(ca=tmp_path / "missing.pem")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": ["a"], "token_type": "Bearer"},
        {"access_token": "a"},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": "mac"},
    ],
)
def test_an_answer_without_a_bearer_token_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(SignInFailed, match="without a bearer"):
        tokens_of(Answer(status=200, members=members), now=0.0)


@pytest.mark.parametrize("lifetime", [None, "3600", -1, 0, True, float("nan"), float("inf")])
def test_a_lifetime_that_is_none_is_taken_for_five_minutes(lifetime: Any) -> None:
    answer = Answer(status=200, members={"access_token": "a", "token_type": "bearer", "expires_in": lifetime})
    assert tokens_of(answer, now=1000.0) == Tokens(access_token="a", expires_at=1300.0, refresh_token=None)


def test_the_audience_is_named_as_a_resource_where_it_is_one() -> None:
    assert audience_fields(_metadata("x")) == {"audience": "penstock"}
    for audience in ("urn:penstock:api", "https://penstock.test"):
        assert audience_fields(_metadata("x", audience=audience)) == {"audience": audience, "resource": audience}
