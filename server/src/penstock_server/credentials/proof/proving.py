"""Proves that a session policy says exactly what was decided, and that its fence holds without its Allow.

Of every request there can be:

1. **Narrow**: what an Allow speaks of is meant, by itself, whatever the Deny statements say. So a policy whose Allow is
   broad and whose Deny is right is refused: losing the Deny would open everything.
2. **Fenced**: what is not meant is *explicitly* denied. A session policy does not limit what a resource policy grants
   to everybody under a condition, or to the session itself; only an explicit Deny does.
3. **Whole**: what is meant is allowed and not denied. Giving less opens nothing, but a policy that gives less is not
   the one that was decided, and something is wrong with it.

What is not proved here: that AWS evaluates as its documentation says; what role, resource and key policies allow; the
packed size; that the decision itself is right, of which `grounds` shows a part.
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.proof.boxes import Box, meeting, uncovered
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy, Refused
from penstock_server.credentials.proof.patterns import NotUnderstood, Pattern
from penstock_server.credentials.proof.permits import Decided, Permit, permits_of
from penstock_server.credentials.proof.reading import Statement, read_policy
from penstock_server.credentials.proof.space import Space
from penstock_server.credentials.proof.steps import Steps, TooManySteps
from penstock_server.policy.proof.globs import Wild

_COLONS_BEFORE_A_NAME: Final = 5


def prove(text: str, decided: Decided, *, steps: Steps | None = None) -> ProvedPolicy | Refused:
    """Prove a session policy, which is the exact text that AWS would get, or say why it is not proved."""
    counted = steps or Steps()
    try:
        refused = _Proof(read_policy(text), decided, counted).refusal()
    except NotUnderstood as error:
        return Refused(doubt=Doubt.NOT_UNDERSTOOD, detail=str(error))
    except TooManySteps:
        return Refused(doubt=Doubt.TOO_MANY_STEPS, detail=f"{counted.spent} steps")
    return refused or ProvedPolicy(text=text)


class _Proof:
    def __init__(self, statements: tuple[Statement, ...], decided: Decided, steps: Steps) -> None:
        permits = permits_of(decided, until=decided.until)
        # AWS compares whole seconds, so that a session may end up to one second before the decision does.
        least = permits_of(decided, until=None if decided.until is None else decided.until.replace(microsecond=0))
        self._space = Space(statements, (*permits, *least), steps)
        self._steps = steps
        self._narrow = self._boxes(permits, fenced=False)
        self._fenced = self._boxes(permits, fenced=True)
        self._least = self._boxes(least, fenced=True)
        self._allowed = tuple(self._space.statement(statement) for statement in statements if statement.allows)
        denials = [statement for statement in statements if not statement.allows]
        self._denied = tuple(self._space.statement(statement) for statement in denials)
        self._surely_denied = tuple(self._space.statement(statement) for statement in denials if _is_certain(statement))

    def refusal(self) -> Refused | None:
        return self._not_narrow() or self._not_fenced() or self._not_whole()

    def _not_narrow(self) -> Refused | None:
        for box in self._allowed:
            found = self._outside(box, self._narrow)
            if found is not None:
                really = self._outside(box, (*self._fenced, *self._denied))
                if really is not None:
                    return self._refused(Doubt.ALLOWS_MORE, really)
                return self._refused(Doubt.BROAD_ALLOW, found)
        return None

    def _not_fenced(self) -> Refused | None:
        found = self._outside(self._space.every, (*self._surely_denied, *self._fenced))
        return None if found is None else self._refused(Doubt.NOT_FENCED, found)

    def _not_whole(self) -> Refused | None:
        for box in self._least:
            denied = (meeting(box, denial) for denial in self._denied)
            lost = [self._outside(part, ()) for part in denied if part is not None]
            found = next((part for part in (*lost, self._outside(box, self._allowed)) if part is not None), None)
            if found is not None:
                return self._refused(Doubt.ALLOWS_LESS, found)
        return None

    def _outside(self, box: Box, covers: tuple[Box, ...]) -> Box | None:
        return uncovered(box, (*self._space.impossible, *covers), self._steps)

    def _boxes(self, permits: tuple[Permit, ...], *, fenced: bool) -> tuple[Box, ...]:
        return tuple(dict.fromkeys(self._space.permit(permit, fenced=fenced) for permit in permits))

    def _refused(self, doubt: Doubt, box: Box) -> Refused:
        return Refused(doubt=doubt, witness=self._space.witness(box))


def _is_certain(denial: Statement) -> bool:
    """Tell whether a Deny surely reaches all that it seems to.

    AWS: a `*` in one part of an ARN does not reach into the next one. Read as if it did, an Allow says more and a
    NotResource denies less, which is the safe side; a Resource of a Deny must not rely on it.
    """
    return denial.other_resources or all(_names_its_parts(pattern) for pattern in denial.resources)


def _names_its_parts(pattern: Pattern) -> bool:
    return pattern.glob == (Wild.RUN,) or pattern.is_text or pattern.head.count(":") >= _COLONS_BEFORE_A_NAME
