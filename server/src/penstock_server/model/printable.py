"""Text that no terminal, log viewer or editor obeys."""

from __future__ import annotations

import unicodedata

_KEPT_FORMATS = frozenset("\u00ad\u200c\u200d")
"""Soft hyphen and joiners: part of words in many languages, and harmless."""


def printable(text: str) -> str:
    """Give a text with its control and format characters escaped.

    SECURITY: statements and names in the audit were chosen by callers; raw, their escape sequences could rewrite what
    an auditor sees (test_escape_sequences_of_a_caller_never_reach_the_terminal).
    """
    return "".join(character if _is_harmless(character) else _escape(character) for character in text)


def _is_harmless(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} or (
        character in _KEPT_FORMATS
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
