"""Where the objects of catalogs on S3 are asked for: clients of their own, so that no table waits for a credential."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.glue import GlueTables
from penstock_server.aws.objects import S3Objects, SourceRole
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.aws.sts import SecurityTokenService
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import GlueCatalogSettings, S3CatalogSettings, Settings
from penstock_server.model.clock import Clock


class SourceStores:
    """The object store of every catalog that is on one, and the registry of those in Glue, by name.

    Nothing is called before it is asked.
    """

    def __init__(self, settings: Settings, *, clock: Clock, environ: Mapping[str, str]) -> None:
        self._clients: list[AwsClients] = []
        self._settings = settings
        self._clock = clock
        self._secrets = SecretReferences(environ)
        self.by_catalog: dict[str, S3Objects] = {}
        self.registries: dict[str, GlueTables] = {}
        for catalog in settings.catalogs:
            if catalog.s3 is not None:
                self.by_catalog[catalog.name] = self._store(catalog.s3)
            if catalog.glue is not None:
                self.by_catalog[catalog.name] = self._store(catalog.glue)
                self.registries[catalog.name] = self._registry(catalog.glue)

    def close(self) -> None:
        """Stop taking calls."""
        for store in self.by_catalog.values():
            store.close()
        for clients in self._clients:
            clients.close()

    def _registry(self, glue: GlueCatalogSettings) -> GlueTables:
        clients = clients_of_this_process(endpoint_url=glue.endpoint_url)
        self._clients.append(clients)
        return GlueTables(clients, region=glue.region, catalog_id=glue.catalog_id, databases=glue.databases)

    def _store(self, s3: S3CatalogSettings | GlueCatalogSettings) -> S3Objects:
        clients = clients_of_this_process(endpoint_url=s3.endpoint_url)
        return S3Objects(clients, region=s3.region, role=None if s3.role is None else self._role(s3.role))

    def _role(self, name: str) -> SourceRole:
        aws = self._settings.credentials.aws
        role = next((role for role in (() if aws is None else aws.roles) if role.name == name), None)
        if aws is None or role is None:
            raise ValueError("a role of a catalog is checked when the configuration is read")
        clients = clients_of_this_process(endpoint_url=aws.endpoint_url)
        self._clients.append(clients)
        return SourceRole(
            SecurityTokenService(clients, region=aws.region),
            arn=role.arn,
            external_id=None if role.external_id is None else self._secrets.resolve(role.external_id),
            clock=self._clock,
        )


@contextlib.asynccontextmanager
async def source_stores(settings: Settings, *, clock: Clock, environ: Mapping[str, str]) -> AsyncIterator[SourceStores]:
    """Give the stores of a configuration for as long as the block lasts."""
    stores = SourceStores(settings, clock=clock, environ=environ)
    try:
        yield stores
    finally:
        stores.close()
