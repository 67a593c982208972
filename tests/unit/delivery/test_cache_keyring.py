"""Kept sessions in a keyring: an optional package, so its functions stand here."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from penstock.delivery import CacheRefused, SessionKey
from penstock.delivery.cache_files import SessionCacheFiles
from penstock.delivery.cache_keyring import SessionCacheKeyring, default_cache
from support.aws_sessions import kept, key

KEY = key()
NOW = datetime.now(UTC)


class Keyring(ModuleType):
    """The functions of the package `keyring`, and a backend of a priority."""

    def __init__(self, *, priority: float = 5) -> None:
        super().__init__("keyring")
        self.priority = priority
        self.secrets: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_keyring(self) -> Keyring:
        return self

    def get_password(self, service: str, name: str) -> str | None:
        self._open()
        return self.secrets.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self._open()
        self.secrets[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        self._open()
        del self.secrets[service, name]

    def _open(self) -> None:
        if self.locked:
            raise RuntimeError("the keyring is locked")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


@pytest.fixture
def cache(keyring: Keyring, tmp_path: Path) -> SessionCacheKeyring:
    return SessionCacheKeyring(keyring, locks=tmp_path / "locks")


def test_sessions_are_kept_side_by_side_and_forgotten_one_by_one(cache: SessionCacheKeyring) -> None:
    other = SessionKey(group=KEY.group, digest="other")
    cache.save(KEY, kept(1, issued_at=NOW))
    cache.save(other, kept(2, issued_at=NOW))
    assert (cache.load(KEY), cache.load(other)) == (kept(1, issued_at=NOW), kept(2, issued_at=NOW))

    cache.forget(KEY)

    assert (cache.load(KEY), cache.load(other)) == (None, kept(2, issued_at=NOW))


def test_a_sign_out_wipes_a_profile_at_a_server_and_no_other(cache: SessionCacheKeyring, keyring: Keyring) -> None:
    bob = key(profile="bob")
    cache.save(KEY, kept(issued_at=NOW))
    cache.save(bob, kept(issued_at=NOW))

    cache.wipe(KEY.group)
    cache.wipe(KEY.group)

    assert cache.load(KEY) is None
    assert [name for _, name in keyring.secrets] == [bob.group]


def test_what_has_ended_is_dropped_and_their_number_is_bounded(cache: SessionCacheKeyring, keyring: Keyring) -> None:
    ended = SessionKey(group=KEY.group, digest="ended")
    cache.save(ended, kept(issued_at=NOW - timedelta(hours=2)))
    for number in range(40):
        cache.save(SessionKey(group=KEY.group, digest=f"d{number}"), kept(issued_at=NOW))

    assert cache.load(ended) is None
    assert cache.load(SessionKey(group=KEY.group, digest="d0")) is None
    assert cache.load(SessionKey(group=KEY.group, digest="d39")) == kept(issued_at=NOW)
    [secret] = keyring.secrets.values()
    assert secret.count("secret-1") == 32


def test_a_keyring_that_is_locked_gives_nothing_and_says_so_at_saving(
    cache: SessionCacheKeyring, keyring: Keyring
) -> None:
    keyring.locked = True

    assert cache.load(KEY) is None
    cache.forget(KEY)
    cache.wipe(KEY.group)
    with pytest.raises(CacheRefused, match="the keyring refuses"):
        cache.save(KEY, kept(issued_at=NOW))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"x": 1}'])
def test_a_secret_that_is_none_of_ours_gives_nothing(cache: SessionCacheKeyring, keyring: Keyring, text: str) -> None:
    keyring.secrets["penstock-aws", KEY.group] = text

    assert cache.load(KEY) is None
    cache.save(KEY, kept(issued_at=NOW))
    assert cache.load(KEY) == kept(issued_at=NOW)


def test_the_lock_is_for_its_owner_alone(cache: SessionCacheKeyring, tmp_path: Path) -> None:
    with cache.exclusive(KEY):
        [lock] = (tmp_path / "locks").iterdir()
        assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")

    with pytest.raises(CacheRefused), cache.exclusive(KEY):
        pass
    assert not (tmp_path / "victim").exists()


def test_the_keyring_is_taken_where_there_is_one_that_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    monkeypatch.setitem(sys.modules, "keyring", Keyring())
    assert isinstance(default_cache(environment), SessionCacheKeyring)
    monkeypatch.setitem(sys.modules, "keyring", Keyring(priority=0))
    assert isinstance(default_cache(environment), SessionCacheFiles)

    assert default_cache({}) is None
