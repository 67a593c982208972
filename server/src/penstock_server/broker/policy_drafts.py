"""Policies that somebody sends to have them looked at: checked and compared, never put in force.

SECURITY: a draft's files are read from what was sent alone; a name in it is never looked up on this machine
(test_no_name_in_a_request_reads_a_file_of_the_server).
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final, TypeVar

from penstock_server.broker.loading import LoadedPolicy, redshift_logins
from penstock_server.broker.reloading import PolicyLoader
from penstock_server.broker.rules_queries import answer_rules
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError, FieldViolation, InvalidRequest, LimitExceeded, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.ports import RulesReader
from penstock_server.policy import binding
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import Abandoned, compare_while
from penstock_server.policy.proof.report import Report, report_of
from penstock_server.policy.reading import files
from penstock_server.policy.reading.file_trees import GivenFiles
from penstock_server.policy.review import policy_warnings
from penstock_server.policy.rules.queries import adopted, fresh_from
from penstock_server.policy.source import PolicySource

MAX_FILES: Final = 1_000
MAX_PATH_CHARACTERS: Final = 255
MAX_PLAN_TIME: Final = timedelta(minutes=2)
"""How long one comparison may take; asked between tables, whose own effort is bounded in steps."""

_MOST_TOLD: Final = 3
_PART: Final = re.compile(r"(?!\.)[^/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFile:
    """A file of a draft, in the caller's own words."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What is wrong with a draft, as `FILE:LINE: what, why, how to mend it`; no `version` where anything is."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    version: PolicyVersion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What a draft would do in place of the policy that decides now."""

    report: Report


class PolicyDrafts:
    """Looks at drafts, one at a time, in a thread of its own."""

    def __init__(
        self,
        *,
        settings: Settings,
        loader: PolicyLoader,
        rules: RulesReader,
        clock: Clock,
        max_plan_time: timedelta = MAX_PLAN_TIME,
    ) -> None:
        self._configured = settings.identity.issuers
        self._issuers = known_issuers(settings.identity.issuers)
        self._logins = redshift_logins(settings)
        self._loader = loader
        self._rules = rules
        self._clock = clock
        self._max_plan_time = max_plan_time
        # One, so that administrators in a hurry cannot take all cores from decisions.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy drafts")

    async def validate(self, draft: tuple[DraftFile, ...]) -> Validation:
        """Say what is wrong with a draft. Raises InvalidRequest, Unavailable."""
        given, loaded = _given(draft), self._loader.loaded()
        try:
            source = await self._source(given, loaded)
            bound = await self._run(lambda _: binding.bind(source, loaded.bound.snapshot, logins=self._logins))
        except ConfigurationError as error:
            return Validation(problems=error.problems, warnings=(), version=None)
        warnings = policy_warnings(source, self._configured)
        return Validation(problems=(), warnings=warnings, version=bound.version)

    async def plan(self, draft: tuple[DraftFile, ...]) -> PlannedChange:
        """Compare a draft with the policy that decides now. Raises InvalidRequest, LimitExceeded, Unavailable."""
        given, loaded = _given(draft), self._loader.loaded()
        try:
            source = await self._source(given, loaded)
            report = await self._run(lambda wanted: self._plan(source, loaded, wanted))
        except ConfigurationError as error:
            raise _no_policy(error) from error
        except Abandoned as error:
            raise LimitExceeded(
                Reason.PLAN_TIMEOUT,
                "the comparison takes too long here",
                limit="policy plan",
                value=f"{self._max_plan_time.total_seconds():g} s",
                hint="plan smaller steps, or use `penstock-server policy plan`",
            ) from error
        return PlannedChange(report=report)

    def close(self) -> None:
        """Give up on what waits; what is under way ends by itself, for its caller is gone."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[Callable[[], bool]], Answer]) -> Answer:
        """Do work in the thread; it is told whether anybody still waits for its answer."""
        gone = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, lambda: not gone.is_set())
        finally:
            gone.set()

    async def _source(self, given: GivenFiles, loaded: LoadedPolicy) -> PolicySource:
        """Read a draft, and ask its rules queries as a load would. Raises ConfigurationError, Unavailable."""
        source = await self._run(lambda _: files.load_files(given, self._issuers))
        # What the policy in force knows already is not asked again, and then cannot differ.
        source = adopted(source, loaded.source)
        # What both ask is known already, and the same for both.
        known = adopted(source, loaded.source)
        return await answer_rules(known, loaded.bound.snapshot, self._rules, self._clock)

    def _plan(self, source: PolicySource, loaded: LoadedPolicy, wanted: Callable[[], bool]) -> Report:
        snapshot = loaded.bound.snapshot
        # First as a load would, for all that may be wrong; then with columns that may be added later.
        binding.bind(source, snapshot, logins=self._logins)
        later = with_later_columns(snapshot)
        at = self._clock.now()
        old = binding.bind(fresh_from(loaded.source, at), later, logins=self._logins)
        new = binding.bind(fresh_from(source, at), later, logins=self._logins)
        end = monotonic() + self._max_plan_time.total_seconds()
        plan = compare_while(lambda: wanted() and monotonic() < end, old, new, at=at, budget=DEFAULT_BUDGET)
        return report_of(plan, old="the policy in force", new="the policy that was sent")


def _given(draft: tuple[DraftFile, ...]) -> GivenFiles:
    """Require names that can only be names. Raises InvalidRequest."""
    if not 1 <= len(draft) <= MAX_FILES:
        raise InvalidRequest("files", f"1 to {MAX_FILES:,} files")
    found: dict[str, bytes] = {}
    for number, file in enumerate(draft):
        field = f"files[{number}].path"
        parts = file.path.split("/")
        if len(file.path) > MAX_PATH_CHARACTERS or not all(_PART.fullmatch(part) for part in parts):
            rule = f"a relative name of 1 to {MAX_PATH_CHARACTERS} characters, with `/` between parts"
            raise InvalidRequest(field, f"{rule}, none of which begins with a dot or holds `\\`, `:` or controls")
        if file.path in found:
            raise InvalidRequest(field, "a name that no other file has")
        found[file.path] = file.content
    return GivenFiles(found)


def _no_policy(error: ConfigurationError) -> InvalidRequest:
    told = InvalidRequest(
        "files", "a policy that could be loaded", hint="ValidatePolicy tells all that is wrong", detail=str(error)
    )
    told.fields = tuple(FieldViolation(field="files", rule=problem) for problem in error.problems[:_MOST_TOLD])
    return told
