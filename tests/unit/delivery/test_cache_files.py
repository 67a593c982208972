"""The files of kept sessions, as other users and other programs would like them to be."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from penstock.delivery import CacheRefused
from penstock.delivery.cache_files import SessionCacheFiles, runtime_folder
from penstock.delivery.kept import SessionKey, group_of
from support.aws_sessions import kept, key

KEY = key()


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def cache(runtime: Path) -> SessionCacheFiles:
    return SessionCacheFiles(runtime)


def _file(runtime: Path) -> Path:
    [found] = runtime.glob("penstock-aws/*.json")
    return found


def _plant(runtime: Path, cache: SessionCacheFiles) -> Path:
    """A file that is good but for what a test does to it."""
    cache.save(KEY, kept())
    return _file(runtime)


def test_what_is_saved_is_loaded(cache: SessionCacheFiles) -> None:
    cache.save(KEY, kept())

    assert cache.load(KEY) == kept()


def test_files_and_folder_are_for_their_owner_alone_whatever_the_umask(runtime: Path, cache: SessionCacheFiles) -> None:
    before = os.umask(0)
    try:
        cache.save(KEY, kept())
        with cache.exclusive(KEY):
            pass
    finally:
        os.umask(before)

    folder = runtime / "penstock-aws"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


def test_names_of_files_tell_nothing(runtime: Path, cache: SessionCacheFiles) -> None:
    cache.save(key(profile="alice", server="secret.example.com:443"), kept())

    assert _file(runtime).stem.replace("-", "").isalnum()
    assert "alice" not in _file(runtime).name
    assert "secret" not in _file(runtime).name


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o602])
def test_a_file_that_others_may_read_or_write_is_not_read(runtime: Path, cache: SessionCacheFiles, mode: int) -> None:
    _plant(runtime, cache).chmod(mode)

    assert cache.load(KEY) is None


def test_a_file_of_another_owner_is_not_read(
    runtime: Path, cache: SessionCacheFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = _plant(runtime, cache)
    real, node = os.fstat, planted.stat().st_ino

    def of_somebody_else(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        return os.stat_result((*found[:4], found.st_uid + 1, *found[5:])) if found.st_ino == node else found

    monkeypatch.setattr(os, "fstat", of_somebody_else)

    assert cache.load(KEY) is None


def _as_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _as_second_name(file: Path) -> None:
    os.link(file, file.with_name("elsewhere"))


def _as_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)


@pytest.mark.parametrize("change", [_as_link, _as_second_name, _as_pipe, _as_folder])
def test_what_is_no_file_of_one_name_is_not_read_and_holds_nobody_up(
    runtime: Path, cache: SessionCacheFiles, change: Callable[[Path], None]
) -> None:
    change(_plant(runtime, cache))

    assert cache.load(KEY) is None


def test_saving_replaces_a_planted_link_and_leaves_what_it_points_to(runtime: Path, cache: SessionCacheFiles) -> None:
    victim = runtime / "victim"
    victim.write_text("mine")
    file = _plant(runtime, cache)
    file.unlink()
    file.symlink_to(victim)

    cache.save(KEY, kept(2))

    assert victim.read_text() == "mine"
    assert cache.load(KEY) == kept(2)


def test_a_file_that_was_copied_over_another_is_not_read(runtime: Path, cache: SessionCacheFiles) -> None:
    other = key(server="other:1")
    file = _plant(runtime, cache)
    file.rename(file.with_name(f"{other.group}-{other.digest}.json"))

    assert cache.load(other) is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b'{"version": 1}', b"[" * 100_000])
def test_a_file_that_is_no_session_is_not_read(runtime: Path, cache: SessionCacheFiles, text: bytes) -> None:
    _plant(runtime, cache).write_bytes(text)

    assert cache.load(KEY) is None


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770, 0o1777])
@pytest.mark.parametrize("which", [".", "penstock-aws"])
def test_a_folder_that_others_may_enter_is_refused(
    runtime: Path, cache: SessionCacheFiles, which: str, mode: int
) -> None:
    cache.save(KEY, kept())
    (runtime / which).chmod(mode)

    with pytest.raises(CacheRefused, match="this user alone"):
        cache.load(KEY)
    with pytest.raises(CacheRefused):
        cache.save(KEY, kept(2))
    with pytest.raises(CacheRefused), cache.exclusive(KEY):
        pass


@pytest.mark.parametrize("which", [".", "penstock-aws"])
def test_a_folder_of_another_owner_is_refused(
    runtime: Path, cache: SessionCacheFiles, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    cache.save(KEY, kept())
    real, node = os.fstat, (runtime / which).stat().st_ino

    def of_somebody_else(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        return os.stat_result((*found[:4], found.st_uid + 1, *found[5:])) if found.st_ino == node else found

    monkeypatch.setattr(os, "fstat", of_somebody_else)

    with pytest.raises(CacheRefused, match="this user alone"):
        cache.load(KEY)


@pytest.mark.parametrize("which", ["run", "run/penstock-aws"])
def test_a_folder_that_is_a_link_is_refused(
    tmp_path: Path, runtime: Path, cache: SessionCacheFiles, which: str
) -> None:
    cache.save(KEY, kept())
    folder = tmp_path / which
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CacheRefused, match="cannot be used"):
        cache.load(KEY)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CacheRefused, match="cannot be used"):
        SessionCacheFiles(tmp_path / "none").load(KEY)


def test_a_sign_out_wipes_what_a_profile_keeps_of_a_server_and_no_more(cache: SessionCacheFiles) -> None:
    other = [key(profile="bob"), key(server="other:1")]
    for each in (KEY, *other):
        cache.save(each, kept())

    cache.wipe(group_of("default", "s:1"))

    assert cache.load(KEY) is None
    assert [cache.load(each) for each in other] == [kept(), kept()]


def test_what_is_forgotten_is_gone(runtime: Path, cache: SessionCacheFiles) -> None:
    cache.save(KEY, kept())
    cache.forget(KEY)
    cache.forget(KEY)

    assert list(runtime.glob("penstock-aws/*.json")) == []


def test_files_older_than_any_session_are_removed(runtime: Path, cache: SessionCacheFiles) -> None:
    old = _plant(runtime, cache)
    os.utime(old, (time.time(), time.time() - 12 * 3600 - 60))

    cache.save(key(server="other:1"), kept())

    assert not old.exists()


def test_two_that_want_one_session_wait_for_each_other(cache: SessionCacheFiles) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with cache.exclusive(KEY):
            order.append("second")

    thread = threading.Thread(target=second)
    with cache.exclusive(KEY):
        thread.start()
        assert waiting.wait(10)
        time.sleep(0.05)
        order.append("first")
    thread.join(10)

    assert order == ["first", "second"]


def test_whoever_holds_the_lock_for_good_holds_nobody_up_for_good(runtime: Path) -> None:
    with SessionCacheFiles(runtime).exclusive(KEY), SessionCacheFiles(runtime, lock_seconds=0.05).exclusive(KEY):
        pass


@pytest.mark.parametrize("named", ["", "run", "./run"])
def test_only_an_absolute_path_is_a_runtime_folder(named: str) -> None:
    assert runtime_folder({"XDG_RUNTIME_DIR": named}) is None
    assert runtime_folder({}) is None
    assert runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}) == Path("/run/user/7")


def test_a_text_of_a_kept_session_does_not_show_in_its_repr() -> None:
    assert "secret-1" not in repr(kept())
    assert "token-1" not in repr(kept())


def test_a_key_that_holds_a_path_stays_in_the_folder() -> None:
    hostile = key(profile="../../etc", server="/x:1")

    assert isinstance(hostile, SessionKey)
    assert (hostile.group + hostile.digest).isalnum()
