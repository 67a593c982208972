"""Binds tags to the tables of the catalogs: which columns match a tag expression.

A table has the tags of its database, a column those of its table; a tag of the same key further down takes the place of
the one above, and leaves the other keys. So a column may be opened or closed by a tag of its own.

Source: AWS Lake Formation developer guide, "Assigning LF-tags to Data Catalog resources".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock_server.model.predicate import Always
from penstock_server.model.resource import TablePermission
from penstock_server.model.schema import TableSchema, cells_of
from penstock_server.policy.bound import BoundColumnDenial, BoundDenial, BoundFilter, BoundGrant, TableKey
from penstock_server.policy.cell_binding import find_column
from penstock_server.policy.filters.row_tests import Fixed
from penstock_server.policy.problems import Problems
from penstock_server.policy.requirements import bound_conditions
from penstock_server.policy.source import TagDenial, TagGrant
from penstock_server.policy.tags.lf_tags import TagAssignment, TagExpression

_Tags = frozenset[tuple[str, str]]
"""Effective tags: keys with their values, each key once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMatch:
    """What of one table matches an expression.

    `shown` has the columns that do, in the catalog's spelling; None = all, those to come too.
    """

    schema: TableSchema
    shown: BoundFilter

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are there and match."""
        named = self.shown.columns
        return frozenset(cell.name for cell in self.schema.cells()) if named is None else named


class TagBinder:
    """Finds what matches. Its cost is that of the distinct sets of tags, not of the columns of the estate."""

    def __init__(self, assignments: Iterable[TagAssignment], tables: Mapping[TableKey, TableSchema]) -> None:
        self._assignments = tuple(assignments)
        self._tables = tables
        self._own: dict[TableKey, _Tags] = {}
        self._columns: dict[TableKey, Mapping[_Tags, frozenset[str]]] = {}
        self._tables_with: defaultdict[_Tags, list[TableKey]] = defaultdict(list)
        self._matches: dict[TagExpression, tuple[TagMatch, ...]] = {}

    def bind(self, problems: Problems) -> None:
        """Give every table and column its effective tags; what is tagged must be there."""
        databases: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        tables: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        columns: defaultdict[tuple[str, ...], defaultdict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
        there = {key[:2] for key in self._tables}
        for assignment in self._assignments:
            scope = assignment.resource.scope()
            if not assignment.resource.exact:
                databases[scope][assignment.key] = assignment.value
                if scope not in there:
                    name = str(assignment.resource).removesuffix(".*")
                    problems.add(
                        assignment.resource_place,
                        f"there is no database `{name}` in the configured catalogs; correct it",
                    )
                continue
            catalog, database, table = scope
            schema = self._tables.get((catalog, database, table))
            if schema is None:
                what = f"there is no table `{assignment.resource}` in the configured catalogs; correct the name"
                problems.add(assignment.resource_place, what)
                continue
            if assignment.column is None:
                tables[scope][assignment.key] = assignment.value
                continue
            column = find_column(assignment.column, schema, problems)
            if column is not None:
                columns[scope][column][assignment.key] = assignment.value
        for key, schema in self._tables.items():
            own = databases.get(key[:2], {}) | tables.get(key, {})
            tagged: Mapping[str, Mapping[str, str]] = columns.get(key, {})
            if own or tagged:
                self._take(key, schema, own, tagged)

    def matching(self, expression: TagExpression) -> tuple[TagMatch, ...]:
        """Give every table of which something matches, by full name."""
        found = self._matches.get(expression)
        if found is None:
            sets = {tags for tags in self._tables_with if expression.matches(dict(tags))}
            keys = sorted({key for tags in sets for key in self._tables_with[tags]})
            found = tuple(self._match(key, sets) for key in keys)
            self._matches[expression] = found
        return found

    def _take(
        self, key: TableKey, schema: TableSchema, own: Mapping[str, str], tagged: Mapping[str, Mapping[str, str]]
    ) -> None:
        sets: defaultdict[_Tags, set[str]] = defaultdict(set)
        table_tags = frozenset(own.items())
        for column in schema.columns:
            overriding = tagged.get(column.name)
            tags = table_tags if overriding is None else frozenset({**own, **overriding}.items())
            # The fields of a struct have its tags.
            sets[tags].update(cell.name for cell in cells_of(column))
        self._own[key] = table_tags
        self._columns[key] = {tags: frozenset(names) for tags, names in sets.items()}
        for tags in {table_tags, *sets}:
            self._tables_with[tags].append(key)

    def _match(self, key: TableKey, sets: set[_Tags]) -> TagMatch:
        groups = self._columns[key]
        columns = frozenset(name for tags, names in groups.items() if tags in sets for name in names)
        later = self._own[key] in sets
        # INVARIANT: "all, those to come too" only where a column that comes later would have matching tags.
        whole = later and all(tags in sets for tags in groups)
        shown = BoundFilter(
            columns=None if whole else columns,
            rows=Fixed(predicate=Always()),
            masks={},
            # A column that comes later has the tags of the table until it is tagged itself.
            excluding=later and not whole,
        )
        return TagMatch(schema=self._tables[key], shown=shown)


def bind_tag_grant(grant: TagGrant, match: TagMatch, problems: Problems) -> BoundGrant | None:
    """Give what a grant by tags is on a table of which something matches; None = nothing.

    SECURITY: files cannot be filtered, so RAW is left only where the whole table matches
    (test_raw_by_tags_needs_a_table_that_matches_as_a_whole).
    """
    whole = match.shown.columns is None
    permissions = grant.permissions if whole else grant.permissions - {TablePermission.RAW}
    if not permissions or not match.columns:
        return None
    return BoundGrant(
        name=grant.name,
        permissions=permissions,
        filters=(match.shown,),
        expires=grant.expires,
        conditions=bound_conditions(grant, match.schema, problems),
        tags=grant.expression,
    )


def bind_tag_denial(denial: TagDenial, match: TagMatch) -> tuple[BoundDenial, BoundColumnDenial | None]:
    """Give what a denial by tags is on a table of which something matches.

    SECURITY: the files go with whatever matches, also with a table all of whose columns have other tags; and a denial
    of SELECT or DESCRIBE closes the columns that match.
    """
    files = BoundDenial(permissions=frozenset({TablePermission.RAW}), spared=denial.spared)
    if not denial.permissions & {TablePermission.SELECT, TablePermission.DESCRIBE} or not match.columns:
        return files, None
    return files, BoundColumnDenial(columns=match.columns, spared=denial.spared)
