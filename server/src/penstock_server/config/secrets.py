"""Secrets by reference: `env:NAME` and `file:/path`; no secret ever stands in a file of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from penstock_server.errors import ConfigurationError
from penstock_server.model.secret import Secret

_MAX_BYTES: Final = 64 * 1024
_ENVIRONMENT: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_FORMS: Final = "`env:NAME` or `file:/path`"


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of a reference; what it leads to is not looked at."""
    return _ENVIRONMENT.fullmatch(text) is not None or text.startswith("file:/")


def check_reference(text: str) -> None:
    """Accept a reference by its form; what it leads to is not looked at.

    Raises:
        ValueError: it is no reference. The text never repeats it: it may be the secret itself.
    """
    if text.startswith("aws-sm:"):
        raise ValueError(f"is a reference to AWS Secrets Manager, which is not available in this version; use {_FORMS}")
    if not is_reference(text):
        raise ValueError(f"must be a reference to a secret, {_FORMS}, never the secret itself")


class SecretReferences:
    """Resolves references from the environment and from files, at each call anew, so a rotated file is seen."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def resolve(self, reference: str) -> Secret[str]:
        """Read the secret now; one line break at the end of a file is not part of it.

        Raises:
            ConfigurationError: the reference has no such form, or there is nothing behind it.
        """
        try:
            check_reference(reference)
        except ValueError as error:
            raise ConfigurationError((f"a secret {error}",)) from None
        match = _ENVIRONMENT.fullmatch(reference)
        if match is not None:
            return self._checked(self._environ.get(match[1], ""), reference)
        return self._checked(_file_text(Path(reference.removeprefix("file:")), reference), reference)

    def resolve_key(self, reference: str, *, characters: int) -> Secret[str]:
        """Read a secret that is a key: of at least so many characters, so that nobody finds it by trying.

        Raises:
            ConfigurationError: as `resolve`, or the key is shorter, or no UTF-8; its text never tells how long it is.
        """
        key = self.resolve(reference)
        try:
            key.reveal().encode()
        except UnicodeEncodeError:
            # The cause is dropped: it holds the key.
            raise ConfigurationError((f"`{reference}`: the key is no text in UTF-8",)) from None
        if len(key.reveal()) < characters:
            raise ConfigurationError(
                (
                    f"`{reference}`: the key has fewer than {characters} characters and could be guessed; make one "
                    "with `openssl rand -hex 32`",
                )
            )
        return key

    @staticmethod
    def _checked(text: str, reference: str) -> Secret[str]:
        if not text:
            raise ConfigurationError((f"`{reference}`: there is no secret behind this reference",))
        return Secret(text)


def _file_text(path: Path, reference: str) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ConfigurationError((f"`{reference}`: the file is larger than {_MAX_BYTES} bytes",))
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        # The cause is dropped: a decoding error holds the bytes of the secret.
        raise ConfigurationError((f"`{reference}`: the file cannot be read as text",)) from None
    return text.removesuffix("\n").removesuffix("\r")
