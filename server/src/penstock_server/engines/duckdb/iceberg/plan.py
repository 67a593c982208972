"""What of an Iceberg table is read: a value that front, planner and printing share. Imports no library."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.schema import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergField:
    """A column of the current schema, pinned: `number` is its field id, which outlives its name."""

    number: int
    column: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergPlan:
    """The current snapshot. Files are paths as a reader names objects, sorted; `deletes` are positional.

    `refused` says why the table cannot be read, in words for the operator; else it is empty.
    """

    fields: tuple[IcebergField, ...] = ()
    data: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    refused: str = ""
