"""An instant as a variable: from the moment of the comparison on, split at each instant at which something ends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime

from penstock_server.policy.proof.formulas import FALSE, TRUE, Formulas, Node
from penstock_server.policy.proof.search import Model


class Moments:
    """The variable "when", from an instant (aware) on; `ends` are all instants at which something ends."""

    def __init__(self, formulas: Formulas, since: datetime, ends: Iterable[datetime | None]) -> None:
        self._formulas = formulas
        self._since = since
        self._ends = sorted({end for end in ends if end is not None and end > since})
        self._variable = formulas.variable((2 << len(self._ends)) - 1)

    @property
    def ends(self) -> tuple[datetime, ...]:
        """All instants at which something ends."""
        return tuple(self._ends)

    def before(self, end: datetime | None) -> Node:
        """Give "it is before this end"; None = there is no end."""
        if end is None:
            return TRUE
        if end <= self._since:
            return FALSE
        return self._formulas.literal(self._variable, (2 << bisect_left(self._ends, end)) - 1)

    def moment(self, model: Model) -> datetime:
        """Give the first instant of a model."""
        return self.span(model)[0]

    def span(self, model: Model) -> tuple[datetime, datetime | None]:
        """Give the first instant of a model, and the end of its first region; None = it has none."""
        regions = model.get(self._variable, self._formulas.full[self._variable])
        return self.spans[(regions & -regions).bit_length() - 1]

    @property
    def spans(self) -> tuple[tuple[datetime, datetime | None], ...]:
        """Give each region: from an instant up to but not the next one; None = for ever."""
        edges: list[datetime | None] = [*self._ends, None]
        return tuple(zip((self._since, *self._ends), edges, strict=True))

    def within(self, spans: Iterable[int]) -> Node:
        """Give "it is in one of these regions"."""
        return self._formulas.literal(self._variable, sum(1 << span for span in spans))
