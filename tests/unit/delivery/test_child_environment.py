"""What a child process finds of AWS in its environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.session
import pytest
from penstock.delivery.child_environment import cleared, with_endpoint, with_session
from support.aws_sessions import session

SOURCES = {
    "AWS_ACCESS_KEY_ID": "theirs",
    "AWS_SECRET_ACCESS_KEY": "theirs",
    "AWS_SESSION_TOKEN": "theirs",
    "AWS_SECURITY_TOKEN": "theirs",
    "AWS_CREDENTIAL_EXPIRATION": "theirs",
    "AWS_CREDENTIAL_FILE": "theirs",
    "AWS_PROFILE": "theirs",
    "AWS_DEFAULT_PROFILE": "theirs",
    "AWS_CONFIG_FILE": "theirs",
    "AWS_SHARED_CREDENTIALS_FILE": "theirs",
    "AWS_ROLE_ARN": "theirs",
    "AWS_ROLE_SESSION_NAME": "theirs",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "theirs",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/theirs",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/theirs",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "theirs",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "theirs",
    "AWS_EC2_METADATA_DISABLED": "false",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
    "AWS_LOGIN_CACHE_DIRECTORY": "theirs",
    "AWS_ACCOUNT_ID": "theirs",
    "AWS_BEARER_TOKEN_BEDROCK": "theirs",
    "AWS_SOMETHING_NEW": "theirs",
    "aws_access_key_id": "theirs",
    "BOTO_CONFIG": "theirs",
}


def test_every_other_source_of_credentials_is_gone() -> None:
    child = with_session({**SOURCES, "PATH": "/bin"}, session())

    assert [name for name, value in child.items() if "theirs" in value] == []
    assert child["AWS_ACCESS_KEY_ID"] == "ASIA1"
    assert child["AWS_SESSION_TOKEN"] == "token-1"
    assert child["AWS_EC2_METADATA_DISABLED"] == "true"
    assert child["AWS_CONFIG_FILE"] == child["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert child["PATH"] == "/bin"


def test_the_variables_of_another_session_do_not_stand_beside_an_endpoint() -> None:
    endpoint = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t"}

    child = with_endpoint(SOURCES, endpoint, region="eu-west-1")

    assert [name for name, value in child.items() if "theirs" in value] == []
    assert endpoint.items() <= child.items()
    assert "AWS_ACCESS_KEY_ID" not in child


def test_what_is_no_source_stays() -> None:
    kept = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:5001",
        "AWS_MAX_ATTEMPTS": "2",
        "AWS_CA_BUNDLE": "/ca.pem",
        "HOME": "/home/a",
    }

    assert kept.items() <= cleared(kept).items()


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_region_that_was_chosen_stays_under_both_names(name: str) -> None:
    child = with_session({name: "us-west-2"}, session())

    assert (child["AWS_REGION"], child["AWS_DEFAULT_REGION"]) == ("us-west-2", "us-west-2")


def test_without_one_the_region_is_that_of_the_role() -> None:
    assert with_session({}, session())["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_botocore_finds_this_session_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    for name in ("credentials", "config"):
        text = "[default]\naws_access_key_id = theirs\naws_secret_access_key = theirs\nregion = x\n"
        (tmp_path / ".aws" / name).write_text(text)
    (tmp_path / ".boto").write_text("[Credentials]\naws_access_key_id = theirs\naws_secret_access_key = theirs\n")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in cleared({"HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    assert botocore.session.Session().get_credentials() is None

    lasting = session(expires_at=datetime.now(UTC) + timedelta(hours=1))
    for name, value in with_session({"HOME": str(tmp_path)}, lasting).items():
        monkeypatch.setenv(name, value)
    found = botocore.session.Session().get_credentials()

    assert found is not None
    assert found.access_key == "ASIA1"
    assert found.method == "env"
