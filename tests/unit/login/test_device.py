from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from penstock.login import DevicePrompt, SignInFailed, SignInMetadata, sign_in, sign_in_with_device
from penstock.login.session_files import SessionFiles
from penstock.login.web import Web
from penstock_server.dev.issuer import DevClient, DevIssuer, DevUser
from support.browser import Browser


@dataclass
class Clock:
    """The issuer's clock, moved on by the client's sleep: both see the same time, and nobody waits."""

    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[DevIssuer]:
    users = (DevUser(username="alice", groups=()),)
    clients = (DevClient(client_id="penstock-cli", device_flow=True), DevClient(client_id="browser-only"))
    with DevIssuer("127.0.0.1", 0, users, "penstock", clients, clock=clock) as running:
        yield running


def _metadata(issuer: DevIssuer, *, client_id: str = "penstock-cli", device_flow: bool = True) -> SignInMetadata:
    return SignInMetadata(
        issuer=issuer.issuer, client_id=client_id, scopes=("openid",), audience="penstock", device_flow=device_flow
    )


def _never(shown: DevicePrompt) -> None:
    pytest.fail(f"a code was shown: {shown}")


def _refuse(shown: DevicePrompt) -> None:
    Browser("", user_code=shown.user_code)(shown.address)


def _approve(shown: DevicePrompt) -> None:
    Browser("alice")(shown.complete or "")


def test_a_code_that_is_typed_elsewhere_signs_in(issuer: DevIssuer, clock: Clock) -> None:
    def prompt(shown: DevicePrompt) -> None:
        assert shown.address == f"{issuer.issuer}/device"
        Browser("alice", user_code=shown.user_code)(shown.address)

    assert sign_in_with_device(_metadata(issuer), Web(), prompt=prompt, sleep=clock.sleep).access_token
    assert clock.slept == [1.0]


def test_it_waits_until_the_code_is_typed(issuer: DevIssuer, clock: Clock) -> None:
    shown: list[DevicePrompt] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 5:
            Browser("alice")(shown[0].complete or "")

    sign_in_with_device(_metadata(issuer), Web(), prompt=shown.append, sleep=sleep)
    assert clock.slept == [1.0] * 5


def test_a_provider_that_asks_for_patience_is_asked_less_often(issuer: DevIssuer, clock: Clock) -> None:
    shown: list[DevicePrompt] = []

    def sleep(seconds: float) -> None:
        # Time stands still for the issuer at first: it sees two questions at once.
        clock.slept.append(seconds)
        if len(clock.slept) > 2:
            clock.elapsed += seconds
        if len(clock.slept) == 4:
            Browser("alice")(shown[0].complete or "")

    sign_in_with_device(_metadata(issuer), Web(), prompt=shown.append, sleep=sleep)
    assert clock.slept == [1.0, 1.0, 6.0, 6.0]


def test_a_server_that_does_not_permit_it_is_obeyed_before_anything_is_asked() -> None:
    metadata = SignInMetadata(
        issuer="https://nobody.invalid", client_id="c", scopes=(), audience="penstock", device_flow=False
    )
    with pytest.raises(SignInFailed, match="not permitted by this server"):
        sign_in_with_device(metadata, Web(), prompt=_never)


def test_a_provider_that_does_not_permit_it_is_heard(issuer: DevIssuer) -> None:
    with pytest.raises(SignInFailed, match="unauthorized_client"):
        sign_in_with_device(_metadata(issuer, client_id="browser-only"), Web(), prompt=_never)


def test_a_person_who_refuses_is_heard(issuer: DevIssuer, clock: Clock) -> None:
    with pytest.raises(SignInFailed, match="access_denied"):
        sign_in_with_device(_metadata(issuer), Web(), prompt=_refuse, sleep=clock.sleep)


def test_a_code_that_nobody_types_is_not_waited_for_for_ever(issuer: DevIssuer, clock: Clock) -> None:
    with pytest.raises(SignInFailed, match=r"expired_token|nobody typed"):
        sign_in_with_device(_metadata(issuer), Web(), prompt=lambda _: None, sleep=lambda _: clock.sleep(100.0))
    assert len(clock.slept) <= 8


def test_what_was_signed_in_is_kept(issuer: DevIssuer, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sessions = SessionFiles()
    session = sign_in(
        _metadata(issuer),
        profile="default",
        server="localhost:1",
        sessions=sessions,
        web=Web(),
        show=pytest.fail,
        device_prompt=_approve,
        open_browser=pytest.fail,
    )
    assert sessions.load("default", "localhost:1") == session
