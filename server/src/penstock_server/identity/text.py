"""Which strings of a token may become names: subjects, usernames, groups, attribute values."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_NAME_CHARS: Final = 256

# SECURITY: control characters, line separators and the characters that turn the writing direction make a name look
# like another one in an audit trail or a terminal. Lone surrogates cannot be encoded; `strict_json` refuses them too.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_CHARACTERS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_name(value: object) -> bool:
    """Tell whether this is a string of 1 to 256 characters, none of which hides or rearranges others.

    Nothing is folded, trimmed or normalised: two spellings are two names, and rules compare exactly.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_CHARS
        and ((value.isascii() and value.isprintable()) or _is_harmless(value))
    )


def _is_harmless(text: str) -> bool:
    return not any(char in _REFUSED_CHARACTERS or unicodedata.category(char) in _REFUSED_CATEGORIES for char in text)
