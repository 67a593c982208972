from __future__ import annotations

import re

import pytest
from penstock_server.credentials.names import LEASE_TAG, USER_TAG, fits_tag, session_tags, stable_name
from penstock_server.model.lease import LeaseId
from support.credentials import ISSUER, OTHER_ISSUER, principal

LEASE = LeaseId("0123456789abcdef" * 2)


def user_tag(name: str | None) -> str:
    return dict(session_tags(principal(name), LEASE, default_issuer=ISSUER))[USER_TAG]


def test_a_stable_name_fits_what_aws_accepts_and_tells_no_readable_name() -> None:
    name = stable_name(principal("alice"))
    assert re.fullmatch(r"pk-[a-z2-7]{26}", name, re.ASCII)
    assert "alice" not in name


def test_a_stable_name_is_one_for_an_identity_whatever_else_changes() -> None:
    assert stable_name(principal("alice", "a", subject="s")) == stable_name(principal("renamed", "b", subject="s"))


def test_two_identities_never_share_a_stable_name() -> None:
    names = {
        stable_name(principal("alice", subject="ab", issuer="https://c")),
        stable_name(principal("alice", subject="b", issuer="https://ca")),
        stable_name(principal("alice", subject="alice")),
        stable_name(principal("alice", subject="alice", issuer=OTHER_ISSUER)),
    }
    assert len(names) == 4


def test_the_tags_are_the_lease_and_the_user() -> None:
    assert session_tags(principal("alice"), LEASE, default_issuer=ISSUER) == ((LEASE_TAG, LEASE), (USER_TAG, "alice"))


@pytest.mark.parametrize("name", ["alice@example.com", "Anne-Marie M\u00fcller", "\u738b", "a/b:c=d+e-f_g.h"])
def test_a_username_in_the_alphabet_of_aws_is_its_own_tag(name: str) -> None:
    assert user_tag(name) == name


@pytest.mark.parametrize(
    "name", ["O'Brien, Anne", "a*", "a\nb", "\U0001f600", "x" * 257, "", "a\u2028b", "pk-abc", "a\u0301*", None]
)
def test_a_username_outside_it_is_replaced_and_never_dropped_or_cut(name: str | None) -> None:
    assert user_tag(name) == stable_name(principal(name))


def test_nobody_chooses_the_tag_of_another() -> None:
    assert user_tag(stable_name(principal(None))) != stable_name(principal(None))


def test_a_username_of_another_issuer_is_not_shown_as_if_it_were_ours() -> None:
    stranger = principal("alice", issuer=OTHER_ISSUER)
    assert dict(session_tags(stranger, LEASE, default_issuer=ISSUER))[USER_TAG] == stable_name(stranger)


def test_a_tag_value_has_at_most_256_characters() -> None:
    assert fits_tag("x" * 256)
    assert not fits_tag("x" * 257)
