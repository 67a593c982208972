"""Splits the values of one column into finitely many regions on which every test of both versions is constant.

Region 0 is NULL; a floating point column has a region NaN, in which every comparison is UNKNOWN. Each other region is
one combination of tests that hold, with a value as witness; values with equal combinations share a region, so that a
thousand values of an IN become a few.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.proof.globs import GlobSet
from penstock_server.policy.proof.scales import Cell, Point, Special, scale_of
from penstock_server.policy.proof.terms import Atom, Below, Matches, OneOf
from penstock_server.policy.proof.texts import Constants, Kind, kinds_of_texts

NULL_REGION = 1
"""The bit of region 0, which is NULL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The regions of one column: bit i of a set of regions is region i; `witnesses` has a value of each.

    `holds` gives for each atom the regions where it is TRUE. `known` are those where comparisons are not UNKNOWN.
    `texts` is there for text columns only.
    """

    witnesses: tuple[Cell, ...]
    holds: Mapping[Atom, int]
    known: int
    texts: TextRegions | None

    @property
    def all(self) -> int:
        """Every region."""
        return (1 << len(self.witnesses)) - 1

    def witness(self, regions: int) -> Cell:
        """Give a value of one of these regions, NULL or NaN only where there is no other."""
        for choice in (regions & self.known, regions & ~NULL_REGION):
            if choice:
                return self.witnesses[(choice & -choice).bit_length() - 1]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRegions:
    """What it takes to find further texts of a region: the region of each point, and of each place between them."""

    constants: Constants
    of_points: Mapping[str, int]
    of_places: Sequence[int]


def split(kind: ColumnType, atoms: Iterable[Atom], *, states: int | None) -> Regions:
    """Split the values of a column of this type.

    Raises:
        OutOfBudget: it takes more automaton states than that; None = no bound, which goes well without patterns.
    """
    split_ = _Split(kind, tuple(dict.fromkeys(atoms)))
    if kind.family is TypeFamily.TEXT:
        return split_.of_texts(states)
    return split_.of_scale()


class _Split:
    """Collects regions; a combination of atoms is an integer, bit i for the i-th."""

    def __init__(self, kind: ColumnType, atoms: tuple[Atom, ...]) -> None:
        self._kind = kind
        self._atoms = atoms
        self._patterns = [(index, atom) for index, atom in enumerate(atoms) if isinstance(atom, Matches)]
        points: dict[Point, int] = {}
        ends: dict[Point, tuple[int, int]] = {}
        for index, atom in enumerate(atoms):
            match atom:
                case OneOf():
                    for point in atom.points:
                        points[point] = points.get(point, 0) | 1 << index
                case Below():
                    strict, all_ = ends.get(atom.bound, (0, 0))
                    ends[atom.bound] = (strict if atom.inclusive else strict | 1 << index, all_ | 1 << index)
                case Matches():
                    pass
        self._order: list[Point] = sorted(ends, key=_sort_key)
        for end in self._order:
            points.setdefault(end, 0)
        self._points = points
        # Which of the Below hold in the place before each end, and at the end itself; the last place is after all.
        self._places = [0] * (len(self._order) + 1)
        self._at_ends = [0] * len(self._order)
        beyond = 0
        for index in reversed(range(len(self._order))):
            strict, all_ = ends[self._order[index]]
            self._at_ends[index] = beyond | all_ & ~strict
            beyond |= all_
            self._places[index] = beyond
        self._keys = [_sort_key(end) for end in self._order]

    def of_scale(self) -> Regions:
        """Split a column of ordered values, or one that is only tested for NULL."""
        scale = scale_of(self._kind)
        if scale is None:
            return self._regions({0: "a value"}, None) if not self._atoms else _impossible(self._kind)
        found: dict[int, Cell] = {}
        taken: dict[int, set[Point]] = {}
        for point in self._points:
            if scale.holds(point):
                place, combination = self._combination(point)
                found.setdefault(combination, point)
                taken.setdefault(place, set()).add(point)
        edges: list[Point | None] = [None, *self._order, None]
        for place, combination in enumerate(self._places):
            between = scale.between(edges[place], edges[place + 1], taken.get(place, ()))
            if between is not None:
                found.setdefault(combination, between)
        return self._regions(found, None)

    def of_texts(self, states: int | None) -> Regions:
        """Split a text column."""
        globs = GlobSet([atom.glob for _, atom in self._patterns])
        constants = Constants(
            order=tuple(str(end) for end in self._order), points=frozenset(str(point) for point in self._points)
        )
        of_points: dict[str, int] = {}
        for point in constants.points:
            of_points[point] = self._combination(point)[1] | self._of_patterns(globs.matches(point))
        kinds: Mapping[Kind, str] = kinds_of_texts(globs, constants, states=states, wanted=None)
        found: dict[int, Cell] = {}
        for text in sorted(of_points.keys() - {""}, key=_by_looks):
            found.setdefault(of_points[text], text)
        for (place, matched), text in kinds.items():
            found.setdefault(self._places[place] | self._of_patterns(matched), text)
        if "" in of_points:
            found.setdefault(of_points[""], "")
        regions = {combination: index for index, combination in enumerate(found, start=1)}
        return self._regions(
            found,
            TextRegions(
                constants=constants,
                of_points={text: regions[combination] for text, combination in of_points.items()},
                of_places=tuple(regions.get(combination, 0) for combination in self._places),
            ),
        )

    def _combination(self, point: Point) -> tuple[int, int]:
        """Give the place of a point, and which OneOf and Below hold there."""
        key = _sort_key(point)
        place = bisect_left(self._keys, key)
        at_end = place < len(self._keys) and self._keys[place] == key
        return place, self._points[point] | (self._at_ends[place] if at_end else self._places[place])

    def _of_patterns(self, matched: int) -> int:
        return sum(1 << index for bit, (index, _) in enumerate(self._patterns) if matched >> bit & 1)

    def _regions(self, found: Mapping[int, Cell], texts: TextRegions | None) -> Regions:
        witnesses: list[Cell] = [None, *found.values()]
        known = (1 << len(witnesses)) - 1 - NULL_REGION
        holds = [0] * len(self._atoms)
        for region, combination in enumerate(found, start=1):
            left = combination
            while left:
                lowest = left & -left
                holds[lowest.bit_length() - 1] |= 1 << region
                left ^= lowest
        if self._kind.family is TypeFamily.FLOAT:
            witnesses.append(Special.NAN)
        return Regions(
            witnesses=tuple(witnesses), holds=dict(zip(self._atoms, holds, strict=True)), known=known, texts=texts
        )


def _impossible(kind: ColumnType) -> Regions:
    raise TypeError(f"a column of type {kind.sql} is compared with a constant")


def _sort_key(point: Point) -> tuple[Fraction, str]:
    """Order points of one scale; texts by code points."""
    return (Fraction(0), point) if isinstance(point, str) else (Fraction(point), "")


def _by_looks(text: str) -> tuple[bool, int, str]:
    return not (text and text.isprintable() and text == text.strip()), len(text), text
