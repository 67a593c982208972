"""Ends statements under way whose ground is gone: a person was revoked, or the policy gives less than they read.

Level-triggered: each look compares every statement with the floors and the policy of now, so that it does not matter
who changed them, in which process, or whether the statement began in the same instant.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from penstock_server.broker.policies import Policies
from penstock_server.errors import PenstockError
from penstock_server.model.ports import TokenFloors
from penstock_server.query.running import RunningStatements

log = logging.getLogger(__name__)

LOOKS_EVERY_SECONDS: Final = 0.5
"""A fourth of the two seconds within which a revoked person's statements end."""


class Floors(TokenFloors, Protocol):
    """The floors of tokens, which other processes may raise."""

    async def reread(self) -> None:
        """Take up floors that somebody else has raised. Raises Unavailable."""
        ...


class QueryWatch:
    """Looks again and again; `on_policy` is told of each policy that began to decide."""

    def __init__(
        self, *, running: RunningStatements, policies: Policies, floors: Floors, on_policy: Callable[[], None]
    ) -> None:
        self._running = running
        self._policies = policies
        self._floors = floors
        self._on_policy = on_policy
        self._version: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="statements under way")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Look once."""
        if self._running:
            try:
                await self._floors.reread()
            except PenstockError as error:
                # What is known already still counts.
                log.error("revocations cannot be read", extra={"detail": error.detail or error.message})  # noqa: TRY400
            revoked = self._running.end_revoked(self._floors)
            if revoked:
                log.warning("statements ended: access was revoked", extra={"statements": revoked})
        if not self._policies.loaded:
            return
        policy = self._policies.current()
        if policy.version != self._version:
            self._version = policy.version
            self._on_policy()
        taken = await self._running.end_taken_away(policy)
        if taken:
            log.warning("statements ended: the policy changed", extra={"statements": taken})

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # a fault in one look must not keep what is revoked alive
                log.exception("statements under way cannot be looked at")
            await asyncio.sleep(LOOKS_EVERY_SECONDS)
