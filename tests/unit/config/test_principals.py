from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock_server.config.principals import parse_selector
from penstock_server.model.principal import (
    EveryoneOf,
    Group,
    KnownIssuers,
    PrincipalSelector,
    UserByName,
    UserBySubject,
)

HOME = "https://home.test"
PARTNER = "https://partner.test"
ISSUERS = KnownIssuers(default=HOME, issuers=(HOME, PARTNER), prefixes=(("partner:", PARTNER),))


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("user:alice", UserByName(issuer=HOME, username="alice")),
        ("user: Alice ", UserByName(issuer=HOME, username=" Alice ")),
        ("user:a:b", UserByName(issuer=HOME, username="a:b")),
        ("user:everyone", UserByName(issuer=HOME, username="everyone")),
        ("user:partner:x", UserByName(issuer=HOME, username="partner:x")),
        (f"user:{PARTNER}|7", UserBySubject(issuer=PARTNER, subject="7")),
        (f"user:{HOME}|auth0|7", UserBySubject(issuer=HOME, subject="auth0|7")),
        ("group:analysts", Group(issuer=HOME, name="analysts")),
        ("group:a|b", Group(issuer=HOME, name="a|b")),
        ("group:partner:ops", Group(issuer=PARTNER, name="ops")),
        ("group:partner:partner:ops", Group(issuer=PARTNER, name="partner:ops")),
        ("group:Partner:ops", Group(issuer=HOME, name="Partner:ops")),
        ("everyone", EveryoneOf(issuer=HOME)),
        (f"everyone@{PARTNER}", EveryoneOf(issuer=PARTNER)),
    ],
)
def test_a_written_name_means_one_set_of_principals(text: str, selector: PrincipalSelector) -> None:
    assert parse_selector(text, ISSUERS) == selector


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no principal"),
        ("alice", "names no principal"),
        ("User:alice", "names no principal"),
        ("role:x", "names no principal"),
        ("Everyone", "names no principal"),
        ("everyone ", "names no principal"),
        ("user:", "holds an empty name"),
        ("group:", "holds an empty name"),
        ("group:partner:", "holds an empty name"),
        (f"user:{PARTNER}|", "holds an empty name"),
        ("user:|7", "names an issuer that is not configured"),
        (f"user:{PARTNER}/|7", "names an issuer that is not configured"),
        ("everyone@", "names an issuer that is not configured"),
        ("everyone@https://else.test", "names an issuer that is not configured"),
        ("user:a\x00b", "holds a control character"),
        ("group:a\nb", "holds a control character"),
        ("group:" + "a" * 257, "holds a name of more than 256 characters"),
    ],
)
def test_what_names_nobody_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        parse_selector(text, ISSUERS)


@given(st.text(max_size=20).map(lambda name: f"group:{name}") | st.text(max_size=20).map(lambda name: f"user:{name}"))
def test_two_spellings_never_mean_one_group(text: str) -> None:
    try:
        selector = parse_selector(text, ISSUERS)
    except ValueError:
        return
    match selector:
        case Group(issuer=issuer, name=name):
            prefix = "partner:" if issuer == PARTNER else ""
            assert text == f"group:{prefix}{name}"
        case UserByName(issuer=issuer, username=name):
            assert (issuer, text) == (HOME, f"user:{name}")
        case UserBySubject(issuer=issuer, subject=subject):
            assert text == f"user:{issuer}|{subject}"
        case EveryoneOf():
            pytest.fail("`everyone` has no prefix")
