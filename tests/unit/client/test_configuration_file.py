from __future__ import annotations

from pathlib import Path

import pytest
from penstock.cli.configuration_file import ConfigurationFile, ProfileSettings, path, read, remember
from penstock.errors import InvalidRequest


def _write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_file_is_where_xdg_says() -> None:
    assert path({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/penstock/config.yaml")


@pytest.mark.parametrize("value", [{}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}])
def test_without_xdg_the_file_is_under_dot_config(value: dict[str, str]) -> None:
    assert path(value) == Path.home() / ".config/penstock/config.yaml"


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "config.yaml") == ConfigurationFile()


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    assert read(_write(tmp_path, text)) == ConfigurationFile()


def test_every_key_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = _write(
        tmp_path,
        """
        profile: no
        server: broker:1
        ca: ca.pem
        profiles:
          alice: {}
          nightly:
            server: other:2
            token_file: /run/token
            ca: other.pem
            client_certificate: c.pem
            client_key: k.pem
        """,
    )

    configuration = read(file)

    assert configuration.profile == "no"
    assert configuration.settings("alice") == ProfileSettings(server="broker:1", ca=tmp_path / "ca.pem")
    assert configuration.settings("nightly") == ProfileSettings(
        server="other:2",
        token_file=Path("/run/token"),
        ca=tmp_path / "other.pem",
        client_certificate=tmp_path / "c.pem",
        client_key=tmp_path / "k.pem",
    )
    assert configuration.settings("unknown") == configuration.settings("alice")


def test_a_profile_with_a_server_of_its_own_inherits_no_token_file(tmp_path: Path) -> None:
    file = _write(tmp_path, "server: broker:1\ntoken_file: /run/token\nprofiles: {bob: {server: other:2}}\n")

    assert read(file).settings("bob").token_file is None


BAD = {
    "an unknown key": ("server: a:1\nsrever: b:1\n", 2, "unknown key `srever`"),
    "an unknown key of a profile": ("profiles:\n  alice:\n    sever: b:1\n", 3, "unknown key `sever`"),
    "a duplicate key": ("server: a:1\nca: x\nserver: b:1\n", 3, "`server` twice"),
    "a duplicate profile": ("profiles:\n  alice: {}\n  alice: {}\n", 3, "`alice` twice"),
    "an empty value": ("server:\n", 1, "needs a text"),
    "a list in place of a text": ("server: [a]\n", 1, "needs a text"),
    "a list in place of a mapping": ("- server\n", 1, "must be a mapping"),
    "profiles that are no mapping": ("profiles: alice\n", 1, "must be a mapping"),
    "a profile that is no mapping": ("profiles:\n  alice: broker:1\n", 2, "must be a mapping"),
    "a merge key": ("profiles:\n  a: &a {server: x}\n  b: {<<: *a}\n", 3, "unknown key `<<`"),
    "no YAML": ("server: [\n", 2, "is no YAML"),
    "two documents": ("server: a:1\n---\nserver: b:1\n", 2, "is no YAML"),
}


@pytest.mark.parametrize(("text", "line", "rule"), BAD.values(), ids=BAD)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, rule: str) -> None:
    file = _write(tmp_path, text)

    with pytest.raises(InvalidRequest) as caught:
        read(file)

    assert caught.value.field == f"{file}:{line}"
    assert rule in caught.value.rule


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidRequest):
        read(file)


def test_a_sign_in_is_remembered_in_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "penstock" / "config.yaml"

    assert remember(file, "alice", "broker:1")
    assert remember(file, "bob", "other:2")
    assert remember(file, "alice", "broker:3")

    configuration = read(file)
    assert configuration.settings("alice").server == "broker:3"
    assert configuration.settings("bob").server == "other:2"


@pytest.mark.parametrize("text", ["# mine\nserver: broker:1\n", "server:   broker:1\n", "profiles: {bob: {}}\n"])
def test_a_file_that_was_edited_by_hand_is_never_rewritten(tmp_path: Path, text: str) -> None:
    file = _write(tmp_path, text)

    assert not remember(file, "alice", "other:2")

    assert file.read_text(encoding="utf-8") == text


def test_what_the_file_says_already_needs_no_rewriting(tmp_path: Path) -> None:
    file = _write(tmp_path, "server:   broker:1  # mine\n")

    assert remember(file, "alice", "broker:1")
