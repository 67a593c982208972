"""From a model to witnesses: principals, an instant and rows that the model describes.

A model says how a cell stands to the caller's own values, not what these are: several are made that may do, and the
serving evaluator tells which does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice, pairwise
from typing import Final

from penstock_server.model.principal import Group
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.conditions.keys import instant_of
from penstock_server.policy.proof.callers import Callers
from penstock_server.policy.proof.circumstances import Circumstances, Given
from penstock_server.policy.proof.confirmation import Witness, principal_of
from penstock_server.policy.proof.globs import SURROGATES
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.models import Found
from penstock_server.policy.proof.moments import Moments
from penstock_server.policy.proof.scales import Cell, Special
from penstock_server.policy.proof.terms import Claim, ClaimKind, ClaimState

_MOST_WITNESSES: Final = 24
_ANY_NAME: Final = "somebody"
_BEFORE_HASHES: Final = "!"
_AFTER_HASHES: Final = "~"
"""Texts less than every hash in hex, and greater than every one."""


class Realizer:
    """Makes witnesses of the models of one lowering."""

    def __init__(self, callers: Callers, moments: Moments, circumstances: Circumstances, lowering: Lowering) -> None:
        self._callers = callers
        self._moments = moments
        self._circumstances = circumstances
        self._lowering = lowering

    def witnesses(self, found: Found) -> Iterator[Witness]:
        """Give witnesses of a model, at least one; those that the model describes best come first."""
        plain = Witness(
            who=self._callers.somebody(found.model),
            at=self._moments.moment(found.model),
            row=found.cells,
            relevant=frozenset(
                name
                for name, column in self._lowering.columns.items()
                if column.variable in found.model or any(one in found.model for one in column.patterns.values())
            ),
            given=(),
        )
        by_claim: dict[Claim, list[_Cell]] = {}
        for (column, claim), variable in self._lowering.caller_values.variables.items():
            if variable in found.model:
                kind = self._lowering.columns[column].kind
                by_claim.setdefault(claim, []).append(_Cell(column, kind, _states(found.model[variable])))
        demands = [_Demand(claim, cells) for claim, cells in by_claim.items()]
        if demands:
            # Values are tried out, and may stand otherwise to a cell than the model says: then other columns decide.
            plain = replace(plain, relevant=frozenset(self._lowering.columns))
        witnesses = (
            met
            for given in self._circumstances.given(found.model)
            for met in self._meeting(under(plain, given), demands)
        )
        yield from islice(witnesses, _MOST_WITNESSES)

    def _meeting(self, witness: Witness, demands: Sequence[_Demand]) -> Iterator[Witness]:
        """Give witnesses that meet all demands, as far as one can tell."""
        if not demands:
            yield witness
            return
        for changed in demands[0].meet(witness, self._callers.default_issuer):
            yield from self._meeting(changed, demands[1:])


def under(witness: Witness, given: Given) -> Witness:
    """Give a witness under circumstances; an instant that they name is that of the witness, unless it is past."""
    named = given.get("currenttime", ())
    at = max(witness.at, instant_of(named[0])) if named else witness.at
    return replace(
        witness,
        at=at,
        given=tuple(sorted((name, values) for name, values in given.items() if name != "currenttime")),
    )


def _states(states: int) -> tuple[ClaimState, ...]:
    """Give these states, the plainest first: one value that equals the cell, then no value at all, then others."""
    preferred = (
        *(ClaimState.EQUAL, ClaimState.NOTHING, ClaimState.LESS),
        *(ClaimState.GREATER, ClaimState.OUTSIDE, ClaimState.AMONG),
    )
    return tuple(state for state in preferred if states >> state & 1)


class _Cell:
    """How one cell may stand to the caller's values."""

    def __init__(self, column: str, kind: ColumnType, states: tuple[ClaimState, ...]) -> None:
        self.column = column
        # A cell that some value must equal tells more of the values than one for which there may be none.
        self.vagueness = (ClaimState.NOTHING in states, len(states), kind.family is TypeFamily.TEXT)
        self.may_be_set = kind.family is TypeFamily.TEXT and not {ClaimState.EQUAL, ClaimState.AMONG}.isdisjoint(states)
        self._states = states
        self._kind = kind

    def values(self, cell: Cell) -> Iterator[tuple[str, ...]]:
        """Give values of the caller to which the cell stands so."""
        for state in self._states:
            yield from self._values(state, cell)

    def _values(self, state: ClaimState, cell: Cell) -> Iterator[tuple[str, ...]]:
        less, same, greater = _around(cell, self._kind)
        match state:
            case ClaimState.NOTHING:
                yield ()
            case ClaimState.EQUAL:
                yield from ((text,) for text in same)
            case ClaimState.LESS:
                yield from ((text,) for text in greater)
            case ClaimState.GREATER:
                yield from ((text,) for text in less)
            case ClaimState.AMONG:
                yield from ((text, other) for text in same for other in (*greater, *less))
            case ClaimState.OUTSIDE:
                yield from pairwise((*greater, *less))


class _Demand:
    """How cells shall stand to the caller's values of one claim."""

    def __init__(self, claim: Claim, cells: Sequence[_Cell]) -> None:
        self._claim = claim
        self._cells = sorted(cells, key=lambda cell: cell.vagueness)

    def meet(self, witness: Witness, default_issuer: str) -> Iterator[Witness]:
        """Give changes of a witness that may meet the demand; the evaluator tells which does."""
        match self._claim.kind:
            case ClaimKind.NAME:
                yield from self._name(witness)
            case ClaimKind.GROUPS:
                yield from self._groups(witness, default_issuer)
            case ClaimKind.SUBJECT:
                yield from self._subject(witness)
            case ClaimKind.ATTRIBUTE:
                yield from self._attribute(witness)
        yield witness

    def _values(self, witness: Witness) -> Iterator[tuple[str, ...]]:
        found = (values for cell in self._cells for values in cell.values(witness.row[cell.column]))
        yield from dict.fromkeys(found)

    def _name(self, witness: Witness) -> Iterator[Witness]:
        name = witness.who.username
        if name is not None:
            yield from self._equal(witness, name)
            return
        for values in self._values(witness):
            if len(values) == 1 and values[0]:
                yield replace(witness, who=replace(witness.who, username=values[0]))
        for equal in self._equal(witness, _ANY_NAME):
            yield replace(equal, who=replace(equal.who, username=_ANY_NAME))

    def _groups(self, witness: Witness, issuer: str) -> Iterator[Witness]:
        for group in witness.who.groups:
            if group.issuer == issuer:
                yield from self._equal(witness, group.name)
        for values in self._values(witness):
            more = {Group(issuer=issuer, name=value) for value in values if value}
            yield replace(witness, who=replace(witness.who, groups=tuple(sorted({*witness.who.groups, *more}))))

    def _subject(self, witness: Witness) -> Iterator[Witness]:
        """Set the text cells beside the hash, which is given: to it, or to texts before and after every hash."""
        columns = {cell.column for cell in self._cells}
        hashed = principal_of(witness).subject_digest().hex()
        yield from self._equal(witness, hashed)
        for text in (_BEFORE_HASHES, _AFTER_HASHES):
            yield replace(
                witness,
                row={name: text if name in columns else cell for name, cell in witness.row.items()},
                relevant=witness.relevant | columns,
            )

    def _attribute(self, witness: Witness) -> Iterator[Witness]:
        others = dict(witness.who.attributes)
        for values in self._values(witness):
            attributes = {**others, self._claim.attribute: values} if values else others
            changed = replace(witness, who=replace(witness.who, attributes=tuple(sorted(attributes.items()))))
            yield changed
            if len(values) == 1:
                yield from self._equal(changed, values[0])

    def _equal(self, witness: Witness, text: str) -> Iterator[Witness]:
        """Set all text cells that may equal a value, or be among some, to this one."""
        columns = {cell.column for cell in self._cells if cell.may_be_set}
        if columns:
            row = {name: text if name in columns else cell for name, cell in witness.row.items()}
            yield replace(witness, row=row, relevant=witness.relevant | columns)


def _around(cell: Cell, kind: ColumnType) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Give texts of values less than a cell, equal to it, and greater, as claims write them."""
    if isinstance(cell, str):
        return _less_texts(cell), (cell,), (f"{cell}x", f"{cell}xx")
    if cell is None or isinstance(cell, Special):
        return (), (), ()
    whole = int(cell)
    less, same, greater = (whole - 1, whole - 2), (whole,), (whole + 1, whole + 2)
    return _written(less, kind), _written(same, kind), _written(greater, kind)


def _less_texts(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    shorter, last = text[:-1], ord(text[-1])
    before = (f"{shorter}{chr(last - 1)}",) if last > 0x21 and last - 1 not in SURROGATES else ()
    return (*before, shorter)


def _written(points: Sequence[int], kind: ColumnType) -> tuple[str, ...]:
    match kind.family:
        case TypeFamily.INTEGER:
            return tuple(str(point) for point in points)
        case TypeFamily.BOOLEAN:
            return tuple("true" if point else "false" for point in points if point in {0, 1})
        case TypeFamily.DATE:
            days = (point for point in points if date.min.toordinal() <= point <= date.max.toordinal())
            return tuple(date.fromordinal(day).isoformat() for day in days)
        case _:
            return ()
