"""GET and POST of small JSON documents, as careful as talking to a token endpoint must be."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlencode, urlsplit

from penstock.login.errors import SignInFailed

_TIMEOUT_SECONDS: Final = 10.0
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A JSON object that a provider answered, with its HTTP status."""

    status: int
    members: dict[str, Any]

    def text(self, name: str) -> str | None:
        """Give a member that is a string and not empty."""
        value = self.members.get(name)
        return value if isinstance(value, str) and value else None

    def seconds(self, name: str) -> float | None:
        """Give a member that is a positive number."""
        value = self.members.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            return None
        return float(value)


def require_safe(address: str) -> None:
    """Refuse an address that is not https; http is for loopback hosts.

    Raises:
        SignInFailed: it is neither.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        raise SignInFailed("the provider names an address that cannot be read") from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not safe or not host or "@" in parts.netloc:
        raise SignInFailed(f"`{parts.scheme}://{host}` is not https; plain http is for loopback addresses only")


def is_loopback(host: str) -> bool:
    """Tell whether this is `localhost` or a literal loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Web:
    """Asks providers. `ca` is a PEM file of authorities to trust in place of the machine's own, or None."""

    def __init__(self, *, ca: Path | None = None) -> None:
        try:
            tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
        except (OSError, ssl.SSLError):
            raise SignInFailed(f"`{ca}` is no readable PEM file of certificates") from None
        self._remote = urllib.request.build_opener(_NoRedirects, tls)
        # A proxy must not see what is plain text because it never leaves this machine.
        self._local = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))

    def get(self, address: str) -> Answer:
        """Get a JSON object.

        Raises:
            SignInFailed: not a safe address, no answer in 10 seconds, a redirect, or no JSON object.
        """
        return self._ask(address, None)

    def post(self, address: str, fields: dict[str, str]) -> Answer:
        """Send a form and get a JSON object; a refusal with status 4xx is an answer too.

        Raises:
            SignInFailed: as `get`.
        """
        return self._ask(address, urlencode(fields).encode("ascii"))

    def _ask(self, address: str, form: bytes | None) -> Answer:
        require_safe(address)
        opener = self._remote if urlsplit(address).scheme == "https" else self._local
        request = urllib.request.Request(address, data=form, headers={"Accept": "application/json"})  # noqa: S310 - require_safe
        host = urlsplit(address).hostname
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                status, body = response.status, response.read(_MAX_BYTES + 1)
        except urllib.error.HTTPError as refusal:
            with refusal:
                status, body = refusal.code, refusal.read(_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException, UnicodeError) as problem:
            raise SignInFailed(f"`{host}` cannot be asked ({_reason(problem)})") from None
        try:
            members = json.loads(body) if len(body) <= _MAX_BYTES else None
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise SignInFailed(f"`{host}` answered {status} without a JSON object")
        return Answer(status=status, members=members)


def _reason(problem: Exception) -> str:
    cause = problem.reason if isinstance(problem, urllib.error.URLError) else problem
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {cause.verify_message}; see `--ca`"
    return type(cause).__name__ if isinstance(cause, Exception) else str(cause)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - the signature of the base class
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        # SECURITY: a redirect would carry the code or the refresh token to whoever it names.
        del req, fp, msg, headers, newurl
        raise SignInFailed(f"the provider answered {code}; redirects are not followed")
