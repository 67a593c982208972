from __future__ import annotations

from pathlib import Path

import pytest
from penstock.bearer import TokenFile
from penstock.cli.configuration_file import ConfigurationFile, ProfileSettings
from penstock.cli.connecting import Connection, Target, resolve
from penstock.errors import InvalidRequest, Unauthenticated
from penstock.login import Cached

FILE = ConfigurationFile(
    profile="carol",
    shared=ProfileSettings(server="shared:1", ca=Path("shared.pem")),
    profiles={
        "alice": ProfileSettings(server="alice:2", token_file=Path("alice.token"), ca=Path("alice.pem")),
        "bob": ProfileSettings(),
    },
)
EMPTY = ConfigurationFile()


def _resolve(
    target: Target | None = None, environment: dict[str, str] | None = None, file: ConfigurationFile = FILE
) -> Connection:
    return resolve(target or Target(), environment=environment or {}, file=file)


SERVERS: dict[str, tuple[Target, dict[str, str], str]] = {
    "option over environment": (Target(server="option:9"), {"PENSTOCK_SERVER": "environment:9"}, "option:9"),
    "environment over profile": (Target(profile="alice"), {"PENSTOCK_SERVER": "environment:9"}, "environment:9"),
    "profile over shared": (Target(profile="alice"), {}, "alice:2"),
    "shared": (Target(profile="bob"), {}, "shared:1"),
    "an empty variable is none": (Target(profile="bob"), {"PENSTOCK_SERVER": ""}, "shared:1"),
    "written as one": (Target(server="Option.Example"), {}, "option.example:443"),
}


@pytest.mark.parametrize(("target", "environment", "server"), SERVERS.values(), ids=SERVERS)
def test_the_server_comes_from_the_nearest_place(target: Target, environment: dict[str, str], server: str) -> None:
    assert _resolve(target, environment).server == server


@pytest.mark.parametrize(
    ("target", "environment", "file", "profile"),
    [
        (Target(profile="option"), {"PENSTOCK_PROFILE": "environment"}, FILE, "option"),
        (Target(), {"PENSTOCK_PROFILE": "environment"}, FILE, "environment"),
        (Target(), {}, FILE, "carol"),
        (Target(server="a:1"), {}, EMPTY, "default"),
    ],
)
def test_the_profile_comes_from_the_nearest_place(
    target: Target, environment: dict[str, str], file: ConfigurationFile, profile: str
) -> None:
    assert _resolve(target, environment, file).profile == profile


BOTH = {"PENSTOCK_TOKEN": "environment", "PENSTOCK_TOKEN_FILE": "environment.token"}
TOKENS: dict[str, tuple[Target, dict[str, str], str]] = {
    "option over all": (Target(token_file=Path("option.token"), profile="alice"), BOTH, "TokenFile('option.token')"),
    "environment over file": (Target(profile="alice"), {"PENSTOCK_TOKEN": "environment"}, "'environment'"),
    "a file named by the environment": (
        Target(profile="alice"),
        {"PENSTOCK_TOKEN_FILE": "environment.token"},
        "TokenFile('environment.token')",
    ),
    "the profile's": (Target(profile="alice"), {}, "TokenFile('alice.token')"),
}


@pytest.mark.parametrize(("target", "environment", "token"), TOKENS.values(), ids=TOKENS)
def test_the_token_comes_from_the_nearest_place(target: Target, environment: dict[str, str], token: str) -> None:
    assert repr(_resolve(target, environment).token) == token


def test_without_any_token_it_is_the_kept_sign_in() -> None:
    assert isinstance(_resolve(Target(profile="bob")).token, Cached)


def test_two_tokens_in_the_environment_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        _resolve(Target(), BOTH)

    assert caught.value.field == "PENSTOCK_TOKEN"


@pytest.mark.parametrize(
    ("target", "environment"),
    [
        (Target(profile="alice", server="evil:2"), {}),
        (Target(profile="alice", server="alice:3"), {}),
        (Target(profile="alice"), {"PENSTOCK_SERVER": "evil:2"}),
    ],
)
def test_a_token_file_is_not_sent_to_another_server_than_the_one_beside_it(
    target: Target, environment: dict[str, str]
) -> None:
    connection = _resolve(target, environment)

    assert isinstance(connection.token, Cached)
    assert connection.ca is None


def test_naming_the_same_server_again_keeps_its_token_file() -> None:
    connection = _resolve(Target(profile="alice", server="ALICE:2"))

    assert isinstance(connection.token, TokenFile)
    assert connection.ca == Path("alice.pem")


def test_an_authority_given_as_option_wins() -> None:
    assert _resolve(Target(profile="alice", ca=Path("option.pem"))).ca == Path("option.pem")


def test_without_a_server_the_ways_to_name_one_are_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        _resolve(file=EMPTY)

    assert "penstock login" in caught.value.hint


@pytest.mark.parametrize("name", ["", "a b", "a\n", "../x", "x" * 65, "ä"])
def test_a_profile_has_a_plain_name(name: str) -> None:
    profile = name or " "
    with pytest.raises(InvalidRequest) as caught:
        _resolve(Target(profile=profile, server="a:1"), {}, EMPTY)

    assert caught.value.field == "profile"


@pytest.mark.parametrize(
    "settings",
    [
        ProfileSettings(server="a:1", client_certificate=Path("c.pem")),
        ProfileSettings(server="a:1", client_key=Path("k.pem")),
    ],
)
def test_a_client_certificate_and_its_key_belong_together(settings: ProfileSettings) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _resolve(file=ConfigurationFile(shared=settings))

    assert caught.value.field == "client_certificate"


def test_a_token_file_is_read_again_at_each_call(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = TokenFile(file)
    file.write_text("first\n", encoding="utf-8")
    first = token()
    file.write_text(" second \n", encoding="utf-8")

    assert (first, token()) == ("first", "second")


@pytest.mark.parametrize("content", [None, b"", b"two tokens", b"a\nb", b"\xff", b"x" * 100_000])
def test_a_file_without_a_token_means_not_signed_in(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Unauthenticated) as caught:
        TokenFile(file)()

    assert "two tokens" not in str(caught.value)
