"""Row filter expressions in the grammar of Lake Formation: text in, syntax tree with positions out.

`column op constant` with `= <> != < > <= >= BETWEEN IN LIKE NOT IS [NOT] NULL`, joined by AND, OR, NOT and
parentheses. No functions, no comparison of two columns, no subqueries: an expression is total. Our extensions are
DATE and TIMESTAMP constants and the caller's own values `:user.name`, `:user.subject`, `:user.groups`,
`:user.attributes.X`.

Source: AWS Lake Formation developer guide, "PartiQL support in row filter expressions".
"""

from __future__ import annotations

from typing import Final

from penstock_server.model.predicate import Comparison
from penstock_server.policy.filters.cursor import TokenCursor
from penstock_server.policy.filters.nodes import (
    AndNode,
    BetweenNode,
    ColumnReference,
    CompareNode,
    FilterNode,
    InNode,
    IsNullNode,
    LikeNode,
    LiteralKind,
    NotNode,
    OrNode,
    UserAttribute,
    UserGroups,
    UserName,
    UserSubject,
    UserValue,
)
from penstock_server.policy.filters.tokens import ExpressionError, Token, TokenKind, tokenize

MAX_LENGTH: Final = 2048
"""Longest expression, in characters. AWS: RowFilter.FilterExpression."""

MAX_DEPTH: Final = 64
"""Deepest nesting of parentheses and NOT; the depth bounds every walk over the tree."""

_RESERVED: Final = frozenset(
    ["AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "BETWEEN", "TRUE", "FALSE", "DATE", "TIMESTAMP", "ESCAPE"]
)
_COMPARISONS: Final = {
    "=": Comparison.EQUAL,
    "<>": Comparison.NOT_EQUAL,
    "!=": Comparison.NOT_EQUAL,
    "<": Comparison.LESS,
    ">": Comparison.GREATER,
    "<=": Comparison.LESS_OR_EQUAL,
    ">=": Comparison.GREATER_OR_EQUAL,
}


def parse_filter(expression: str) -> FilterNode:
    """Parse a row filter expression.

    Raises:
        ExpressionError: it is too long, nested too deeply, or not of this grammar.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    parser = FilterParser(tokenize(expression))
    node = parser.disjunction(0, negated=False)
    parser.expect_end()
    return node


class FilterParser(TokenCursor):
    """Recursive descent: OR < AND < NOT < comparison. `depth` bounds the recursion."""

    def disjunction(self, depth: int, *, negated: bool) -> FilterNode:
        """Read tests joined by OR, AND and NOT; `negated` where a NOT stands before them."""
        operands = [self._conjunction(depth, negated=negated)]
        while self.word("OR"):
            operands.append(self._conjunction(depth, negated=negated))
        return operands[0] if len(operands) == 1 else OrNode(operands=tuple(operands))

    def _conjunction(self, depth: int, *, negated: bool) -> FilterNode:
        operands = [self._negation(depth, negated=negated)]
        while self.word("AND"):
            operands.append(self._negation(depth, negated=negated))
        return operands[0] if len(operands) == 1 else AndNode(operands=tuple(operands))

    def _negation(self, depth: int, *, negated: bool) -> FilterNode:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels", self.peek().position)
        if self.word("NOT"):
            return NotNode(operand=self._negation(depth + 1, negated=True))
        if self.symbol("("):
            node = self.disjunction(depth + 1, negated=negated)
            self.expect(TokenKind.SYMBOL, ")")
            return node
        return self._test(negated=negated)

    def _test(self, *, negated: bool) -> FilterNode:
        column = self._column()
        if self.word("IS"):
            is_not = self.word("NOT")
            self.expect(TokenKind.WORD, "NULL")
            test: FilterNode = IsNullNode(column=column)
            return NotNode(operand=test) if is_not else test
        if self.word("NOT"):
            return NotNode(operand=self._set_test(column, negated=True))
        if self.peek().kind is TokenKind.SYMBOL and self.peek().value in _COMPARISONS:
            return self._comparison(column)
        return self._set_test(column, negated=negated)

    def _comparison(self, column: ColumnReference) -> FilterNode:
        op = _COMPARISONS[self.advance().value]
        if self.peek().kind is not TokenKind.USER:
            return CompareNode(column=column, op=op, operand=self.literal())
        value = _user_value(self.advance())
        if isinstance(value, UserGroups):
            raise ExpressionError("`:user.groups` is a list; write `column IN :user.groups`", value.position)
        return CompareNode(column=column, op=op, operand=value)

    def _set_test(self, column: ColumnReference, *, negated: bool) -> FilterNode:
        if self.word("BETWEEN"):
            low = self.literal()
            self.expect(TokenKind.WORD, "AND")
            return BetweenNode(column=column, low=low, high=self.literal())
        if self.word("LIKE"):
            return self._like(column)
        if self.word("IN"):
            return self._in(column, negated=negated)
        raise ExpressionError(
            f"expected a comparison after the column, found {self.found()}; for a truth value write `= TRUE`",
            self.peek().position,
        )

    def _like(self, column: ColumnReference) -> FilterNode:
        pattern = self.literal()
        if pattern.kind is not LiteralKind.TEXT:
            raise ExpressionError("the pattern of LIKE is a text in single quotes", pattern.position)
        if "\\" in pattern.text:
            # DuckDB: has no default escape, others take the backslash (2.0.0): one pattern must mean one thing.
            raise ExpressionError(
                "a backslash in a pattern means different things in different engines; write the pattern without one",
                pattern.position,
            )
        if self.peek().kind is TokenKind.WORD and self.peek().value == "ESCAPE":
            raise ExpressionError("ESCAPE is not available in this version", self.peek().position)
        return LikeNode(column=column, pattern=pattern)

    def _in(self, column: ColumnReference, *, negated: bool) -> FilterNode:
        if self.peek().kind is TokenKind.USER:
            return InNode(column=column, values=self._user_list(negated=negated))
        self.expect(TokenKind.SYMBOL, "(")
        if self.peek().kind is TokenKind.USER:
            raise ExpressionError("write the list without parentheses: `column IN :user.groups`", self.peek().position)
        values = [self.literal()]
        while self.symbol(","):
            values.append(self.literal())
        self.expect(TokenKind.SYMBOL, ")")
        return InNode(column=column, values=tuple(values))

    def _user_list(self, *, negated: bool) -> UserValue:
        value = _user_value(self.advance())
        if isinstance(value, UserGroups) and negated:
            # SECURITY: identity providers truncate group claims; a group that is missing must never open a row.
            raise ExpressionError(
                "`:user.groups` cannot stand under NOT: a group missing from a token would open rows", value.position
            )
        if isinstance(value, UserName | UserSubject):
            name = "name" if isinstance(value, UserName) else "subject"
            raise ExpressionError(f"`:user.{name}` is one value; write `column = :user.{name}`", value.position)
        return value

    def _column(self) -> ColumnReference:
        position = self.peek().position
        parts = [self._name()]
        while self.symbol("."):
            parts.append(self._name())
        if self.peek().kind is TokenKind.SYMBOL and self.peek().value == "(" and len(parts) == 1:
            raise ExpressionError(
                f"`{parts[0]}(...)`: functions are not part of a filter; compare the column itself", position
            )
        return ColumnReference(parts=tuple(parts), position=position)

    def _name(self) -> str:
        token = self.peek()
        if token.kind is TokenKind.QUOTED:
            return self.advance().value
        if token.kind is TokenKind.WORD and token.value not in _RESERVED:
            return self.advance().written
        hint = "; put a name that is a keyword in double quotes" if token.kind is TokenKind.WORD else ""
        raise ExpressionError(f"expected a column, found {self.found()}{hint}", token.position)


def _user_value(token: Token) -> UserValue:
    name = token.value[1:]
    if name == "user.name":
        return UserName(position=token.position)
    if name == "user.groups":
        return UserGroups(position=token.position)
    if name == "user.subject":
        return UserSubject(position=token.position)
    attribute = name.removeprefix("user.attributes.")
    if attribute != name and "." not in attribute:
        return UserAttribute(name=attribute, position=token.position)
    known = "`:user.name`, `:user.subject`, `:user.groups` and `:user.attributes.NAME`"
    raise ExpressionError(f"`{token.written}` is no value of the caller; there are {known}", token.position)
