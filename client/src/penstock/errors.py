"""The errors that a caller of Penstock can meet, built back from what stands on the wire.

```
PenstockError              reason, message, hint, metadata, fields, request_id
├─ Unauthenticated         no acceptable token; sign in again
├─ AccessDenied            the thing is known, but this may not be done with it; the hint names the door that works
├─ NotFound                missing and hidden are one answer
│  └─ NameNotFound         ... of a table or column, which makes it a QueryError too
├─ InvalidRequest          field, rule: a part of the request that breaks a rule
│  └─ MissingExtra         a part of this package is not installed
├─ QueryError              kind, position: the statement cannot be parsed, bound or run
├─ LimitExceeded           limit, value: a bound of the server
└─ Unavailable             retry_after: the server, or what it needs, cannot answer now
```

`reason` is a name of `penstock.v1.ErrorReason` without its prefix. A newer server may send reasons that this version
does not know: the class then follows from the status code, and `reason` keeps the name that was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that breaks a rule: its path as the caller wrote it, and what holds for a good value."""

    field: str
    rule: str


class PenstockError(Exception):
    """Base of all errors here, and the class of those that nobody foresaw.

    `request_id` finds the call in the server's log and audit; it is empty where no server answered.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        hint: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
        fields: tuple[FieldViolation, ...] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.hint = hint
        self.metadata = dict(metadata)
        self.fields = fields
        self.request_id = request_id
        if hint:
            self.add_note(f"hint: {hint}")
        if request_id:
            self.add_note(f"request id: {request_id}")


class Unauthenticated(PenstockError):
    """The bearer token is missing or was not accepted; the server never tells why."""


class AccessDenied(PenstockError):
    """The caller may know of the thing, but not do this with it; `hint` names the door that would work."""


class NotFound(PenstockError):
    """There is no such thing for this caller: what does not exist and what is hidden give one answer."""


class InvalidRequest(PenstockError):
    """A part of the request breaks a rule. `fields` lists all that do; `field` and `rule` are those of the first."""

    @property
    def field(self) -> str:
        """The path of the field as the caller wrote it; empty where the server named none."""
        return self.fields[0].field if self.fields else ""

    @property
    def rule(self) -> str:
        """What holds for a good value."""
        return self.fields[0].rule if self.fields else self.message


class MissingExtra(InvalidRequest, ImportError):
    """A call needs a package that this installation lacks; `extra` is what to install."""

    extra: str = ""


class QueryError(PenstockError):
    """The statement was refused or failed."""

    @property
    def kind(self) -> str:
        """Why, such as `SQL_SYNTAX`: the same as `reason`."""
        return self.reason

    @property
    def position(self) -> int | None:
        """The 0-based character offset in the statement, or None where none is known."""
        text = self.metadata.get("position", "")
        return int(text) if text.isascii() and text.isdigit() else None


class NameNotFound(NotFound, QueryError):
    """A table or column of this name does not exist for the caller, in a statement or by itself."""


class LimitExceeded(PenstockError):
    """A bound of the server was passed. `retry_after` is in seconds, or None where waiting is not said to help."""

    retry_after: float | None = None

    @property
    def limit(self) -> str:
        """The name of the bound, such as `query.timeout`; may be empty."""
        return self.metadata.get("limit", "")

    @property
    def value(self) -> str:
        """The bound that holds, with its unit; may be empty."""
        return self.metadata.get("value", "")


class Unavailable(PenstockError):
    """Something cannot answer now. `retry_after` is in seconds, or None where waiting is not said to help."""

    retry_after: float | None = None


def invalid(field: str, rule: str, *, hint: str = "") -> InvalidRequest:
    """Give the error of a request that this side refuses to send."""
    return InvalidRequest(
        f"`{field}`: {rule}",
        reason="INVALID_FIELD",
        hint=hint,
        metadata={"field": field, "rule": rule},
        fields=(FieldViolation(field=field, rule=rule),),
    )


def missing_extra(extra: str, package: str, purpose: str) -> MissingExtra:
    """Give the error of a call that needs an extra: names the extra and the command that installs it."""
    message = f"{purpose} needs the package `{package}`, which is not installed"
    error = MissingExtra(message, reason="MISSING_EXTRA", hint=f'install it with `pip install "penstock[{extra}]"`')
    error.extra = extra
    return error
