"""Pairs of policies that differ in rows alone, and what a solver is asked of them: does anybody see a row more?

The encoding is of this module alone: from the plain expressions of `support.reference_model` to SMT-LIB 2.6. A value
is a constant and a flag `is NULL`; an expression is two formulas, one for where it is TRUE and one for where it is
FALSE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Final

from support.policy_pairs import Filter, Grant, Policy
from support.random_pairs import random_pair
from support.reference_model import Expression

COLUMNS: Final = ("i", "b", "s", "m")
"""The columns of `support.policy_pairs` whose values solvers know: TINYINT, BOOLEAN, VARCHAR, DECIMAL(1,1)."""

_SORTS: Final = {"i": "Int", "b": "Bool", "s": "String", "m": "Real"}
_BOUNDS: Final = {
    "i": "(and (<= (- 128) i) (<= i 127))",
    "m": "(and (<= (- 0.9) m) (<= m 0.9) (is_int (* 10.0 m)))",
}
_ALPHABETS: Final = (("a", "b"), ("'", "a"), ('"', "{"), ("Z", "é"), ("~", "¡"), ("z", "字"))
"""What the letters `a` and `b` become, in the order of code points."""
_SHIFTS: Final = (0, -127, 122)
"""What is added to whole numbers from -1 to 5: those at both ends of a TINYINT come up."""

Formula = str
Truth = tuple[Formula, Formula]
"""Where an expression is TRUE, and where it is FALSE; elsewhere it is UNKNOWN."""


def row_pairs(seed: str, count: int) -> Iterator[tuple[Policy, Policy]]:
    """Give so many different-looking pairs of policies that show all columns of some rows to everyone."""
    number = 0
    while count:
        random = Random(f"{seed}-{number}")
        number += 1
        pair = random_pair(random, patterns=random.random() < 0.5, feature=None)
        old, new = (_rows_alone(policy) for policy in pair)
        if old is None or new is None or old == new:
            continue
        spelling = _Spelling(letters=random.choice(_ALPHABETS), shift=random.choice(_SHIFTS))
        yield spelling.policy(old), spelling.policy(new)
        count -= 1


def _rows_alone(policy: Policy) -> Policy | None:
    """Keep of a policy what its grants say of rows; None where that is nothing, or more than a solver knows."""
    rows = [grant.filter.rows for grant in policy.grants if grant.permissions == ("SELECT",)]
    if not rows or not all(e is None or _is_plain(e) for e in rows):
        return None
    whole = ("include", frozenset(COLUMNS))
    grants = tuple(
        Grant(
            principals=("everyone",),
            permissions=("SELECT",),
            filter=Filter(columns=whole, rows=e, masks={}),
            ends=False,
        )
        for e in rows
    )
    return Policy(columns=COLUMNS, grants=grants, ranks={}, rules=None, closed={})


def _is_plain(e: Expression) -> bool:
    if e[0] == "not":
        return _is_plain(e[1])
    if e[0] in {"and", "or"}:
        return all(_is_plain(operand) for operand in e[1])
    if e[0].startswith("my ") or e[1] not in COLUMNS:
        return False
    # cvc5 does not come to an end on some orders of texts beside patterns, whatever its limits.
    return e[1] != "s" or e[0] in {"null", "in", "like"} or (e[0] == "cmp" and e[2] in {"=", "<>"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spelling:
    """Other constants in the same order."""

    letters: tuple[str, str]
    shift: int

    def policy(self, policy: Policy) -> Policy:
        return replace(policy, grants=tuple(self._grant(grant) for grant in policy.grants))

    def _grant(self, grant: Grant) -> Grant:
        rows = grant.filter.rows
        return grant if rows is None else replace(grant, filter=replace(grant.filter, rows=self._expression(rows)))

    def _expression(self, e: Expression) -> Expression:
        if e[0] == "not":
            return ("not", self._expression(e[1]))
        if e[0] in {"and", "or"}:
            return (e[0], [self._expression(operand) for operand in e[1]])
        match e:
            case ("in", column, values):
                return ("in", column, [self._value(value) for value in values])
            case ("cmp", column, operator, value):
                return ("cmp", column, operator, self._value(value))
            case _:
                return (e[0], e[1], *(self._value(value) for value in e[2:]))

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.translate(dict(zip(map(ord, "ab"), self.letters, strict=True)))
        return value + self.shift if isinstance(value, int) and not isinstance(value, bool) else value


def question(old: Policy, new: Policy, *, null_is_a_value: bool = False) -> str:
    """Ask for a row that the new policy shows and the old one does not.

    With `null_is_a_value` the question is wrong: NOT of a test holds for NULL too.
    """
    encoding = _Encoding(null_is_a_value=null_is_a_value)
    shown = [_any([encoding.truth(grant.filter.rows)[0] for grant in policy.grants]) for policy in (old, new)]
    lines = [f"(declare-const {column} {sort})" for column, sort in _SORTS.items()]
    lines += [f"(declare-const {column}_null Bool)" for column in _SORTS]
    lines += [f"(assert {bound})" for bound in _BOUNDS.values()]
    lines += [f"(assert (and {shown[1]} (not {shown[0]})))", "(check-sat)"]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    null_is_a_value: bool

    def truth(self, e: Expression | None) -> Truth:
        if e is None:
            return "true", "false"
        if e[0] == "not":
            holds, fails = self.truth(e[1])
            return fails, holds
        if e[0] in {"and", "or"}:
            truths = [self.truth(operand) for operand in e[1]]
            holding, failing = [holds for holds, _ in truths], [fails for _, fails in truths]
            return (_all(holding), _any(failing)) if e[0] == "and" else (_any(holding), _all(failing))
        null = f"{e[1]}_null"
        if e[0] == "null":
            return null, f"(not {null})"
        holds = f"(and (not {null}) {_test(e)})"
        return holds, f"(not {holds})" if self.null_is_a_value else f"(and (not {null}) (not {_test(e)}))"


def _test(e: Expression) -> Formula:
    """Write a test of a value that is not NULL."""
    match e:
        case ("between", column, low, high):
            return _all([_compared(column, ">=", low), _compared(column, "<=", high)])
        case ("in", column, values):
            return _any([_compared(column, "=", value) for value in values])
        case ("like", column, pattern):
            return f"(str.in_re {column} {_pattern(pattern)})"
        case ("cmp", column, operator, value):
            return _compared(column, operator, value)
    raise AssertionError(e)


_ORDER: Final[Mapping[str, tuple[str, bool, bool]]] = {
    "<": ("<", False, False),
    "<=": ("<=", False, False),
    ">": ("<", True, False),
    ">=": ("<=", True, False),
    "=": ("=", False, False),
    "<>": ("=", False, True),
}
"""What is written for an operator: another one, with operands turned round, with `not` before it."""


def _compared(column: str, operator: str, value: Any) -> Formula:
    written, turned, negated = _ORDER[operator]
    operands = f"{_constant(value)} {column}" if turned else f"{column} {_constant(value)}"
    return f"(not ({written} {operands}))" if negated else f"({written} {operands})"


def _constant(value: Any) -> str:
    if isinstance(value, str):
        return '"' + "".join(f"\\u{{{ord(letter):x}}}" for letter in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    size = f"{abs(value):.1f}" if isinstance(value, Decimal) else str(abs(value))
    return f"(- {size})" if value < 0 else size


def _pattern(pattern: str) -> str:
    others = {"%": "re.all", "_": "re.allchar"}
    parts = [others.get(letter) or f"(str.to_re {_constant(letter)})" for letter in pattern]
    return f'(re.++ (str.to_re "") {" ".join(parts)})' if parts else '(str.to_re "")'


def _all(formulas: Sequence[Formula]) -> Formula:
    return f"(and true {' '.join(formulas)})"


def _any(formulas: Sequence[Formula]) -> Formula:
    return f"(or false {' '.join(formulas)})"
