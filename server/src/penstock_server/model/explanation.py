"""How a decision came about, as a tree in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What one layer did."""

    ALLOWED = "allowed"
    NARROWED = "narrowed"
    REFUSED = "refused"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationNode:
    """One layer or one rule of it. `sentence` is for a person and holds only names that the reader may see."""

    layer: str
    verdict: Verdict
    sentence: str
    children: tuple[ExplanationNode, ...] = ()
