"""Keeps the boundary policy at AWS equal to the revocation document: level-triggered, one writer, read back.

Each turn computes the document from the state alone and compares it with what was read back last; it does not matter
which turn missed what. Every `VERIFIED_EVERY` the policy is read even where nothing changed, so that a change by
somebody else is undone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from penstock_server.aws.boundary import BoundaryState
from penstock_server.credentials.requests import NOT_REVOCABLE
from penstock_server.credentials.revocation_document import RevocationDocument, Width, revocation_document
from penstock_server.errors import Disagreement
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Generation, Revocation
from penstock_server.model.ports import RevocationStore

log = logging.getLogger(__name__)

WRITTEN_WITHIN_SECONDS: Final = 10
"""How long after a revocation the document is to be at AWS; answers say so only while the last turn kept to it."""
VERIFIED_EVERY: Final = timedelta(seconds=60)
BOUNDARIES_CHECKED_EVERY: Final = timedelta(minutes=5)
WRITER_LASTS: Final = timedelta(seconds=60)

REVOCABLE: Final = f"yes within {WRITTEN_WITHIN_SECONDS} s, and the time that IAM takes to spread a policy"


class Boundary(Protocol):
    """The boundary policy; methods raise Unavailable or LimitExceeded."""

    async def read(self) -> BoundaryState:
        """Give the default version."""
        ...

    async def write(self, text: str) -> BoundaryState:
        """Make a text the default version, and give what AWS says then."""
        ...

    async def bounded(self, roles: Sequence[str]) -> frozenset[str]:
        """Give those of the roles that carry the policy as their boundary."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What AWS was last seen to hold: the document of a generation, read `at` (monotonic seconds), by a slow turn?"""

    document: RevocationDocument
    at: float
    slow: bool


class RevocationWriting:
    """Takes turns; `holder` names this process among those that share the state, `roles` are the target roles."""

    def __init__(
        self, *, store: RevocationStore, boundary: Boundary, roles: Sequence[str], clock: Clock, holder: str
    ) -> None:
        self._store = store
        self._boundary = boundary
        self._roles = tuple(roles)
        self._clock = clock
        self._holder = holder
        self._held: _Held | None = None
        self._bounded: frozenset[str] = frozenset()
        self._bounded_at: float | None = None
        self._generation = Generation(-1)

    @property
    def generation(self) -> Generation:
        """The last generation of revocations that AWS was seen to hold; -1 = none yet."""
        return self._generation

    @property
    def width(self) -> Width | None:
        """How wide the document is that AWS holds, None while nothing is known."""
        return None if self._held is None else self._held.document.width

    def revocable(self, role: str) -> str:
        """Say in words whether a session of a role can be revoked now.

        `yes` only where the role was seen to carry the boundary, and AWS was seen to hold the document lately and in
        time. The last turn may be as old as two looks.
        """
        held = self._held
        if role not in self._bounded or held is None or held.slow:
            return NOT_REVOCABLE
        return REVOCABLE if self._clock.monotonic() - held.at <= 2 * VERIFIED_EVERY.total_seconds() else NOT_REVOCABLE

    async def turn(self, generation: Generation, entries: Sequence[Revocation]) -> bool:
        """Make AWS hold the document of these entries; True where it was written now.

        Raises:
            Unavailable, LimitExceeded: AWS or the state is away.
            Disagreement: AWS holds something else than was written.
        """
        began = self._clock.monotonic()
        await self._look_at_roles(began)
        document = revocation_document(entries)
        held = self._held
        fresh = held is not None and began - held.at < VERIFIED_EVERY.total_seconds()
        if fresh and held is not None and held.document == document:
            self._generation = generation
            return False
        self._held = None  # what AWS holds is not known until it was read
        wrote, state = await self._write(document)
        if state is None:
            return False  # another process writes, and has not done so yet
        now = self._clock.monotonic()
        slow = now - began > WRITTEN_WITHIN_SECONDS / 2
        self._held = _Held(document=document, at=now, slow=slow)
        self._generation = generation
        if state.attachments:
            # SECURITY: as permissions, and not as a boundary, this policy allows everything.
            log.error("the boundary policy is attached as a policy of permissions", extra={"count": state.attachments})
        if document.width is not Width.EXACT:
            log.warning("the revocation document is wider than asked", extra={"width": document.width.name})
        return wrote

    async def _write(self, document: RevocationDocument) -> tuple[bool, BoundaryState | None]:
        state = await self._boundary.read()
        if _same(state.text, document.text):
            return False, state
        if not await self._store.claim_writer(self._holder, lasts=WRITER_LASTS):
            return False, None
        state = await self._boundary.write(document.text)
        # INVARIANT: what is said to be revoked was read back from AWS.
        if not _same(state.text, document.text):
            raise Disagreement(
                "the revocation document at AWS is not what was written",
                detail=f"wrote {len(document.text)} characters, read {len(state.text)} others",
                evidence=(("written", document.text), ("read", state.text)),
            )
        return True, state

    async def _look_at_roles(self, now: float) -> None:
        if self._bounded_at is not None and now - self._bounded_at < BOUNDARIES_CHECKED_EVERY.total_seconds():
            return
        self._bounded = frozenset()
        bounded = await self._boundary.bounded(self._roles)
        for role in self._roles:
            if role not in bounded:
                log.warning(
                    "a role does not carry the boundary, so its sessions cannot be revoked", extra={"role": role}
                )
        self._bounded, self._bounded_at = bounded, now


def _same(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))
