"""A cursor over tokens that reads constants: what row filters and mask expressions are parsed with."""

from __future__ import annotations

from penstock_server.policy.filters.nodes import Literal, LiteralKind
from penstock_server.policy.filters.tokens import ExpressionError, Token, TokenKind


class TokenCursor:
    """Walks over tokens; what both row filters and mask expressions are read with."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._next = 0

    def peek(self) -> Token:
        """The token that comes next; END at the end."""
        return self._tokens[self._next]

    def advance(self) -> Token:
        """Give the next token and step over it; never beyond END."""
        token = self._tokens[self._next]
        if token.kind is not TokenKind.END:
            self._next += 1
        return token

    def take(self, kind: TokenKind, value: str) -> Token | None:
        """Step over the next token if it is this word or symbol."""
        token = self.peek()
        return self.advance() if token.kind is kind and token.value == value else None

    def word(self, value: str) -> Token | None:
        """Step over a keyword."""
        return self.take(TokenKind.WORD, value)

    def symbol(self, value: str) -> Token | None:
        """Step over a symbol."""
        return self.take(TokenKind.SYMBOL, value)

    def expect(self, kind: TokenKind, value: str) -> None:
        """Step over a word or symbol that must stand here."""
        if self.take(kind, value) is None:
            raise ExpressionError(f"expected `{value}`, found {self.found()}", self.peek().position)

    def expect_end(self) -> None:
        """Require that nothing follows."""
        if self.peek().kind is not TokenKind.END:
            raise ExpressionError(f"expected AND, OR or the end, found {self.found()}", self.peek().position)

    def found(self) -> str:
        """Name the next token for a message."""
        return "the end" if self.peek().kind is TokenKind.END else f"`{self.peek().written}`"

    def literal(self) -> Literal:
        """Read a constant.

        Raises:
            ExpressionError: something else stands here.
        """
        token = self.advance()
        if token.kind is TokenKind.TEXT:
            return Literal(kind=LiteralKind.TEXT, text=token.value, position=token.position)
        if token.kind is TokenKind.NUMBER:
            return Literal(kind=LiteralKind.NUMBER, text=token.value, position=token.position)
        if token.kind is TokenKind.SYMBOL and token.value in {"+", "-"} and self.peek().kind is TokenKind.NUMBER:
            sign = "-" if token.value == "-" else ""
            return Literal(kind=LiteralKind.NUMBER, text=sign + self.advance().value, position=token.position)
        if token.kind is TokenKind.WORD and token.value in {"TRUE", "FALSE"}:
            return Literal(kind=LiteralKind.BOOLEAN, text=token.value, position=token.position)
        if token.kind is TokenKind.WORD and token.value in {"DATE", "TIMESTAMP"} and self.peek().kind is TokenKind.TEXT:
            return Literal(kind=LiteralKind[token.value], text=self.advance().value, position=token.position)
        raise _no_constant(token)


def _no_constant(token: Token) -> ExpressionError:
    if token.kind is TokenKind.WORD and token.value == "NULL":
        return ExpressionError("NULL is no constant to compare with; write IS NULL or IS NOT NULL", token.position)
    if token.kind is TokenKind.USER:
        return ExpressionError(
            f"`{token.written}` cannot stand here; write it after a comparison or IN", token.position
        )
    if token.kind is TokenKind.QUOTED:
        return ExpressionError(
            f"`{token.written}` in double quotes is a name; write a text in single quotes", token.position
        )
    written = "the end" if token.kind is TokenKind.END else f"`{token.written}`"
    hint = "; text stands in single quotes" if token.kind is TokenKind.WORD else ""
    return ExpressionError(
        f"expected a constant, found {written}; a filter compares a column with a constant{hint}", token.position
    )
