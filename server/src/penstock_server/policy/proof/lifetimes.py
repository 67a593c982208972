"""How long a credential lasts, as a variable: split at each bound that a grant states."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import timedelta

from penstock_server.policy.proof.formulas import TRUE, Formulas, Node


class Lifetimes:
    """The variable "used this long after it was issued"; `bounds` are all that grants state."""

    def __init__(self, formulas: Formulas, bounds: Iterable[timedelta | None]) -> None:
        self._formulas = formulas
        self._bounds = sorted({bound for bound in bounds if bound is not None})
        self._variable = formulas.variable((2 << len(self._bounds)) - 1)

    @property
    def bounds(self) -> tuple[timedelta, ...]:
        """All bounds."""
        return tuple(self._bounds)

    def between(self, shortest: timedelta, longest: timedelta | None) -> Node:
        """Give "it may be longer than the one and shorter than the other", as far as bounds tell; None = no end."""
        edges: list[timedelta | None] = [*self._bounds, None]
        possible = [
            region
            for region, (low, high) in enumerate(zip((timedelta(0), *self._bounds), edges, strict=True))
            if (high is None or high > shortest) and (longest is None or low < longest)
        ]
        return self._formulas.literal(self._variable, sum(1 << region for region in possible))

    def within(self, bound: timedelta | None) -> Node:
        """Give "no longer than this bound"; None = there is no bound."""
        if bound is None:
            return TRUE
        return self._formulas.literal(self._variable, (2 << bisect_left(self._bounds, bound)) - 1)
