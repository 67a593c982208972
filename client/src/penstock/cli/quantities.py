"""Spans of time and parameters of statements, as people write them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import typer

from penstock.parameters import Parameter

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PREFIXED = re.compile(r"(text|integer|double|decimal|boolean|date|timestamp):(.*)", re.ASCII | re.DOTALL)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_NAMED = re.compile(r"\$?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII | re.DOTALL)
_CONSTANTS: dict[str, Parameter] = {"true": True, "false": False, "null": None}


def span(text: str) -> timedelta:
    """Read `90`, `90s`, `30m`, `1h` or `500ms`; a bare number is in seconds.

    Raises:
        typer.BadParameter: it is none of these.
    """
    matched = _SPAN.fullmatch(text.strip())
    if matched is None:
        raise typer.BadParameter("is a span such as `90s`, `30m` or `1h`")
    try:
        return timedelta(seconds=float(matched[1]) * _UNITS[matched[2] or "s"])
    except OverflowError as error:
        raise typer.BadParameter("is too long") from error


def parameter(text: str) -> Parameter:
    """Read the value of a parameter.

    `true`, `false`, `null`, `42` and `12.50` are what they look like (a decimal keeps its digits), `"42"` in double
    quotes is text, `TYPE:VALUE` has the type that it names (text, integer, double, decimal, boolean, date, timestamp),
    and anything else is text as it stands; so are numbers with leading zeros.

    Raises:
        typer.BadParameter: the value is not of the type that it names.
    """
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed is not None:
        return _typed(prefixed[1], prefixed[2])
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    return _quoted(text)


def parameters_of(texts: Sequence[str]) -> list[Parameter] | dict[str, Parameter]:
    """Read the values of `$1`, `$2`, ... in order, or those of `$name`, each written `name=VALUE`.

    Raises:
        typer.BadParameter: a value is not of its type (the error names the one), or only some have a name.
    """
    named = [matched for text in texts if (matched := _NAMED.fullmatch(text))]
    if not named:
        return _in_order(texts)
    values: dict[str, Parameter] = {}
    for matched in named:
        if len(named) < len(texts) or matched[1] in values:
            raise typer.BadParameter(
                "either every value has a name of its own, as in `region=north`, or none has; text with an equals sign "
                "is written `text:a=b`",
                param_hint="--param",
            )
        values[matched[1]] = _read(matched[2], matched[1])
    return values


def _in_order(texts: Sequence[str]) -> list[Parameter]:
    return [_read(text, str(index + 1)) for index, text in enumerate(texts)]


def _read(text: str, name: str) -> Parameter:
    try:
        return parameter(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(error.message, param_hint=f"--param ${name}") from error


def _quoted(text: str) -> str:
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _typed(kind: str, text: str) -> Parameter:
    try:
        return _converted(kind, text)
    except (ValueError, ArithmeticError) as error:
        raise typer.BadParameter(f"`{text}` is no {kind}") from error


def _converted(kind: str, text: str) -> Parameter:
    match kind:
        case "integer":
            return int(text)
        case "double":
            return float(text)
        case "decimal":
            return Decimal(text)
        case "boolean":
            return {"true": True, "false": False}[text] if text in {"true", "false"} else _refused()
        case "date":
            return date.fromisoformat(text)
        case "timestamp":
            instant = datetime.fromisoformat(text)
            return instant if instant.tzinfo is not None else _refused()
        case _:
            return text


def _refused() -> Parameter:
    raise ValueError
