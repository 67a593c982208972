"""The one hierarchy of errors that Penstock shows to a caller.

```
PenstockError                    reason, message, hint, fields; `detail` is for log and audit, never on the wire
├─ Unauthenticated               one text, whatever the cause
├─ AccessDenied                  the caller knows that the thing exists, but may not do this with it
├─ NotFound                      missing and hidden are one answer
├─ InvalidRequest                a field of the request breaks a rule
├─ QueryError                    the statement cannot be parsed, bound or run
├─ LimitExceeded                 a limit of ours, with its value
├─ Unavailable                   try again, or somebody must mend something
└─ Disagreement                  two parts of ours that must agree do not: nothing is done
```

This module imports nothing of ours and nothing of gRPC; `service/status.py` alone knows status codes.
Messages are one lower-case sentence without a full stop, input in backticks; the hint says what to do next.
Neither ever holds a value, a name or a count that the caller may not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a request failed; the wire carries the same names (`error_reason.proto`)."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    NOT_PERMITTED = "NOT_PERMITTED"
    DENIED_BY_POLICY = "DENIED_BY_POLICY"
    LOCATION_CLOSED = "LOCATION_CLOSED"
    ROLE_REQUIRED = "ROLE_REQUIRED"
    TABLE_NOT_FOUND = "TABLE_NOT_FOUND"
    COLUMN_NOT_FOUND = "COLUMN_NOT_FOUND"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    INVALID_FIELD = "INVALID_FIELD"
    SQL_SYNTAX = "SQL_SYNTAX"
    SQL_NOT_READ_ONLY = "SQL_NOT_READ_ONLY"
    SQL_MULTIPLE_STATEMENTS = "SQL_MULTIPLE_STATEMENTS"
    SQL_TOO_LARGE = "SQL_TOO_LARGE"
    SQL_TOO_DEEP = "SQL_TOO_DEEP"
    SQL_FUNCTION_REFUSED = "SQL_FUNCTION_REFUSED"
    SQL_BINDING = "SQL_BINDING"
    SQL_EXECUTION = "SQL_EXECUTION"
    QUERY_TIMEOUT = "QUERY_TIMEOUT"
    QUERY_MEMORY = "QUERY_MEMORY"
    QUERY_STALLED = "QUERY_STALLED"
    QUEUE_FULL = "QUEUE_FULL"
    ROW_LIMIT = "ROW_LIMIT"
    SESSION_POLICY_TOO_LARGE = "SESSION_POLICY_TOO_LARGE"
    LIFETIME_TOO_SHORT = "LIFETIME_TOO_SHORT"
    TABLE_UNREADABLE = "TABLE_UNREADABLE"
    WORKER_LOST = "WORKER_LOST"
    AWS_UNAVAILABLE = "AWS_UNAVAILABLE"
    AWS_REFUSED = "AWS_REFUSED"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    STATE_UNAVAILABLE = "STATE_UNAVAILABLE"
    POLICY_NOT_LOADED = "POLICY_NOT_LOADED"
    PLAN_TIMEOUT = "PLAN_TIMEOUT"
    NOT_CONFIGURED = "NOT_CONFIGURED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    CREDENTIAL_WITHDRAWN = "CREDENTIAL_WITHDRAWN"
    RATE_LIMIT = "RATE_LIMIT"
    STATEMENT_ENDED = "STATEMENT_ENDED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that breaks a rule.

    `field` is the path as the caller wrote it (`resources[0]`); `rule` says what holds for a good value.
    """

    field: str
    rule: str


class PenstockError(Exception):
    """Base of every error that may reach a caller.

    `metadata` repeats, as text, each part of the message that varies. `detail` is for the operator: it is
    logged and audited, and never put on the wire.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        hint: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
        fields: tuple[FieldViolation, ...] = (),
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.hint = hint
        self.metadata = metadata
        self.fields = fields
        self.detail = detail


class Unauthenticated(PenstockError):
    """The bearer token is missing, or it could not be accepted; `detail` alone says why."""

    def __init__(self, *, detail: str) -> None:
        super().__init__(
            Reason.UNAUTHENTICATED,
            "the request carries no acceptable access token",
            hint="sign in again with `penstock login`, or present a fresh access token",
            detail=detail,
        )


class AccessDenied(PenstockError):
    """The caller may know of the thing, but not do this with it; the hint names the door that would work."""


class NotFound(PenstockError):
    """No such thing for this caller: one text for what does not exist and for what is hidden."""


class InvalidRequest(PenstockError):
    """A field of the request breaks a rule."""

    def __init__(self, field: str, rule: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(
            Reason.INVALID_FIELD,
            f"`{field}`: {rule}",
            hint=hint,
            metadata=(("field", field), ("rule", rule)),
            fields=(FieldViolation(field=field, rule=rule),),
            detail=detail,
        )


class QueryError(PenstockError):
    """The statement was refused or failed; `position` is a 0-based character offset into it, or None."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        position: int | None = None,
        hint: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
        detail: str = "",
    ) -> None:
        if position is not None:
            metadata = (*metadata, ("position", str(position)))
        super().__init__(reason, message, hint=hint, metadata=metadata, detail=detail)
        self.position = position


class LimitExceeded(PenstockError):
    """A limit of ours was passed; `limit` names it and `value` is the bound that holds, as text with its unit.

    `retry_after_seconds` is None where waiting alone will not help.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        limit: str,
        value: str,
        retry_after_seconds: float | None = None,
        hint: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(reason, message, hint=hint, metadata=(("limit", limit), ("value", value)), detail=detail)
        self.limit = limit
        self.value = value
        self.retry_after_seconds = retry_after_seconds


class Unavailable(PenstockError):
    """Something cannot answer now; `retry_after_seconds` is None where waiting will not help."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        retry_after_seconds: float | None,
        hint: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
        detail: str = "",
    ) -> None:
        super().__init__(reason, message, hint=hint, metadata=metadata, detail=detail)
        self.retry_after_seconds = retry_after_seconds


class Disagreement(PenstockError):
    """Two parts of ours that must agree do not, so that nothing is done and an operator must look.

    `evidence` has (name, text) pairs for the audit alone.
    """

    def __init__(self, message: str, *, detail: str, evidence: tuple[tuple[str, str], ...]) -> None:
        super().__init__(
            Reason.INTERNAL, message, hint="tell the operator the request id; another try will not help", detail=detail
        )
        self.evidence = evidence


class ConfigurationError(Exception):
    """The operator's own files cannot be used: never raised while a request is served, never on the wire.

    `problems` is one or more lines `FILE:LINE: what is wrong, why, how to mend it`.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
