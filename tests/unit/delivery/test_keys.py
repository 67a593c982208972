"""Which sessions are the same session, and whose they are."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import timedelta

import pytest
from penstock.delivery import SessionKey, SessionRequest, TokenHolder, holder_of
from support.aws_sessions import ALICE, REQUEST


def _key(
    request: SessionRequest = REQUEST, holder: TokenHolder = ALICE, *, profile: str = "p", server: str = "s:1"
) -> SessionKey:
    return SessionKey.of(request, profile=profile, server=server, holder=holder)


OTHERS = {
    "server": _key(server="s:2"),
    "profile": _key(profile="q"),
    "issuer": _key(holder=dataclasses.replace(ALICE, issuer="https://other.test")),
    "subject": _key(holder=dataclasses.replace(ALICE, subject="bob")),
    "client": _key(holder=dataclasses.replace(ALICE, client="other")),
    "scope": _key(dataclasses.replace(REQUEST, resources=("arn:aws:s3:::acme/y/*",))),
    "a wider scope": _key(dataclasses.replace(REQUEST, resources=(*REQUEST.resources, "arn:aws:s3:::acme/y/*"))),
    "access": _key(dataclasses.replace(REQUEST, access=("write",))),
    "more access": _key(dataclasses.replace(REQUEST, access=("read", "write"))),
    "lifetime": _key(dataclasses.replace(REQUEST, ttl=timedelta(minutes=30))),
    "purpose": _key(dataclasses.replace(REQUEST, purpose="audit")),
    "one ARN that reads like two": _key(dataclasses.replace(REQUEST, resources=('arn:aws:s3:::acme/x/*", "y',))),
    "a subject that reads like two fields": _key(holder=dataclasses.replace(ALICE, subject='alice", "cli')),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_differs_in_anything_is_another_session(other: SessionKey) -> None:
    assert other != _key()


def test_all_of_them_differ_from_each_other() -> None:
    assert len({(each.group, each.digest) for each in OTHERS.values()}) == len(OTHERS)


def test_the_order_of_resources_and_of_access_does_not_matter() -> None:
    one = dataclasses.replace(REQUEST, resources=("a", "b"), access=("read", "list"))
    two = dataclasses.replace(REQUEST, resources=("b", "a", "a"), access=("list", "read"))

    assert _key(one) == _key(two)


def _token(claims: object) -> str:
    parts = ({"alg": "RS256"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts) + ".sig"


@pytest.mark.parametrize("claim", ["client_id", "azp", "cid", "appid"])
def test_a_token_tells_whose_it_is(claim: str) -> None:
    token = _token({"iss": "https://login.test", "sub": "alice", claim: "cli", "exp": 12})

    assert holder_of(token) == TokenHolder(issuer="https://login.test", subject="alice", client="cli", expires_at=12.0)


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "..", _token([]), _token({"iss": 1, "sub": "x"}), _token({"iss": "x"}), "é.é.é"]
)
def test_a_token_that_tells_nothing_stands_for_itself(token: str) -> None:
    found = holder_of(token)

    assert found.subject.startswith("sha256:")
    assert token not in repr(found) or token == ".."
    assert holder_of(token) == found
    assert holder_of(token + "x") != found


@pytest.mark.parametrize("expiry", ["soon", True, None, []])
def test_an_expiry_that_is_none_is_not_read(expiry: object) -> None:
    assert holder_of(_token({"iss": "i", "sub": "s", "exp": expiry})).expires_at is None
