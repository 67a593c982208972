"""Tokens of row filter and mask expressions, each with its position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<user>:[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>\|\||<>|!=|<=|>=|=|<|>|\(|\)|,|\.|\+|-)
    """,
    re.VERBOSE | re.ASCII,
)


class TokenKind(Enum):
    """What a token is."""

    NUMBER = auto()
    TEXT = auto()
    QUOTED = auto()
    USER = auto()
    WORD = auto()
    SYMBOL = auto()
    END = auto()


_KINDS: Final = {
    "number": TokenKind.NUMBER,
    "text": TokenKind.TEXT,
    "quoted": TokenKind.QUOTED,
    "user": TokenKind.USER,
    "word": TokenKind.WORD,
    "symbol": TokenKind.SYMBOL,
}


class ExpressionError(ValueError):
    """An expression cannot be used; `position` is the 0-based offset of the character where that shows."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token. `value` is unquoted for TEXT and QUOTED, in capitals for WORD, and as written for the rest.

    `position` and `end` are 0-based offsets of its first character and of the one after its last.
    """

    kind: TokenKind
    value: str
    written: str
    position: int
    end: int


def tokenize(expression: str) -> tuple[Token, ...]:
    """Split an expression into its tokens; the last one is END.

    Raises:
        ExpressionError: a character that begins no token, or a quote that nothing closes.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise _stray(expression, position)
        if match.lastgroup != "space":
            token = _token(str(match.lastgroup), match)
            _check_apart(tokens, token)
            tokens.append(token)
        position = match.end()
    tokens.append(Token(kind=TokenKind.END, value="", written="", position=position, end=position))
    return tuple(tokens)


def _token(group: str, match: re.Match[str]) -> Token:
    written = match.group()
    value = written
    if group == "text":
        value = written[1:-1].replace("''", "'")
    elif group == "quoted":
        value = written[1:-1].replace('""', '"')
    elif group == "word":
        value = written.upper()
    if "\0" in value:
        raise ExpressionError("a NUL character is not accepted", match.start() + written.index("\0"))
    if group == "quoted" and not value:
        raise ExpressionError("an empty name", match.start())
    return Token(kind=_KINDS[group], value=value, written=written, position=match.start(), end=match.end())


def _check_apart(tokens: list[Token], token: Token) -> None:
    """Refuse `10AND`, `'a''b'x` and their like: engines disagree about what they mean."""
    joined = {TokenKind.NUMBER, TokenKind.WORD, TokenKind.TEXT, TokenKind.QUOTED, TokenKind.USER}
    if not tokens or tokens[-1].end != token.position:
        return
    if token.kind in joined and tokens[-1].kind in joined:
        raise ExpressionError(f"`{tokens[-1].written}{token.written}`: put a space between the two", token.position)


def _stray(expression: str, position: int) -> ExpressionError:
    character = expression[position]
    if character in "'\"":
        return ExpressionError(f"the quote {character} is never closed", position)
    if ord(character) > 126:
        return ExpressionError(f'`{character}`: write a name with such characters in quotes: "..."', position)
    return ExpressionError(f"`{character}` has no meaning here", position)
