"""Which server, as whom: options over environment over configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import penstock
from penstock import endpoint, login
from penstock.bearer import TokenFile, TokenSource
from penstock.cli.configuration_file import ConfigurationFile, ProfileSettings
from penstock.errors import invalid

DEFAULT_PROFILE = "default"

_PROFILE = re.compile(r"[A-Za-z0-9._@+-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the options say; None where they say nothing."""

    server: str | None = None
    profile: str | None = None
    token_file: Path | None = None
    ca: Path | None = None

    def over(self, other: Target) -> Target:
        """Give this with the gaps filled from another."""
        return Target(
            server=self.server or other.server,
            profile=self.profile or other.profile,
            token_file=self.token_file or other.token_file,
            ca=self.ca or other.ca,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One server as one profile. `server` is written as `HOST:PORT`, by which sign-ins are kept."""

    server: str
    profile: str
    token: TokenSource
    ca: Path | None
    client_certificate: tuple[Path, Path] | None

    def open(self) -> penstock.Broker:
        """Connect; to be closed by the caller."""
        return penstock.connect(self.server, token=self.token, ca=self.ca, client_certificate=self.client_certificate)

    def open_without_token(self) -> penstock.Broker:
        """Connect for what needs no token."""
        return penstock.connect(self.server, ca=self.ca, client_certificate=self.client_certificate)


def resolve(target: Target, *, environment: Mapping[str, str], file: ConfigurationFile) -> Connection:
    """Decide which server, profile, token and authority a command uses.

    The token is, first that is there: `--token-file`; PENSTOCK_TOKEN or PENSTOCK_TOKEN_FILE; the profile's
    `token_file`; the sign-in that `penstock login` keeps.

    Raises:
        InvalidRequest: no server is named, or two tokens are.
    """
    profile = _profile(target.profile or environment.get("PENSTOCK_PROFILE") or file.profile or DEFAULT_PROFILE)
    settings = file.settings(profile)
    named = target.server or environment.get("PENSTOCK_SERVER") or settings.server
    if named is None:
        raise invalid(
            "server",
            "is not named",
            hint="give `--server HOST:PORT`, set PENSTOCK_SERVER, or sign in with `penstock login HOST`",
        )
    server = str(endpoint.parse(named))
    if settings.server is None or server != str(endpoint.parse(settings.server)):
        # SECURITY: a token file belongs to the server beside it; `--server` must not send its token elsewhere.
        settings = ProfileSettings()
    return Connection(
        server=server,
        profile=profile,
        token=_token(target, environment, settings, profile=profile, server=server),
        ca=target.ca or settings.ca,
        client_certificate=_client_certificate(settings),
    )


def _profile(name: str) -> str:
    if not _PROFILE.fullmatch(name):
        raise invalid("profile", "is a name of 1 to 64 letters, digits and . _ @ + -")
    return name


def _token(
    target: Target, environment: Mapping[str, str], settings: ProfileSettings, *, profile: str, server: str
) -> TokenSource:
    if target.token_file is not None:
        return TokenFile(target.token_file)
    text, file = environment.get("PENSTOCK_TOKEN"), environment.get("PENSTOCK_TOKEN_FILE")
    if text and file:
        raise invalid("PENSTOCK_TOKEN", "is set together with PENSTOCK_TOKEN_FILE; only one may be")
    if text:
        return text
    if file:
        return TokenFile(file)
    if settings.token_file is not None:
        return TokenFile(settings.token_file)
    return login.Cached(profile=profile, server=server)


def _client_certificate(settings: ProfileSettings) -> tuple[Path, Path] | None:
    certificate, key = settings.client_certificate, settings.client_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise invalid("client_certificate", "needs `client_key` beside it, and the other way round")
    return certificate, key
