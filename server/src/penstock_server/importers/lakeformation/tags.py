"""LF-tags of Lake Formation as a policy file says them: what they are, what has which, and grants by them.

SECURITY: a tag that is left out could open what it closes: a column takes that of its table instead. So whoever is
granted by a key that cannot be carried over everywhere, is granted nothing by it
(test_a_key_that_cannot_be_said_everywhere_takes_its_grants_along).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from penstock_server.importers.lakeformation.resources import Scope
from penstock_server.importers.outcome import LeftOut
from penstock_server.importers.policy_text import Mapping as Entry
from penstock_server.model.lake_formation import LakeEstate, LakeTableTags, LakeTag, LakeTagPolicy, LakeTerms
from penstock_server.model.resource import fold
from penstock_server.model.schema import TableSchema
from penstock_server.policy.table_patterns import TablePattern
from penstock_server.policy.tags.reading import MAX_KEY_LENGTH, MAX_VALUE_LENGTH, is_tag_word

ANY: str = "*"
"""AWS: stands for any value of a key in an expression."""

Key = tuple[str, str, str]
"""The folded name of a table."""


class TagTranslation:
    """The tags of one estate; `closed` are tables of which nothing may be carried over."""

    def __init__(self, estate: LakeEstate, scope: Scope, closed: frozenset[Key]) -> None:
        self._scope = scope
        self._estate = estate
        self._closed = closed
        self._read = {
            (fold(each.database), fold(each.table)): each
            for each in sorted(estate.table_tags, key=lambda tags: (tags.database, tags.table))
        }
        self._expressions = {
            each.name: each.terms for each in estate.tag_expressions if each.catalog_id in {None, scope.account}
        }
        self._refused: dict[str, str] = {}
        self._used: set[tuple[str, str]] = set()
        for tag in (*estate.tags, *(tag for each in estate.table_tags for tag in _all(each))):
            self._check(tag)

    def expression(self, policy: LakeTagPolicy) -> Entry:
        """Give a tag expression of a grant on tables.

        Raises:
            ValueError: it cannot be said exactly; the text says why.
        """
        if policy.catalog_id not in {None, self._scope.account}:
            raise ValueError(f"tags of the catalog {policy.catalog_id}")
        if policy.kind != "TABLE":
            raise ValueError("it is about databases themselves, which have no permissions of their own here")
        terms = self.terms(policy)
        for key, values in terms:
            if key in self._refused:
                raise ValueError(f"the LF-tag `{key}` cannot be carried over everywhere: {self._refused[key]}")
            if not all(value == ANY or is_tag_word(value, MAX_VALUE_LENGTH) for value in values):
                raise ValueError(f"a value of the LF-tag `{key}` cannot be said here")
        for schema in self._scope.tables():
            if schema.name.key() in self._closed and self._may_match(schema, terms):
                raise ValueError(f"it may reach {schema.name}, which is under a row-level security policy")
        self._used.update((key, value) for key, values in terms for value in values if value != ANY)
        return tuple((key, [ANY] if ANY in values else sorted(set(values))) for key, values in terms)

    def terms(self, policy: LakeTagPolicy) -> LakeTerms:
        """Give the terms of an expression, also of a named one.

        Raises:
            ValueError: there is no such name among the answers.
        """
        if policy.name is None:
            return policy.terms
        terms = self._expressions.get(policy.name)
        if terms is None:
            raise ValueError(f"the LF-tag expression `{policy.name}` is not among the answers")
        return terms

    def entries(self) -> tuple[Entry, list[Entry]]:
        """Give `tags` and `tagged`; call it after all expressions were asked for."""
        tagged = [entry for schemas in self._databases().values() for entry in self._database(schemas)]
        for tag in self._estate.tags:
            if tag.key not in self._refused:
                self._used.update((tag.key, value) for value in tag.values)
        values: defaultdict[str, list[str]] = defaultdict(list)
        for key, value in sorted(self._used):
            values[key].append(value)
        return tuple((key, list(found)) for key, found in values.items()), tagged

    def left_out(self, *, granted: bool) -> Iterator[LeftOut]:
        """Give what is not carried over; `granted` tells whether there are grants by tags."""
        for place in self._estate.tag_searches:
            yield LeftOut(
                place=place,
                what="what a search by LF-tags found",
                reason="it may tell a part of the tags alone; save GetResourceLFTags of each table",
            )
        for key, reason in sorted(self._refused.items()):
            yield LeftOut(place=self._place(key), what=f"LF-tag `{key}`", reason=reason)
        for schema in self._scope.tables():
            read = self._read.get(_names(schema))
            if read is None and granted:
                yield LeftOut(
                    place=str(schema.name),
                    what=f"LF-tags of {schema.name}",
                    reason="they are not among the answers, so no grant by tags reaches the table",
                )
        for (database, table), each in self._read.items():
            try:
                schema = self._schema(each)
            except ValueError as error:
                yield LeftOut(place=each.place, what=f"LF-tags of {database}.{table}", reason=str(error))
                continue
            for name, tags in each.on_columns:
                if tags and schema.column(name) is None:
                    what = f"LF-tags of the column `{name}` of {schema.name}"
                    yield LeftOut(place=each.place, what=what, reason="the table has no such column here")

    def reads(self, schema: TableSchema) -> bool:
        """Tell whether the tags of a table are known."""
        return _names(schema) in self._read

    def _check(self, tag: LakeTag) -> None:
        reason = None
        if tag.catalog_id not in {None, self._scope.account}:
            reason = f"it is a tag of the account {tag.catalog_id}"
        elif not is_tag_word(tag.key, MAX_KEY_LENGTH):
            reason = "its key has characters that cannot be said here"
        elif not all(is_tag_word(value, MAX_VALUE_LENGTH) for value in tag.values):
            reason = "one of its values is empty, or has characters that cannot be said here"
        if reason is not None:
            self._refused.setdefault(tag.key, reason)

    def _may_match(self, schema: TableSchema, terms: LakeTerms) -> bool:
        """Tell whether anything of a table may match; it is asked of tables of which nothing may be seen."""
        read = self._read.get(_names(schema))
        if read is None:
            return False
        there = {(tag.key, value) for tag in _all(read) for value in tag.values}
        keys = {key for key, _ in there}
        return all(
            key in keys if ANY in values else any((key, value) in there for value in values) for key, values in terms
        )

    def _databases(self) -> Mapping[str, list[TableSchema]]:
        found: defaultdict[str, list[TableSchema]] = defaultdict(list)
        for schema in sorted(self._scope.tables(), key=lambda each: each.name.key()):
            found[fold(schema.name.database)].append(schema)
        return found

    def _database(self, schemas: list[TableSchema]) -> Iterator[Entry]:
        """Give the tags of a database and its tables.

        Those of the database are said of it only where the tags of all of its tables are known: a table of which
        nothing is known would take them, and none of its own.
        """
        read = [self._read.get(_names(schema)) for schema in schemas]
        inherited: dict[str, str] | None = None
        every = [self._sayable(each.on_database) for each in read if each is not None]
        if len(every) == len(schemas) and all(tags == every[0] for tags in every):
            inherited = every[0]
            name = schemas[0].name
            if inherited:
                pattern = TablePattern(catalog=name.catalog, database=name.database, table=None)
                yield ("resource", str(pattern).removesuffix(".*")), ("tags", self._said(inherited))
        for schema, tags in zip(schemas, read, strict=True):
            if tags is not None:
                yield from self._table(schema, tags, inherited)

    def _table(self, schema: TableSchema, tags: LakeTableTags, inherited: dict[str, str] | None) -> Iterator[Entry]:
        above = inherited or {}
        own = (self._sayable(tags.on_database) if inherited is None else {}) | self._sayable(tags.on_table)
        stated = {key: value for key, value in own.items() if above.get(key) != value}
        resource = ("resource", self._scope.written(schema.name))
        if stated:
            yield resource, ("tags", self._said(stated))
        effective = above | own
        groups: defaultdict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for name, found in tags.on_columns:
            column = schema.column(name)
            if column is None:
                continue
            # A value that the table has too is what AWS tells of inherited tags, and says nothing of its own.
            different = {key: value for key, value in self._sayable(found).items() if effective.get(key) != value}
            if different:
                groups[tuple(sorted(different.items()))].append(column.name)
        for pairs, columns in sorted(groups.items()):
            yield resource, ("columns", sorted(columns)), ("tags", self._said(dict(pairs)))

    def _sayable(self, tags: Iterable[LakeTag]) -> dict[str, str]:
        return {tag.key: tag.values[0] for tag in tags if tag.key not in self._refused}

    def _said(self, tags: Mapping[str, str]) -> Entry:
        self._used.update(tags.items())
        return tuple(sorted(tags.items()))

    def _schema(self, tags: LakeTableTags) -> TableSchema:
        for schema in self._scope.tables():
            if _names(schema) == (fold(tags.database), fold(tags.table)):
                return schema
        raise ValueError(f"the catalog `{self._scope.catalog}` has no such table")

    def _place(self, key: str) -> str:
        every = (*self._estate.tags, *(tag for each in self._estate.table_tags for tag in _all(each)))
        return next(tag.place for tag in every if tag.key == key)


def _all(tags: LakeTableTags) -> Iterator[LakeTag]:
    yield from tags.on_database
    yield from tags.on_table
    for _, found in tags.on_columns:
        yield from found


def _names(schema: TableSchema) -> tuple[str, str]:
    return fold(schema.name.database), fold(schema.name.table)
