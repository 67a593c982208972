"""Profiles in the AWS configuration, read back by botocore, and what must not get into them."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore import configloader
from botocore.compat import compat_shell_split
from hypothesis import given
from hypothesis import strategies as st
from penstock import InvalidRequest, PenstockError
from penstock.delivery.aws_configuration import AwsProfile, path, rewrite, with_profile, without_profile

COMMAND = ("/opt/a b/penstock", "creds", "aws", "--", "arn:aws:s3:::acme/x/*")
LAKE = AwsProfile(name="lake", command=COMMAND, region="eu-west-1")
# What people have: comments, odd spaces, nested settings, line ends of Windows, no line end at the end.
THEIRS = {
    "nothing": b"",
    "a profile": b"[default]\nregion = us-east-1\n",
    "no line end": b"[default]\nregion = us-east-1",
    "nested settings": b"# mine\n[profile a]\ns3 =\n    max_concurrent_requests = 20\n\n\n[profile b]\nrole_arn=x\n\n",
    "line ends of Windows": b"[default]\r\nregion = us-east-1\r\n",
    "no text": b"# \xff\xfe\n[default]\n",
    "another profile that begins like it": b"[profile lake2]\nregion = x\n[lake]\na = b\n[sso-session lake]\na = b\n",
}


def _loaded(content: bytes, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "config"
    file.write_bytes(content)
    found: dict[str, Any] = configloader.load_config(str(file))["profiles"]
    return found


@pytest.mark.parametrize("theirs", [each for name, each in THEIRS.items() if name != "no text"])
def test_botocore_reads_the_profile_and_everything_else_as_before(theirs: bytes, tmp_path: Path) -> None:
    before = _loaded(theirs, tmp_path)

    after = _loaded(with_profile(theirs, LAKE), tmp_path)

    profile = after.pop("lake")
    assert after == before
    assert profile["region"] == "eu-west-1"
    assert tuple(compat_shell_split(profile["credential_process"])) == COMMAND


@pytest.mark.parametrize("theirs", THEIRS.values(), ids=THEIRS)
def test_what_was_there_stays_byte_for_byte(theirs: bytes) -> None:
    content = with_profile(theirs, LAKE)

    assert content.startswith(theirs)
    assert with_profile(content, LAKE) == content
    assert without_profile(content, "lake") == theirs + (b"" if theirs.endswith(b"\n") or not theirs else b"\n")


def test_a_profile_in_the_middle_is_replaced_in_its_place(tmp_path: Path) -> None:
    content = with_profile(b"[profile a]\nx = 1\n", LAKE) + b"\n# theirs\n[profile b]\ny = 2\n"
    changed = with_profile(content, AwsProfile(name="lake", command=("penstock", "new"), region=""))

    assert changed.startswith(b"[profile a]\nx = 1\n\n[profile lake]\n")
    assert changed.endswith(b"\ncredential_process = penstock new\n\n# theirs\n[profile b]\ny = 2\n")
    assert _loaded(changed, tmp_path)["lake"] == {"credential_process": "penstock new"}
    assert without_profile(changed, "lake") == b"[profile a]\nx = 1\n\n# theirs\n[profile b]\ny = 2\n"


def test_what_somebody_added_to_the_profile_stays_and_is_never_left_to_another(tmp_path: Path) -> None:
    content = with_profile(b"[profile a]\n", LAKE) + b"output = json\n"

    changed = with_profile(content, AwsProfile(name="lake", command=("penstock", "new"), region=""))

    assert _loaded(changed, tmp_path)["lake"] == {"credential_process": "penstock new", "output": "json"}
    with pytest.raises(InvalidRequest, match="other settings"):
        without_profile(changed, "lake")


@pytest.mark.parametrize(
    "theirs",
    [
        b"[profile lake]\nrole_arn = x\n",
        b"[profile lake]",
        b"[ profile   'lake' ]\nrole_arn = x\n",
        b'  [profile "lake"]  # mine\n',
        b"[profile lake]\n\n# Written by `penstock configure`, which replaces and removes these lines.\n",
        with_profile(b"", LAKE) + with_profile(b"", LAKE),
    ],
)
def test_a_profile_of_somebody_else_is_neither_replaced_nor_removed(theirs: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not written by this command"):
        with_profile(theirs, LAKE)
    with pytest.raises(InvalidRequest, match="not written by this command"):
        without_profile(theirs, "lake")


def test_the_default_profile_has_a_heading_of_its_own(tmp_path: Path) -> None:
    content = with_profile(b"", AwsProfile(name="default", command=("penstock",), region=""))

    assert _loaded(content, tmp_path) == {"default": {"credential_process": "penstock"}}
    for theirs in (b"[default]\n", b"[profile default]\n"):
        with pytest.raises(InvalidRequest):
            with_profile(theirs, AwsProfile(name="default", command=("penstock",), region=""))


@pytest.mark.parametrize("name", ["", "a b", "a]\n[profile b", "a\n", "é", "a]", "x" * 65, "../x", "[", "a#b", "a;b"])
def test_a_name_cannot_begin_another_section(name: str) -> None:
    with pytest.raises(InvalidRequest):
        with_profile(b"", AwsProfile(name=name, command=("penstock",), region=""))
    with pytest.raises(InvalidRequest):
        without_profile(b"", name)


@pytest.mark.parametrize("region", ["a b", "x\nrole_arn = y", "EU", "x" * 33])
def test_a_region_cannot_begin_another_setting(region: str) -> None:
    with pytest.raises(InvalidRequest):
        with_profile(b"", AwsProfile(name="lake", command=("penstock",), region=region))


HOSTILE = [
    "x\ncredential_process = evil",
    "x\r[profile evil]",
    "x\x0b",
    "x\x85y",
    "x\u2028y",
    "x\x00y",
    "\x1b[2J",
    "x\u202ey",
    "\udcff",
    "x #y",
    "# y",
    "x\t;y",
    ";",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_what_no_quoting_carries_is_refused(word: str) -> None:
    with pytest.raises(InvalidRequest):
        with_profile(b"", AwsProfile(name="lake", command=("penstock", word), region=""))


QUOTED = [
    "$(touch evil)",
    "`touch evil`",
    "a;touch evil",
    "a'b",
    'a"b',
    "a\\b",
    "a b",
    "*",
    "%(x)s",
    "a#b",
    "",
    "&&",
    "é",
    "~",
    "!x",
]


@pytest.mark.parametrize("word", QUOTED)
def test_a_word_is_one_argument_to_botocore_and_to_a_shell(word: str, tmp_path: Path) -> None:
    """Some SDKs split the text themselves, others give it to `sh -c`."""
    content = with_profile(b"", AwsProfile(name="lake", command=("printf", "%s|", word, "end"), region=""))
    text = _loaded(content, tmp_path)["lake"]["credential_process"]

    assert compat_shell_split(text) == ["printf", "%s|", word, "end"]
    done = subprocess.run(["sh", "-c", text], cwd=tmp_path, capture_output=True, check=True, timeout=30)
    assert done.stdout.decode() == f"{word}|end|"
    assert not (tmp_path / "evil").exists()


@given(st.text(max_size=30))
def test_any_word_is_written_as_it_is_or_refused(word: str) -> None:
    try:
        content = with_profile(b"[default]\n", AwsProfile(name="lake", command=("p", word), region=""))
    except InvalidRequest:
        return
    lines = content.decode().split("\n")
    assert len(lines) == 6
    assert lines[:3] == ["[default]", "", "[profile lake]"]
    assert shlex.split(lines[4].removeprefix("credential_process = ")) == ["p", word]


def test_the_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "aws" / "config"

    assert rewrite(file, profile=LAKE)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["config"]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"[default]\n")
    file.chmod(0o644)

    rewrite(file, profile=LAKE)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_changes_nothing_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "config"
    assert rewrite(file, profile=LAKE)
    before = file.stat().st_ino

    assert not rewrite(file, profile=LAKE)
    assert not rewrite(file, profile=None, remove="other")
    assert file.stat().st_ino == before
    assert rewrite(file, profile=None, remove="lake")
    assert file.read_bytes() == b""


def test_a_link_of_ones_own_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").write_bytes(b"[default]\n")
    (tmp_path / "config").symlink_to("dotfiles")

    rewrite(tmp_path / "config", profile=LAKE)

    assert (tmp_path / "config").is_symlink()
    assert b"[profile lake]" in (tmp_path / "dotfiles").read_bytes()


def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"[default]\n")
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)

    with pytest.raises(PenstockError, match="no file of yours"):
        rewrite(file, profile=LAKE)
    assert file.read_bytes() == b"[default]\n"


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")

    with pytest.raises(PenstockError, match="no file of yours"):
        rewrite(tmp_path / "config", profile=LAKE)


def test_the_file_is_where_aws_looks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert path({}) == tmp_path / ".aws" / "config"
    assert path({"AWS_CONFIG_FILE": "/x/config"}) == Path("/x/config")
    assert path({"AWS_CONFIG_FILE": "~/x"}) == tmp_path / "x"
