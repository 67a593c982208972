from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock_server.identity.verified_tokens import VerifiedToken, VerifiedTokens, digest_of
from penstock_server.model.principal import Group, Principal

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def _token(*, groups: int = 0, seconds: int = 600) -> VerifiedToken:
    principal = Principal(
        issuer="https://login.test",
        subject="alice",
        username=None,
        groups=frozenset(Group(issuer="https://login.test", name=f"g{number}") for number in range(groups)),
        groups_complete=True,
        attributes=(),
        client_id=None,
        authentication_methods=(),
        issued_at=NOW,
        expires_at=NOW + timedelta(seconds=seconds),
    )
    return VerifiedToken(principal=principal, generation=1, certificate=None)


def test_a_token_is_remembered_for_a_minute() -> None:
    tokens, digest = VerifiedTokens(), digest_of("a")
    tokens.put(digest, _token(), monotonic=100.0)
    assert tokens.get(digest, now=NOW, monotonic=159.9) == _token()
    assert tokens.get(digest, now=NOW, monotonic=160.0) is None
    assert tokens.get(digest, now=NOW, monotonic=100.0) is None


def test_a_token_is_remembered_until_it_expires_without_any_skew() -> None:
    tokens, digest = VerifiedTokens(), digest_of("a")
    tokens.put(digest, _token(seconds=10), monotonic=100.0)
    assert tokens.get(digest, now=NOW + timedelta(seconds=9), monotonic=100.0) is not None
    assert tokens.get(digest, now=NOW + timedelta(seconds=10), monotonic=100.0) is None


def test_the_least_recently_used_make_room() -> None:
    tokens = VerifiedTokens(max_weight=6)
    digests = [digest_of(name) for name in "abcd"]
    for digest in digests[:3]:
        tokens.put(digest, _token(), monotonic=0)
    tokens.get(digests[0], now=NOW, monotonic=0)
    tokens.put(digests[3], _token(), monotonic=0)
    remembered = [tokens.get(digest, now=NOW, monotonic=0) is not None for digest in digests]
    assert remembered == [True, False, True, True]


def test_a_token_of_many_groups_takes_the_room_of_many() -> None:
    tokens = VerifiedTokens(max_weight=20)
    for name in "abcdef":
        tokens.put(digest_of(name), _token(), monotonic=0)
    tokens.put(digest_of("big"), _token(groups=17), monotonic=0)
    kept = [name for name in ("a", "e", "f", "big") if tokens.get(digest_of(name), now=NOW, monotonic=0)]
    assert kept == ["big"]
    tokens.put(digest_of("bigger"), _token(groups=19), monotonic=0)
    assert tokens.get(digest_of("bigger"), now=NOW, monotonic=0) is None


def test_replacing_a_token_does_not_count_it_twice() -> None:
    tokens = VerifiedTokens(max_weight=4)
    for _ in range(10):
        tokens.put(digest_of("a"), _token(), monotonic=0)
    tokens.put(digest_of("b"), _token(), monotonic=0)
    assert tokens.get(digest_of("a"), now=NOW, monotonic=0) is not None
