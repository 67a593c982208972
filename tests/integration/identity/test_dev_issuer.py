"""The development issuer: what it grants, to whom, and that it keeps to this machine."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from penstock_server.dev.issuer import DevClient, DevIssuer, DevUser
from penstock_server.errors import ConfigurationError
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.principal import Group
from support.tokens import (
    NoFloors,
    SteppedClock,
    base64url_bytes,
    identity_settings,
    issuer_settings,
    request_context,
)
from support.verifying import refusal

USERS = (
    DevUser(username="alice", groups=("analysts",)),
    DevUser(username="<b>bob</b>", groups=("ops",), about='"quoted" & <script>'),
)
CLIENTS = (DevClient(client_id="penstock-cli", device_flow=True), DevClient(client_id="no-device"))
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
RETURN = "http://127.0.0.1:9/callback"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


OPENER = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def issuer(clock: SteppedClock) -> Iterator[DevIssuer]:
    with DevIssuer("127.0.0.1", 0, USERS, "penstock", CLIENTS, clock=clock) as running:
        yield running


def _ask(address: str, fields: dict[str, str] | None = None, **headers: str) -> tuple[int, str, str]:
    """Status, `Location` and body."""
    form = None if fields is None else urlencode(fields).encode()
    request = urllib.request.Request(address, data=form, headers=headers)
    try:
        with OPENER.open(request, timeout=5) as response:
            return response.status, response.headers.get("Location", ""), response.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers.get("Location", ""), refused.read().decode()


def _authorization(issuer: DevIssuer, **overrides: str) -> str:
    fields = {
        "client_id": "penstock-cli",
        "response_type": "code",
        "redirect_uri": RETURN,
        "scope": "openid offline_access",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{issuer.issuer}/authorize?{urlencode(fields | overrides)}"


def _hidden(page: str) -> str:
    return page.partition('name="request" value="')[2].partition('"')[0]


def _choose(issuer: DevIssuer, username: str, **overrides: str) -> dict[str, str]:
    """Choose a user and give the fields of the answer that goes back to the client."""
    _, _, page = _ask(_authorization(issuer, **overrides))
    status, location, _ = _ask(f"{issuer.issuer}/authorize", {"request": _hidden(page), "username": username})
    assert status == 303
    assert location.startswith(RETURN)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def _redeem(issuer: DevIssuer, code: str, **overrides: str) -> tuple[int, dict[str, Any]]:
    fields = {
        "grant_type": "authorization_code",
        "client_id": "penstock-cli",
        "code": code,
        "redirect_uri": RETURN,
        "code_verifier": VERIFIER,
    }
    status, _, body = _ask(f"{issuer.issuer}/token", fields | overrides)
    return status, json.loads(body)


def _payload(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64url_bytes(token.split(".")[1]))
    return decoded


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "example.com", "", "127.0.0.1.evil.test"])
def test_it_refuses_to_listen_anywhere_but_on_loopback(host: str) -> None:
    with pytest.raises(ConfigurationError, match="only loopback will do"):
        DevIssuer(host, 0, USERS, "penstock", CLIENTS)


def test_it_listens_on_loopback_only(issuer: DevIssuer) -> None:
    assert urlsplit(issuer.issuer).hostname == "127.0.0.1"
    with DevIssuer("localhost", 0, USERS, "penstock", CLIENTS) as local:
        assert urlsplit(local.issuer).hostname == "127.0.0.1"


def test_a_port_that_is_taken_is_said_at_once(issuer: DevIssuer) -> None:
    port = urlsplit(issuer.issuer).port
    assert port is not None
    with pytest.raises(OSError, match="in use"):
        DevIssuer("127.0.0.1", port, USERS, "penstock", CLIENTS)


async def test_what_it_issues_is_what_the_verifier_takes(issuer: DevIssuer, clock: SteppedClock) -> None:
    verifier = TokenVerifier(identity_settings(issuer_settings(issuer=issuer.issuer)), NoFloors(), clock)
    await verifier.start()
    assert verifier.ready()
    principal = await verifier.verify((f"Bearer {issuer.mint('alice')}",), request_context())
    assert (principal.subject, principal.username) == ("user-alice", "alice")
    assert principal.groups == {Group(issuer=issuer.issuer, name="analysts")}
    assert await refusal(verifier, f"Bearer {issuer.mint('alice', exp=None)}") == "claim-missing"
    assert await refusal(verifier, f"Bearer {issuer.mint('alice', aud='other')}") == "audience"
    answer = _choose(issuer, "alice")
    _, tokens = _redeem(issuer, answer["code"])
    await verifier.verify((f"Bearer {tokens['access_token']}",), request_context())
    assert await refusal(verifier, f"Bearer {tokens['id_token']}") == "typ"
    assert await refusal(verifier, f"Bearer {tokens['refresh_token']}") == "token-encoding"
    await verifier.close()


def test_the_answer_names_the_issuer_and_the_state(issuer: DevIssuer) -> None:
    answer = _choose(issuer, "alice")
    assert (answer["iss"], answer["state"]) == (issuer.issuer, "state-1")
    _, tokens = _redeem(issuer, answer["code"])
    assert _payload(tokens["id_token"])["nonce"] == "nonce-1"
    assert _payload(tokens["id_token"])["aud"] == "penstock-cli"


def test_a_code_is_spent_by_its_first_use_right_or_wrong(issuer: DevIssuer) -> None:
    code = _choose(issuer, "alice")["code"]
    assert _redeem(issuer, code)[0] == 200
    assert _redeem(issuer, code)[1]["error"] == "invalid_grant"
    code = _choose(issuer, "alice")["code"]
    assert _redeem(issuer, code, code_verifier="w" * 64)[1]["error"] == "invalid_grant"
    assert _redeem(issuer, code)[1]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "overrides",
    [
        {"redirect_uri": "http://127.0.0.1:10/callback"},
        {"client_id": "no-device"},
        {"code_verifier": ""},
        {"code_verifier": "short"},
        {"code": ""},
    ],
    ids=str,
)
def test_a_code_serves_the_request_that_it_was_made_for(issuer: DevIssuer, overrides: dict[str, str]) -> None:
    code = _choose(issuer, "alice")["code"]
    assert _redeem(issuer, **({"code": code} | overrides))[1]["error"] == "invalid_grant"


def test_a_code_expires_after_a_minute(issuer: DevIssuer, clock: SteppedClock) -> None:
    code = _choose(issuer, "alice")["code"]
    clock.advance(timedelta(seconds=60))
    assert _redeem(issuer, code)[1]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "overrides",
    [
        {"redirect_uri": "https://attacker.test/callback"},
        {"redirect_uri": "http://attacker.test:80/callback"},
        {"redirect_uri": "http://127.0.0.1@attacker.test:80/callback"},
        {"redirect_uri": "http://127.0.0.1:80/callback#x"},
        {"redirect_uri": "http://127.0.0.1/callback"},
        {"redirect_uri": "http://127.0.0.1:80/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "http://[::1:80/"},
        {"redirect_uri": ""},
        {"client_id": "nobody"},
    ],
    ids=str,
)
def test_nobody_is_sent_to_an_address_that_is_not_loopback(issuer: DevIssuer, overrides: dict[str, str]) -> None:
    status, location, page = _ask(_authorization(issuer, **overrides))
    assert (status, location, _hidden(page)) == (400, "", "")


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
    ids=str,
)
def test_a_request_without_proof_key_is_sent_back(issuer: DevIssuer, overrides: dict[str, str], error: str) -> None:
    status, location, _ = _ask(_authorization(issuer, **overrides))
    assert status == 303
    assert parse_qs(urlsplit(location).query)["error"] == [error]


def test_nobody_and_a_stranger_are_refused(issuer: DevIssuer) -> None:
    for username in ("", "mallory"):
        assert _choose(issuer, username)["error"] == "access_denied"


def test_names_are_shown_as_text(issuer: DevIssuer) -> None:
    _, _, page = _ask(_authorization(issuer))
    assert "<script>" not in page
    assert "<b>bob</b>" not in page
    assert "&lt;b&gt;bob&lt;/b&gt;" in page
    assert _choose(issuer, "<b>bob</b>")["code"]


def test_a_page_of_somebody_else_cannot_choose(issuer: DevIssuer) -> None:
    _, _, page = _ask(_authorization(issuer))
    choice = {"request": _hidden(page), "username": "alice"}
    assert _ask(f"{issuer.issuer}/authorize", choice, Origin="https://attacker.test")[0] == 400
    assert _ask(f"{issuer.issuer}/authorize", {"request": "guessed", "username": "alice"})[0] == 400


@pytest.mark.parametrize("host", ["attacker.test", "localhost", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_name_that_was_rebound_to_this_machine_gets_nothing(issuer: DevIssuer, host: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(issuer.issuer).port or 0, timeout=5)
    connection.request("GET", "/jwks", headers={"Host": host})
    assert connection.getresponse().status == 400
    connection.close()


def test_a_form_that_is_too_long_or_no_form_is_refused(issuer: DevIssuer) -> None:
    assert _ask(f"{issuer.issuer}/token", {"a": "b" * 20_000})[0] == 400
    assert _ask(f"{issuer.issuer}/token", {"a": "b"}, **{"Content-Type": "application/json"})[0] == 400
    assert _ask(f"{issuer.issuer}/nothing")[0] == 404
    assert _redeem(issuer, "x", grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert _redeem(issuer, "x", client_id="nobody")[1]["error"] == "invalid_client"
    assert _redeem(issuer, "x", resource="https://other.test")[1]["error"] == "invalid_target"


def test_a_refresh_token_serves_once(issuer: DevIssuer) -> None:
    _, first = _redeem(issuer, _choose(issuer, "alice")["code"])
    grant = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    status, second = _redeem(issuer, "", **grant)
    assert status == 200
    assert _payload(second["access_token"])["sub"] == "user-alice"
    assert _redeem(issuer, "", **grant)[1]["error"] == "invalid_grant"
    other = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"], "client_id": "no-device"}
    assert _redeem(issuer, "", **other)[1]["error"] == "invalid_grant"


def test_a_refresh_token_is_for_who_asked_for_one(issuer: DevIssuer) -> None:
    _, tokens = _redeem(issuer, _choose(issuer, "alice", scope="query")["code"])
    assert "refresh_token" not in tokens
    assert "id_token" not in tokens


def test_the_device_flow_is_for_clients_that_may_use_it(issuer: DevIssuer) -> None:
    begin = f"{issuer.issuer}/device_authorization"
    assert json.loads(_ask(begin, {"client_id": "no-device"})[2])["error"] == "unauthorized_client"
    assert json.loads(_ask(begin, {"client_id": "nobody"})[2])["error"] == "unauthorized_client"


def _poll(issuer: DevIssuer, device: dict[str, Any], **overrides: str) -> dict[str, Any]:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return _redeem(issuer, "", **({"grant_type": grant, "device_code": device["device_code"]} | overrides))[1]


def test_a_device_waits_until_somebody_is_chosen(issuer: DevIssuer, clock: SteppedClock) -> None:
    device = json.loads(_ask(f"{issuer.issuer}/device_authorization", {"client_id": "penstock-cli"})[2])
    assert _poll(issuer, device)["error"] == "authorization_pending"
    assert _poll(issuer, device)["error"] == "slow_down"
    clock.advance(timedelta(seconds=1))
    assert _poll(issuer, device)["error"] == "authorization_pending"
    assert _poll(issuer, device, client_id="no-device")["error"] == "expired_token"
    typed = device["user_code"].lower().replace("-", "")
    assert "alice" in _ask(f"{issuer.issuer}/device?user_code={typed}")[2]
    choice = {"user_code": device["user_code"], "username": "alice"}
    assert _ask(f"{issuer.issuer}/device", choice, Origin="https://attacker.test")[0] == 400
    assert _ask(f"{issuer.issuer}/device", choice)[0] == 200
    assert _ask(f"{issuer.issuer}/device", choice | {"username": "mallory"})[0] == 400
    assert _payload(_poll(issuer, device)["access_token"])["sub"] == "user-alice"
    assert _poll(issuer, device)["error"] == "expired_token"


def test_a_device_that_was_refused_or_waited_too_long_gets_nothing(issuer: DevIssuer, clock: SteppedClock) -> None:
    first, second = (
        json.loads(_ask(f"{issuer.issuer}/device_authorization", {"client_id": "penstock-cli"})[2]) for _ in range(2)
    )
    _ask(f"{issuer.issuer}/device", {"user_code": first["user_code"], "username": ""})
    assert _poll(issuer, first)["error"] == "access_denied"
    clock.advance(timedelta(minutes=10))
    assert _poll(issuer, second)["error"] == "expired_token"
    assert "No device waits" in _ask(f"{issuer.issuer}/device?user_code={second['user_code']}")[2]
