"""A value that does not show itself."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, Generic, NoReturn, TypeVar

T = TypeVar("T")

_MARKING: Final = secrets.token_bytes(32)
"""Known to this process alone, and only while it lives."""


class Secret(Generic[T]):
    """Holds a token, password or key; `repr`, `str`, `format`, pickling and logging give `***`.

    Only `reveal()` opens it; a test over the syntax trees allows that call in `aws/`, `engines/`, `service/`,
    `identity/verifier.py`, `dev/` and the secret resolver alone.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Give the value itself."""
        return self._value

    def mark(self) -> str:
        """Give 32 hex digits that differ wherever the secret does; equal for equal secrets within this process.

        SECURITY: they are keyed with what only this process knows, so that nobody who sees them, in an audit for
        instance, can try out guesses of the secret. They mean nothing in another process.
        """
        value = self._value if isinstance(self._value, bytes) else str(self._value).encode("utf-8", "surrogatepass")
        return hmac.new(_MARKING, value, hashlib.sha256).hexdigest()[:32]

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)
