"""OpenMetrics text. Source: OpenMetrics specification 1.0 (exposition formats, text format)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """What a family of samples is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One line: the family's name with this suffix (`_total`, `_bucket`), labels, and a value."""

    suffix: str = ""
    labels: Labels = ()
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Samples of one name; `about` is one sentence."""

    name: str
    kind: Kind
    about: str
    samples: tuple[Sample, ...]


def gauge(name: str, about: str, value: float) -> Family:
    """Give a family of one gauge."""
    return Family(name=name, kind=Kind.GAUGE, about=about, samples=(Sample(value=value),))


def counter(name: str, about: str, value: float) -> Family:
    """Give a family of one counter; `_total` is put behind its name."""
    return Family(name=name, kind=Kind.COUNTER, about=about, samples=(Sample(suffix="_total", value=value),))


def exposed(families: Iterable[Family]) -> bytes:
    """Give the text of families, in their order."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# TYPE {family.name} {family.kind.value}")
        lines.append(f"# HELP {family.name} {_escaped(family.about)}")
        for sample in family.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
            shown = f"{{{labels}}}" if labels else ""
            lines.append(f"{family.name}{sample.suffix}{shown} {sample.value:.17g}")
    return ("\n".join([*lines, "# EOF"]) + "\n").encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
