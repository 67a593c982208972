"""Reads files of cases: every problem of every file at once, each as `FILE:LINE: what, why, how to mend it`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from penstock_server.cli.described_principals import Attributes, described_principal
from penstock_server.cli.policy_cases.cases import (
    AwsQuestion,
    Case,
    CellSource,
    Expected,
    LoginQuestion,
    Question,
    Rows,
    RowSource,
    TableQuestion,
)
from penstock_server.config.document import ListNode, MapNode, Node, ScalarNode, read
from penstock_server.config.quantities import parse_duration
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import Access
from penstock_server.model.principal import KnownIssuers
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields, Keys, text_of, texts_of
from penstock_server.query.requests import OtherPrincipal

_NONE: Final[frozenset[str]] = frozenset()
_QUESTIONS: Final = ("table", "aws", "redshift")
_ACCESS: Final = {
    "table": ("select", "describe", "denied", "not found"),
    "aws": ("allowed", "denied"),
    "redshift": ("allowed", "denied"),
}
_EXPECTED: Final = {
    "table": frozenset({"access", "columns", "masks", "partly_null", "rows", "grants"}),
    "aws": frozenset({"access", "grants", "max_ttl"}),
    "redshift": frozenset({"access", "grants", "database_groups", "max_ttl"}),
}
_FILE: Final = Keys(what="a file of cases", known=frozenset({"version", "cases"}), unavailable=_NONE)
_CASE: Final = Keys(
    what="a case",
    known=frozenset({"name", "principal", "at", "from", "ttl", "purpose", *_QUESTIONS, "expect", "given", "seen"}),
    unavailable=_NONE,
)
_PRINCIPAL: Final = Keys(what="`principal`", known=frozenset({"user", "groups", "attributes"}), unavailable=_NONE)
_AWS: Final = Keys(what="`aws`", known=frozenset({"resources", "access"}), unavailable=_NONE)


def read_cases(paths: Iterable[Path], issuers: KnownIssuers, *, now: datetime) -> tuple[Case, ...]:
    """Read the cases of these files, in their order; a case that names no instant is one of `now`.

    Raises:
        ConfigurationError: whatever is wrong in any of them.
    """
    problems = Problems()
    reader = _Reader(issuers, problems, now)
    for path in paths:
        try:
            node = read(path)
        except ConfigurationError as error:
            problems.add_error(error)
            continue
        reader.take(node)
    problems.raise_if_any()
    return tuple(reader.cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    key: str
    question: Question


class _Reader:
    def __init__(self, issuers: KnownIssuers, problems: Problems, now: datetime) -> None:
        self._issuers = issuers
        self._problems = problems
        self._now = now
        self.cases: list[Case] = []

    def take(self, node: Node) -> None:
        """Take the cases of one file."""
        if not isinstance(node, MapNode):
            self._problems.add(node.place, "a file of cases holds keys with values, beginning with `version: 1`")
            return
        fields = Fields(node, _FILE, self._problems)
        version = fields.node("version")
        if version is not None and not (isinstance(version, ScalarNode) and version.value == 1):
            self._problems.add(version.place, "`version` must be 1, the only version of the format")
        items = fields.node("cases")
        if items is None:
            return
        if not isinstance(items, ListNode) or not items.items:
            self._problems.add(items.place, "`cases` must be a list with at least one case")
            return
        for item in items.items:
            if isinstance(item, MapNode):
                self._case(item)
            else:
                self._problems.add(item.place, "a case must hold keys with values")

    def _case(self, node: MapNode) -> None:
        before = len(self._problems)
        fields = Fields(node, _CASE, self._problems)
        name = fields.text("name")
        at = fields.instant("at") if fields.has("at") else self._now
        address = fields.text("from") if fields.has("from") else None
        who = self._principal(fields, "" if address is None else address.value, at or self._now)
        ttl = fields.duration("ttl") if fields.has("ttl") else None
        purpose = fields.text("purpose") if fields.has("purpose") else None
        asked = self._question(fields)
        if asked is None:
            return
        expected = self._expected(fields, asked.key)
        rows = self._rows(fields, asked.key)
        if not fields.has("expect") and rows is None:
            self._problems.add(node.place, "the case expects nothing; give it `expect`, or `given` and `seen`")
        if len(self._problems) > before or name is None or who is None:
            return
        self.cases.append(
            Case(
                name=name.value,
                place=node.place,
                who=who,
                at=at or self._now,
                ttl=ttl,
                purpose="" if purpose is None else purpose.value,
                question=asked.question,
                expected=expected,
                rows=rows,
            )
        )

    def _principal(self, fields: Fields, address: str, at: datetime) -> OtherPrincipal | None:
        node = fields.mapping("principal")
        if node is None:
            return None
        inner = Fields(node, _PRINCIPAL, self._problems)
        user = inner.text("user")
        groups = inner.texts("groups") if inner.has("groups") else ()
        attributes = self._attributes(inner)
        if user is None or groups is None or attributes is None:
            return None
        try:
            return described_principal(
                f"user:{user.value}",
                self._issuers,
                groups=[group.value for group in groups],
                attributes=attributes,
                source_address=address,
                at=at,
            )
        except ValueError as error:
            self._problems.add(node.place, f"`principal` {error}")
            return None

    def _attributes(self, fields: Fields) -> Attributes | None:
        if not fields.has("attributes"):
            return ()
        node = fields.mapping("attributes")
        if node is None:
            return None
        found: list[tuple[str, tuple[str, ...]]] = []
        for entry in node.entries:
            values = texts_of(entry.node, entry.key, self._problems)
            if values is None:
                return None
            found.append((entry.key, tuple(value.value for value in values)))
        return tuple(found)

    def _question(self, fields: Fields) -> _Asked | None:
        there = [key for key in _QUESTIONS if fields.has(key)]
        if len(there) != 1:
            self._problems.add(fields.place, "a case asks about exactly one of `table`, `aws` and `redshift`")
            return None
        [key] = there
        if key == "aws":
            question = self._aws(fields)
            return None if question is None else _Asked(key=key, question=question)
        text = fields.text(key)
        if text is None:
            return None
        return _Asked(
            key=key, question=TableQuestion(table=text.value) if key == "table" else LoginQuestion(login=text.value)
        )

    def _aws(self, fields: Fields) -> AwsQuestion | None:
        node = fields.mapping("aws")
        if node is None:
            return None
        inner = Fields(node, _AWS, self._problems)
        resources = inner.texts("resources")
        access = inner.texts("access")
        if resources is None or access is None:
            return None
        words = {one.value for one in Access}
        for word in access:
            if word.value not in words:
                self._problems.add(word.place, f"`{word.value}` is no access; write `read`, `list` or `write`")
                return None
        return AwsQuestion(
            resources=tuple(text.value for text in resources), access=tuple(Access(word.value) for word in access)
        )

    def _expected(self, fields: Fields, key: str) -> Expected:
        nothing = Expected(
            access=None,
            columns=None,
            masks=None,
            partly_null=None,
            rows=None,
            grants=None,
            database_groups=None,
            max_ttl=None,
        )
        node = fields.mapping("expect") if fields.has("expect") else None
        if node is None:
            return nothing
        what = f"`expect` of a case about `{key}`"
        inner = Fields(node, Keys(what=what, known=_EXPECTED[key], unavailable=_NONE), self._problems)
        access = inner.text("access") if inner.has("access") else None
        if access is not None and access.value not in _ACCESS[key]:
            words = ", ".join(f"`{word}`" for word in _ACCESS[key])
            self._problems.add(access.place, f"`{access.value}` is no access here; write one of {words}")
        rows = inner.expression("rows") if inner.has("rows") else None
        return Expected(
            access=None if access is None else access.value,
            columns=self._list(inner, "columns"),
            masks=self._pairs(inner, "masks"),
            partly_null=self._list(inner, "partly_null"),
            rows=None if rows is None else rows.value,
            grants=self._list(inner, "grants"),
            database_groups=self._list(inner, "database_groups"),
            max_ttl=inner.parsed("max_ttl", parse_duration) if inner.has("max_ttl") else None,
        )

    def _list(self, fields: Fields, key: str) -> tuple[str, ...] | None:
        """Read a list of texts, which may be empty here: that nothing is there can be expected."""
        if not fields.has(key):
            return None
        node = fields.node(key)
        if isinstance(node, ListNode) and not node.items:
            return ()
        texts = fields.texts(key)
        return None if texts is None else tuple(text.value for text in texts)

    def _pairs(self, fields: Fields, key: str) -> tuple[tuple[str, str], ...] | None:
        if not fields.has(key):
            return None
        node = fields.node(key)
        if not isinstance(node, MapNode):
            if node is not None:
                self._problems.add(node.place, f"`{key}` must hold columns with the names of masks, or `{{}}`")
            return None
        texts = [(entry.key, text_of(entry.node, entry.key, self._problems)) for entry in node.entries]
        return tuple(sorted((column, text.value) for column, text in texts if text is not None))

    def _rows(self, fields: Fields, key: str) -> Rows | None:
        if not fields.has("given") and not fields.has("seen"):
            return None
        if key != "table":
            self._problems.add(fields.place, "`given` and `seen` belong to a case about a `table`")
            return None
        given, seen = self._row_list(fields, "given"), self._row_list(fields, "seen")
        return None if given is None or seen is None else Rows(given=given, seen=seen)

    def _row_list(self, fields: Fields, key: str) -> tuple[RowSource, ...] | None:
        node = fields.node(key)
        if node is None:
            return None
        if not isinstance(node, ListNode) or not all(isinstance(item, MapNode) for item in node.items):
            self._problems.add(node.place, f"`{key}` must be a list of rows, each with columns and their values")
            return None
        return tuple(
            tuple(CellSource(column=entry.key, node=entry.node) for entry in item.entries)
            for item in node.items
            if isinstance(item, MapNode)
        )
