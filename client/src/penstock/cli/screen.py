"""What people read: standard output and error as rich consoles, and text made safe for a terminal.

SECURITY: values, names and messages may hold escape sequences that move the cursor, rename the window or fake other
output. Whatever is not ours passes through `shown` before it is printed (tests/unit/client/test_screen.py).
"""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

from rich.console import Console
from rich.text import Text

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_UNBOUNDED = 1_000_000


def shown(text: str) -> str:
    """Give the text with control, bidirectional and line characters as backslash escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(each) if _unsafe(each) else each for each in text)


def console(stream: TextIO) -> Console:
    """Give a console for a stream. Not a terminal: plain text, and lines as long as they need to be."""
    width = None if stream.isatty() else _UNBOUNDED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def output() -> Console:
    """Give standard output."""
    return console(sys.stdout)


def messages() -> Console:
    """Give standard error, for everything that is not the answer."""
    return console(sys.stderr)


def styled(text: str, style: str = "") -> Text:
    """Give text that is safe to print, in a style of rich."""
    return Text(shown(text), style=style)


def _unsafe(character: str) -> bool:
    return character in _BIDIRECTIONAL or unicodedata.category(character) in _UNSAFE


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
