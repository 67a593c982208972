"""Where the keys of an issuer come from: a file, an address, or discovery at the issuer.

Blocking: `load` runs in the executor of `issuer_keys`.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from penstock_server.config.settings import IssuerSettings
from penstock_server.errors import ConfigurationError
from penstock_server.identity.keys.fetching import Fetched, Url, fetch, read_url
from penstock_server.identity.keys.key_set import MAX_BYTES, KeySet, KeysUnreadable, read_key_set
from penstock_server.identity.strict_json import JsonObject, NotStrictJson, parse_object

LOAD_SECONDS = 5.0
_DISCOVERY_DEPTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How long keys are taken as they are, and how long to wait at least between two attempts."""

    shortest: timedelta
    longest: timedelta
    between_attempts: timedelta

    def clamp(self, seconds: int | None) -> timedelta:
        """Give what the server asks for, within our bounds."""
        if seconds is None:
            return self.shortest
        return max(self.shortest, min(self.longest, timedelta(seconds=seconds)))


REMOTE = Freshness(shortest=timedelta(minutes=5), longest=timedelta(minutes=15), between_attempts=timedelta(seconds=30))
FILE = Freshness(shortest=timedelta(seconds=1), longest=timedelta(seconds=1), between_attempts=timedelta(seconds=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Keys, and how long they are fresh."""

    keys: KeySet
    fresh_for: timedelta


class KeySource(Protocol):
    """Gives the keys of one issuer as they are now."""

    freshness: Freshness

    def load(self) -> Loaded:
        """Read or fetch the keys, blocking for at most about five seconds.

        Raises:
            KeysUnreadable: they could not be had.
        """
        ...


class FileSource:
    """A JWKS file, parsed again when it was changed or replaced."""

    def __init__(self, path: Path) -> None:
        self.freshness = FILE
        self._path = path
        self._read: tuple[tuple[int, int, int, int], KeySet] | None = None

    def load(self) -> Loaded:
        """Read the file, unless it is the one that was read last."""
        try:
            state = self._path.stat()
            version = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
            if self._read is None or self._read[0] != version:
                if state.st_size > MAX_BYTES:
                    raise KeysUnreadable(f"`{self._path}` is over 512 KiB")
                with self._path.open("rb") as file:
                    self._read = (version, read_key_set(file.read(MAX_BYTES + 1)))
        except OSError as problem:
            raise KeysUnreadable(f"`{self._path}` cannot be read ({type(problem).__name__})") from None
        return Loaded(keys=self._read[1], fresh_for=self.freshness.shortest)


class AddressSource:
    """A JWKS at a configured address."""

    def __init__(self, address: Url, tls: ssl.SSLContext) -> None:
        self.freshness = REMOTE
        self._address = address
        self._tls = tls

    def load(self) -> Loaded:
        """Fetch the key set."""
        fetched = fetch(self._address, tls=self._tls, deadline=time.monotonic() + LOAD_SECONDS)
        return Loaded(keys=read_key_set(fetched.body), fresh_for=self.freshness.clamp(fetched.max_age_seconds))


class DiscoverySource:
    """The JWKS that the issuer's discovery document names, asked for each time: the address may move."""

    def __init__(self, issuer: str, address: Url, tls: ssl.SSLContext) -> None:
        self.freshness = REMOTE
        self._issuer = issuer
        self._address = address
        self._tls = tls

    def load(self) -> Loaded:
        """Fetch the discovery document, then the key set."""
        deadline = time.monotonic() + LOAD_SECONDS
        keys_address = self._keys_address(fetch(self._address, tls=self._tls, deadline=deadline))
        fetched = fetch(keys_address, tls=self._tls, deadline=deadline)
        return Loaded(keys=read_key_set(fetched.body), fresh_for=self.freshness.clamp(fetched.max_age_seconds))

    def _keys_address(self, fetched: Fetched) -> Url:
        try:
            document: JsonObject = parse_object(fetched.body, max_depth=_DISCOVERY_DEPTH)
        except NotStrictJson as problem:
            raise KeysUnreadable(f"the discovery document is refused: {problem}") from None
        # SECURITY: a document that names another issuer belongs to another tenant (RFC 8414 section 3.3).
        if document.get("issuer") != self._issuer:
            raise KeysUnreadable("the discovery document names another issuer than the configured one")
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise KeysUnreadable("the discovery document has no jwks_uri")
        url = read_url(address)
        if url.origin() != self._address.origin():
            raise KeysUnreadable("the issuer's jwks_uri is on another host; configure it as `jwks_uri`")
        return url


def source_of(issuer: IssuerSettings) -> KeySource:
    """Build the key source of an issuer.

    Raises:
        ConfigurationError: an address that may not be fetched, or a `ca` file that holds no certificates.
    """
    if issuer.jwks_file is not None:
        return FileSource(issuer.jwks_file)
    try:
        # With a `ca` the machine's own authorities are not trusted for this issuer.
        tls = ssl.create_default_context(cafile=issuer.ca)
    except (OSError, ssl.SSLError):
        raise ConfigurationError((f"issuer `{issuer.issuer}`: `ca` is no readable PEM file of certificates",)) from None
    try:
        if issuer.jwks_uri is not None:
            return AddressSource(read_url(issuer.jwks_uri), tls)
        well_known = read_url(issuer.issuer.removesuffix("/") + "/.well-known/openid-configuration")
    except KeysUnreadable as problem:
        raise ConfigurationError((f"issuer `{issuer.issuer}`: {problem}",)) from None
    return DiscoverySource(issuer.issuer, well_known, tls)
