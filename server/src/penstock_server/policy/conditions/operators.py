"""What each operator says of one value of the request and one of the condition.

AWS: a negated operator is true where no value of the condition matches; a positive one where at least one does. A
value of the request that is not of the operator's kind (a tag `x` under NumericLessThan) makes the condition false
under either polarity: what cannot be judged permits nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from penstock_server.policy.conditions.keys import Kind, instant_of
from penstock_server.policy.conditions.patterns import Resolved, literal, matches, split

Test = Callable[[str, Resolved], bool]
"""Compares a request's value with a resolved one; raises ValueError where either is not of the operator's kind."""

_ARN_SEPARATORS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator without its set prefix and its IfExists."""

    name: str
    test: Test
    negated: bool
    wildcards: bool
    kinds: frozenset[Kind]


def _equal(value: str, wanted: Resolved) -> bool:
    return value == literal(wanted)


def _equal_ignoring_case(value: str, wanted: Resolved) -> bool:
    text = literal(wanted)
    return text is not None and value.lower() == text.lower()


def _like(value: str, wanted: Resolved) -> bool:
    return matches(wanted, value)


def _arn_like(value: str, wanted: Resolved) -> bool:
    """AWS: each of the six parts of an ARN is compared by itself; no wildcard reaches across the first five colons."""
    own = value.split(":", _ARN_SEPARATORS)
    parts = split(wanted, ":", _ARN_SEPARATORS)
    if len(own) != _ARN_SEPARATORS + 1 or own[0] != "arn":
        raise ValueError("not an ARN")
    return len(parts) == len(own) and all(matches(part, text) for part, text in zip(parts, own, strict=True))


_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def number_of(text: str | None) -> Decimal:
    """Read a number.

    Raises:
        ValueError: it is none.
    """
    if text is None or not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError("not a number") from error


def _numeric(compare: Callable[[Decimal, Decimal], bool]) -> Test:
    return lambda value, wanted: compare(number_of(value), number_of(literal(wanted)))


def _dated(compare: Callable[[datetime, datetime], bool]) -> Test:
    return lambda value, wanted: compare(instant_of(value), instant_of(literal(wanted) or ""))


def _boolean(value: str, wanted: Resolved) -> bool:
    words = {"true": True, "false": False}
    text = literal(wanted)
    if value.lower() not in words or text is None or text.lower() not in words:
        raise ValueError("neither true nor false")
    return words[value.lower()] is words[text.lower()]


def _in_network(value: str, wanted: Resolved) -> bool:
    network = ipaddress.ip_network(literal(wanted) or "", strict=False)
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        # A dual-stack listener sees 10.0.0.1 as ::ffff:10.0.0.1: it is one caller.
        address = address.ipv4_mapped
    return address.version == network.version and address in network


_TEXTS: Final = frozenset({Kind.TEXT})
_NUMBERS: Final = frozenset({Kind.NUMBER, Kind.TEXT})
_INSTANTS: Final = frozenset({Kind.INSTANT, Kind.TEXT})
_ADDRESSES: Final = frozenset({Kind.ADDRESS, Kind.TEXT})


def _pair(positive: str, negative: str, test: Test, *, kinds: frozenset[Kind], wildcards: bool) -> list[Operator]:
    return [
        Operator(name=name, test=test, negated=negated, wildcards=wildcards, kinds=kinds)
        for name, negated in ((positive, False), (negative, True))
    ]


OPERATORS: Final = {
    operator.name.lower(): operator
    for operator in (
        *_pair("StringEquals", "StringNotEquals", _equal, kinds=_TEXTS, wildcards=False),
        *_pair(
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            _equal_ignoring_case,
            kinds=_TEXTS,
            wildcards=False,
        ),
        *_pair("StringLike", "StringNotLike", _like, kinds=_TEXTS, wildcards=True),
        *_pair("ArnEquals", "ArnNotEquals", _arn_like, kinds=_TEXTS, wildcards=True),
        *_pair("ArnLike", "ArnNotLike", _arn_like, kinds=_TEXTS, wildcards=True),
        *_pair("NumericEquals", "NumericNotEquals", _numeric(lambda a, b: a == b), kinds=_NUMBERS, wildcards=False),
        *_pair("DateEquals", "DateNotEquals", _dated(lambda a, b: a == b), kinds=_INSTANTS, wildcards=False),
        *_pair("IpAddress", "NotIpAddress", _in_network, kinds=_ADDRESSES, wildcards=False),
        *(
            Operator(name=f"Numeric{name}", test=_numeric(compare), negated=False, wildcards=False, kinds=_NUMBERS)
            for name, compare in (
                ("LessThan", lambda a, b: a < b),
                ("LessThanEquals", lambda a, b: a <= b),
                ("GreaterThan", lambda a, b: a > b),
                ("GreaterThanEquals", lambda a, b: a >= b),
            )
        ),
        *(
            Operator(name=f"Date{name}", test=_dated(compare), negated=False, wildcards=False, kinds=_INSTANTS)
            for name, compare in (
                ("LessThan", lambda a, b: a < b),
                ("LessThanEquals", lambda a, b: a <= b),
                ("GreaterThan", lambda a, b: a > b),
                ("GreaterThanEquals", lambda a, b: a >= b),
            )
        ),
        Operator(name="Bool", test=_boolean, negated=False, wildcards=False, kinds=_TEXTS),
    )
}
"""Operators by lower-case name. BinaryEquals is left out: no key of ours is binary."""
