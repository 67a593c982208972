"""YAML 1.2 with the place of every node: what configuration and policy files are read with.

PyYAML delivers the events; everything that YAML 1.1 would guess is decided here by the YAML 1.2 core schema, so `NO`,
`on`, `12:30` and `2027-01-01` are text. What could hide the meaning of a file from its reader is refused: duplicate
keys, anchors, aliases, merge keys, tags, directives, several documents, a byte order mark, control characters.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from penstock_server.errors import ConfigurationError

MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is read; 10,000 grants take about 3 MiB."""

MAX_DEPTH: Final = 40
"""Deepest nesting of lists and mappings."""

_MAX_NUMBER_LENGTH: Final = 64
_MAX_PROBLEMS: Final = 50

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY: Final = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NOT_A_NUMBER: Final = frozenset({".nan", ".NaN", ".NAN"})

# SECURITY: YAML 1.1 breaks lines at NEL, LS and PS, YAML 1.2 does not; an editor may show either. None is let in raw.
_REFUSED_CHARACTER: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where a node stands: `line` and `column` count from 1; line 0 = no file (an environment variable, a flag)."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """A value. `text` is what the file says without its quotes; `value` is that text in the core schema.

    `commented` says that a comment follows a text without quotes on its line: it may have been meant as a part of it.
    """

    value: Scalar
    text: str
    place: Place
    commented: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNode:
    """A list in its order."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key of a mapping, the place of the key, and what stands under it."""

    key: str
    place: Place
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode:
    """A mapping in its order. INVARIANT: no two entries have the same key."""

    entries: tuple[Entry, ...]
    place: Place

    def entry(self, key: str) -> Entry | None:
        """Find the entry of a key, compared exactly."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def node(self, key: str) -> Node | None:
        """Find what stands under a key, compared exactly."""
        entry = self.entry(key)
        return None if entry is None else entry.node


Node = ScalarNode | ListNode | MapNode


def read(path: Path) -> Node:
    """Read the one document of a file.

    Raises:
        ConfigurationError: the file cannot be read, is not UTF-8, is too large, or is not the YAML that we accept;
            each problem starts with `FILE:LINE`.
    """
    return parse(contents(path), path)


def contents(path: Path) -> str:
    """Read the text of a regular file: UTF-8 without byte order mark, at most `MAX_BYTES` bytes.

    Raises:
        ConfigurationError: it is no such file.
    """
    try:
        # Opening a FIFO would wait for ever for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError((f"{path}: this is not a regular file",))
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from error
    return decoded(raw, path)


def decoded(raw: bytes, path: Path) -> str:
    """Give bytes as the text that `parse` takes: UTF-8 without byte order mark, at most `MAX_BYTES` bytes.

    Raises:
        ConfigurationError: they are no such text; `path` is what the problem names.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigurationError((f"{path}: is larger than {MAX_BYTES} bytes; split it into several files",))
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError((f"{path}:1: starts with a byte order mark; save it as UTF-8 without one",))
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError((f"{path}:{line}: is not UTF-8; save it as UTF-8",)) from error


def parse(text: str, path: Path) -> Node:
    """Parse the one document of a text; `path` is what its places name.

    Raises:
        ConfigurationError: see `read`.
    """
    refused = _REFUSED_CHARACTER.search(text)
    if refused is not None:
        line = text.count("\n", 0, refused.start()) + 1
        problem = f"{path}:{line}: holds the character U+{ord(refused.group()):04X}, which is refused in a file"
        raise ConfigurationError((f'{problem}; write it as an escape in a "quoted" text',))
    builder = _Builder(str(path), text)
    try:
        node = builder.document(iter(_events(text)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        what = (error.problem or error.context or "it cannot be parsed").rstrip(".")
        stopped = "".join(text.split("\n")[mark.line : mark.line + 1])[mark.column :] if mark is not None else ""
        if stopped.startswith("\t"):
            what = "a tab stands where blanks must; indent by blanks"
        raise ConfigurationError((*builder.problems, f"{path}:{line}: is not valid YAML: {what}")) from error
    except _Stopped as error:
        raise ConfigurationError(tuple(builder.problems)) from error
    if builder.problems:
        raise ConfigurationError(tuple(builder.problems))
    return node


def resolve(text: str) -> Scalar:
    """Give the value of a plain (unquoted) scalar in the YAML 1.2 core schema; what fits no rule is text.

    Raises:
        ValueError: a number that is too long or out of range to be kept exactly enough.
    Source: YAML 1.2.2, section 10.3.2.
    """
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(_number(text), base) if base == 10 else int(_number(text)[2:], base)
    if _FLOAT.fullmatch(text):
        number = float(_number(text))
        if math.isinf(number):
            raise ValueError("a number out of range")
        return number
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if text in _NOT_A_NUMBER else text


def _number(text: str) -> str:
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError("a number that is too long")
    return text


def _events(text: str) -> Iterator[yaml.Event]:
    # The C parser is ten times faster and ships in every wheel; both deliver the same events and positions.
    return yaml.parse(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)


class _Stopped(Exception):
    """Reading stops here: the problems say why."""


@dataclass(slots=True)
class _Open:
    """A list or mapping that is still being read; a mapping has its pending key."""

    place: Place
    is_map: bool
    items: list[Node]
    entries: dict[str, Entry]
    key: tuple[str, Place] | None


class _Builder:
    """Builds nodes from events with a stack of its own: no recursion, so no nesting can exhaust ours."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._lines = text.split("\n")
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self.problems: list[str] = []

    def document(self, events: Iterator[yaml.Event]) -> Node:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(event, "holds several documents; one file is one document")
                if event.version or event.tags:
                    self._problem(event, "holds a YAML directive; remove the lines that start with `%`")
            else:
                self._take(event)
        if self._root is None:
            raise self._stop(None, "is empty")
        return self._root

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self._check_node(event)
        if isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._place_node(ScalarNode(value=None, text="", place=self._place(event)), event)

    def _check_node(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, f"`*{event.anchor}`: aliases are not accepted; write the value out")
        elif event.anchor is not None:
            self._problem(event, f"`&{event.anchor}`: anchors are not accepted; write the value where it is needed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._problem(event, f"`{tag}`: tags are not accepted; remove it")

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(event, f"is nested deeper than {MAX_DEPTH} levels")
        if self._awaits_key():
            raise self._stop(event, "has a list or mapping as a key; a key is text")
        is_map = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Open(place=self._place(event), is_map=is_map, items=[], entries={}, key=None))

    def _close(self) -> None:
        done = self._stack.pop()
        node: Node
        if done.is_map:
            node = MapNode(entries=tuple(done.entries.values()), place=done.place)
        else:
            node = ListNode(items=tuple(done.items), place=done.place)
        self._place_node(node, None)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        value: Scalar = event.value
        if not event.style:  # plain: None from the Python parser, "" from the C parser
            try:
                value = resolve(event.value)
            except ValueError as error:
                self._problem(event, f"holds {error}")
        commented = not event.style and self._comment_follows(event)
        self._place_node(
            ScalarNode(value=value, text=event.value, place=self._place(event), commented=commented), event
        )

    def _comment_follows(self, event: yaml.ScalarEvent) -> bool:
        end = event.end_mark
        if end is None or end.line >= len(self._lines):
            return False
        return self._lines[end.line][end.column :].lstrip(" \t").startswith("#")

    def _place_node(self, node: Node, event: yaml.Event | None) -> None:
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if not parent.is_map:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node, event)
        else:
            key, place = parent.key
            parent.key = None
            # The first of two equal keys is kept, but the problem is recorded: nothing is returned then.
            parent.entries.setdefault(key, Entry(key=key, place=place, node=node))

    def _key(self, parent: _Open, node: Node, event: yaml.Event | None) -> tuple[str, Place]:
        if not isinstance(node, ScalarNode):
            raise self._stop(event, "has a list or mapping as a key; a key is text")
        if not isinstance(node.value, str):
            self._problem(event, f"the key `{node.text}` is not text; quote it")
        elif node.value == "<<" and not getattr(event, "style", None):
            self._problem(event, "`<<`: merge keys are not accepted; write the keys out")
        elif node.value in parent.entries:
            first = parent.entries[node.value].place.line
            self._problem(event, f"duplicate key `{node.value}`, which stands in line {first} already; remove one")
        return node.text, node.place

    def _awaits_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_map and self._stack[-1].key is None

    def _place(self, event: yaml.Event | None) -> Place:
        mark = event.start_mark if event is not None else None
        if mark is None:
            return Place(source=self._source, line=1, column=1)
        return Place(source=self._source, line=mark.line + 1, column=mark.column + 1)

    def _problem(self, event: yaml.Event | None, what: str) -> None:
        self.problems.append(f"{self._place(event)}: {what}")
        if len(self.problems) >= _MAX_PROBLEMS:
            raise _Stopped

    def _stop(self, event: yaml.Event | None, what: str) -> _Stopped:
        self.problems.append(f"{self._place(event)}: {what}")
        return _Stopped()
