"""Values of a rules dataset: our own strict parser, one form for each value."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final

from penstock_server.model.predicate import Constant
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.rules.form import RowError, shortened

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,38}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,37})(?:\.[0-9]{1,38})?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}
_WRITTEN: Final = {
    TypeFamily.INTEGER: "a whole number such as `7` or `-12`, without a sign `+`, spaces or leading zeros",
    TypeFamily.DECIMAL: "a number such as `7` or `-0.25`, without a sign `+`, spaces, leading zeros or an exponent",
    TypeFamily.BOOLEAN: "`true` or `false`",
    TypeFamily.DATE: "a day of the calendar, as YYYY-MM-DD",
}


def parse_value(text: str, family: TypeFamily) -> Constant:
    """Give the constant that one element of a field means, where the field is of this family.

    `07`, `+7`, ` 7`, `7.0` are no whole numbers; `TRUE` is no truth value.

    Raises:
        RowError: it has another form.
    """
    try:
        found = _parsed(text, family)
    except ValueError:
        found = None
    if found is None:
        what = f"is not {_WRITTEN.get(family, 'of a type that a field may have')}"
        raise RowError(f"`{shortened(text)}` {what}", told=f"a value {what}")
    return found


def _parsed(text: str, family: TypeFamily) -> Constant | None:
    match family:
        case TypeFamily.TEXT:
            return text
        case TypeFamily.INTEGER if _INTEGER.fullmatch(text):
            return int(text)
        case TypeFamily.DECIMAL if _DECIMAL.fullmatch(text):
            number = Decimal(text)
            return number or Decimal(0)  # -0 is 0
        case TypeFamily.BOOLEAN:
            return _BOOLEANS.get(text)
        case TypeFamily.DATE if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        case _:
            return None
