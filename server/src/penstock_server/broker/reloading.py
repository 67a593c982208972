"""Puts a policy in force: at the start, and again whenever its files, its rules or the catalogs may have changed.

There is one writer. Whoever asks while a load is under way shares the next one, which begins after this one: what the
load under way has read already may be older than the change that is asked about.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from penstock_server.broker.loading import LoadedPolicy, load_policy
from penstock_server.broker.policies import Policies, not_loaded
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.ports import CatalogInspector, RulesReader
from penstock_server.policy.reading.file_trees import DiskDigests, DiskFiles

log = logging.getLogger(__name__)

_MOST_ATTEMPTS: Final = 5
_BETWEEN_ATTEMPTS_SECONDS: Final = 0.2


class Cause(StrEnum):
    """Why a policy is put in force."""

    START = "start"
    SIGNAL = "signal"
    FILES = "files"
    CALL = "call"
    RULES = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOutcome:
    """How a load ended.

    `version` decides now, whatever became of the load; None where none does yet. `problems` say why the load failed:
    each `FILE:LINE: what, why, how to mend it`, or one sentence. `lasting` = it fails again until somebody mends it.
    """

    version: PolicyVersion | None
    problems: tuple[str, ...]
    lasting: bool
    ended_at: datetime

    @property
    def failed(self) -> bool:
        """Whether the policy from before the load still decides."""
        return bool(self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFiles:
    """What the last load read: a digest of it (None where it has to be tried again), and the rules datasets named."""

    digest: bytes | None
    rules_files: frozenset[Path]


Bind = Callable[[LoadedPolicy], Awaitable[LoadedPolicy]]
"""Gives the policy that follows the one that decides now."""


class PolicyLoader:
    """Loads policies, one at a time, and lets each that could be bound decide.

    INVARIANT: a load changes what decides as a whole and last, after its record is in the audit; one that fails changes
    nothing. Statements and decisions under way keep the policy that they began with.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        inspector: CatalogInspector,
        rules: RulesReader,
        policies: Policies,
        records: ServiceRecords,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._inspector = inspector
        self._rules = rules
        self._policies = policies
        self._records = records
        self._clock = clock
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[ReloadOutcome] | None = None
        self._tasks: set[asyncio.Task[ReloadOutcome]] = set()
        self._causes: set[Cause] = set()
        self._files = LoadedFiles(digest=None, rules_files=frozenset())
        self._failure: ReloadOutcome | None = None
        self._loaded: LoadedPolicy | None = None

    def loaded(self) -> LoadedPolicy:
        """Give the policy that decides now. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        if self._loaded is None:
            raise not_loaded()
        return self._loaded

    @property
    def failure(self) -> ReloadOutcome | None:
        """Why the files of now are not what decides; None where they are."""
        return self._failure

    @property
    def files(self) -> LoadedFiles:
        """What the last load read, whether it failed or not."""
        return self._files

    async def start(self) -> None:
        """Load the first policy.

        Raises:
            ConfigurationError: with a line for everything that is wrong.
            Unavailable: the catalogs cannot be looked at, or the audit cannot be written.
        """
        async with self._turn:
            await self._put_in_force(await self._load(), (Cause.START,))

    async def reload(self, cause: Cause) -> ReloadOutcome:
        """Read files and catalogs anew, and let the policy that they make decide; what goes wrong is in the outcome.

        The load goes on where the caller is cancelled: others may wait for it.
        """
        self._causes.add(cause)
        if self._next is None:
            self._next = asyncio.create_task(self._reload(), name="policy reload")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)
        return await asyncio.shield(self._next)

    async def amend(self, cause: Cause, bind: Bind, *, datasets: tuple[str, ...] = ()) -> ReloadOutcome:
        """Let what `bind` makes of the policy that decides now follow it, in a turn with all loads.

        The policy files are not read, so this tells nothing of them: `failure` stays as it is. `datasets` are the rules
        datasets that it is about, for the record; there is none where the version stays what it was.

        Raises:
            Unavailable: no policy is loaded yet.
        """
        async with self._turn:
            before = self.loaded()
            return await self._attempt((cause,), lambda: bind(before), datasets=datasets, amended=before)

    async def close(self) -> None:
        """End the loads under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _reload(self) -> ReloadOutcome:
        async with self._turn:
            # Whoever asks from here on has to wait for another load, which waits for this turn to end.
            self._next = None
            causes, self._causes = tuple(sorted(self._causes)), set()
            outcome = await self._attempt(causes, self._load)
            self._failure = outcome if outcome.failed else None
            return outcome

    async def _load(self) -> LoadedPolicy:
        """Read until nothing has changed meanwhile: half of a file must not become a policy."""
        digests = DiskDigests(self._settings.policies)
        for _ in range(_MOST_ATTEMPTS):
            files = DiskFiles(self._settings.policies)
            self._files = LoadedFiles(digest=None, rules_files=self._files.rules_files)
            problems: ConfigurationError | None = None
            policy: LoadedPolicy | None = None
            try:
                policy = await load_policy(
                    self._settings, files, inspector=self._inspector, rules=self._rules, clock=self._clock
                )
            except ConfigurationError as error:
                problems = error
            if await asyncio.to_thread(digests.digest, files.rules_files) == files.digest():
                self._files = LoadedFiles(digest=files.digest(), rules_files=files.rules_files)
                if policy is not None:
                    return policy
                if problems is not None:
                    raise problems
            await asyncio.sleep(_BETWEEN_ATTEMPTS_SECONDS)
        paths = ", ".join(f"`{path}`" for path in self._settings.policies)
        raise ConfigurationError((f"{paths}: files change while they are read; write them elsewhere and rename them",))

    async def _put_in_force(
        self,
        policy: LoadedPolicy,
        causes: tuple[Cause, ...],
        *,
        datasets: tuple[str, ...] = (),
        amended: LoadedPolicy | None = None,
    ) -> None:
        version = policy.bound.version
        if amended is not None and version == amended.bound.version:
            # The same content, which counts for longer: no other policy began to decide.
            self._loaded = policy
            self._policies.replace(policy.bound, bound_at=self._policies.bound_at())
            return
        await self._records.policy_loaded(self._settings, version, causes=causes, datasets=datasets)
        self._loaded = policy
        self._policies.replace(policy.bound, bound_at=self._clock.now())
        log.info("policy loaded", extra={"policy_version": version, "causes": ",".join(causes)})

    async def _attempt(
        self,
        causes: tuple[Cause, ...],
        make: Callable[[], Awaitable[LoadedPolicy]],
        *,
        datasets: tuple[str, ...] = (),
        amended: LoadedPolicy | None = None,
    ) -> ReloadOutcome:
        """Make a policy and put it in force; what goes wrong is in the outcome, in the log and in the audit."""
        try:
            policy = await make()
            await self._put_in_force(policy, causes, datasets=datasets, amended=amended)
        except ConfigurationError as error:
            return await self._failed(causes, error.problems, lasting=True)
        except PenstockError as error:
            return await self._failed(causes, (f"{error.message}: {error.detail}",), lasting=False)
        except Exception as error:  # a load that fails in whatever way must not end what asks for loads
            log.exception("policy load failed by a fault of ours")
            return await self._failed(causes, (f"a fault of ours: {type(error).__qualname__}",), lasting=False)
        return ReloadOutcome(version=policy.bound.version, problems=(), lasting=False, ended_at=self._clock.now())

    async def _failed(self, causes: tuple[Cause, ...], problems: tuple[str, ...], *, lasting: bool) -> ReloadOutcome:
        version = self._policies.bound().version if self._policies.loaded else None
        for problem in problems:
            log.error("policy not loaded", extra={"problem": problem, "policy_version": version})
        try:
            await self._records.policy_load_failed(self._settings, version, causes=causes, problems=problems)
        except PenstockError as error:
            log.warning("a failed load is not in the audit", extra={"detail": error.detail})
        return ReloadOutcome(version=version, problems=problems, lasting=lasting, ended_at=self._clock.now())
