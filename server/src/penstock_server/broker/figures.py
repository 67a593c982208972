"""Figures of the broker for metrics: how much runs, waits and is kept; never of whom or of what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from penstock_server.engines.duckdb.extracts.store import ExtractStore
from penstock_server.engines.duckdb.extracts.usage import ExtractFigures
from penstock_server.engines.duckdb.sandbox.confinement import Barriers
from penstock_server.query.running import Phase, RunningStatements


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFigures:
    """What is now, and what was counted since the start. `barriers` None = they have not been tried yet.

    `statements` counts those under way by phase, `ended` those that were ended from outside by cause.
    """

    statements: tuple[tuple[str, int], ...]
    ended: tuple[tuple[str, int], ...]
    extracts: ExtractFigures
    extracts_kept: int
    extract_bytes: int
    extract_bytes_lent: int
    barriers: Barriers | None
    serving: bool
    policy_current: bool


def figures(
    *,
    running: RunningStatements,
    extracts: ExtractStore,
    barriers: Barriers | None,
    serving: bool,
    policy_current: bool,
) -> BrokerFigures:
    """Take the figures now."""
    phases = Counter(statement.phase for statement in running.listed())
    return BrokerFigures(
        statements=tuple((phase.value, phases[phase]) for phase in Phase),
        ended=tuple((cause.value, count) for cause, count in sorted(running.ended.items())),
        extracts=extracts.usage.figures,
        extracts_kept=len(extracts.kept),
        extract_bytes=extracts.bytes,
        extract_bytes_lent=extracts.bytes_lent,
        barriers=barriers,
        serving=serving,
        policy_current=policy_current,
    )
