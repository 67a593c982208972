"""Expressions of masks: text in, syntax tree with positions out.

An expression sees one cell, as `value`, and nothing else. It is made of constants, `value`, `CAST(value AS VARCHAR)`,
`||`, the functions of `TextFunction`, and CASE over tests in the grammar of row filters. All of these have a result for
every value, so an expression cannot fail. There are no other functions, casts or operators, and no arithmetic.
"""

from __future__ import annotations

from typing import Final

from penstock_server.policy.filters.binding import columns_of
from penstock_server.policy.filters.nodes import ColumnReference, IsNullNode, Literal, LiteralKind, NotNode
from penstock_server.policy.filters.row_filter import MAX_LENGTH, FilterParser
from penstock_server.policy.filters.tokens import ExpressionError, TokenKind, tokenize
from penstock_server.policy.masks.nodes import (
    BranchNode,
    CaseNode,
    FunctionNode,
    JoinNode,
    LiteralNode,
    MaskNode,
    TextFunction,
    ValueNode,
)

MAX_NESTING: Final = 16
"""Deepest nesting of functions, CASE and parentheses."""

MAX_VALUES: Final = 8
"""How often `value` may stand in an expression: what is shown is at most so many times as long as the value."""

MAX_COUNT: Final = 10_000
"""Largest number of characters that a function takes."""

_FUNCTIONS: Final = {
    function.name: function for function in TextFunction if function is not TextFunction.LENGTH_AS_TEXT
}
_NUMBERS: Final = {TextFunction.LEFT: (1, 1), TextFunction.RIGHT: (1, 1), TextFunction.SUBSTRING: (1, 2)}
"""The least and the greatest count of numbers that follow the text."""

_KNOWN: Final = "a constant, `value`, `||`, CASE, CAST(value AS VARCHAR), " + ", ".join(
    function.value for function in _FUNCTIONS.values()
)


def parse_mask_expression(expression: str) -> MaskNode:
    """Parse the expression of a mask.

    Raises:
        ExpressionError: it is too long, nested too deeply, or not of this grammar.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    parser = _Parser(tokenize(expression))
    node = parser.whole()
    if parser.peek().kind is not TokenKind.END:
        raise ExpressionError(f"expected `||` or the end, found {parser.found()}", parser.peek().position)
    return node


class _Parser(FilterParser):
    """Recursive descent; tests of CASE are those of row filters."""

    _values = 0

    def whole(self) -> MaskNode:
        """Read the expression, which may also be a bare test of `value` for NULL."""
        start = self.peek().position
        node = self._joined(0)
        if not isinstance(node, ValueNode) or node.as_text or not self.word("IS"):
            return node
        is_not = self.word("NOT")
        self.expect(TokenKind.WORD, "NULL")
        test = IsNullNode(column=ColumnReference(parts=("value",), position=start))
        return CaseNode(
            branches=(BranchNode(test=test, shown=_truth(is_not is None, start), position=start),),
            otherwise=_truth(is_not is not None, start),
        )

    def _joined(self, depth: int) -> MaskNode:
        if depth > MAX_NESTING:
            raise ExpressionError(f"nested deeper than {MAX_NESTING} levels", self.peek().position)
        start = self.peek().position
        operands = [self._operand(depth)]
        while self.symbol("||"):
            operands.append(self._operand(depth))
        return operands[0] if len(operands) == 1 else JoinNode(operands=tuple(operands), position=start)

    def _operand(self, depth: int) -> MaskNode:
        token = self.peek()
        if self.symbol("("):
            node = self._joined(depth + 1)
            self.expect(TokenKind.SYMBOL, ")")
            return node
        if self.word("CASE"):
            return self._case(depth)
        if self.word("NULL"):
            return LiteralNode(literal=None)
        if self.word("CAST"):
            return self._cast(token.position, depth)
        if self.word("VALUE"):
            return self._value(token.position, as_text=False)
        if token.kind is TokenKind.WORD and token.value in _FUNCTIONS:
            self.advance()
            return self._function(_FUNCTIONS[token.value], token.position, depth)
        try:
            return LiteralNode(literal=self.literal())
        except ExpressionError as error:
            written = "the end" if token.kind is TokenKind.END else f"`{token.written}`"
            raise ExpressionError(f"expected {_KNOWN}; found {written}", token.position) from error

    def _value(self, position: int, *, as_text: bool) -> MaskNode:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ExpressionError(f"`value` stands here more than {MAX_VALUES} times", position)
        return ValueNode(as_text=as_text, position=position)

    def _cast(self, position: int, depth: int) -> MaskNode:
        self.expect(TokenKind.SYMBOL, "(")
        length: MaskNode | None = None
        if self.word("LENGTH"):
            length = self._function(TextFunction.LENGTH_AS_TEXT, position, depth)
        else:
            self.expect(TokenKind.WORD, "VALUE")
        self.expect(TokenKind.WORD, "AS")
        if self.peek().value not in {"VARCHAR", "TEXT", "STRING"}:
            raise ExpressionError(
                f"a value may be cast to VARCHAR only, not to {self.found()}: other casts can fail",
                self.peek().position,
            )
        self.advance()
        self.expect(TokenKind.SYMBOL, ")")
        return self._value(position, as_text=True) if length is None else length

    def _function(self, function: TextFunction, position: int, depth: int) -> MaskNode:
        self.expect(TokenKind.SYMBOL, "(")
        operand = self._joined(depth + 1)
        least, most = _NUMBERS.get(function, (0, 0))
        numbers: list[int] = []
        while len(numbers) < most and (len(numbers) < least or self.peek().value == ","):
            self.expect(TokenKind.SYMBOL, ",")
            numbers.append(self._count(1 if function is TextFunction.SUBSTRING and not numbers else 0))
        self.expect(TokenKind.SYMBOL, ")")
        return FunctionNode(function=function, operand=operand, numbers=tuple(numbers), position=position)

    def _count(self, least: int) -> int:
        token = self.peek()
        literal = self.literal()
        whole = literal.kind is LiteralKind.NUMBER and literal.text.isascii() and literal.text.isdigit()
        if not whole or len(literal.text) > len(str(MAX_COUNT)) or not least <= int(literal.text) <= MAX_COUNT:
            raise ExpressionError(f"expected a whole number from {least} to {MAX_COUNT}", token.position)
        return int(literal.text)

    def _case(self, depth: int) -> MaskNode:
        branches: list[BranchNode] = []
        while self.word("WHEN"):
            start = self.peek().position
            test = self.disjunction(0, negated=False)
            if {name.lower() for name in columns_of(test)} != {"value"}:
                raise ExpressionError("a mask sees the cell that it is on alone; write `value`", start)
            self.expect(TokenKind.WORD, "THEN")
            branches.append(BranchNode(test=test, shown=self._joined(depth + 1), position=start))
        if not branches:
            raise ExpressionError(f"expected WHEN, found {self.found()}", self.peek().position)
        otherwise: MaskNode = self._joined(depth + 1) if self.word("ELSE") else LiteralNode(literal=None)
        self.expect(TokenKind.WORD, "END")
        return CaseNode(branches=tuple(branches), otherwise=otherwise)


def null_test(node: MaskNode) -> tuple[Literal | None, Literal | None] | None:
    """Give the constants for NULL and for everything else where an expression tells no more than that, else None."""
    match node:
        case LiteralNode(literal=literal):
            return literal, literal
        case CaseNode(
            branches=(BranchNode(test=test, shown=LiteralNode(literal=then)),), otherwise=LiteralNode(literal=other)
        ):
            match test:
                case IsNullNode():
                    return then, other
                case NotNode(operand=IsNullNode()):
                    return other, then
    return None


def _truth(truth: bool, position: int) -> LiteralNode:
    return LiteralNode(literal=Literal(kind=LiteralKind.BOOLEAN, text="TRUE" if truth else "FALSE", position=position))
