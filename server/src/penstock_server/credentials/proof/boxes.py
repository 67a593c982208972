"""Sets of requests as boxes, and what is left of one when others are taken away.

A box gives for each variable the set of its regions (`domains`); it holds the requests whose every value lies in its
set. A union of boxes covers a box if nothing is left after taking each of them away in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock_server.credentials.proof.steps import Steps

Box = tuple[int, ...]


def meeting(one: Box, two: Box) -> Box | None:
    """Give what two boxes share; None = nothing."""
    shared = tuple(left & right for left, right in zip(one, two, strict=True))
    return shared if all(shared) else None


def uncovered(box: Box, covers: Sequence[Box], steps: Steps) -> Box | None:
    """Give a part of a box that no other one covers; None = they cover all of it.

    Raises:
        TooManySteps: it can't be told in time.
    """
    if not all(box):
        return None
    waiting = [(box, 0)]
    while waiting:
        piece, first = waiting.pop()
        for place in range(first, len(covers)):
            steps.spend()
            cover = covers[place]
            if all(left & right for left, right in zip(piece, cover, strict=True)):
                waiting.extend((rest, place + 1) for rest in _without(piece, cover))
                break
        else:
            return piece
    return None


def _without(piece: Box, cover: Box) -> list[Box]:
    """Give disjoint boxes that are the piece without the cover, which it meets."""
    rests: list[Box] = []
    inside = list(piece)
    for variable, allowed in enumerate(cover):
        outside = inside[variable] & ~allowed
        if outside:
            rest = inside.copy()
            rest[variable] = outside
            rests.append(tuple(rest))
            inside[variable] &= allowed
    return rests
