"""Tables as a registry such as the Glue Data Catalog has them: names, and where the metadata of each lies now."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.resource import S3Location


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredTable:
    """One Iceberg table. `location` ends in `/`; all that belongs to the table lies below it, `metadata` too."""

    database: str
    table: str
    location: S3Location
    metadata: S3Location
