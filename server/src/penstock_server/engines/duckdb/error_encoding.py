"""Errors of ours as JSON, for the way from a child to the front."""

from __future__ import annotations

import json
from typing import Any

from penstock_server.engines.duckdb.failures import internal
from penstock_server.errors import (
    AccessDenied,
    FieldViolation,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    QueryError,
    Reason,
    Unauthenticated,
    Unavailable,
)

_PLAIN: dict[str, type[AccessDenied] | type[NotFound]] = {"AccessDenied": AccessDenied, "NotFound": NotFound}


def to_json(error: PenstockError) -> bytes:
    """Give an error as UTF-8 JSON, with `detail`: this form is for the front alone, never for the wire."""
    fields: dict[str, Any] = {
        "class": type(error).__name__,
        "reason": error.reason.value,
        "message": error.message,
        "hint": error.hint,
        "metadata": [list(pair) for pair in error.metadata],
        "fields": [[violation.field, violation.rule] for violation in error.fields],
        "detail": error.detail,
    }
    match error:
        case QueryError():
            fields["position"] = error.position
        case LimitExceeded():
            fields["limit"], fields["value"] = error.limit, error.value
        case Unavailable():
            fields["retry_after_seconds"] = error.retry_after_seconds
        case _:
            pass
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def from_json(payload: bytes) -> PenstockError:
    """Read an error that a child sent. What is not of that form is INTERNAL: a child is not trusted to be well."""
    try:
        fields = json.loads(payload)
        return _build(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return internal("a child sent an error of unknown form")


def _build(fields: dict[str, Any]) -> PenstockError:
    reason = Reason(fields["reason"])
    message, hint, detail = _text(fields["message"]), _text(fields["hint"]), _text(fields["detail"])
    metadata = tuple((_text(name), _text(value)) for name, value in fields["metadata"])
    match fields["class"]:
        case "QueryError":
            position = fields["position"]
            kept = tuple(pair for pair in metadata if position is None or pair[0] != "position")
            return QueryError(
                reason,
                message,
                position=None if position is None else _whole(position),
                hint=hint,
                metadata=kept,
                detail=detail,
            )
        case "LimitExceeded":
            return LimitExceeded(
                reason,
                message,
                limit=_text(fields["limit"]),
                value=_text(fields["value"]),
                hint=hint,
                detail=detail,
            )
        case "Unavailable":
            wait = fields["retry_after_seconds"]
            return Unavailable(
                reason,
                message,
                retry_after_seconds=None if wait is None else float(wait),
                hint=hint,
                metadata=metadata,
                detail=detail,
            )
        case "Unauthenticated":
            return Unauthenticated(detail=detail)
        case "InvalidRequest":
            (field, rule), *_ = fields["fields"]
            return InvalidRequest(_text(field), _text(rule), hint=hint, detail=detail)
        case name:
            violations = tuple(FieldViolation(field=_text(field), rule=_text(rule)) for field, rule in fields["fields"])
            return _PLAIN[name](reason, message, hint=hint, metadata=metadata, fields=violations, detail=detail)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value
