"""Statements that the server ends before they are over."""

from __future__ import annotations

from enum import StrEnum

from penstock_server.errors import AccessDenied, Reason


class EndCause(StrEnum):
    """Why a statement was ended from outside; the word stands in the error's metadata and in the audit."""

    REVOKED = "revoked"
    POLICY = "policy"
    ADMINISTRATOR = "administrator"


_TOLD = {
    EndCause.REVOKED: ("your access was revoked", "sign in again; if that does not help, ask your administrators"),
    EndCause.POLICY: (
        "the policy that decides now does not give all that it reads",
        "run it again: the policy decides anew",
    ),
    EndCause.ADMINISTRATOR: ("an administrator ended it", "ask your administrators before you run it again"),
}


def ended(cause: EndCause) -> AccessDenied:
    """Give the error by which a statement ends for this cause."""
    why, hint = _TOLD[cause]
    return AccessDenied(
        Reason.STATEMENT_ENDED, f"the statement was ended: {why}", hint=hint, metadata=(("cause", cause.value),)
    )
