from __future__ import annotations

import os
from pathlib import Path

import pytest
from penstock_server.config.secrets import SecretReferences, check_reference
from penstock_server.errors import ConfigurationError
from penstock_server.model.secret import Secret


def test_a_variable_is_read_when_it_is_asked_for() -> None:
    environ = {"EXT": "first"}
    secrets = SecretReferences(environ)
    assert secrets.resolve("env:EXT") == Secret("first")
    environ["EXT"] = "second"
    assert secrets.resolve("env:EXT") == Secret("second")


@pytest.mark.parametrize(("raw", "secret"), [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b" x \n\n", " x \n")])
def test_one_line_break_at_the_end_of_a_file_is_no_part_of_the_secret(raw: bytes, secret: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(raw)
    assert SecretReferences({}).resolve(f"file:{path}") == Secret(secret)


@pytest.mark.parametrize("reference", ["env:ABSENT", "env:EMPTY", "file:/absent/secret"])
def test_a_reference_with_nothing_behind_it_is_an_error(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{reference}`: there is no secret behind"):
        SecretReferences({"EMPTY": ""}).resolve(reference)


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="there is no secret behind"):
        SecretReferences({}).resolve(f"file:{tmp_path / 'pipe'}")


def test_a_file_that_is_no_text_is_an_error_that_keeps_its_bytes_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigurationError) as caught:
        SecretReferences({}).resolve(f"file:{path}")
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * (64 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="is larger than 65536 bytes"):
        SecretReferences({}).resolve(f"file:{path}")


@pytest.mark.parametrize("text", ["hunter2", "env:", "env:A-B", "env:1A", "file:relative", "ENV:A", "env:A\n", ""])
def test_what_is_no_reference_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be a reference to a secret") as caught:
        check_reference(text)
    assert "hunter2" not in str(caught.value)


def test_secrets_manager_is_not_available_in_this_version() -> None:
    with pytest.raises(ConfigurationError, match="not available in this version"):
        SecretReferences({}).resolve("aws-sm:external")
