"""People sign in at a real OpenID provider with our client, and our verifier takes what the provider issued."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from penstock.login import DevicePrompt, SignInFailed, SignInMetadata, sign_in_with_browser, sign_in_with_device
from penstock.login.browser import authorization_request
from penstock.login.discovery import discover
from penstock.login.tokens import Tokens, redeem, refresh
from penstock.login.web import Answer, Web
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.principal import Group
from support.browser import Browser
from support.key_server import key_server
from support.provider import AUDIENCE, Provider
from support.tokens import NoFloors, base64url_bytes, identity_settings, issuer_settings, request_context
from support.verifying import refusal


@dataclass(slots=True)
class RunningClock:
    """The time of this machine, moved on where a test would otherwise have to wait."""

    ahead: timedelta = timedelta(0)
    elapsed: float = 1000.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture
def metadata(real_provider: Provider) -> SignInMetadata:
    return SignInMetadata(
        issuer=real_provider.issuer,
        client_id="penstock-cli",
        scopes=("openid", "offline_access", "query"),
        audience=AUDIENCE,
        device_flow=True,
    )


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
async def verifier(real_provider: Provider, clock: RunningClock) -> AsyncIterator[TokenVerifier]:
    issuer = issuer_settings(
        issuer=real_provider.issuer, audience=AUDIENCE, allowed_clients=frozenset({"penstock-cli"})
    )
    running = TokenVerifier(identity_settings(issuer), NoFloors(), clock)
    await running.start()
    yield running
    await running.close()


def _sign_in(metadata: SignInMetadata, username: str) -> Tokens:
    return sign_in_with_browser(metadata, Web(), show=pytest.fail, open_browser=Browser(username))


async def test_a_person_signs_in_with_code_and_proof_key(
    metadata: SignInMetadata, verifier: TokenVerifier, real_provider: Provider
) -> None:
    assert verifier.ready()
    tokens = _sign_in(metadata, "alice")
    principal = await verifier.verify((f"Bearer {tokens.access_token}",), request_context())
    assert (principal.issuer, principal.subject, principal.username) == (real_provider.issuer, "user-1", "alice")
    assert principal.groups == {Group(issuer=real_provider.issuer, name=name) for name in ("analysts", "eu")}
    assert principal.groups_complete
    assert principal.client_id == "penstock-cli"
    assert principal.expires_at - principal.issued_at == timedelta(seconds=300)


async def test_a_person_signs_in_by_device_code(metadata: SignInMetadata, verifier: TokenVerifier) -> None:
    prompts: list[DevicePrompt] = []

    def after_the_first_poll(_: float) -> None:
        if len(polls) == 1:
            Browser("bob")(prompts[0].complete or "")
        polls.append(0)

    polls: list[int] = []
    tokens = sign_in_with_device(metadata, Web(), prompt=prompts.append, sleep=after_the_first_poll)
    assert len(polls) == 2
    principal = await verifier.verify((f"Bearer {tokens.access_token}",), request_context())
    assert (principal.subject, principal.username) == ("user-2", "bob")


async def test_a_renewed_token_is_another_token_of_the_same_person(
    metadata: SignInMetadata, verifier: TokenVerifier
) -> None:
    web, tokens = Web(), _sign_in(metadata, "alice")
    provider = discover(metadata.issuer, web)
    renewed = refresh(provider, metadata, tokens, web, now=0.0)
    assert renewed.access_token != tokens.access_token
    assert (renewed.expires_at, renewed.refresh_token != tokens.refresh_token) == (300.0, True)
    principal = await verifier.verify((f"Bearer {renewed.access_token}",), request_context())
    assert principal.subject == "user-1"


def test_a_person_who_chooses_nobody_is_not_signed_in(metadata: SignInMetadata) -> None:
    with pytest.raises(SignInFailed, match="access_denied"):
        _sign_in(metadata, "nobody")


async def test_the_id_token_of_the_same_sign_in_is_refused(metadata: SignInMetadata, verifier: TokenVerifier) -> None:
    """Also by an issuer that is configured as leniently as can be, for the audience that ID tokens have."""
    id_token = _id_token(metadata)
    assert json.loads(base64url_bytes(id_token.split(".")[1]))["aud"] == "penstock-cli"
    assert await refusal(verifier, f"Bearer {id_token}") == "typ"
    issuer = issuer_settings(
        issuer=metadata.issuer, audience="penstock-cli", token_types=frozenset({"at+jwt", "jwt", ""})
    )
    lenient = TokenVerifier(identity_settings(issuer), NoFloors(), RunningClock())
    await lenient.start()
    assert await refusal(lenient, f"Bearer {id_token}") == "token-kind"
    await lenient.close()


def _id_token(metadata: SignInMetadata) -> str:
    """Our client never looks at ID tokens, so this one is asked for here, with the code of a sign-in of ours."""
    web = Web()
    answers: list[dict[str, object]] = []

    class Recording(Web):
        def post(self, address: str, fields: dict[str, str]) -> Answer:
            answer = web.post(address, fields)
            answers.append(answer.members)
            return answer

    sign_in_with_browser(metadata, Recording(), show=pytest.fail, open_browser=Browser("alice"))
    return str(answers[0]["id_token"])


async def test_a_refresh_token_is_no_bearer(metadata: SignInMetadata, verifier: TokenVerifier) -> None:
    assert await refusal(verifier, f"Bearer {_sign_in(metadata, 'alice').refresh_token}") == "token-encoding"


async def test_a_token_of_another_client_is_refused(real_provider: Provider, verifier: TokenVerifier) -> None:
    secret = base64.b64encode(b"service:a+secret+that+only+tests+know%2C+and+long+enough").decode()
    form = urlencode({"grant_type": "client_credentials", "scope": "query"}).encode()
    request = urllib.request.Request(
        f"{real_provider.issuer}/token", data=form, headers={"Authorization": f"Basic {secret}"}
    )
    token = await asyncio.to_thread(_access_token, request)
    assert await refusal(verifier, f"Bearer {token}") == "client"
    settings = issuer_settings(issuer=real_provider.issuer, audience=AUDIENCE)
    open_to_all = TokenVerifier(identity_settings(settings), NoFloors(), RunningClock())
    await open_to_all.start()
    principal = await open_to_all.verify((f"Bearer {token}",), request_context())
    assert (principal.subject, principal.username, principal.groups) == ("service", None, frozenset())
    assert not principal.groups_complete
    await open_to_all.close()


def _access_token(request: urllib.request.Request) -> str:
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(json.load(response)["access_token"])


async def test_a_rotated_key_is_found_and_a_retired_one_ends(
    metadata: SignInMetadata, verifier: TokenVerifier, clock: RunningClock, real_provider: Provider
) -> None:
    before = _sign_in(metadata, "alice").access_token
    await verifier.verify((f"Bearer {before}",), request_context())
    real_provider.command("rotate")
    after = _sign_in(metadata, "alice").access_token
    # The new kid is looked for at once, but the first keys were fetched less than 30 seconds ago.
    assert await refusal(verifier, f"Bearer {after}") == "key-not-found"
    clock.advance(30)
    for token in (after, before):
        assert (await verifier.verify((f"Bearer {token}",), request_context())).subject == "user-1"
    assert len(real_provider.command("retire")["kids"]) == 1
    clock.advance(300)
    assert await refusal(verifier, f"Bearer {before}") == "key-not-found"
    assert (await verifier.verify((f"Bearer {after}",), request_context())).subject == "user-1"


@pytest.mark.parametrize("stolen", [True, False])
def test_a_code_is_worth_nothing_without_the_verifier(metadata: SignInMetadata, stolen: bool) -> None:
    """A thief on the way gets the code, unspent, and the address; the verifier never left the client."""
    web = Web()
    provider = discover(metadata.issuer, web)
    with key_server() as way:
        request = authorization_request(provider, metadata, redirect_uri=f"{way.origin}/callback")
        with pytest.raises(HTTPError):
            Browser("alice")(request.address)
        code = parse_qs(urlsplit(way.asked[-1]).query)["code"][0]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": request.redirect_uri}
    if stolen:
        with pytest.raises(SignInFailed, match="invalid_grant"):
            redeem(provider, metadata, grant | {"code_verifier": "x" * 64}, web, now=0.0)
    else:
        assert redeem(provider, metadata, grant | {"code_verifier": request.verifier}, web, now=0.0).access_token
