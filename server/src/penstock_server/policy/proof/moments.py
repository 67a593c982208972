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
        regions = model.get(self._variable, self._formulas.full[self._variable])
        region = (regions & -regions).bit_length() - 1
        return self._ends[region - 1] if region else self._since
