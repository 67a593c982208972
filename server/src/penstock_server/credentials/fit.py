"""Prints the session policy of some scopes, if it fits; a policy is never cut or widened to fit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from penstock_server.credentials.scopes import s3
from penstock_server.credentials.session_policy import MAX_CHARS, print_policy
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.decision import S3Scope

SessionPolicyPrinter = Callable[[tuple[S3Scope, ...], str, datetime | None], str]
"""Gives the text of a session policy for scopes, the account that owns them, and the instant that closes it."""


def print_session_policy(scopes: tuple[S3Scope, ...], account: str, ends_at: datetime | None) -> str:
    """Print the session policy of these scopes."""
    return print_policy(s3.statements(scopes, account=account, ends_at=ends_at))


def fit(scopes: tuple[S3Scope, ...], account: str, ends_at: datetime | None, *, printer: SessionPolicyPrinter) -> str:
    """Print the session policy of these scopes.

    Raises:
        LimitExceeded: `SESSION_POLICY_TOO_LARGE`; the hint names what to ask for in a request of its own.
    """
    text = printer(scopes, account, ends_at)
    if len(text) <= MAX_CHARS:
        return text
    fitting = next(
        (
            count
            for count in range(len(scopes) - 1, 0, -1)
            if len(printer(scopes[:count], account, ends_at)) <= MAX_CHARS
        ),
        0,
    )
    apart = ", ".join(f"`{s3.arn_of(scope)}`" for scope in scopes[fitting:])
    raise LimitExceeded(
        Reason.SESSION_POLICY_TOO_LARGE,
        f"the session policy for these resources needs {len(text)} of {MAX_CHARS} characters",
        limit="session policy",
        value=f"{MAX_CHARS} characters",
        hint=f"ask in a request of its own for {apart}" if fitting else "ask for a shorter prefix",
    )
