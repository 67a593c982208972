"""When does what a cell shows now tell more than what it showed before?"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from penstock_server.policy.proof.inputs import MaskInput, TableInput, Tells
from penstock_server.policy.proof.rows import Display, Look


class Disclosure:
    """Compares what the old and the new version show of one cell.

    A constant tells nothing; a test for NULL tells no more than another one, or than the value; equal definitions tell
    the same. Beyond that the author's word counts, which is the order of ranks: that of the OLD version, as it is the
    one in force. A mask that the old version does not know on the table tells more than every other mask.
    """

    def __init__(self, old: TableInput | None) -> None:
        self._ranks: dict[Hashable, int] = {}
        for mask in _masks(old):
            self._ranks[mask.definition] = min(mask.rank, self._ranks.get(mask.definition, mask.rank))

    def tells_more(self, now: Display, before: Display) -> bool:
        """Tell whether the new display tells more than the old one; `HIDDEN` is a row that is not there."""
        if now is Look.HIDDEN or before is Look.CLEAR:
            return False
        if before is Look.HIDDEN or now is Look.CLEAR:
            return True
        if now is Look.NULL:
            return False
        return self.mask_tells_more(now, before if isinstance(before, MaskInput) else None)

    def mask_tells_more(self, now: MaskInput, before: MaskInput | None) -> bool:
        """Tell whether a mask tells more than another one, or than NULL by policy (None), in a row that is seen."""
        if now.tells is Tells.NOTHING:
            return False
        if before is None or before.tells is Tells.NOTHING:
            return True
        if now.definition == before.definition or (now.tells is before.tells is Tells.NULLNESS):
            return False
        known = self._ranks.get(now.definition)
        return known is None or known < before.rank


def _masks(table: TableInput | None) -> Iterable[MaskInput]:
    for grant in table.grants if table is not None else ():
        for part in grant.filters:
            for _, mask in part.masks:
                yield mask


def in_words(shown: Display) -> str:
    """Say how a cell looks."""
    match shown:
        case Look.HIDDEN:
            return "nothing"
        case Look.NULL:
            return "NULL"
        case Look.CLEAR:
            return "the value"
        case MaskInput():
            return f"the mask `{shown.name}`"


def same_display(one: Display, other: Display) -> bool:
    """Tell whether two displays show the same for every value."""
    if isinstance(one, MaskInput) and isinstance(other, MaskInput):
        return one.definition == other.definition
    return one is other
