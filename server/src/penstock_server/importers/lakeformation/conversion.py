"""A Lake Formation estate to a policy file, compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from penstock_server.importers.lakeformation.resources import Scope, covers, table_of
from penstock_server.importers.lakeformation.semantics import lake_view
from penstock_server.importers.lakeformation.translation import Translated, translate
from penstock_server.importers.outcome import Compared, Imported, PolicyFile, View
from penstock_server.importers.policy_text import Mapping as Entries
from penstock_server.importers.policy_text import print_policy
from penstock_server.importers.principals import PrincipalMapping
from penstock_server.importers.row_forms import NO_ROWS
from penstock_server.importers.witnesses import bound, view, witness
from penstock_server.model.lake_formation import LakeCellsFilter, LakeEstate, LakeOther, LakePermission, LakeTagPolicy
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import fold
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
    files = (PolicyFile(name=f"{NAME}.yaml", text=_text(found, scope)),) if found.grants or found.tags else ()
    return Imported(
        name=NAME,
        files=files,
        left_out=tuple(sorted(found.left_out)),
        compared=_compare(estate, found, files=files, scope=scope, principals=principals, issuers=issuers, at=at),
        sources=tuple(found.sources),
    )


def _text(found: Translated, scope: Scope) -> str:
    entries: Entries = (("version", 1),)
    if found.filters:
        entries = (*entries, ("filters", tuple(found.filters.items())))
    if found.tags:
        entries = (*entries, ("tags", found.tags))
    if found.tagged:
        entries = (*entries, ("tagged", list(found.tagged)))
    if found.grants:
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
    kept, dropped = _by_principal(found.kept), _by_principal(found.dropped)
    filters = _by_table(estate.filters)
    witnesses = {
        who: witness([principals[who].selector], at=at)
        for who in {record.principal for record in estate.permissions} & set(principals)
    }
    compared: list[Compared] = []
    for schema in scope.tables():
        closed = _under_row_policy(estate, schema)
        own = filters.get((fold(schema.name.database), fold(schema.name.table)), [])
        for who, principal in witnesses.items():
            ours = _NOTHING
            if policy is not None and principal is not None:
                ours = view(policy, principal, schema.name, at=at)
            theirs = lake_view(
                () if closed else kept.get(who, ()),
                own,
                who,
                schema,
                tags=estate.table_tags,
                expressions=estate.tag_expressions,
            )
            left_out = any(_may_reach(record, schema) for record in dropped.get(who, ())) or (
                schema.name.key() not in found.tags_known
                and any(isinstance(record.resource, LakeTagPolicy) for record in kept.get(who, ()))
            )
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
    return tuple(sorted(compared, key=lambda pair: (pair.who, pair.table)))


def _by_principal(records: Iterable[LakePermission]) -> Mapping[str, list[LakePermission]]:
    found: dict[str, list[LakePermission]] = {}
    for record in records:
        found.setdefault(record.principal, []).append(record)
    return found


def _by_table(filters: Iterable[LakeCellsFilter]) -> Mapping[tuple[str, str], list[LakeCellsFilter]]:
    found: dict[tuple[str, str], list[LakeCellsFilter]] = {}
    for each in filters:
        table = each.columns.table
        found.setdefault((fold(table.database), fold(table.table or "")), []).append(each)
    return found


def _under_row_policy(estate: LakeEstate, schema: TableSchema) -> bool:
    """Tell whether a row-level security policy may reach a table: then its grants alone say nothing."""
    return any(
        isinstance(policy.resource, LakeOther | LakeTagPolicy) or covers(table_of(policy.resource), schema.name)
        for policy in estate.row_policies
    )


def _may_reach(record: LakePermission, schema: TableSchema) -> bool:
    return isinstance(record.resource, LakeOther | LakeTagPolicy) or covers(table_of(record.resource), schema.name)
