"""Sign-ins that are kept, and tokens that stay fresh: against the development issuer, over HTTP."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from penstock.login import (
    Cached,
    NotSignedIn,
    Session,
    SignInFailed,
    SignInMetadata,
    sign_in,
    sign_out,
)
from penstock.login.session_files import SessionFiles, exclusive
from penstock.login.session_keyring import SessionKeyring, default_sessions
from penstock.login.sessions import cache_folder, session_from_json
from penstock.login.tokens import Tokens
from penstock.login.web import Web
from penstock_server.dev.issuer import DevClient, DevIssuer, DevUser
from support.browser import Browser

SERVER = "localhost:50051"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PENSTOCK_PROFILE", raising=False)
    monkeypatch.delenv("PENSTOCK_SERVER", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def issuer() -> Iterator[DevIssuer]:
    users = (DevUser(username="alice", groups=("analysts",)), DevUser(username="bob", groups=()))
    clients = (DevClient(client_id="penstock-cli", device_flow=True),)
    with DevIssuer("127.0.0.1", 0, users, "penstock", clients) as running:
        yield running


def _metadata(issuer: str, *, device_flow: bool = False) -> SignInMetadata:
    return SignInMetadata(
        issuer=issuer,
        client_id="penstock-cli",
        scopes=("openid", "offline_access"),
        audience="penstock",
        device_flow=device_flow,
    )


def _sign_in(issuer: DevIssuer, username: str = "alice", *, profile: str = "default") -> Session:
    return sign_in(
        _metadata(issuer.issuer),
        profile=profile,
        server=SERVER,
        sessions=SessionFiles(),
        web=Web(),
        show=pytest.fail,
        open_browser=Browser(username),
    )


def _session(**tokens: object) -> Session:
    values = {"access_token": "access", "expires_at": 1e12, "refresh_token": "refresh"} | tokens
    return Session(
        profile="default",
        server=SERVER,
        metadata=_metadata("https://login.test"),
        tokens=Tokens(**values),  # type: ignore[arg-type]  # the tests' own values
    )


def test_a_sign_in_is_kept_for_its_profile_and_server(issuer: DevIssuer) -> None:
    alice, bob = _sign_in(issuer, "alice", profile="a"), _sign_in(issuer, "bob", profile="b")
    assert Cached(profile="a", server=SERVER)() == alice.tokens.access_token
    assert Cached(profile="b", server=SERVER)() == bob.tokens.access_token
    for profile, server in (("a", "other:1"), ("c", SERVER), ("", SERVER), ("default", SERVER)):
        with pytest.raises(NotSignedIn, match="run `penstock login"):
            Cached(profile=profile, server=server)()


def test_profile_and_server_come_from_the_environment(issuer: DevIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    session = _sign_in(issuer, profile="a")
    monkeypatch.setenv("PENSTOCK_PROFILE", "a")
    with pytest.raises(NotSignedIn, match="no server is named"):
        Cached()()
    assert Cached().for_server(SERVER)() == session.tokens.access_token
    monkeypatch.setenv("PENSTOCK_SERVER", SERVER)
    assert Cached()() == session.tokens.access_token
    with pytest.raises(NotSignedIn):
        Cached(server="other:1").for_server(SERVER)()


def test_a_token_about_to_expire_is_renewed_and_kept(issuer: DevIssuer) -> None:
    first = _sign_in(issuer)
    ends = first.tokens.expires_at
    assert Cached(server=SERVER, now=lambda: ends - 61)() == first.tokens.access_token
    renewed = Cached(server=SERVER, now=lambda: ends - 60)()
    assert renewed != first.tokens.access_token
    assert Cached(server=SERVER)() == renewed
    kept = SessionFiles().load("default", SERVER)
    assert kept is not None
    assert kept.tokens.refresh_token != first.tokens.refresh_token


def test_a_token_can_be_asked_to_last_longer(issuer: DevIssuer) -> None:
    first = _sign_in(issuer)
    cached = Cached(server=SERVER, now=lambda: first.tokens.expires_at - 600)
    assert cached() == first.tokens.access_token
    assert cached.lasting(900) != first.tokens.access_token


def test_many_threads_renew_once(issuer: DevIssuer) -> None:
    """A refresh token serves once: a second renewal with it would fail."""
    first = _sign_in(issuer)
    late = first.tokens.expires_at
    shared = Cached(server=SERVER, now=lambda: late)
    apart = [Cached(server=SERVER, now=lambda: late) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(lambda cached: cached(), [shared] * 4 + apart))
    (token,) = tokens
    assert token != first.tokens.access_token


def test_many_processes_renew_once(issuer: DevIssuer) -> None:
    first = _sign_in(issuer)
    program = (
        "import sys; from penstock.login import Cached; "
        "print(Cached(server=sys.argv[1], now=lambda: float(sys.argv[2]))())"
    )
    command = [sys.executable, "-c", program, SERVER, str(first.tokens.expires_at)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    (token,) = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert first.tokens.access_token not in token


def test_a_sign_in_that_the_provider_ended_says_so(issuer: DevIssuer) -> None:
    session = _sign_in(issuer)
    SessionFiles().save(replace(session, tokens=replace(session.tokens, refresh_token="spent", expires_at=0.0)))
    with pytest.raises(NotSignedIn, match="ended the sign-in: invalid_grant"):
        Cached(server=SERVER)()
    SessionFiles().save(replace(session, tokens=replace(session.tokens, refresh_token=None, expires_at=0.0)))
    with pytest.raises(NotSignedIn, match="nothing to renew it with"):
        Cached(server=SERVER)()


def test_a_provider_that_is_down_is_not_taken_for_the_end_of_a_sign_in() -> None:
    session = replace(_session(expires_at=0.0), metadata=_metadata("http://127.0.0.1:1"))
    SessionFiles().save(session)
    with pytest.raises(SignInFailed, match="cannot be asked"):
        Cached(server=SERVER)()
    assert SessionFiles().load("default", SERVER) == session


def test_signing_out_forgets(issuer: DevIssuer) -> None:
    _sign_in(issuer)
    assert sign_out(profile="default", server=SERVER, sessions=SessionFiles(), web=Web())
    with pytest.raises(NotSignedIn):
        Cached(server=SERVER)()
    assert not sign_out(profile="default", server=SERVER, sessions=SessionFiles(), web=Web())


# Files.


def test_only_the_user_can_read_the_file_whatever_the_umask(home: Path) -> None:
    before = os.umask(0)
    try:
        SessionFiles().save(_session())
    finally:
        os.umask(before)
    folder = home / "penstock" / "sessions"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SessionFiles().load("default", SERVER) == _session()


def test_a_folder_that_was_open_is_closed(home: Path) -> None:
    folder = home / "penstock" / "sessions"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    SessionFiles().save(_session())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_or_write_is_not_used(home: Path) -> None:
    SessionFiles().save(_session())
    (file,) = (home / "penstock" / "sessions").iterdir()
    for mode in (0o640, 0o604, 0o620, 0o602):
        file.chmod(mode)
        assert SessionFiles().load("default", SERVER) is None
    file.chmod(0o600)
    assert SessionFiles().load("default", SERVER) is not None


def test_a_link_is_neither_followed_nor_written_through(home: Path, tmp_path: Path) -> None:
    SessionFiles().save(_session())
    (file,) = (home / "penstock" / "sessions").iterdir()
    target = file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(target)
    assert SessionFiles().load("default", SERVER) is None
    SessionFiles().save(_session(access_token="another"))
    assert "another" not in target.read_text()
    assert not file.is_symlink()


def test_a_folder_that_is_a_link_is_not_used(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (home / "penstock").mkdir()
    (home / "penstock" / "sessions").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SignInFailed, match="not a folder of this user"):
        SessionFiles().save(_session())


def test_a_file_of_one_server_is_not_read_for_another(home: Path) -> None:
    """Somebody copies the file, so that a token for one server goes to his."""
    SessionFiles().save(_session())
    folder = home / "penstock" / "sessions"
    (file,) = folder.iterdir()
    SessionFiles().save(replace(_session(), server="attacker:1"))
    (other,) = set(folder.iterdir()) - {file}
    other.write_bytes(file.read_bytes())
    assert SessionFiles().load("default", "attacker:1") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"profile": 1}', "[" * 100_000, "\x00", '{"tokens": []}'])
def test_a_file_that_is_something_else_is_no_sign_in(home: Path, text: str) -> None:
    assert session_from_json(text, profile="default", server=SERVER) is None
    SessionFiles().save(_session())
    (file,) = (home / "penstock" / "sessions").iterdir()
    file.write_text(text)
    assert SessionFiles().load("default", SERVER) is None


def test_names_of_profiles_never_leave_the_folder(home: Path) -> None:
    for profile in ("../../escape", "/etc/passwd", "a\x00b", "", "a/b", "\u00e9" * 300):
        SessionFiles().save(replace(_session(), profile=profile))
        assert SessionFiles().load(profile, SERVER) is not None
    assert {path.parent for path in home.rglob("*.json")} == {home / "penstock" / "sessions"}


def test_a_profile_and_a_server_are_not_joined_ambiguously() -> None:
    SessionFiles().save(replace(_session(), profile="ab", server="c"))
    assert SessionFiles().load("a", "bc") is None


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "penstock"


def test_a_full_or_missing_disk_is_said(home: Path) -> None:
    (home / "penstock").write_text("a file where the folder should be")
    with pytest.raises(SignInFailed, match="cannot be used"):
        SessionFiles().save(_session())
    with pytest.raises(SignInFailed, match="cannot be used"), exclusive("default", SERVER):
        pytest.fail("the lock was taken")
    SessionFiles().forget("default", SERVER)


def test_the_lock_is_held_against_others() -> None:
    order: list[str] = []

    def other() -> None:
        with exclusive("default", SERVER):
            order.append("second")

    thread = threading.Thread(target=other)
    with exclusive("default", SERVER), exclusive("default", "another:1"):
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_tokens_do_not_show_themselves() -> None:
    session = _session(access_token="the-access-token", refresh_token="the-refresh-token")
    shown = f"{session} {session!r} {session.tokens!r}"
    assert "expires_at" in shown
    assert not any(secret in shown for secret in ("the-access-token", "the-refresh-token"))


# The keyring: an optional package that this environment does not have, so its three functions stand here.


class _Backend:
    def __init__(self, priority: float) -> None:
        self.priority = priority


class _KeyringModule:
    def __init__(self, *, priority: float = 5, broken: bool = False) -> None:
        self.secrets: dict[tuple[str, str], str] = {}
        self._priority, self._broken = priority, broken

    def get_keyring(self) -> _Backend:
        return _Backend(self._priority)

    def get_password(self, service: str, name: str) -> str | None:
        self._check()
        return self.secrets.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self._check()
        self.secrets[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        self._check()
        del self.secrets[service, name]

    def _check(self) -> None:
        if self._broken:
            raise RuntimeError("the keyring is locked")


def test_a_keyring_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    module = _KeyringModule()
    monkeypatch.setitem(sys.modules, "keyring", module)
    sessions = default_sessions()
    assert isinstance(sessions, SessionKeyring)
    sessions.save(_session())
    assert sessions.load("default", SERVER) == _session()
    assert sessions.load("other", SERVER) is None
    assert [service for service, _ in module.secrets] == ["penstock"]
    assert not list(home.rglob("*.json"))
    sessions.forget("default", SERVER)
    sessions.forget("default", SERVER)
    assert sessions.load("default", SERVER) is None


def test_files_are_used_where_the_keyring_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_sessions(), SessionFiles)
    monkeypatch.setitem(sys.modules, "keyring", _KeyringModule(priority=0))
    assert isinstance(default_sessions(), SessionFiles)


def test_a_keyring_that_is_locked_is_said() -> None:
    sessions = SessionKeyring(_KeyringModule(broken=True))
    assert sessions.load("default", SERVER) is None
    with pytest.raises(SignInFailed, match="the keyring refuses"):
        sessions.save(_session())
    sessions.forget("default", SERVER)


def test_the_kept_text_is_plain_json() -> None:
    members = json.loads(_session().to_json())
    assert members["version"] == 1
    assert members["tokens"] == {"access_token": "access", "expires_at": 1e12, "refresh_token": "refresh"}
