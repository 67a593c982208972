"""What crosses between a reader and its courier: ranges of numbered objects, many in one question.

A question is a count and that many ranges; an answer is, for each range and in their order, a mark and, where the
store gave it, its bytes. Numbers are little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

COUNT: Final = struct.Struct("<H")
RANGE: Final = struct.Struct("<IQI")
MARK: Final = struct.Struct("<B")

GIVEN: Final = 0
FAULT: Final = 1

MOST_RANGES: Final = 32
MOST_BYTES: Final = 32 * 1024 * 1024
"""What one question may ask for in all: the courier holds it in memory."""


class BadQuestion(Exception):
    """A reader asks for what it was not given, or for too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """`length` bytes of an object from `offset` on; `number` is its place in the list that the reader was given."""

    number: int
    offset: int
    length: int


def question(ranges: list[Range]) -> bytes:
    """Give the bytes of a question."""
    return COUNT.pack(len(ranges)) + b"".join(RANGE.pack(part.number, part.offset, part.length) for part in ranges)


def asked(body: bytes, sizes: tuple[int, ...]) -> list[Range]:
    """Read the ranges of a question behind its count; `sizes` are those of the objects.

    Raises:
        BadQuestion: one is empty or outside its object, or they are too much in all.
    """
    ranges = [Range(number=number, offset=offset, length=length) for number, offset, length in RANGE.iter_unpack(body)]
    for part in ranges:
        # SECURITY: the reader opened files that others wrote, so what it asks is checked like any other input.
        if part.number >= len(sizes) or not part.length or part.offset + part.length > sizes[part.number]:
            raise BadQuestion("a range outside the objects of the table")
    if sum(part.length for part in ranges) > MOST_BYTES:
        raise BadQuestion("a question for more than one may ask")
    return ranges
