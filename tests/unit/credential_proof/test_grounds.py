"""A decision that goes beyond its grants, its request, or what was looked up, is not the ground of a session."""

from __future__ import annotations

import random

import pytest
from penstock_server.credentials.proof.grounds import (
    Grounds,
    Keys,
    asked_by,
    beyond,
    denied_by,
    files_of,
    granted_by,
    looked_up_at,
)
from penstock_server.credentials.proof.outcomes import Doubt, Refused
from penstock_server.credentials.proof.patterns import NotUnderstood
from penstock_server.model.decision import Access, S3Scope
from penstock_server.model.resource import S3Location, S3Permission
from support.granted_files import escaped
from support.iam import like
from support.session_proof_suites import TEXTS
from support.weak_builders import scope

B = "arn:aws:s3:::acme-lake"
READ, LIST, WRITE = S3Permission.READ, S3Permission.LIST, S3Permission.WRITE
VERSIONS, DELETE = S3Permission.VERSIONS, S3Permission.DELETE


def held(
    *scopes: S3Scope,
    granted: tuple[Keys, ...] = (granted_by(f"{B}/*", frozenset(S3Permission)),),
    denied: tuple[Keys, ...] = (),
    asked: tuple[Keys, ...] = (asked_by(f"{B}/finance/*", (Access.READ, Access.WRITE)),),
    looked_up: tuple[Keys, ...] = (looked_up_at(S3Location(bucket="acme-lake", key="finance/"), exact=False),),
) -> Refused | None:
    return beyond(scopes, Grounds(granted=granted, denied=denied, asked=asked, looked_up=looked_up))


def doubt(refused: Refused | None) -> Doubt | None:
    if refused is None:
        return None
    assert refused.witness is not None
    return refused.doubt


def test_a_decision_within_its_grounds_is_let_through() -> None:
    assert held(scope("finance/", READ, LIST, WRITE, VERSIONS, DELETE)) is None
    assert held(scope("finance/june/", READ)) is None
    assert held(scope("finance/a.csv", READ)) is None


def test_the_longest_names_behind_wildcards_are_judged_too() -> None:
    long = "k" * 950
    keys = [f"y?=a013/{long}/{end}/" for end in ("café", "${aws:username}x")]
    asked = tuple(asked_by(f"{B}/{escaped(key)}*", (Access.READ,)) for key in keys)
    looked_up = tuple(looked_up_at(S3Location(bucket="acme-lake", key=key), exact=False) for key in keys)
    granted = (granted_by(f"{B}/y*=?013/{long}/*", frozenset({READ})),)
    scopes = [scope(key, READ) for key in keys]
    assert held(*scopes, granted=granted, asked=asked, looked_up=looked_up) is None
    assert doubt(held(*scopes, scope("other/", READ), granted=granted, asked=asked, looked_up=looked_up)) is not None


@pytest.mark.parametrize("key", ["fin/", "finance2/", "", "finance", "f/", "hr/x"])
def test_what_was_not_asked_for_is_found(key: str) -> None:
    assert doubt(held(scope(key, READ))) is Doubt.NOT_ASKED


def test_another_bucket_than_the_one_asked_for_is_found() -> None:
    everywhere = (granted_by("arn:aws:s3:::acme-hr/*", frozenset(S3Permission)),)
    assert doubt(held(scope("finance/", READ, bucket="acme-hr"), granted=everywhere)) is Doubt.NOT_ASKED


@pytest.mark.parametrize(
    ("access", "brought"),
    [
        (Access.READ, {READ, LIST, VERSIONS}),
        (Access.LIST, {LIST}),
        (Access.WRITE, {WRITE, DELETE}),
    ],
)
def test_an_access_brings_what_it_may_and_nothing_else(access: Access, brought: set[S3Permission]) -> None:
    for permission in S3Permission:
        found = held(scope("finance/", permission), asked=(asked_by(f"{B}/finance/*", (access,)),))
        assert doubt(found) is (None if permission in brought else Doubt.NOT_ASKED)


def test_a_permission_that_no_grant_gives_is_found() -> None:
    granted = (granted_by(f"{B}/*", frozenset({READ})), granted_by(f"{B}/hr/*", frozenset({WRITE})))
    assert held(scope("finance/", READ), granted=granted) is None
    assert doubt(held(scope("finance/", READ, WRITE), granted=granted)) is Doubt.NOT_GRANTED


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("*", True),
        ("finance/*", True),
        ("fin*", True),
        ("*/*", True),
        ("f?nance/*", True),
        ("finance/june/*", False),
        ("finance/*.csv", False),
        ("finance/?*", False),
        ("finance", False),
        ("${*}/*", False),
        ("Finance/*", False),
    ],
)
def test_a_grant_must_cover_every_key_of_a_prefix(pattern: str, *, covered: bool) -> None:
    found = held(scope("finance/", READ), granted=(granted_by(f"{B}/{pattern}", frozenset({READ})),))
    assert doubt(found) is (None if covered else Doubt.NOT_GRANTED)


def test_what_a_denial_takes_away_is_found_with_a_key_that_it_takes() -> None:
    denied = (denied_by(f"{B}/finance/*secret*", frozenset({READ})),)
    found = held(scope("finance/", READ), denied=denied)
    assert doubt(found) is Doubt.DENIED
    assert found is not None
    assert found.witness is not None
    assert like(f"{B}/finance/*secret*", found.witness.resource)
    assert doubt(held(scope("finance/", VERSIONS), denied=denied)) is Doubt.DENIED
    assert held(scope("finance/", WRITE), denied=denied) is None
    assert held(scope("finance/", READ), denied=(denied_by(f"{B}/hr/*", frozenset({READ})),)) is None


def test_what_was_not_looked_up_among_closed_locations_is_found() -> None:
    looked_up = (looked_up_at(S3Location(bucket="acme-lake", key="finance/june/"), exact=False),)
    assert doubt(held(scope("finance/", READ), looked_up=looked_up)) is Doubt.NOT_LOOKED_UP
    name = (looked_up_at(S3Location(bucket="acme-lake", key="finance/a"), exact=True),)
    assert held(scope("finance/a", READ), looked_up=name) is None
    assert doubt(held(scope("finance/", READ), looked_up=name)) is Doubt.NOT_LOOKED_UP


def test_a_location_without_a_slash_is_an_object_and_what_is_below_it() -> None:
    files = files_of(S3Location(bucket="acme-lake", key="finance"))
    grounds: dict[str, tuple[Keys, ...]] = {"granted": files, "asked": files}
    everywhere = (looked_up_at(S3Location(bucket="acme-lake", key=""), exact=False),)
    assert held(scope("finance", READ), scope("finance/", READ, LIST), looked_up=everywhere, **grounds) is None
    assert doubt(held(scope("finance2/", READ), looked_up=everywhere, **grounds)) is Doubt.NOT_GRANTED
    assert doubt(held(scope("finance/", VERSIONS), looked_up=everywhere, **grounds)) is Doubt.NOT_GRANTED


@pytest.mark.parametrize(
    "arn", ["", "arn:aws:s3:::acme-*/x", "arn:aws:s3:::b", "arn:aws:sqs:eu-west-1:1:q", f"{B}/${{aws:username}}/*"]
)
def test_an_arn_that_cannot_be_read_is_no_ground(arn: str) -> None:
    with pytest.raises(NotUnderstood):
        granted_by(arn, frozenset({READ}))


def test_grounds_agree_with_brute_force() -> None:
    source = random.Random(20261124)
    seen = {True: 0, False: 0}
    for number in range(600):
        patterns = ["".join(source.choice("ab*?") for _ in range(source.randint(0, 3))) for _ in range(3)]
        patterns = [each + source.choice(("", "*")) for each in patterns]
        key = "".join(source.choice("ab*") for _ in range(source.randint(0, 2)))
        exact = source.random() < 0.4
        keys = [text for text in TEXTS if (text == key if exact else text.startswith(key))]
        granted, asked, denied = patterns
        inside = all(like(granted, text) and like(asked, text) for text in keys)
        inside &= number % 3 > 0 or not any(like(denied, text) for text in keys)
        found = beyond(
            [S3Scope(location=S3Location(bucket="b", key=key), exact=exact, permissions=frozenset({READ}))],
            Grounds(
                granted=(granted_by(f"arn:aws:s3:::b/{granted}", frozenset({READ})),),
                denied=() if number % 3 else (denied_by(f"arn:aws:s3:::b/{denied}", frozenset({READ})),),
                asked=(asked_by(f"arn:aws:s3:::b/{asked}", (Access.READ,)),),
                looked_up=(granted_by(f"arn:aws:s3:::b/{escaped(key)}*", frozenset(S3Permission)),),
            ),
        )
        assert (found is None) == inside, (number, patterns, key, exact, found)
        seen[inside] += 1
    assert min(seen.values()) > 40, seen
