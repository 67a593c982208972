"""The proof with one of its protections taken out: what the tests of it must find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from penstock_server.policy.proof import models, texts
from penstock_server.policy.proof.answers import NOTHING_FOUND, Answer, found
from penstock_server.policy.proof.comparison import SliceFormulas
from penstock_server.policy.proof.confirmation import TableConfirmation
from penstock_server.policy.proof.formulas import Node
from penstock_server.policy.proof.lowering import ColumnVariable, Lowering
from penstock_server.policy.proof.models import Models
from penstock_server.policy.proof.questions import Question
from penstock_server.policy.proof.regions import NULL_REGION
from penstock_server.policy.proof.scales import Point, Steps
from penstock_server.policy.proof.terms import Atom

Weakening = Callable[[pytest.MonkeyPatch], None]


def null_is_a_value(patch: pytest.MonkeyPatch) -> None:
    """NOT of a test holds for NULL too."""
    sound = Lowering._test

    def weak(self: Lowering, atom: Atom, wanted: bool) -> Node:
        node = sound(self, atom, wanted)
        column = self.columns[atom.column]
        null = self._formulas.literal(column.variable, NULL_REGION)
        return node if wanted else self._formulas.disjunction((node, null))

    patch.setattr(Lowering, "_test", weak)


def no_gaps_between_texts(patch: pytest.MonkeyPatch) -> None:
    """Texts between two constants are forgotten, but for those that begin with one."""

    def weak(_self: texts._Walk, _following: set[str]) -> Iterator[str]:
        return iter(())

    patch.setattr(texts._Walk, "_gaps", weak)


def no_gaps_between_numbers(patch: pytest.MonkeyPatch) -> None:
    """Values between two constants are forgotten."""
    sound = Steps.between

    def weak(self: Steps, below: Point | None, above: Point | None, taken: frozenset[Point]) -> Point | None:
        return None if below is not None and above is not None else sound(self, below, above, taken)

    patch.setattr(Steps, "between", weak)


def no_fresh_letter(patch: pytest.MonkeyPatch) -> None:
    """Once a text has left the constants, only characters that patterns name are tried."""
    sound = texts._Walk._letters_at

    def weak(self: texts._Walk, state: texts._State) -> tuple[str, ...]:
        return tuple(self._named) if state.low == state.high else sound(self, state)

    patch.setattr(texts._Walk, "_letters_at", weak)


def ruling_out_everywhere(patch: pytest.MonkeyPatch) -> None:
    """What no text of some regions matches is ruled out for all regions."""

    def weak(self: Models, column: ColumnVariable, claim: models._Claim) -> Node:
        others = [self._formulas.literal(column.patterns[p], 1 if sign else 2) for p, sign in claim.signs]
        return self._formulas.disjunction(others)

    patch.setattr(Models, "_ruling_out", weak)


def witnesses_are_believed(patch: pytest.MonkeyPatch) -> None:
    """The serving evaluator is not asked."""

    def weak(
        self: SliceFormulas, question: Question, _less: TableConfirmation, _more: TableConfirmation, **_: object
    ) -> Answer:
        for node in question.nodes:
            model = self.models.find(node)
            if model is not None:
                witness = next(iter(self.realizer.witnesses(model)))
                return found(self._finding(question, witness, ("nothing", "something")))
        return NOTHING_FOUND

    patch.setattr(SliceFormulas, "asked", weak)


WEAK: Final[tuple[Weakening, ...]] = (
    null_is_a_value,
    no_gaps_between_texts,
    no_gaps_between_numbers,
    no_fresh_letter,
    ruling_out_everywhere,
    witnesses_are_believed,
)
