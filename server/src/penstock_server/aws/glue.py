"""Iceberg tables of the Glue Data Catalog: their names and where their metadata lies. Nothing else of Glue is read.

Properties of a table are never looked at: none can set an endpoint, a region, a credential or a class to load.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from penstock_server.aws.clients import AwsClients
from penstock_server.errors import PenstockError
from penstock_server.model.objects import ObjectFault
from penstock_server.model.registered import RegisteredTable
from penstock_server.model.resource import S3Location

log = logging.getLogger(__name__)

_Glue: TypeAlias = Any  # there are no stubs of Glue among the dependencies

_LOCATION: Final = re.compile(r"s3[an]?://([a-z0-9.-]{3,63})/(.+)", re.DOTALL)


class GlueTables:
    """Implements `model.ports.TableRegistry` for some databases of one region."""

    def __init__(self, clients: AwsClients, *, region: str, catalog_id: str | None, databases: Sequence[str]) -> None:
        self._clients = clients
        self._region = region
        self._account: dict[str, str] = {} if catalog_id is None else {"CatalogId": catalog_id}
        self._databases = tuple(databases)

    async def tables(self) -> Sequence[RegisteredTable]:
        """Give every Iceberg table of the databases; others are left out. Raises ObjectFault."""
        try:
            return await self._clients.run(self._list, operation="glue:GetTables")
        except PenstockError as error:
            raise ObjectFault(error.detail or error.message) from error

    async def table(self, database: str, table: str) -> RegisteredTable:
        """Give one Iceberg table as it is now. Raises ObjectFault."""
        try:
            return await self._clients.run(lambda: self._get(database, table), operation="glue:GetTable")
        except PenstockError as error:
            raise ObjectFault(error.detail or error.message) from error

    def _client(self) -> _Glue:
        return self._clients.own("glue", self._region)

    def _list(self) -> tuple[RegisteredTable, ...]:
        pages = self._client().get_paginator("get_tables")
        found: list[RegisteredTable] = []
        for database in self._databases:
            for page in pages.paginate(DatabaseName=database, **self._account):
                for told in filter(_is_iceberg, page["TableList"]):
                    try:
                        found.append(registered(told))
                    except (ValueError, KeyError) as error:
                        # One table that its owner broke must not close all others.
                        name = f"{database}.{told.get('Name', '')}"
                        log.warning("table is left out", extra={"table": name, "fault": str(error)})
        return tuple(found)

    def _get(self, database: str, table: str) -> RegisteredTable:
        told = self._client().get_table(DatabaseName=database, Name=table, **self._account)["Table"]
        if not _is_iceberg(told):
            raise ValueError("no Iceberg table any more")
        return registered(told)


def _is_iceberg(told: Mapping[str, Any]) -> bool:
    return str(told.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG"


def registered(told: Mapping[str, Any]) -> RegisteredTable:
    """Read what Glue tells of one table.

    Raises:
        ValueError: its metadata does not lie below its location: it would be that of another table.
    """
    location = _location(str(told["StorageDescriptor"]["Location"]).rstrip("/") + "/")
    metadata = _location(str(told["Parameters"]["metadata_location"]))
    # SECURITY: whoever may write one table must not make it show the files of another one.
    if metadata.bucket != location.bucket or not metadata.key.startswith(location.key):
        raise ValueError("the metadata of a table does not lie below its location")
    return RegisteredTable(database=told["DatabaseName"], table=told["Name"], location=location, metadata=metadata)


def _location(text: str) -> S3Location:
    match = _LOCATION.fullmatch(text)
    if match is None:
        raise ValueError("a table does not lie in S3")
    return S3Location(bucket=match[1], key=match[2])
