"""A Lake Formation estate to a policy file, compared."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from penstock_server.importers.lakeformation.resources import Scope, covers, table_of
from penstock_server.importers.lakeformation.semantics import lake_view
from penstock_server.importers.lakeformation.translation import Translated, translate
from penstock_server.importers.outcome import Compared, Imported, PolicyFile, View
from penstock_server.importers.policy_text import Mapping, print_policy
from penstock_server.importers.principals import PrincipalMapping
from penstock_server.importers.row_forms import NO_ROWS
from penstock_server.importers.witnesses import bound, view, witness
from penstock_server.model.lake_formation import LakeEstate, LakeOther, LakePermission
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.schema import TableSchema

NAME: Final = "lakeformation"
"""What the policy file and the report are called, without their suffixes."""

_NOTHING: Final = View(columns=(), rows=NO_ROWS, described=False)


def convert(
    estate: LakeEstate, scope: Scope, principals: PrincipalMapping, issuers: KnownIssuers, *, at: datetime
) -> Imported:
    """Give the policy file that says what the estate permits, as far as it can be said exactly.

    Raises:
        ConfigurationError: the file does not load or bind: a defect of this importer.
    """
    found = translate(estate, scope, principals)
    files = (PolicyFile(name=f"{NAME}.yaml", text=_text(found, scope)),) if found.grants else ()
    return Imported(
        name=NAME,
        files=files,
        left_out=tuple(sorted(found.left_out)),
        compared=_compare(estate, found, files=files, scope=scope, principals=principals, issuers=issuers, at=at),
        sources=tuple(found.sources),
    )


def _text(found: Translated, scope: Scope) -> str:
    entries: Mapping = (("version", 1),)
    if found.filters:
        entries = (*entries, ("filters", tuple(found.filters.items())))
    entries = (*entries, ("grants", list(found.grants)))
    comment = (
        f"What Lake Formation permitted in the catalog of {scope.account}, as `{scope.catalog}`.",
        "The report beside this file says what each entry was made from, and what was left out.",
    )
    return print_policy(entries, comment=comment)


def _compare(
    estate: LakeEstate,
    found: Translated,
    *,
    files: tuple[PolicyFile, ...],
    scope: Scope,
    principals: PrincipalMapping,
    issuers: KnownIssuers,
    at: datetime,
) -> tuple[Compared, ...]:
    policy = bound(files, scope.snapshot, issuers) if files else None
    compared: list[Compared] = []
    for who in sorted({record.principal for record in estate.permissions} & set(principals)):
        principal = witness([principals[who].selector], at=at)
        for schema in scope.tables():
            ours = _NOTHING
            if policy is not None and principal is not None:
                ours = view(policy, principal, schema.name, at=at)
            theirs = lake_view(_open(found.kept, estate, schema), estate.filters, who, schema)
            left_out = any(record.principal == who and _may_reach(record, schema) for record in found.dropped)
            if left_out or ours != _NOTHING or theirs != _NOTHING:
                compared.append(
                    Compared(
                        who=who,
                        selector=principals[who].written,
                        table=schema.name,
                        aws=theirs,
                        policy=ours,
                        left_out=left_out,
                    )
                )
    return tuple(compared)


def _open(kept: list[LakePermission], estate: LakeEstate, schema: TableSchema) -> list[LakePermission]:
    """Give the records that count on a table: none where a row-level security policy may reach it."""
    for policy in estate.row_policies:
        if isinstance(policy.resource, LakeOther) or covers(table_of(policy.resource), schema.name):
            return []
    return kept


def _may_reach(record: LakePermission, schema: TableSchema) -> bool:
    return isinstance(record.resource, LakeOther) or covers(table_of(record.resource), schema.name)
