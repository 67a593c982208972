"""What each mask shows, from the words of the policy reference alone: texts in, texts out, nothing of the product.

A value is the text that the engine casts to the column's type; what is shown is the text of the result, NULL is None.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

Spec = Mapping[str, Any]
"""A mask as a policy file has it, without its rank."""

_KEPT = "(),.-@"


def shows(spec: Spec, kind: str, value: str | None, *, key: str, salt: str) -> str | None:
    """Give what a mask shows on a column of a type; `key` is that of hashes, `salt` that of the statement."""
    name = spec["builtin"]
    if name in {"null", "replace-with-null"}:
        return None
    if name in {"redact", "mask-to-fixed-value"}:
        text = "[redacted]" if name == "redact" else "XXXXXXXX"
        return text if kind == "VARCHAR" else _fixed(kind)
    if value is None:
        return None
    if name == "partial":
        return _partial(value, spec.get("keep_first", 0), spec.get("keep_last", 0), spec.get("with", "*"))
    if name == "round":
        return rounded(value, kind, Fraction(str(spec["to"])))
    if name == "hash":
        return hmac.new(key.encode(), value.encode(), "sha256").hexdigest()
    if name.startswith("sha-256"):
        return digest(value, kind, salt.encode() if name == "sha-256-query-local" else b"")
    if name in _OF_TEXT:
        return _OF_TEXT[name](value)
    return truncated(value, kind, name.removeprefix("truncate-to-"))


def _fixed(kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return "1970-01-01 00:00:00" + ("+00" if "ZONE" in kind else "")
    if kind.startswith("DECIMAL"):
        return _plain(0, int(kind[kind.index(",") + 1 : -1]))
    return {"BOOLEAN": "false", "DATE": "1970-01-01", "DOUBLE": "0.0", "FLOAT": "0.0"}.get(kind, "0")


def alphanumeric(text: str) -> str:
    return "".join("n" if c in "0123456789" else c if c in _KEPT else "x" for c in text)


_OF_TEXT: dict[str, Callable[[str], str]] = {
    "mask-alphanum": alphanumeric,
    "show-first-4": lambda text: text if len(text) <= 4 else text[:4] + alphanumeric(text[4:]),
    "show-last-4": lambda text: text if len(text) <= 4 else alphanumeric(text[:-4]) + text[-4:],
}


def _partial(text: str, first: int, last: int, filler: str) -> str:
    if len(text) <= first + last:
        return filler * len(text)
    return text[:first] + filler * (len(text) - first - last) + text[len(text) - last :]


_MOMENT = re.compile(r"(\d+)-(\d\d)-(\d\d)( \(BC\))?(?: (\d\d:\d\d:\d\d)(?:\.\d+)?)?( \(BC\))?(\+00)?")
_FIRST_YEARS = {"DATE": -5877640, "TIMESTAMP_NS": 1678}
_FIRST_MONTHS = {"DATE": (-5877641, 7), "TIMESTAMP_NS": (1677, 10)}


def truncated(text: str, kind: str, period: str) -> str | None:
    """The first day of the year or month; None where it is not of the type, or of a TIMESTAMP."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        assert text in {"infinity", "-infinity"}, text
        return None
    year, month = int(match[1]), int(match[2])
    if match[4] or match[6]:
        year = 1 - year
    if period == "year":
        month = 1
        if year < _FIRST_YEARS.get(kind, -290307):
            return None
    elif (year, month) < _FIRST_MONTHS.get(kind, (-290307, 1)):
        return None
    day = f"{year if year > 0 else 1 - year:04d}-{month:02d}-01"
    before = "" if year > 0 else " (BC)"
    if kind == "DATE":
        return day + before
    return f"{day}{before} 00:00:00" + ("+00" if kind == "TIMESTAMP WITH TIME ZONE" else "")


def rounded(text: str, kind: str, to: Fraction) -> str | None:
    """The multiple of `to` towards zero."""
    if kind in {"FLOAT", "DOUBLE"}:
        number = float(text)
        if not math.isfinite(number):
            return None
        if kind == "FLOAT":
            number = struct.unpack("<f", struct.pack("<f", number))[0]
        shown = float(int(Fraction(number) / to) * to)
        return repr(struct.unpack("<f", struct.pack("<f", shown))[0] if kind == "FLOAT" else shown)
    steps = int(Fraction(text) / to)
    if kind.startswith("DECIMAL"):
        digits = int(kind[kind.index(",") + 1 : -1])
        unscaled = steps * to * 10**digits
        assert unscaled.denominator == 1
        return _plain(int(unscaled), digits)
    return str(int(steps * to))


def _plain(unscaled: int, digits: int) -> str:
    sign, written = ("-" if unscaled < 0 else ""), str(abs(unscaled)).rjust(digits + 1, "0")
    return f"{sign}{written[:-digits]}.{written[-digits:]}" if digits else f"{sign}{written}"


def digest(text: str, kind: str, salt: bytes) -> str:
    """SHA-256 as Iceberg has it: the bytes of a type in, the type out; a BLOB is given and shown in hex."""
    if kind == "VARCHAR":
        return hashlib.sha256(salt + text.encode()).hexdigest()
    if kind == "BLOB":
        return hashlib.sha256(salt + bytes.fromhex(text)).hexdigest()
    form = "<i" if kind == "INTEGER" else "<q"
    raw = hashlib.sha256(salt + struct.pack(form, int(text))).digest()
    return str(struct.unpack(form, raw[: struct.calcsize(form)])[0])
