"""Policy files and catalogs to a policy that can decide."""

from __future__ import annotations

import asyncio

from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.model.ports import CatalogInspector
from penstock_server.policy import binding, files
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.file_trees import PolicyFiles


async def load_policy(settings: Settings, inspector: CatalogInspector, of_policy: PolicyFiles) -> BoundPolicy:
    """Read the policy files, look at the catalogs, and bind the one to the other: all of it or nothing.

    Raises:
        ConfigurationError: with a line for everything that is wrong.
        Unavailable: the catalogs cannot be looked at.
    """
    # Off the event loop: rules datasets may have a million rows.
    source = await asyncio.to_thread(files.load_files, of_policy, known_issuers(settings.identity.issuers))
    snapshot = await inspector.inspect()
    logins = frozenset(cluster.name for cluster in settings.credentials.redshift)
    return await asyncio.to_thread(binding.bind, source, snapshot, logins=logins)
