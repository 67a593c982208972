"""Where the tables of all catalogs lie now: files of this machine, or objects that are listed anew each time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.duckdb import relations
from penstock_server.engines.duckdb.iceberg.tables import IcebergTables
from penstock_server.engines.duckdb.objects import tables
from penstock_server.engines.duckdb.objects.courier import Courier, courier_of
from penstock_server.engines.duckdb.relations import SUFFIX, SourceRelation
from penstock_server.model.objects import StoredObject
from penstock_server.model.ports import ObjectStore
from penstock_server.model.resource import S3Location, TableName


class Sources:
    """Finds tables. `stores` has the object store of each catalog on one, `iceberg` the tables of each in Glue."""

    def __init__(
        self,
        catalogs: Mapping[str, CatalogSettings],
        stores: Mapping[str, ObjectStore],
        iceberg: Mapping[str, IcebergTables] | None = None,
    ) -> None:
        self._catalogs = catalogs
        self._stores = stores
        self._iceberg = iceberg or {}

    async def locate(self, name: TableName) -> SourceRelation:
        """Find where a table lies now; `name` is spelled as its catalog spells it.

        Raises:
            OSError: there is no such file any more.
            KeyError: there is no such catalog.
            ValueError: its files are laid out as no table is.
            ObjectFault: the store does not list it.
        """
        catalog = self._catalogs[name.catalog]
        return replace(await self._found(catalog, name), ordered=catalog.canonical_order)

    async def _found(self, catalog: CatalogSettings, name: TableName) -> SourceRelation:
        if catalog.kind is CatalogKind.GLUE:
            return await self._iceberg[catalog.name].locate(name)
        if catalog.kind is not CatalogKind.S3 or catalog.s3 is None:
            # A folder may have tens of thousands of files, and a file system may hang: never on the event loop.
            return await asyncio.to_thread(relations.locate, catalog, name)
        store = self._stores[name.catalog]
        stem = S3Location(bucket=catalog.s3.uri.bucket, key=f"{catalog.s3.uri.key}{name.database}/{name.table}")
        # A slash behind it: a table whose name goes on is another one.
        single, folder = await asyncio.gather(
            store.listed(replace(stem, key=f"{stem.key}{SUFFIX}")), store.listed(replace(stem, key=f"{stem.key}/"))
        )
        return replace(tables.files_of(stem, [*single, *folder]), store=store)

    def courier(self, catalog: CatalogSettings, objects: Sequence[StoredObject]) -> Courier:
        """Give who brings all these objects of a catalog, to be inspected."""
        if catalog.s3 is None:
            raise ValueError("a catalog on this machine has no objects")
        return courier_of(self._stores[catalog.name], objects, within=catalog.s3.uri)

    async def listed(self, catalog: CatalogSettings) -> Sequence[StoredObject]:
        """Give every object of a catalog that is on S3; of another, none. Raises ObjectFault."""
        return () if catalog.s3 is None else await self._stores[catalog.name].listed(catalog.s3.uri)
