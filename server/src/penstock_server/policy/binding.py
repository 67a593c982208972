"""Binds a policy to the catalogs: every table, column and type that it names must be there and fit.

All that is wrong is raised at once, and then nothing is bound: a policy holds as a whole or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from penstock_server.config.document import Place
from penstock_server.config.reading import suggestion
from penstock_server.model.cell_paths import field_path, written_path
from penstock_server.model.decision import Mask
from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import fold
from penstock_server.model.schema import CatalogSnapshot, Column, TableSchema, cells_of
from penstock_server.policy.bound import (
    BoundColumnDenial,
    BoundDenial,
    BoundGrant,
    BoundPolicy,
    BoundRowRules,
    BoundTable,
    TableKey,
)
from penstock_server.policy.cell_binding import BoundCells, bind_cells, bind_masks, bound_filter, find_part
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.encoding import encode_schema
from penstock_server.policy.index import GrantIndex, by_selector
from penstock_server.policy.problems import Problems
from penstock_server.policy.requirements import bound_conditions
from penstock_server.policy.rules.binding import bind_row_rules
from penstock_server.policy.rules.queries import version_with_results
from penstock_server.policy.source import FilterSource, MaskUse, PolicySource, TableGrant
from penstock_server.policy.table_patterns import TablePattern
from penstock_server.policy.tags.binding import TagBinder, bind_tag_denial, bind_tag_grant


def bind(source: PolicySource, snapshot: CatalogSnapshot, *, logins: frozenset[str]) -> BoundPolicy:
    """Bind a policy to the tables of a snapshot; `logins` are the names under `credentials.redshift`.

    Raises:
        ConfigurationError: whatever does not fit, each as `FILE:LINE: what, why, how to mend it`.
    """
    problems = Problems()
    binder = _Binder(source, snapshot, problems)
    binder.bind_filters()
    for grant in source.table_grants:
        binder.bind_grant(grant)
    binder.bind_tags()
    binder.bind_row_rules()
    binder.bind_column_rules()
    binder.bind_denials()
    used = [*(grant.login for grant in source.redshift_grants), *(denial.login for denial in source.redshift_denials)]
    for login in used:
        if login.value not in logins:
            problems.add(login.place, f"no Redshift login `{login.value}` is configured under `credentials.redshift`")
    problems.raise_if_any()
    return binder.policy()


class _Binder:
    """Holds what is bound so far."""

    def __init__(self, source: PolicySource, snapshot: CatalogSnapshot, problems: Problems) -> None:
        self._source = source
        self._snapshot = snapshot
        self._problems = problems
        self._tables: dict[TableKey, TableSchema] = {}
        self._names: defaultdict[tuple[str, ...], list[TableKey]] = defaultdict(list)
        self._databases: defaultdict[tuple[str, str | None], list[TableSchema]] = defaultdict(list)
        self._masks = {mask.name: mask for mask in source.masks}
        self._filters: dict[str, BoundCells] = {}
        self._ranks = _Ranks(problems)
        self._rules: defaultdict[TableKey, list[BoundRowRules]] = defaultdict(list)
        self._column_rules: defaultdict[TableKey, defaultdict[str, set[PrincipalSelector]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self._denials: defaultdict[TableKey, list[BoundDenial]] = defaultdict(list)
        self._column_denials: defaultdict[TableKey, list[BoundColumnDenial]] = defaultdict(list)
        self._index = GrantIndex()
        for schema in snapshot.tables:
            self._take_table(schema)

    def bind_filters(self) -> None:
        """Bind every data cells filter, used or not."""
        for named in self._source.filters:
            self._bind_filter(named)

    def bind_grant(self, grant: TableGrant) -> None:
        """Bind a grant to each table that it is on."""
        tables = self._matching(grant.resource, grant.resource_place)
        plain = grant.cells.columns is None and grant.cells.rows is None and not grant.filters and not grant.masks
        # What is required is asked of each table's own bucket.
        if plain and not grant.requires and not grant.resource.exact and tables:
            cells = bind_cells(grant.cells, tables[0], self._problems)
            if cells is not None:
                bound = self._bound(grant, (cells,), {}, grant.conditions)
                self._index.add(grant.principals, grant.resource.scope(), bound)
            return
        for schema in tables:
            self._bind_on_table(grant, schema)

    def bind_tags(self) -> None:
        """Bind the tags, then grants and denials by tags to each table of which something matches."""
        tags = TagBinder(self._source.tags, self._tables)
        tags.bind(self._problems)
        for grant in self._source.tag_grants:
            for match in tags.matching(grant.expression):
                bound = bind_tag_grant(grant, match, self._problems)
                if bound is not None:
                    self._index.add(grant.principals, match.schema.name.key(), bound)
        for denial in self._source.tag_denials:
            for match in tags.matching(denial.expression):
                key = match.schema.name.key()
                files, columns = bind_tag_denial(denial, match)
                self._denials[key].append(files)
                self._column_denials[key] += [columns] if columns is not None else []

    def bind_row_rules(self) -> None:
        """Bind every rules dataset."""
        for rules in self._source.row_rules:
            for schema in self._matching(rules.resource, rules.resource_place):
                bound = bind_row_rules(rules, schema, self._problems)
                if bound is not None:
                    self._rules[schema.name.key()].append(bound)

    def bind_column_rules(self) -> None:
        """Bind every column rule; several on one column add up whom they name."""
        for rule in self._source.column_rules:
            for schema in self._matching(rule.resource, rule.resource_place):
                for text in rule.columns:
                    found = find_part(text, schema, self._problems)
                    for cell in () if found is None else cells_of(found):
                        self._column_rules[schema.name.key()][cell.name].update(rule.principals)

    def bind_denials(self) -> None:
        """Bind every denial to each table that it is on."""
        for denial in self._source.table_denials:
            bound = BoundDenial(permissions=denial.permissions, spared=denial.spared)
            for schema in self._matching(denial.resource, denial.resource_place):
                self._denials[schema.name.key()].append(bound)

    def policy(self) -> BoundPolicy:
        """Give the bound policy; only where there are no problems."""
        return BoundPolicy(
            version=version_with_results(self._source),
            snapshot=self._snapshot,
            default_issuer=self._source.issuers.default,
            tables={
                key: BoundTable(
                    schema=schema,
                    encoded_schema=encode_schema(schema),
                    row_rules=tuple(self._rules.get(key, ())),
                    column_rules={
                        column: frozenset(selectors) for column, selectors in self._column_rules.get(key, {}).items()
                    },
                    denials=tuple(self._denials.get(key, ())),
                    column_denials=tuple(self._column_denials.get(key, ())),
                )
                for key, schema in self._tables.items()
            },
            table_names={name: tuple(keys) for name, keys in self._names.items()},
            grants=self._index.grants(),
            scopes=self._index.scopes(),
            s3_grants=by_selector(self._source.s3_grants),
            redshift_grants=by_selector(self._source.redshift_grants),
            s3_denials=self._source.s3_denials,
            redshift_denials=self._source.redshift_denials,
            dynamodb_grants=by_selector(self._source.dynamodb_grants),
            dynamodb_denials=self._source.dynamodb_denials,
            service_grants=by_selector(self._source.service_grants),
            service_denials=self._source.service_denials,
        )

    def _take_table(self, schema: TableSchema) -> None:
        key = schema.name.key()
        place = Place(source=f"catalog {schema.name.catalog}", line=0, column=1)
        if key in self._tables:
            self._problems.add(place, f"holds two tables {schema.name} whose names differ by case only; rename one")
        for one, other in _colliding(schema.columns):
            self._problems.add(place, f"{schema.name} has the columns `{one}` and `{other}`; rename one")
        self._tables[key] = schema
        self._names[key[1:]].append(key)
        self._names[key[2:]].append(key)
        self._databases[key[:2]].append(schema)
        self._databases[key[0], None].append(schema)

    def _matching(self, pattern: TablePattern, place: Place) -> tuple[TableSchema, ...]:
        catalog, database, table = pattern.key()
        if database is None or table is None:
            found = tuple(self._databases.get((catalog, database), ()))
        else:
            schema = self._tables.get((catalog, database, table))
            found = () if schema is None else (schema,)
        if not found:
            what = "there is no table" if pattern.exact else "no table matches"
            # Only names of the same database are compared, so that a catalog that is missing stays cheap.
            there = () if database is None else self._databases.get((catalog, database), ())
            hint = suggestion(pattern.table or "", [schema.name.table for schema in there]) or "; correct the name"
            self._problems.add(place, f"{what} `{pattern}` in the configured catalogs{hint}")
        return found

    def _bind_filter(self, named: FilterSource) -> None:
        for schema in self._matching(named.resource, named.resource_place):
            cells = bind_cells(named.cells, schema, self._problems)
            if cells is not None:
                self._filters[named.name] = cells

    def _bind_on_table(self, grant: TableGrant, schema: TableSchema) -> None:
        if grant.filters:
            found = tuple(self._filters[name.value] for name in grant.filters if name.value in self._filters)
            cells = found if len(found) == len(grant.filters) else ()
        else:
            own = bind_cells(grant.cells, schema, self._problems)
            cells = () if own is None else (own,)
        if not cells:
            return
        masks = bind_masks(grant.masks, cells, schema, self._masks, self._problems)
        for use in grant.masks:
            self._ranks.check(use, masks, schema)
        conditions = bound_conditions(grant, schema, self._problems)
        self._index.add(grant.principals, schema.name.key(), self._bound(grant, cells, masks, conditions))

    def _bound(
        self, grant: TableGrant, cells: tuple[BoundCells, ...], masks: Mapping[str, Mask], conditions: Block | None
    ) -> BoundGrant:
        return BoundGrant(
            name=grant.name,
            permissions=grant.permissions,
            filters=tuple(bound_filter(part, masks) for part in cells),
            expires=grant.expires,
            conditions=conditions,
            tags=None,
        )


class _Ranks:
    """Requires two ranks for two masks on one column, whoever they are for: else the order of files would count."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen: dict[tuple[TableKey, str, int], str] = {}
        self._typed: dict[tuple[TableKey, str], Mask] = {}

    def check(self, use: MaskUse, masks: Mapping[str, Mask], schema: TableSchema) -> None:
        """Note a problem where another mask than this one has its rank on one of its columns already."""
        for column, mask in masks.items():
            if mask.name != use.mask.value:
                continue
            self._check_type(column, mask, schema, use.mask.place)
            other = self._seen.setdefault((schema.name.key(), column, mask.rank), mask.name)
            if other != mask.name:
                self._problems.add(
                    use.mask.place,
                    f"the masks `{other}` and `{mask.name}` both have rank {mask.rank} and are both on "
                    f"`{written_path(column)}` of {schema.name}; give them different ranks",
                )
                return

    def _check_type(self, column: str, mask: Mask, schema: TableSchema, place: Place) -> None:
        """Require one type of all masks on a column: whoever two of them reach sees the column in one type."""
        if mask.shows_null:
            return
        first = self._typed.setdefault((schema.name.key(), column), mask)
        if first.type.sql != mask.type.sql:
            self._problems.add(
                place,
                f"the masks `{first.name}` ({first.type.sql}) and `{mask.name}` ({mask.type.sql}) are both on "
                f"`{written_path(column)}` of {schema.name}; state one `type` for both",
            )


def _colliding(columns: Iterable[Column]) -> Iterator[tuple[str, str]]:
    """Give the columns, and the fields of one struct, that are one name in some engine.

    SECURITY: a column `SSN` beside `ssn` would escape `exclude: [ssn]`.
    """
    seen: dict[str, str] = {}
    for column in columns:
        for spelling in {fold(column.name), column.name.casefold()}:
            other = seen.setdefault(spelling, column.name)
            if other is not column.name:
                yield written_path(other), written_path(column.name)
        yield from _colliding(
            Column(name=field_path(column.name, field.name), type=field.type) for field in column.type.fields
        )
