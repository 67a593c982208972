"""Where the access token of each call comes from."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from penstock.errors import Unauthenticated, invalid

TokenSource = str | Callable[[], str | Awaitable[str]] | None
"""A token, or what gives one: asked at each call, in a thread of its own if it is not a coroutine function."""

_MAX_FILE_BYTES = 64 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


class TokenFile:
    """Gives the token in a file, read again at each call, since whoever renews the token replaces the file."""

    __slots__ = ("_path",)

    def __init__(self, path: str | Path) -> None:
        """Take the path; the file is first read at the first call."""
        self._path = Path(path)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    def __call__(self) -> str:
        """Read the token, without the white space around it.

        Raises:
            Unauthenticated: the file cannot be read, or holds no bearer token.
        """
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from error
        token = raw.decode("ascii", errors="replace").strip()
        if len(raw) > _MAX_FILE_BYTES or not _TOKEN.fullmatch(token):
            raise self._unusable("holds no bearer token")
        return token

    def _unusable(self, why: str) -> Unauthenticated:
        return Unauthenticated(
            f"the token file `{self._path}` {why}",
            reason="TOKEN_FILE",
            hint="name a file that holds one access token and nothing else",
        )


class Bearer:
    """Gives the `authorization` header of a call. Never shows the token: not in `repr`, not in an error."""

    __slots__ = ("_source",)

    def __init__(self, source: TokenSource) -> None:
        """Take a token, a callable, or None for calls that need none.

        Raises:
            InvalidRequest: the token has characters that no bearer token has (RFC 6750, section 2.1).
        """
        self._source: TokenSource = _checked(source) if isinstance(source, str) else source

    def __repr__(self) -> str:
        return "Bearer(***)"

    async def header(self) -> tuple[tuple[str, str], ...]:
        """Give the header, or none. What a callable raises goes to the caller unchanged."""
        if self._source is None:
            return ()
        return (("authorization", f"Bearer {await self._token(self._source)}"),)

    @staticmethod
    async def _token(source: str | Callable[[], str | Awaitable[str]]) -> str:
        if isinstance(source, str):
            return source
        if inspect.iscoroutinefunction(source):
            return _checked(await source())
        # A callable may read a file or renew a token over the network: not on the event loop.
        answer = await asyncio.to_thread(source)
        return _checked(await answer if inspect.isawaitable(answer) else answer)


def _checked(token: object) -> str:
    # SECURITY: a line break in a token would add headers; the rule is told, the token is not.
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise invalid("token", "is one bearer token, without white space", hint="check where the token is read from")
    return token
