"""What can go wrong with a sign-in: both are `penstock.Unauthenticated`, as no call can be made without a token."""

from __future__ import annotations

from penstock.errors import Unauthenticated


class SignInFailed(Unauthenticated):
    """The sign-in did not end with tokens; the message says why, and never holds a code or a token."""


class NotSignedIn(Unauthenticated):
    """There is no sign-in for this profile and server, or it has ended."""
