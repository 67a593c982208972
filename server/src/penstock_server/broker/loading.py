"""Policy files and catalogs to a policy that can decide."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from penstock_server.broker.rules_queries import answer_rules
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.model.clock import Clock
from penstock_server.model.ports import CatalogInspector, RulesReader
from penstock_server.policy import binding
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.reading import files
from penstock_server.policy.reading.file_trees import PolicyFiles
from penstock_server.policy.source import PolicySource


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LoadedPolicy:
    """A policy as its files state it, and bound: the one decides, the other is what a change is compared with."""

    source: PolicySource
    bound: BoundPolicy


async def load_policy(
    settings: Settings, of_policy: PolicyFiles, *, inspector: CatalogInspector, rules: RulesReader, clock: Clock
) -> LoadedPolicy:
    """Read the policy files, look at the catalogs, ask the rules queries, and bind the one to the other.

    All of it or nothing.

    Raises:
        ConfigurationError: with a line for everything that is wrong.
        Unavailable: the catalogs cannot be looked at, or a query cannot be asked.
    """
    # Off the event loop: rules datasets may have a million rows.
    source = await asyncio.to_thread(files.load_files, of_policy, known_issuers(settings.identity.issuers))
    snapshot = await inspector.inspect()
    source = await answer_rules(source, snapshot, rules, clock)
    bound = await asyncio.to_thread(binding.bind, source, snapshot, logins=redshift_logins(settings))
    return LoadedPolicy(source=source, bound=bound)


def redshift_logins(settings: Settings) -> frozenset[str]:
    """Give the names that a policy may write after `redshift:`."""
    return frozenset(cluster.name for cluster in settings.credentials.redshift)
