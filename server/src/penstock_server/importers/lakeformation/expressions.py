"""Row filter expressions of Lake Formation, read by a second parser of our own.

INVARIANT: shares no code with `policy`: a mistake of that parser then shows as a difference in the report.

Source: AWS Lake Formation developer guide, "PartiQL support in row filter expressions".
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from penstock_server.importers.row_forms import Form, joined
from penstock_server.model.schema import Column, TableSchema, TypeFamily, field_of

_TOKEN: Final = re.compile(
    r"\s*(?:('(?:[^']|'')*')|(\"(?:[^\"]|\"\")*\")|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|([A-Za-z_]\w*)|(<=|>=|<>|!=|[=<>(),.]))",
    re.ASCII,
)
_OPERATORS: Final = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_DEEPEST: Final = 200


class UnreadableExpression(ValueError):
    """An expression is not of the grammar, or its constants do not fit the columns."""


def form_of_expression(text: str, schema: TableSchema) -> Form:
    """Give the form of an expression over a table.

    Raises:
        UnreadableExpression: it cannot be read.
    """
    reader = _Reader(text, schema)
    form = reader.either(0)
    reader.end()
    return form


class _Reader:
    """Reads from left to right; a token is its group and its text."""

    def __init__(self, text: str, schema: TableSchema) -> None:
        self._schema = schema
        self._tokens: list[tuple[int, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastindex is None:
                raise UnreadableExpression(text[position:])
            self._tokens.append((match.lastindex, match.group(match.lastindex)))
            position = match.end()
        self._next = 0

    def either(self, depth: int) -> Form:
        if depth > _DEEPEST:
            raise UnreadableExpression("too deep")
        operands = [self._both(depth)]
        while self._word("OR"):
            operands.append(self._both(depth))
        return joined("or", operands)

    def end(self) -> None:
        if self._next != len(self._tokens):
            raise UnreadableExpression("something follows")

    def _both(self, depth: int) -> Form:
        operands = [self._negated(depth)]
        while self._word("AND"):
            operands.append(self._negated(depth))
        return joined("and", operands)

    def _negated(self, depth: int) -> Form:
        count = 0
        while self._word("NOT"):
            count += 1
        if self._symbol("("):
            form = self.either(depth + 1)
            self._must(")")
        else:
            form = self._test()
        for _ in range(count):
            form = ("not", form)
        return form

    def _test(self) -> Form:
        column = self._column()
        if self._word("IS"):
            negated = self._word("NOT")
            if not self._word("NULL"):
                raise UnreadableExpression("IS without NULL")
            form: Form = ("null", column.name)
            return ("not", form) if negated else form
        if self._word("NOT"):
            return ("not", self._set(column))
        kind, token = self._take()
        if kind == 5 and token in _OPERATORS:
            return ("compare", column.name, _OPERATORS[token], self._constant(column))
        self._next -= 1
        return self._set(column)

    def _set(self, column: Column) -> Form:
        if self._word("BETWEEN"):
            low = self._constant(column)
            if not self._word("AND"):
                raise UnreadableExpression("BETWEEN without AND")
            return ("between", column.name, low, self._constant(column))
        if self._word("LIKE"):
            return ("like", column.name, self._text())
        if not self._word("IN"):
            raise UnreadableExpression("no comparison")
        self._must("(")
        values = {self._constant(column)}
        while self._symbol(","):
            values.add(self._constant(column))
        self._must(")")
        return ("in", column.name, frozenset(values))

    def _column(self) -> Column:
        found = self._schema.column(self._name())
        while found is not None and self._symbol("."):
            found = field_of(found, self._name())
        if found is None:
            raise UnreadableExpression("no column")
        return found

    def _name(self) -> str:
        kind, token = self._take()
        if kind not in {2, 4}:
            raise UnreadableExpression("no name")
        return token[1:-1].replace('""', '"') if kind == 2 else token

    def _constant(self, column: Column) -> Form:
        family = column.type.family
        if family is TypeFamily.TEXT:
            return ("text", self._text())
        kind, token = self._take()
        if family is TypeFamily.BOOLEAN and kind == 4 and token.upper() in {"TRUE", "FALSE"}:
            return ("boolean", token.upper() == "TRUE")
        if kind != 3:
            raise UnreadableExpression("no constant of the column's type")
        try:
            number = Decimal(token)
        except InvalidOperation as error:
            raise UnreadableExpression(token) from error
        if family is TypeFamily.FLOAT:
            return ("number", Fraction(float(number)))
        if family in {TypeFamily.INTEGER, TypeFamily.DECIMAL}:
            return ("number", Fraction(number))
        raise UnreadableExpression("no constant of the column's type")

    def _text(self) -> str:
        kind, token = self._take()
        if kind != 1:
            raise UnreadableExpression("no text")
        return token[1:-1].replace("''", "'")

    def _take(self) -> tuple[int, str]:
        if self._next >= len(self._tokens):
            raise UnreadableExpression("ends early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _word(self, word: str) -> bool:
        return self._if(4, word)

    def _symbol(self, symbol: str) -> bool:
        return self._if(5, symbol)

    def _must(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise UnreadableExpression(f"no {symbol}")

    def _if(self, kind: int, text: str) -> bool:
        if self._next == len(self._tokens):
            return False
        found, token = self._tokens[self._next]
        if found != kind or token.upper() != text:
            return False
        self._next += 1
        return True
