"""Loads policies for one command as a server loads them at its start."""

from __future__ import annotations

from pathlib import Path

from penstock_server.broker.loading import LoadedPolicy, load_policy, redshift_logins
from penstock_server.cli.private_engine import engine_of
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.model.clock import SystemClock
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading import files
from penstock_server.policy.reading.file_trees import DiskFiles
from penstock_server.policy.source import PolicySource


async def load_from(settings: Settings, paths: tuple[Path, ...]) -> LoadedPolicy:
    """Read the policy of these files and folders, and bind it to the catalogs of a configuration.

    Raises:
        ConfigurationError: with a line for everything that is wrong.
        Unavailable: the catalogs cannot be looked at.
    """
    async with engine_of(settings) as engine:
        return await load_policy(settings, DiskFiles(paths), inspector=engine, rules=engine, clock=SystemClock())


def read_offline(settings: Settings, paths: tuple[Path, ...]) -> PolicySource:
    """Read the policy of these files and folders, and check all that needs no catalog.

    Raises:
        ConfigurationError: with a line for everything that is wrong.
    """
    source = files.load(paths, known_issuers(settings.identity.issuers))
    logins = redshift_logins(settings)
    problems = Problems()
    for login in (*(grant.login for grant in source.redshift_grants), *(one.login for one in source.redshift_denials)):
        if login.value not in logins:
            problems.add(login.place, f"no Redshift login `{login.value}` is configured under `credentials.redshift`")
    catalogs = {catalog.name for catalog in settings.catalogs}
    named = [(grant.resource, grant.resource_place) for grant in source.table_grants]
    named += [(tag.resource, tag.resource_place) for tag in source.tags]
    named += [(one.resource, one.resource_place) for one in source.filters]
    named += [(one.resource, one.resource_place) for one in source.row_rules]
    named += [(one.resource, one.resource_place) for one in source.column_rules]
    named += [(one.resource, one.resource_place) for one in source.table_denials]
    for resource, place in named:
        if resource.catalog not in catalogs:
            problems.add(place, f"no catalog `{resource.catalog}` is configured under `catalogs`")
    problems.raise_if_any()
    return source
