"""The two versions that a plan compares, with what their rules queries give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from penstock_server.broker.loading import redshift_logins
from penstock_server.broker.rules_queries import answer_rules
from penstock_server.cli.private_engine import engine_of
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.model.clock import Clock
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy import binding
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.reading import same_table
from penstock_server.policy.reading import files
from penstock_server.policy.rules.queries import adopted, asked_rules, fresh_from, unasked, with_rules
from penstock_server.policy.rules.rebinding import table_key
from penstock_server.policy.source import PolicySource, RowRulesSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSources:
    """Two versions that can be bound, and the catalogs as they are."""

    old: PolicySource
    new: PolicySource
    snapshot: CatalogSnapshot


async def read_sources(settings: Settings, old: Path, new: Path, *, at: datetime, clock: Clock) -> PlanSources:
    """Read two versions, look at the catalogs, and ask the rules queries on whose results something may hang.

    A table of which both versions say the same down to its queries is not asked about: it is the same whatever they
    give. What both versions ask is asked once, and counts as asked at the instant `at`.

    Raises:
        ConfigurationError: a policy, a catalog or a query cannot be used.
        Unavailable: the catalogs cannot be looked at.
    """
    issuers = known_issuers(settings.identity.issuers)
    before, after = files.load((old,), issuers), files.load((new,), issuers)
    async with engine_of(settings) as engine:
        snapshot = await engine.inspect()
        before, after = _alike(before, after, snapshot, redshift_logins(settings))
        before = await answer_rules(before, snapshot, engine, clock)
        after = await answer_rules(adopted(after, before), snapshot, engine, clock)
    return PlanSources(old=fresh_from(before, at), new=fresh_from(after, at), snapshot=snapshot)


def _alike(
    before: PolicySource, after: PolicySource, snapshot: CatalogSnapshot, logins: frozenset[str]
) -> tuple[PolicySource, PolicySource]:
    """Put stand-ins for the results of queries on tables of which both versions say the same."""
    if not any(True for source in (before, after) for _ in asked_rules(source)):
        return before, after
    standing = [with_rules(source, [unasked(rules) for rules, _ in asked_rules(source)]) for source in (before, after)]
    bound = [binding.bind(source, snapshot, logins=logins) for source in standing]
    return (
        with_rules(before, _on_same_tables(standing[0], bound)),
        with_rules(after, _on_same_tables(standing[1], bound)),
    )


def _on_same_tables(source: PolicySource, bound: list[BoundPolicy]) -> list[RowRulesSource]:
    old, new = bound
    return [rules for rules, _ in asked_rules(source) if same_table(old, new, table_key(rules))]
