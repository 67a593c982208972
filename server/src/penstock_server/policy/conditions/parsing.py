"""Reads a condition block that was taken apart into texts; says what is wrong with each part."""

from __future__ import annotations

import ipaddress
from typing import Final

from penstock_server.config.reading import suggestion
from penstock_server.policy.conditions.block import Condition, NullCondition, SetPrefix
from penstock_server.policy.conditions.keys import Key, Kind, instant_of, parse_key
from penstock_server.policy.conditions.operators import OPERATORS, Operator, number_of
from penstock_server.policy.conditions.patterns import Value, Variable, Wildcard, literal, parse_value

MAX_VALUES: Final = 1_000
_IF_EXISTS: Final = "ifexists"
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_condition(operator: str, key: str, values: tuple[str, ...]) -> Condition | NullCondition:
    """Read one operator, one key and its values.

    Raises:
        ValueError: one of them is not as IAM has it, or does not fit the others; the message is a whole sentence.
    """
    if not 1 <= len(values) <= MAX_VALUES:
        raise ValueError(f"`{key}` needs 1 to {MAX_VALUES} values")
    found = _key(key)
    if operator.lower() == "null":
        return _null(found, values)
    prefix, base, if_exists = _operator(operator)
    if prefix is SetPrefix.ANY and if_exists:
        # AWS: IfExists makes a missing key true, ForAnyValue false; which of them wins is nowhere said.
        raise ValueError(f"`{operator}` is ambiguous where the key is missing; leave out `IfExists`")
    if found.kind not in base.kinds:
        raise ValueError(f"`{base.name}` does not fit `{key}`, whose value is {found.kind.value}")
    if found.multivalued and prefix is SetPrefix.NONE:
        raise ValueError(f"`{key}` has several values; write `ForAnyValue:{base.name}` or `ForAllValues:{base.name}`")
    return Condition(
        operator=base,
        prefix=prefix,
        if_exists=if_exists,
        key=found,
        values=tuple(_value(text, base) for text in values),
    )


def _key(text: str) -> Key:
    try:
        return parse_key(text)
    except ValueError as error:
        raise ValueError(f"`{text}` {error}") from error


def _null(key: Key, values: tuple[str, ...]) -> NullCondition:
    if len(values) != 1 or values[0].lower() not in {"true", "false"}:
        raise ValueError('`Null` takes one value, "true" (the key is absent) or "false"')
    return NullCondition(key=key, absent=values[0].lower() == "true")


def _operator(text: str) -> tuple[SetPrefix, Operator, bool]:
    prefix = next(
        (one for one in (SetPrefix.ALL, SetPrefix.ANY) if text.lower().startswith(one.value.lower())), SetPrefix.NONE
    )
    name = text[len(prefix.value) :].lower()
    if_exists = name.endswith(_IF_EXISTS)
    operator = OPERATORS.get(name.removesuffix(_IF_EXISTS))
    if operator is None:
        hint = suggestion(text[len(prefix.value) :], _names()) or f"; there are {', '.join(_names())}, Null"
        raise ValueError(f"`{text}` is no condition operator{hint}")
    return prefix, operator, if_exists


def _names() -> tuple[str, ...]:
    return tuple(operator.name for operator in OPERATORS.values())


def _value(text: str, operator: Operator) -> Value:
    try:
        value = parse_value(text, wildcards=operator.wildcards)
    except ValueError as error:
        raise ValueError(f"`{text}` {error}") from error
    if any(isinstance(part, Variable) for part in value.parts):
        if operator.kinds != frozenset({Kind.TEXT}) or operator.name == "Bool":
            # AWS: variables stand in the values of string and ARN operators only.
            raise ValueError(f"`{operator.name}` takes no variables")
        return value
    constant = tuple(part for part in value.parts if isinstance(part, str | Wildcard))
    try:
        _check(literal(constant), operator)
    except ValueError as error:
        raise ValueError(f"`{text}` is not what `{operator.name}` compares with; write {_example(operator)}") from error
    return value


def _example(operator: Operator) -> str:
    """Say what a value of the operator looks like."""
    if Kind.NUMBER in operator.kinds:
        return "a number such as `3600`"
    if Kind.INSTANT in operator.kinds:
        return "an instant with a zone such as `2027-01-01T00:00:00Z`, or seconds since 1970"
    if Kind.ADDRESS in operator.kinds:
        return "an address, or a network without host bits such as `10.0.0.0/8`; IPv4 as IPv4"
    return "`true` or `false`"


def _check(text: str | None, operator: Operator) -> None:
    if Kind.NUMBER in operator.kinds:
        number_of(text)
    elif Kind.INSTANT in operator.kinds:
        instant_of(text or "")
    elif Kind.ADDRESS in operator.kinds:
        network = ipaddress.ip_network(text or "", strict=True)
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
            # A caller of that address is seen as one of IPv4: NotIpAddress would let them in.
            raise ValueError("write it as IPv4")
    elif operator.name == "Bool" and (text or "").lower() not in {"true", "false"}:
        raise ValueError("neither true nor false")
