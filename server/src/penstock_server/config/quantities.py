"""Durations and sizes as configuration and policy files write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_DURATION_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_MAX_DURATION: Final = timedelta(days=3650)

_SIZE: Final = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)", re.ASCII)
_SIZE_UNITS: Final = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_MAX_SIZE: Final = 2**50


def parse_duration(text: str) -> timedelta:
    """Give the duration that a whole number with one unit means: `500ms`, `60s`, `30m`, `1h`, `7d`.

    Raises:
        ValueError: it has no such form, or is longer than ten years; the text says which.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("is not a duration; write a whole number with ms, s, m, h or d, such as `60s`")
    try:
        duration = int(match[1]) * _DURATION_UNITS[match[2]]
    except OverflowError:
        duration = timedelta.max
    if duration > _MAX_DURATION:
        raise ValueError("is longer than ten years")
    return duration


def parse_size(text: str) -> int:
    """Give the bytes that a whole number with one unit means: `512MiB`, `2GiB`, `10GB`, `4096B`.

    Raises:
        ValueError: it has no such form, or is over 1 PiB; the text says which.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is not a size; write a whole number with B, KiB, MiB, GiB or TiB, such as `2GiB`")
    size = int(match[1]) * _SIZE_UNITS[match[2]]
    if size > _MAX_SIZE:
        raise ValueError("is over 1024TiB")
    return size


def print_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in the largest unit that holds it exactly."""
    for unit in ("d", "h", "m", "s"):
        if duration % _DURATION_UNITS[unit] == timedelta(0):
            return f"{duration // _DURATION_UNITS[unit]}{unit}"
    return f"{duration // _DURATION_UNITS['ms']}ms"


def print_size(size: int) -> str:
    """Write a size as `parse_size` reads it, in the largest binary unit that holds it exactly."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return f"{size}B"
