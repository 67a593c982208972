"""Records of Lake Formation to entries of a policy file: what can be said exactly, and why the rest cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock_server.importers.lakeformation.cells import Cells, cells_of, column_list
from penstock_server.importers.lakeformation.resources import Scope, closed_tables, table_of
from penstock_server.importers.lakeformation.tags import TagTranslation
from penstock_server.importers.outcome import LeftOut
from penstock_server.importers.policy_text import Mapping as Entry
from penstock_server.importers.policy_text import Value
from penstock_server.importers.principals import PrincipalMapping
from penstock_server.model.lake_formation import (
    LakeCellsFilter,
    LakeColumns,
    LakeEstate,
    LakeFilterName,
    LakeOther,
    LakePermission,
    LakeTable,
    LakeTagPolicy,
)
from penstock_server.model.resource import fold

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_READING: Final = ("SELECT", "DESCRIBE")
_OTHER_KINDS: Final = {
    "LFTag": "nobody may assign LF-tags here but those who own the policy files",
    "LFTagExpression": "nobody may grant by LF-tags here but those who own the policy files",
    "RLSPolicy": "row-level security policies are never approximated",
    "DataLocation": "grant `RAW` on the tables, or a prefix by its ARN, after review",
    "Database": "it is about the database itself, which has no permissions of its own here",
    "Catalog": "it is about the catalog itself, which has no permissions of its own here",
    "UserDefinedFunction": "functions have no permissions of their own here",
}


@dataclass(slots=True)
class Translated:
    """What was translated. `kept` are the records that the policy says in full or in part.

    `tags_known` are the tables whose LF-tags are among the answers.
    """

    tags: Entry = ()
    tagged: list[Entry] = field(default_factory=list)
    tags_known: frozenset[tuple[str, str, str]] = frozenset()
    grants: list[Entry] = field(default_factory=list)
    filters: dict[str, Entry] = field(default_factory=dict)
    sources: list[tuple[str, str]] = field(default_factory=list)
    kept: list[LakePermission] = field(default_factory=list)
    dropped: list[LakePermission] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def translate(estate: LakeEstate, scope: Scope, principals: PrincipalMapping) -> Translated:
    """Translate every record, in an order that does not depend on that of the answers."""
    translation = _Translation(estate, scope, principals)
    for record in sorted(estate.permissions, key=_order):
        translation.take(record)
    found = translation.found
    for policy in estate.row_policies:
        found.left_out.append(
            LeftOut(
                place=policy.place,
                what=f"row-level security policy `{policy.policy}` on {_what(policy.resource)}",
                reason="it is never approximated; nothing of the tables that it may reach is carried over",
            )
        )
    translation.finish()
    return found


def _order(record: LakePermission) -> tuple[str, str, str]:
    return record.principal, _what(record.resource), record.place


class _Refused(Exception):
    """A record cannot be carried over; the text says why."""


class _Translation:
    """Takes one record after another."""

    def __init__(self, estate: LakeEstate, scope: Scope, principals: PrincipalMapping) -> None:
        self._scope = scope
        self._principals = principals
        self._closed = closed_tables(estate.row_policies, scope)
        self._filters: Mapping[tuple[str, str, str], LakeCellsFilter] = {
            (fold(each.columns.table.database), fold(each.columns.table.table or ""), each.name): each
            for each in estate.filters
            if each.columns.table.catalog_id == scope.account
        }
        self._filter_names: dict[tuple[str, str, str], str] = {}
        self._tags = TagTranslation(estate, scope, self._closed)
        self.found = Translated()

    def take(self, record: LakePermission) -> None:
        """Translate one record, or say why not."""
        try:
            self._scope.check_principal(record.principal, self._principals)
        except ValueError as error:
            self._leave(record, str(error))
            return
        if record.condition is not None:
            self._leave(record, "it holds under a Cedar condition on tags of the session, which is never approximated")
            return
        if isinstance(record.resource, LakeOther):
            reason = _OTHER_KINDS.get(record.resource.kind, "this kind of resource is not known")
            self._leave(record, reason)
            return
        resource = record.resource
        permissions = self._readable(record)
        self._note_grant_option(record)
        if not permissions:
            return
        try:
            entries = self._entries(resource, permissions)
        except _Refused as error:
            self._leave(record, str(error))
            return
        for entry in entries:
            name = f"lf-{len(self.found.grants) + 1:04}"
            principal = self._principals[record.principal].written
            self.found.grants.append((("name", name), ("principals", [principal]), *entry))
            self.found.sources.append((name, f"{record.place}: {_describe(record)}"))
        self.found.kept.append(record)

    def finish(self) -> None:
        """Add the tags that grants by them need, after all records were taken."""
        granted = any(isinstance(record.resource, LakeTagPolicy) for record in self.found.kept)
        self.found.tags, self.found.tagged = self._tags.entries()
        self.found.tags_known = frozenset(
            schema.name.key() for schema in self._scope.tables() if self._tags.reads(schema)
        )
        self.found.left_out += self._tags.left_out(granted=granted)

    def _readable(self, record: LakePermission) -> list[str]:
        """Give the permissions that this version has, and note the others."""
        found: list[str] = []
        for permission in record.permissions:
            whole = isinstance(record.resource, LakeTable | LakeTagPolicy)
            if permission == "ALL" and whole:
                found.append("SELECT")
                self._note(record, "ALL but SELECT and DESCRIBE", "tables are only read here")
            elif permission == "SELECT" or (permission == "DESCRIBE" and whole):
                found.append(permission)
            else:
                self._note(record, permission, "tables are only read here, and known of as a whole")
        return [permission for permission in _READING if permission in found]

    def _note_grant_option(self, record: LakePermission) -> None:
        if record.grantable:
            self._note(
                record,
                f"the grant option on {', '.join(record.grantable)}",
                "nobody may grant here but those who own the policy files",
            )

    def _entries(
        self, resource: LakeTable | LakeColumns | LakeFilterName | LakeTagPolicy, permissions: list[str]
    ) -> list[Entry]:
        given: Value = list(permissions)
        if isinstance(resource, LakeTagPolicy):
            try:
                return [(("tag_expression", self._tags.expression(resource)), ("permissions", given))]
            except ValueError as error:
                raise _Refused(str(error)) from error
        if isinstance(resource, LakeTable) and resource.table is None:
            return [(("resource", written), ("permissions", given)) for written in self._database(resource)]
        table = table_of(resource)
        try:
            schema = self._scope.schema(table)
        except ValueError as error:
            raise _Refused(str(error)) from error
        if schema.name.key() in self._closed:
            raise _Refused("the table is, or may be, under a row-level security policy")
        head: Entry = (("resource", self._scope.written(schema.name)), ("permissions", given))
        try:
            if isinstance(resource, LakeColumns):
                columns = column_list(resource, schema)
                return [head if columns is None else (*head, ("columns", columns))]
            if isinstance(resource, LakeFilterName):
                found = self._filters.get((fold(table.database), fold(table.table or ""), resource.name))
                if found is None:
                    raise _Refused(f"the data cells filter `{resource.name}` is not among the answers")
                cells = cells_of(found, schema)
                return [head if cells.everything else (*head, ("filter", self._filter(found, head[0][1], cells)))]
        except ValueError as error:
            raise _Refused(str(error)) from error
        return [head]

    def _database(self, resource: LakeTable) -> Iterable[str]:
        try:
            schemas = self._scope.schemas(resource)
        except ValueError as error:
            raise _Refused(str(error)) from error
        open_ones = [schema for schema in schemas if schema.name.key() not in self._closed]
        if len(open_ones) == len(schemas):
            return [self._scope.written_database(schemas[0].name.database)]
        if not open_ones:
            raise _Refused("its tables are, or may be, under a row-level security policy")
        return [self._scope.written(schema.name) for schema in open_ones]

    def _filter(self, found: LakeCellsFilter, resource: Value, cells: Cells) -> str:
        table = found.columns.table
        key = (fold(table.database), fold(table.table or ""), found.name)
        name = self._filter_names.get(key)
        if name is None:
            good = _NAME.fullmatch(found.name) and found.name not in self.found.filters
            name = found.name if good else f"lf-filter-{len(self.found.filters) + 1:04}"
            self._filter_names[key] = name
            self.found.filters[name] = (("resource", resource), *cells.entry())
            self.found.sources.append((name, f"{found.place}: data cells filter `{found.name}` of {_what(table)}"))
        return name

    def _leave(self, record: LakePermission, reason: str) -> None:
        self.found.dropped.append(record)
        self.found.left_out.append(LeftOut(place=record.place, what=_describe(record), reason=reason))

    def _note(self, record: LakePermission, what: str, reason: str) -> None:
        described = f"{what} of `{record.principal}` on {_what(record.resource)}"
        self.found.left_out.append(LeftOut(place=record.place, what=described, reason=reason))


def _describe(record: LakePermission) -> str:
    return f"{', '.join(record.permissions)} for `{record.principal}` on {_what(record.resource)}"


def _what(resource: LakeTable | LakeColumns | LakeFilterName | LakeTagPolicy | LakeOther) -> str:
    match resource:
        case LakeTable(database=database, table=table):
            return f"{database}.{table or '*'}"
        case LakeColumns(table=table, included=included, excluded=excluded):
            words = ", ".join(included) if included else "all but " + ", ".join(excluded) if excluded else "all"
            return f"{_what(table)} ({words})"
        case LakeFilterName(table=table, name=name):
            return f"{_what(table)} by the filter `{name}`"
        case LakeTagPolicy(kind=kind, terms=terms, name=name):
            words = " and ".join(f"{key}={'|'.join(values)}" for key, values in terms)
            return f"{kind.lower()}s with LF-tags {words if name is None else f'of the expression `{name}`'}"
        case LakeOther(kind=kind, what=what):
            return f"{kind} {what}"
