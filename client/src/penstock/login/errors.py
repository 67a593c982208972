"""What can go wrong with a sign-in."""

from __future__ import annotations


class SignInFailed(Exception):
    """The sign-in did not end with tokens; the message says why, and never holds a code or a token."""


class NotSignedIn(Exception):
    """There is no sign-in for this profile and server, or it has ended."""
