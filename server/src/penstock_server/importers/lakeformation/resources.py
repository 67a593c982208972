"""Which tables of a catalog Lake Formation's resources are, and whose principals count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_server.importers.principals import PrincipalMapping
from penstock_server.model.lake_formation import (
    LakeColumns,
    LakeFilterName,
    LakeOther,
    LakeRowPolicy,
    LakeTable,
    LakeTagPolicy,
)
from penstock_server.model.resource import TableName, fold
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.table_patterns import TablePattern

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_ARN: Final = re.compile(r"arn:[a-z0-9-]+:([a-z0-9-]+):[a-z0-9-]*:([0-9]{12}|):.+", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The Glue catalog of `account` as our `catalog`, with its tables."""

    account: str
    catalog: str
    snapshot: CatalogSnapshot

    def check_principal(self, identifier: str, principals: PrincipalMapping) -> None:
        """Require a principal of this account that is mapped.

        Raises:
            ValueError: it is none; the text says why.
        """
        if identifier == "IAM_ALLOWED_PRINCIPALS":
            raise ValueError(
                "IAMAllowedPrincipals: Lake Formation leaves it to IAM policies, so who sees it is not known here"
            )
        if identifier.endswith(":IAMPrincipals") or identifier in {"EVERYONE", "ALLIAMPrincipals"}:
            raise ValueError("it means every IAM principal of an account; grant to `everyone` by hand if that is meant")
        arn = _ARN.fullmatch(identifier)
        if _ACCOUNT.fullmatch(identifier) or (arn is not None and arn[1] == "organizations"):
            raise ValueError("it is an account or an organization: sharing with other accounts has no counterpart here")
        if arn is not None and arn[2] not in {"", self.account}:
            raise ValueError(
                f"a principal of the account {arn[2]}: sharing with other accounts has no counterpart here"
            )
        if identifier not in principals:
            raise ValueError("the principal is not in the mapping")

    def tables(self) -> tuple[TableSchema, ...]:
        """Give the tables of the catalog."""
        return tuple(schema for schema in self.snapshot.tables if fold(schema.name.catalog) == fold(self.catalog))

    def schemas(self, table: LakeTable) -> tuple[TableSchema, ...]:
        """Give the tables that are meant; at least one.

        Raises:
            ValueError: there is none, or they are of another account's catalog.
        """
        if table.catalog_id != self.account:
            raise ValueError(f"a table of the catalog {table.catalog_id or 'of an account that is not stated'}")
        found = tuple(schema for schema in self.tables() if covers(table, schema.name))
        if not found:
            raise ValueError(f"the catalog `{self.catalog}` has no table {table.database}.{table.table or '*'}")
        return found

    def schema(self, table: LakeTable) -> TableSchema:
        """Give the one table that is meant.

        Raises:
            ValueError: as `schemas`, or several are meant.
        """
        found = self.schemas(table)
        if len(found) != 1:
            raise ValueError(f"the catalog `{self.catalog}` has several tables {table.database}.{table.table or '*'}")
        return found[0]

    def written(self, name: TableName) -> str:
        """Give a table as policy files name it."""
        return str(TablePattern(catalog=name.catalog, database=name.database, table=name.table))

    def written_database(self, database: str) -> str:
        """Give all tables of a database as policy files name them."""
        return str(TablePattern(catalog=self.catalog, database=database, table=None))


def covers(table: LakeTable, name: TableName) -> bool:
    """Tell whether a table is meant; Glue's names compare without case."""
    return fold(table.database) == fold(name.database) and (
        table.table is None or fold(table.table) == fold(name.table)
    )


def table_of(resource: LakeTable | LakeColumns | LakeFilterName) -> LakeTable:
    """Give the table of a resource."""
    return resource if isinstance(resource, LakeTable) else resource.table


def closed_tables(policies: Iterable[LakeRowPolicy], scope: Scope) -> frozenset[tuple[str, str, str]]:
    """Give the tables that a row-level security policy may reach.

    SECURITY: such a policy hides rows of grants that say nothing of it. Where it is attached to tags or to anything
    else than a table by name, it may reach every table (test_a_row_policy_on_tags_closes_every_table).
    """
    closed: set[tuple[str, str, str]] = set()
    for policy in policies:
        resource = policy.resource
        closed |= {
            schema.name.key()
            for schema in scope.tables()
            if isinstance(resource, LakeOther | LakeTagPolicy) or covers(table_of(resource), schema.name)
        }
    return frozenset(closed)
