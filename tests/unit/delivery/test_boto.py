"""A boto3 session whose credentials come from the server alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from penstock import AccessDenied, Unavailable
from penstock.delivery import RenewingSession
from penstock.delivery.boto import session_of
from support.aws_sessions import Issuer


class Moving:
    """A clock that begins now, since botocore has one of its own."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(autouse=True)
def ambient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of this machine that nothing here may use."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "ambient")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def test_its_credentials_are_the_servers_and_so_is_the_region() -> None:
    clock = Moving()
    issuer = Issuer(clock)

    session = session_of(RenewingSession(issuer, now=clock), region=None)

    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.get_frozen_credentials() == ("ASIA1", "secret-1", "token-1", None)
    assert (session.region_name, issuer.count) == ("eu-west-1", 1)


def test_a_region_that_is_named_wins_then_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Moving()
    renewing = RenewingSession(Issuer(clock), now=clock)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")

    assert session_of(renewing, region=None).region_name == "us-east-2"
    assert session_of(renewing, region="us-west-1").region_name == "us-west-1"


def test_a_refusal_is_told_at_once_and_no_other_credentials_are_used() -> None:
    clock = Moving()
    issuer = Issuer(clock)
    issuer.refusal = AccessDenied("no")

    with pytest.raises(AccessDenied):
        session_of(RenewingSession(issuer, now=clock), region=None)


@pytest.mark.parametrize("minutes", [15, 20, 60])
def test_a_session_of_any_life_is_not_asked_for_at_every_call(minutes: int) -> None:
    """Below fifteen minutes botocore asks at every call: it gets the same session, from memory."""
    clock = Moving()
    issuer = Issuer(clock, lives=timedelta(minutes=minutes))
    credentials = session_of(RenewingSession(issuer, now=clock), region=None).get_credentials()
    assert credentials is not None

    assert {credentials.get_frozen_credentials().access_key for _ in range(20)} == {"ASIA1"}
    assert issuer.count == 1


def test_it_renews_itself_and_a_refused_renewal_ends_it() -> None:
    clock = Moving()
    # botocore asks again below fifteen minutes by its own clock; what it gets is ours to say.
    issuer = Issuer(clock, lives=timedelta(minutes=14))
    credentials = session_of(RenewingSession(issuer, now=clock), region=None).get_credentials()
    assert credentials is not None
    assert credentials.get_frozen_credentials().access_key == "ASIA1"
    clock.ahead = timedelta(minutes=12)
    assert credentials.get_frozen_credentials().access_key == "ASIA2"


@pytest.mark.parametrize("refusal", [AccessDenied("no"), Unavailable("no")])
def test_a_session_that_has_ended_is_not_used_once_renewal_is_refused(refusal: Exception) -> None:
    clock = Moving()
    issuer = Issuer(clock, lives=timedelta(minutes=5))
    credentials = session_of(RenewingSession(issuer, now=clock), region=None).get_credentials()
    assert credentials is not None
    credentials.get_frozen_credentials()
    clock.ahead = timedelta(minutes=6)
    issuer.refusal = refusal

    with pytest.raises(type(refusal)):
        credentials.get_frozen_credentials()
