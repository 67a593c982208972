"""Runs the turns that end sessions of warehouses, every two seconds, and at once after a revocation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from penstock_server.broker.service_records import ServiceRecords
from penstock_server.broker.turns import Turns
from penstock_server.credentials.session_ends import TURNS_EVERY, SessionReaper


class SessionKeeper:
    """The reapers of all warehouses, each in its own task; `warehouses` tells which login is of which."""

    def __init__(
        self, *, reapers: Mapping[str, SessionReaper], warehouses: Mapping[str, str], records: ServiceRecords
    ) -> None:
        self._reapers = reapers
        self._warehouses = warehouses
        self._records = records
        self._turns = {
            name: Turns(
                partial(self._turn, name),
                every=TURNS_EVERY,
                what=f"sessions of {name}",
                fails="sessions of a warehouse cannot be ended",
            )
            for name in reapers
        }

    def start(self) -> None:
        """Begin; the first turns come at once."""
        for turns in self._turns.values():
            turns.start()

    async def close(self) -> None:
        """End the turns."""
        for turns in self._turns.values():
            await turns.close()
        for reaper in self._reapers.values():
            await reaper.close()

    def wake(self) -> None:
        """Take the next turns at once: something was revoked."""
        for turns in self._turns.values():
            turns.wake()

    def covers(self, login: str) -> bool:
        """Tell whether sessions of a login are ended."""
        return self._warehouses.get(login) in self._reapers

    async def ended(self, login: str, *, seconds: float) -> bool:
        """Wait for a whole turn that begins after now, for so long; False where there was none yet."""
        turns = self._turns.get(self._warehouses.get(login, ""))
        return turns is not None and await turns.taken(seconds=seconds)

    async def _turn(self, name: str) -> None:
        done = await self._reapers[name].turn()
        self._turns[name].reached()
        if done.end:
            await self._records.sessions_ended(name, done.end)
