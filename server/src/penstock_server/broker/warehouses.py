"""The warehouses of a configuration, as far as sessions in them are ended: one reaper for each, whatever its logins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from penstock_server.config.settings import RedshiftSettings
from penstock_server.credentials.session_ends import SessionReaper
from penstock_server.credentials.warehouse_proof import WarehouseProver
from penstock_server.engines.redshift.catalogs import read_facts
from penstock_server.engines.redshift.connection import WarehouseAddress, WarehouseConnection
from penstock_server.engines.redshift.sessions import WarehouseSessions
from penstock_server.errors import ConfigurationError
from penstock_server.model.clock import Clock
from penstock_server.model.ports import LeaseStore, SecretResolver


def session_reapers(
    logins: tuple[RedshiftSettings, ...], *, leases: LeaseStore, secrets: SecretResolver, clock: Clock
) -> Mapping[str, SessionReaper]:
    """Give a reaper for each warehouse that some login has one for, by `RedshiftSettings.warehouse`.

    Raises:
        ConfigurationError: the driver is not installed, or two logins of one warehouse do not agree.
    """
    reapers: dict[str, SessionReaper] = {}
    for login in logins:
        if login.reaper is None or login.warehouse in reapers:
            continue
        there = [other for other in logins if other.warehouse == login.warehouse]
        if any((other.user_prefix, other.reaper) != (login.user_prefix, login.reaper) for other in there):
            what = f"`{login.warehouse}` needs one `user_prefix` and one `reaper` for all of its logins"
            raise ConfigurationError((f"credentials.redshift.{login.name}: {what}",))
        reapers[login.warehouse] = SessionReaper(
            warehouse=login.warehouse,
            logins=frozenset(other.name for other in there),
            prefix=login.user_prefix,
            sessions=WarehouseSessions(warehouse_connection(login, secrets=secrets), prefix=login.user_prefix),
            leases=leases,
            clock=clock,
        )
    return reapers


def warehouse_provers(
    logins: tuple[RedshiftSettings, ...], *, secrets: SecretResolver, clock: Clock
) -> Mapping[str, WarehouseProver]:
    """Give who proves the catalogs, by the name of each login whose warehouse enforces the policy."""
    provers: dict[str, WarehouseProver] = {}
    for login in logins:
        if login.native is not None:
            # A connection of its own: a look takes longer than sessions may wait.
            connection = warehouse_connection(login, secrets=secrets)
            provers[login.name] = WarehouseProver(
                read=partial(read_facts, connection),
                prefix=login.user_prefix,
                open_schemas=frozenset(login.native.open_schemas),
                catalog=login.native.catalog,
                clock=clock,
            )
    return provers


def warehouse_connection(login: RedshiftSettings, *, secrets: SecretResolver) -> WarehouseConnection:
    """Give a connection to a login's warehouse as its reaper; it connects when it is used."""
    settings = login.reaper
    if settings is None:
        raise ValueError("the login has no reaper")
    return WarehouseConnection(
        WarehouseAddress(
            host=login.host,
            port=login.port,
            database=login.database,
            user=settings.user,
            password=lambda: secrets.resolve(settings.password),
            encrypted=settings.encrypted,
        )
    )
