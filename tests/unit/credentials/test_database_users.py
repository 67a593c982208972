from __future__ import annotations

import re

import pytest
from penstock_server.config.settings import DatabaseUserStyle
from penstock_server.credentials.database_users import database_user, is_user_prefix
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.principal import Principal
from support.credentials import ISSUER, OTHER_ISSUER, principal


def named(who: Principal, *, style: DatabaseUserStyle = DatabaseUserStyle.USERNAME, prefix: str = "pk_") -> str:
    return database_user(who, style=style, prefix=prefix, default_issuer=ISSUER)


@pytest.mark.parametrize("name", ["alice", "alice.smith@example.com", "a+b-c_d", "7of9", "a" * 61])
def test_a_username_is_taken_as_it_is_behind_the_prefix(name: str) -> None:
    assert named(principal(name)) == f"pk_{name}"


@pytest.mark.parametrize(
    "name",
    [
        "Alice",
        "ALICE",
        "alic\u00e9",
        "\u0430lice",
        "\u017fmith",
        "alice\n",
        "a b",
        "a:b",
        "a/b",
        "a'b",
        'a"b',
        "a;drop",
        "",
        "a" * 62,
        "awsuser",
        "rdsdb",
        "admin",
        "postgres",
        "padb",
    ],
)
def test_a_username_is_refused_rather_than_folded_cut_or_mistaken(name: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        named(principal(name))
    assert refused.value.reason is Reason.NOT_PERMITTED
    assert "identity: hash" in refused.value.hint


def test_without_a_username_there_is_no_database_user() -> None:
    with pytest.raises(AccessDenied):
        named(principal(None))


def test_a_username_of_another_issuer_names_nobody() -> None:
    with pytest.raises(AccessDenied):
        named(principal("alice", issuer=OTHER_ISSUER))


@pytest.mark.parametrize("prefix", ["pk_", "p_", "team7_"])
def test_a_prefix_ends_in_an_underscore(prefix: str) -> None:
    assert is_user_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", "a", "aws", "_", "_a_", "7a_", "PK_", "pk-", "pk_\n", "\u0430_", "a b_"])
def test_a_prefix_that_could_make_an_administrators_name_is_none(prefix: str) -> None:
    assert not is_user_prefix(prefix)


def test_a_name_that_becomes_a_reserved_word_is_refused() -> None:
    with pytest.raises(AccessDenied):
        named(principal("user"), prefix="current_")


def test_a_hash_stands_for_one_identity_whatever_it_is_called() -> None:
    style = DatabaseUserStyle.HASH
    users = {
        named(principal("alice"), style=style),
        named(principal("alice", issuer=OTHER_ISSUER), style=style),
        named(principal("awsuser"), style=style),
        named(principal(None), style=style),
    }
    assert len(users) == 4
    assert all(re.fullmatch(r"pk_[a-z2-7]{20}", user, re.ASCII) for user in users)
    assert named(principal("renamed", subject="s"), style=style) == named(principal("alice", subject="s"), style=style)
