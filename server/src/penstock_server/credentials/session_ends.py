"""Ends sessions of a warehouse that no live lease stands behind, although their passwords still work.

Everything is level-triggered: a turn looks at the warehouse and at the leases, and at nothing that it remembers, so it
does not matter whether a lease ended, was revoked by a call or from another process, or ended while nobody looked. The
next turn ends what came back meanwhile, and so on for as long as a password lives.

| of a user of the prefix | with a live lease | without |
|---|---|---|
| sessions | stay | ended |
| blocked | allowed again | stays so |
| not blocked | stays so | blocked; the user of a lease is dropped |

INVARIANT: the warehouse is looked at before the leases. A session that is seen without a lease was begun before the
leases were read, so none stood behind it then.
SECURITY: the prefix is this state's alone: users of two Penstocks in one warehouse need two prefixes.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from penstock_server.credentials.database_users import is_lease_user, lease_user
from penstock_server.credentials.grounds_of_leases import read_grounds
from penstock_server.credentials.leases import CLOCK_TOLERANCE
from penstock_server.errors import PenstockError, Reason, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Lease
from penstock_server.model.ports import LeaseStore
from penstock_server.model.resource import Door
from penstock_server.model.warehouse import WarehouseLook

log = logging.getLogger(__name__)

TURNS_EVERY: Final = timedelta(seconds=2)
FRESH_FOR: Final = timedelta(seconds=10)
"""Where the last whole turn is longer ago, no login is issued: nobody could end its sessions."""
ENDED_WITHIN_SECONDS: Final = 5

_PAGE: Final = 500


class Sessions(Protocol):
    """A warehouse, as far as its sessions go; every method raises Unavailable."""

    async def look(self) -> WarehouseLook:
        """Give users and sessions of the prefix."""
        ...

    async def block(self, user: str) -> None:
        """Let no session of a user begin."""
        ...

    async def allow(self, user: str) -> None:
        """Let sessions of a user begin."""
        ...

    async def end(self, user: str) -> None:
        """End the sessions of a user."""
        ...

    async def create(self, user: str, *, role: str) -> None:
        """Make the user of a lease."""
        ...

    async def drop(self, user: str) -> None:
        """Drop the user of a lease."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a turn has to do, each a set of users in a fixed order."""

    block: tuple[str, ...]
    end: tuple[str, ...]
    drop: tuple[str, ...]
    allow: tuple[str, ...]


def due(look: WarehouseLook, live: frozenset[str], *, prefix: str) -> Due:
    """Give what is due; `live` are the users with a live lease. Pure."""
    ours = {user.name for user in look.users}
    dead = sorted(ours - live)
    # A session whose name was cut is ended with any user that it may be of, unless it may be a live one's too.
    ended = {
        user
        for user in dead
        for session in look.sessions
        if session.may_be(user) and not any(session.may_be(other) for other in live)
    }
    # A session of a user who is not there any more, or is not shown: it has a name all the same.
    ended |= {
        session.name
        for session in look.sessions
        if not session.cut and session.name not in live and session.name not in ours
    }
    blocked = {user.name for user in look.users if user.blocked}
    return Due(
        block=tuple(user for user in dead if user not in blocked),
        end=tuple(sorted(ended)),
        drop=tuple(user for user in dead if is_lease_user(user, prefix=prefix) and user not in ended),
        allow=tuple(sorted(ours & live & blocked)),
    )


class SessionReaper:
    """The turns of one warehouse; `logins` are the names in the configuration of all logins to it."""

    def __init__(
        self,
        *,
        warehouse: str,
        logins: frozenset[str],
        prefix: str,
        sessions: Sessions,
        leases: LeaseStore,
        clock: Clock,
    ) -> None:
        self.warehouse = warehouse
        self._logins = logins
        self._prefix = prefix
        self._sessions = sessions
        self._leases = leases
        self._clock = clock
        self._whole_at: float | None = None

    @property
    def fresh(self) -> bool:
        """Whether the last whole turn was a short time ago."""
        whole_at = self._whole_at
        return whole_at is not None and self._clock.monotonic() - whole_at <= FRESH_FOR.total_seconds()

    def require_fresh(self) -> None:
        """Raise Unavailable where nobody could end a session now."""
        if not self.fresh:
            raise Unavailable(
                Reason.AWS_UNAVAILABLE,
                "the warehouse cannot be reached to end sessions, so that no login is given",
                retry_after_seconds=5.0,
                hint="try again; if it stays so, tell the operator the request id",
                detail=f"{self.warehouse}: no whole turn of the reaper within {FRESH_FOR}",
            )

    async def admit(self, user: str, *, role: str) -> None:
        """Make a user ready to log in: the user of a lease is made with a role, another one allowed.

        Its lease stands already, so that a turn in between leaves it alone. Raises Unavailable.
        """
        if is_lease_user(user, prefix=self._prefix):
            await self._sessions.create(user, role=role)
            return
        look = await self._sessions.look()
        if any(found.name == user and found.blocked for found in look.users):
            await self._sessions.allow(user)

    async def turn(self) -> Due:
        """Do once what is due, and give what it was.

        Raises:
            Unavailable: the warehouse or the state is away, or something could not be ended; the next turn tries again.
        """
        began = self._clock.monotonic()
        look = await self._sessions.look()
        needed = due(look, await self._live(), prefix=self._prefix)
        failed: list[PenstockError] = []
        for user in needed.block:
            await _try(self._sessions.block(user), failed)
        for user in needed.end:
            await _try(self._sessions.end(user), failed)
        for user in needed.allow:
            await _try(self._sessions.allow(user), failed)
        if failed:
            raise failed[0]
        left: list[PenstockError] = []
        for user in needed.drop:
            await _try(self._sessions.drop(user), left)
        if left:
            # It is blocked and has no session: that it is still there opens nothing.
            log.warning("users of leases cannot be dropped", extra={"users": len(left), "detail": left[0].detail})
        self._whole_at = began
        return needed

    async def close(self) -> None:
        """Close the connection."""
        await self._sessions.close()

    async def _live(self) -> frozenset[str]:
        now = self._clock.now()
        live: set[str] = set()
        after = ""
        while page := await self._leases.live_at(Door.REDSHIFT, after=after, limit=_PAGE):
            for lease in page:
                # The row outlives the password by the tolerance; a session does not.
                if lease.expires_at - CLOCK_TOLERANCE > now:
                    live.update(self._user_of(lease))
            after = page[-1].id
        return frozenset(live)

    def _user_of(self, lease: Lease) -> tuple[str, ...]:
        try:
            grounds = read_grounds(lease.grounds)
        except ValueError:
            return ()  # a lease that cannot be read is revoked by the next re-check; until then it keeps nobody in
        if grounds.login not in self._logins:
            return ()
        return (grounds.database_user or lease_user(lease.id, prefix=self._prefix),)


async def _try(step: Awaitable[None], failed: list[PenstockError]) -> None:
    """Do a step; one that fails must not keep the others from being done."""
    try:
        await step
    except PenstockError as error:
        failed.append(error)


Reapers = Mapping[str, SessionReaper]
"""Of the warehouses that have one, by `RedshiftSettings.warehouse`."""
