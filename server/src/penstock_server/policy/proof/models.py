"""Models with a value for every column. Where the patterns of one are free truth values, its texts are looked for here.

A model that no text has is ruled out by a small part of it, and the search goes on: a proof is a proof either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from penstock_server.policy.proof.budget import OutOfBudget
from penstock_server.policy.proof.formulas import Formulas, Node
from penstock_server.policy.proof.globs import Glob, GlobSet, Wild
from penstock_server.policy.proof.lowering import ColumnVariable, Lowering
from penstock_server.policy.proof.regions import TextRegions
from penstock_server.policy.proof.scales import Cell
from penstock_server.policy.proof.search import Model, Search
from penstock_server.policy.proof.terms import Matches
from penstock_server.policy.proof.texts import kinds_of_texts

_TRIES: Final = 200
"""Most models of one question that no text has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model, and a value of each column that some test speaks of."""

    model: Model
    cells: Mapping[str, Cell]


class Models:
    """Finds models of the formulas of one lowering."""

    def __init__(self, formulas: Formulas, lowering: Lowering) -> None:
        self._formulas = formulas
        self._search = Search(formulas)
        self._columns = tuple(lowering.columns.values())
        self._texts = _Texts(formulas.work.budget.text_states)

    def find(self, node: Node) -> Found | None:
        """Give a model with its values, or None where there is none.

        Raises:
            OutOfBudget: it takes more than the budget allows.
        """
        for _ in range(_TRIES):
            model = self._search.model(node)
            if model is None:
                return None
            cells: dict[str, Cell] = {}
            for column in self._columns:
                claim = self._claim(column, model)
                if claim.signs:
                    text = self._texts.find(column, claim)
                    if text is None:
                        node = self._formulas.conjunction((node, self._ruling_out(column, claim)))
                        break
                    cells[column.name] = text
                else:
                    cells[column.name] = column.regions.witness(claim.regions)
            else:
                return Found(model=model, cells=cells)
        raise OutOfBudget(f"more than {_TRIES} combinations of patterns match no text")

    def _claim(self, column: ColumnVariable, model: Model) -> _Claim:
        regions = model.get(column.variable, self._formulas.full[column.variable])
        if not regions & column.regions.known:
            return _Claim(regions=regions, signs=())
        signs = tuple(
            (pattern, model[variable] == 2) for pattern, variable in column.patterns.items() if variable in model
        )
        return _Claim(regions=regions & column.regions.known, signs=signs)

    def _ruling_out(self, column: ColumnVariable, claim: _Claim) -> Node:
        """Give "not these regions with these patterns", for as few patterns as no text of the regions has."""
        regions, signs = claim.regions, list(claim.signs)
        if self._texts.surely_none(column, _Claim(regions=column.regions.known, signs=tuple(signs))):
            regions = column.regions.known
        for sign in claim.signs:
            fewer = tuple(other for other in signs if other != sign)
            if fewer and self._texts.surely_none(column, _Claim(regions=regions, signs=fewer)):
                signs = list(fewer)
        # SECURITY: the regions belong to what is ruled out; without them texts of other regions would go too, and a
        # false proof with them (test_directed_texts_find_texts_ruled_out_where_they_are).
        elsewhere = self._formulas.literal(column.variable, column.regions.all & ~regions)
        others = [self._formulas.literal(column.patterns[pattern], 1 if sign else 2) for pattern, sign in signs]
        return self._formulas.disjunction((elsewhere, *others))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a model says of a text: it lies in these regions, and matches these patterns (True) or does not."""

    regions: int
    signs: tuple[tuple[Matches, bool], ...]


class _Texts:
    """Looks for texts that a claim describes; remembers what was found."""

    def __init__(self, states: int) -> None:
        self._states = states
        self._found: dict[tuple[str, _Claim], str | None] = {}

    def surely_none(self, column: ColumnVariable, claim: _Claim) -> bool:
        """Tell whether it is certain that no text is described."""
        try:
            return self.find(column, claim) is None
        except OutOfBudget:
            return False

    def find(self, column: ColumnVariable, claim: _Claim) -> str | None:
        """Give a text that is described, or None where there is none.

        Raises:
            OutOfBudget: it takes more automaton states than the budget allows.
        """
        key = (column.name, claim)
        if key not in self._found:
            texts = column.regions.texts
            if texts is None:
                raise TypeError(f"patterns on `{column.name}`, which is no text column")
            self._found[key] = _search(texts, claim, self._states)
        return self._found[key]


def _search(texts: TextRegions, claim: _Claim, states: int) -> str | None:
    globs = GlobSet([pattern.glob for pattern, _ in claim.signs])
    wanted = sum(1 << index for index, (_, sign) in enumerate(claim.signs) if sign)
    for point in sorted(texts.constants.points):
        if claim.regions >> texts.of_points[point] & 1 and globs.matches(point) == wanted:
            return point
    places = frozenset(place for place, region in enumerate(texts.of_places) if region and claim.regions >> region & 1)
    for guess in _guesses([pattern.glob for pattern, sign in claim.signs if sign]):
        is_point = guess in texts.constants.points
        if not is_point and texts.constants.place_of(guess) in places and globs.matches(guess) == wanted:
            return guess
    kinds = kinds_of_texts(
        globs, texts.constants, states=states, wanted=lambda kind: kind[0] in places and kind[1] == wanted
    )
    return next((text for (place, matched), text in kinds.items() if place in places and matched == wanted), None)


def _guesses(globs: Sequence[Glob]) -> Iterator[str]:
    """Give texts that match many patterns at once: their parts side by side; whoever uses one tests it."""
    heads = sorted((glob for glob in globs if glob[0] is not Wild.RUN), key=len)[-1:]
    tails = sorted((glob for glob in globs if glob[-1] is not Wild.RUN and glob not in heads), key=len)[-1:]
    middles = [glob for glob in globs if glob not in heads and glob not in tails]
    for ordered in (middles, middles[::-1]):
        for glue in ("", "x"):
            text = glue.join(_plainest(glob) for glob in (*heads, *ordered, *tails))
            yield from (text, f"x{text}", f"{text}x", f"x{text}x")


def _plainest(glob: Glob) -> str:
    return "".join("x" if part is Wild.ONE else part for part in glob if part is not Wild.RUN)
