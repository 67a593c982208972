"""Reads `tags`, `tagged` and tag expressions of policy files, and checks them against each other.

Limits are those of Lake Formation. Keys and values compare without regard to case: they are lower-cased, as there.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from penstock_server.config.document import Entry, MapNode, Node, Place, ScalarNode
from penstock_server.model.resource import fold
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields, Keys, Text, text_of, texts_of
from penstock_server.policy.table_patterns import TablePattern, parse_table_pattern
from penstock_server.policy.tags.lf_tags import ANY_VALUE, TagAssignment, TagExpression, TagTerm

MAX_KEYS: Final = 1000
"""Most keys of all files. AWS: LF-tags of an account."""
MAX_VALUES: Final = 1000
"""Most values of a key. AWS: LFTag, TagValues."""
MAX_TAGS: Final = 50
"""Most tags that are stated for one resource. AWS: LFTagsList."""
MAX_KEY_LENGTH: Final = 128
"""Longest key, in characters. AWS: LFTagKey."""
MAX_VALUE_LENGTH: Final = 256
"""Longest value, in characters. AWS: LFTagValue."""

_SIGNS: Final = frozenset("_.:/=+-@%")
_TAGGED_KEYS: Final = Keys(
    what="an entry of `tagged`", known=frozenset({"resource", "columns", "tags"}), unavailable=frozenset()
)

_Target = tuple[tuple[str, ...], str | None]
"""What has tags: the folded name of a database or table, and that of a column."""


class TagReader:
    """Collects what all files say of tags."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        # None = the entry has a problem of its own; who uses the key then has none.
        self._values: dict[str, frozenset[str] | None] = {}
        self._declared_at: dict[str, Place] = {}
        self._used: list[tuple[Place, str, str | None]] = []
        self._stated: dict[tuple[_Target, str], Place] = {}
        self._counts: dict[_Target, int] = {}
        self._assignments: list[TagAssignment] = []

    @property
    def assignments(self) -> tuple[TagAssignment, ...]:
        """Every tag of every resource, in an order that no file decides."""
        return tuple(sorted(self._assignments, key=_order))

    def declare(self, entry: Entry) -> None:
        """Take one entry under `tags`: a key with its values."""
        key = self._key(entry.key, entry.place)
        if key is None:
            return
        first = self._declared_at.setdefault(key, entry.place)
        if first is not entry.place:
            self._problems.add(entry.place, f"the tag `{key}` stands at {first} already; give all its values there")
            return
        if len(self._declared_at) > MAX_KEYS:
            self._problems.add(entry.place, f"there are more than {MAX_KEYS} tags, which Lake Formation does not allow")
        self._values[key] = self._declared_values(key, entry.node)

    def assign(self, node: Node) -> None:
        """Take one entry under `tagged`: tags of a database, of a table, or of some of its columns."""
        if not isinstance(node, MapNode):
            self._problems.add(node.place, "an entry of `tagged` must hold keys with values")
            return
        fields = Fields(node, _TAGGED_KEYS, self._problems)
        resource = fields.parsed("resource", _parse_tagged)
        columns = fields.texts("columns") if fields.has("columns") else None
        tags = fields.mapping("tags")
        if resource is None or tags is None or (columns is None and fields.has("columns")):
            return
        if columns is not None and not resource.exact:
            place = fields.place_of("columns")
            self._problems.add(place, "`columns` needs a table in `resource`: a database has none")
            return
        pairs = [pair for entry in tags.entries if (pair := self._pair(entry)) is not None]
        for column in columns if columns is not None else (None,):
            for key, value, place in pairs:
                assignment = TagAssignment(
                    place=place,
                    resource=resource,
                    resource_place=fields.place_of("resource"),
                    column=column,
                    key=key,
                    value=value,
                )
                self._state(assignment)

    def expression(self, fields: Fields) -> TagExpression | None:
        """Read `tag_expression: {key: [value, ...]}`; None where it is wrong."""
        node = fields.mapping("tag_expression")
        if node is None:
            return None
        before = len(self._problems)
        terms: dict[str, TagTerm] = {}
        for entry in node.entries:
            key = self._key(entry.key, entry.place)
            if key is None:
                continue
            if key in terms:
                self._problems.add(entry.place, f"`tag_expression` names the tag `{key}` twice; list its values once")
                continue
            values = self._wanted(key, entry)
            terms[key] = TagTerm(key=key, values=values)
        if len(self._problems) != before:
            return None
        return TagExpression(terms=tuple(terms[key] for key in sorted(terms)))

    def check(self) -> None:
        """Require that every key and value that is used is declared; after all files were taken."""
        for place, key, value in self._used:
            if key not in self._declared_at:
                self._problems.add(place, f"no tag `{key}` is declared under `tags`")
                continue
            values = self._values.get(key)
            if value is not None and values is not None and value not in values:
                self._problems.add(place, f"`{value}` is no value of the tag `{key}` under `tags`; correct or add it")

    def _declared_values(self, key: str, node: Node) -> frozenset[str] | None:
        texts = texts_of(node, key, self._problems)
        if texts is None:
            return None
        if len(texts) > MAX_VALUES:
            self._problems.add(node.place, f"the tag `{key}` has more than {MAX_VALUES} values; Lake Formation has not")
            return None
        found: set[str] = set()
        for text in texts:
            value = self._value(text)
            if value is None:
                return None
            if value in found:
                self._problems.add(text.place, f"the tag `{key}` has the value `{value}` twice; case does not count")
                return None
            found.add(value)
        return frozenset(found)

    def _pair(self, entry: Entry) -> tuple[str, str, Place] | None:
        key = self._key(entry.key, entry.place)
        text = text_of(entry.node, entry.key, self._problems)
        value = None if text is None else self._value(text)
        if key is None or value is None:
            return None
        self._used.append((entry.place, key, value))
        return key, value, entry.place

    def _state(self, assignment: TagAssignment) -> None:
        """Take a tag of one resource, unless its key is stated for it already: one key has one value."""
        column = None if assignment.column is None else fold(assignment.column.value)
        target: _Target = (assignment.resource.scope(), column)
        first = self._stated.get((target, assignment.key))
        if first is not None:
            what = f"{_named(assignment.resource)}{'' if column is None else f' (column `{column}`)'}"
            self._problems.add(
                assignment.place, f"the tag `{assignment.key}` of {what} stands at {first} already; remove one"
            )
            return
        self._stated[target, assignment.key] = assignment.place
        self._counts[target] = self._counts.get(target, 0) + 1
        if self._counts[target] == MAX_TAGS + 1:
            self._problems.add(
                assignment.place, f"{_named(assignment.resource)} has more than {MAX_TAGS} tags on one level"
            )
        self._assignments.append(assignment)

    def _wanted(self, key: str, entry: Entry) -> frozenset[str] | None:
        """Read the values of one key in an expression; None = any."""
        # `classification: "*"` says the same as `["*"]`; any other text must be in a list.
        if isinstance(entry.node, ScalarNode) and entry.node.value == ANY_VALUE:
            self._used.append((entry.place, key, None))
            return None
        texts = texts_of(entry.node, key, self._problems)
        if texts is None:
            return frozenset()
        if any(text.value == ANY_VALUE for text in texts):
            if len(texts) > 1:
                self._problems.add(entry.place, f"`*` means any value of `{key}`; write it alone")
            self._used.append((entry.place, key, None))
            return None
        found: set[str] = set()
        for text in texts:
            value = self._value(text)
            if value is None:
                continue
            if value in found:
                self._problems.add(text.place, f"`{key}` names `{value}` twice; case does not count")
            found.add(value)
            self._used.append((text.place, key, value))
        return frozenset(found)

    def _key(self, written: str, place: Place) -> str | None:
        key = written.lower()
        if is_tag_word(key, MAX_KEY_LENGTH):
            return key
        self._problems.add(
            place, f"`{written}` is no key of a tag; write 1 to {MAX_KEY_LENGTH} letters, digits, blanks and _.:/=+-@%"
        )
        return None

    def _value(self, text: Text) -> str | None:
        value = text.value.lower()
        if is_tag_word(value, MAX_VALUE_LENGTH):
            return value
        self._problems.add(
            text.place,
            f"`{text.value}` is no value of a tag; write 1 to {MAX_VALUE_LENGTH} letters, digits, blanks and _.:/=+-@%",
        )
        return None


def is_tag_word(text: str, longest: int) -> bool:
    """Tell whether a key or value has Lake Formation's characters; `*` is left to expressions."""
    return 0 < len(text) <= longest and all(
        character in _SIGNS or unicodedata.category(character)[0] in "LN" or unicodedata.category(character) == "Zs"
        for character in text
    )


def _parse_tagged(text: str) -> TablePattern:
    """Read the name of a database or a table.

    Raises:
        ValueError: it is neither; the text goes well after it in backticks.
    """
    for attempt in (text, f"{text}.*"):
        try:
            pattern = parse_table_pattern(attempt)
        except ValueError:
            continue
        if pattern.exact or (attempt is not text and pattern.database is not None):
            return pattern
    raise ValueError("is no database or table; write `catalog.database` or `catalog.database.table`, without wildcard")


def _named(resource: TablePattern) -> str:
    return f"`{str(resource).removesuffix('.*')}`"


def _order(assignment: TagAssignment) -> tuple[tuple[str, ...], str, str]:
    column = "" if assignment.column is None else fold(assignment.column.value)
    return assignment.resource.scope(), column, assignment.key
