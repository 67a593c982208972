"""When the keys of one issuer are loaded, and how long they are trusted.

Fresh for 5 to 15 minutes; a kid that is not there causes a refresh, one at a time and at most one in 30 seconds,
so that strangers with made-up tokens cannot make us call the provider more often; when it cannot be reached, old
keys serve for 24 hours and no longer. Readings are of the monotonic clock: a clock that is set does not revive keys.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from typing import Final

from penstock_server.identity.keys.jwk import VerificationKey
from penstock_server.identity.keys.key_set import KeySet, KeysUnreadable
from penstock_server.identity.keys.sources import KeySource, Loaded
from penstock_server.identity.refusal import Rule, refused
from penstock_server.model.clock import Clock

STALE_SECONDS: Final = 24 * 3600.0
_PATIENCE_SECONDS: Final = 6.0
_PATIENCE_WITH_KEYS_SECONDS: Final = 1.0
_EARLY: Final = 0.8

_log = logging.getLogger(__name__)


class IssuerKeys:
    """The keys of one issuer. All methods belong to one event loop; `load` of the source runs in the executor."""

    def __init__(self, issuer: str, source: KeySource, clock: Clock, executor: Executor) -> None:
        self._issuer = issuer
        self._source = source
        self._clock = clock
        self._executor = executor
        self._keys: KeySet | None = None
        self._generation = 0
        self._loaded_at = 0.0
        self._stale_at = 0.0
        self._refresh_early_at = 0.0
        self._attempted_at: float | None = None
        self._problem: str | None = None
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int | None:
        """A number that changes whenever a usable key comes or goes; None where no key may be used."""
        return None if self._current() is None else self._generation

    @property
    def problem(self) -> str | None:
        """Why the last attempt gave no key that may verify, None where it gave one."""
        if self._problem is None and self._keys is not None and not self._keys.usable:
            reasons = "; ".join(f"`{kid[:64]}`: {reason}" for kid, reason in self._keys.unusable.items())
            return f"there is no key that may verify ({reasons or 'the key set is empty'})"
        return self._problem

    def ready(self) -> bool:
        """Tell whether there is at least one key that may verify."""
        keys = self._current()
        return keys is not None and bool(keys.usable)

    async def refresh_if_stale(self) -> None:
        """Load the keys where they are no longer fresh and the last attempt is not too recent.

        While old keys may still serve, a provider that hangs delays requests by one second, and only until its
        first time-out.
        """
        if self._current() is None:
            await self._refresh(_PATIENCE_SECONDS)
        elif self._clock.monotonic() >= self._stale_at:
            await self._refresh(_PATIENCE_WITH_KEYS_SECONDS if self._problem is None else 0)

    async def refresh_early(self) -> None:
        """Load the keys a little before they are no longer fresh, so that requests need not wait."""
        if self._keys is None or self._clock.monotonic() >= self._refresh_early_at:
            await self._refresh(_PATIENCE_SECONDS)

    async def find(self, kid: str) -> VerificationKey:
        """Give the one key of this kid, after a refresh where it is not known and one is due.

        Raises:
            Unauthenticated: no such key, or it may not verify, or the keys of this issuer are not known.
        """
        await self.refresh_if_stale()
        if not self._knows(kid):
            await self._refresh(_PATIENCE_SECONDS)
        keys = self._current()
        if keys is None:
            raise refused(Rule.KEYS_UNAVAILABLE, "the keys of this issuer are not known, or were not renewed for a day")
        key = keys.usable.get(kid)
        if key is not None:
            return key
        if kid in keys.unusable:
            raise refused(Rule.KEY_UNUSABLE, f"the issuer publishes this key, but {keys.unusable[kid]}")
        raise refused(Rule.KEY_NOT_FOUND, "the issuer publishes no key of this kid")

    def _knows(self, kid: str) -> bool:
        return self._keys is not None and (kid in self._keys.usable or kid in self._keys.unusable)

    def _current(self) -> KeySet | None:
        if self._keys is None or self._clock.monotonic() - self._loaded_at > STALE_SECONDS:
            return None
        return self._keys

    async def _refresh(self, patience_seconds: float) -> None:
        """Start a refresh, or join the one under way; wait for it, but not for ever."""
        if self._refreshing is None:
            pause = self._source.freshness.between_attempts.total_seconds()
            if self._attempted_at is not None and self._clock.monotonic() < self._attempted_at + pause:
                return
            self._attempted_at = self._clock.monotonic()
            self._refreshing = asyncio.create_task(self._load(self._attempted_at))
        # `wait` neither cancels the refresh when this request goes away nor raises when it takes too long.
        await asyncio.wait({self._refreshing}, timeout=patience_seconds)

    async def _load(self, attempted_at: float) -> None:
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._executor, self._source.load)
        except KeysUnreadable as problem:
            if self._problem is None:
                _log.warning("the keys of issuer %s were not renewed: %s", self._issuer, problem)
            self._problem = str(problem)
        else:
            self._problem = None
            self._take(loaded, attempted_at)
        finally:
            self._refreshing = None

    def _take(self, loaded: Loaded, attempted_at: float) -> None:
        if self._keys is None or self._keys.digest != loaded.keys.digest:
            # INVARIANT: tokens verified under the keys of before are verified anew (`verified_tokens` compares).
            self._generation += 1
            for kid, reason in loaded.keys.unusable.items():
                _log.warning("issuer %s: key %r is not used: %s", self._issuer, kid[:128], reason)
        self._keys = loaded.keys
        fresh = loaded.fresh_for.total_seconds()
        self._loaded_at = attempted_at
        self._stale_at = attempted_at + fresh
        self._refresh_early_at = attempted_at + fresh * _EARLY
