"""The schema of `penstock.yaml`: its readers are watched while they read a configuration that has every section.

What a reader asks of a key is its form: text, number with its bounds, one of some words. A key that a reader knows but
never asks for is an error here, so that no key can be forgotten.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from penstock_server.config import loading, quantities
from penstock_server.config.reading import MapReader
from penstock_server.errors import ConfigurationError

Schema = dict[str, Any]

# `any` is the name of whatever has a free name.
_EVERYTHING = """\
server: {listen: 127.0.0.1:1, tls: {}}
identity: {issuers: [{}]}
policies: [policies]
catalogs: {any: {engine: duckdb, parquet: lake, s3: {}, glue: {}}}
query: {extracts: {}}
credentials:
  aws: {roles: {any: {}}, revocation: {}}
  redshift: {any: {reaper: {}}}
  spark: {any: {}}
state: {}
audit: {}
"""
_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "uniqueItems": True, "items": _TEXT}
_DURATION: Schema = {"type": "string", "pattern": f"^(?:{quantities._DURATION.pattern})$"}
_SIZE: Schema = {"type": "string", "pattern": f"^(?:{quantities._SIZE.pattern})$"}
_FORMS: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "duration": _DURATION,
    "size": _SIZE,
    "items": {"type": "array"},
    "texts": _TEXTS,
    "placed_texts": _TEXTS,
    "text_pairs": {"type": "object", "additionalProperties": _TEXT},
}
_METHODS = (*_FORMS, "text", "integer", "choice", "named", "map", "section", "maps", "node", "required")

Call = tuple[str, Mapping[str, Any]]
"""The method by which a reader was asked for a key, with its arguments."""


class _Watch:
    """What the readers know and ask."""

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = defaultdict(set)
        self.asked: defaultdict[str, defaultdict[str, list[Call]]] = defaultdict(lambda: defaultdict(list))
        self._depth = 0

    def made(self, name: str, known: Iterator[str]) -> None:
        self.known[_place(name)] |= set(known)

    def method(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def watched(reader: MapReader, key: str, *arguments: Any, **options: Any) -> Any:
            # A method that another one calls says less than that one.
            if self._depth == 0:
                said = {**options, **({"choices": arguments[0]} if arguments else {})}
                self.asked[_place(reader.name)][key].append((name, said))
            self._depth += 1
            try:
                return original(reader, key, *arguments, **options)
            finally:
                self._depth -= 1

        return watched


def configuration_schema() -> Schema:
    """Give the schema of `penstock.yaml`."""
    with _watched() as watch, TemporaryDirectory() as folder:
        path = Path(folder) / "penstock.yaml"
        path.write_text(_EVERYTHING)
        with suppress(ConfigurationError):
            loading.load(path, environ={})
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Penstock configuration",
        "description": "What the server is, asks and serves. docs/configuration.md",
        **_mapping(watch, ""),
    }


@contextmanager
def _watched() -> Iterator[_Watch]:
    watch = _Watch()
    original = MapReader.__init__

    def made(reader: MapReader, *arguments: Any, **options: Any) -> None:
        options["known"] = tuple(options["known"])
        watch.made(options["name"], iter(options["known"]))
        original(reader, *arguments, **options)

    with ExitStack() as stack:
        stack.enter_context(patch.object(MapReader, "__init__", made))
        for name in _METHODS:
            stack.enter_context(patch.object(MapReader, name, watch.method(name, getattr(MapReader, name))))
        yield watch


def _place(name: str) -> str:
    """Give the name of a reader with no index in it: `identity.issuers[]`."""
    return re.sub(r"\[[0-9]+\]", "[]", name)


def _mapping(watch: _Watch, place: str) -> Schema:
    if place not in watch.known:
        raise LookupError(f"no section `{place}` is in the configuration that {Path(__file__).name} reads")
    asked = watch.asked[place]
    required = {key for key, calls in asked.items() if any(name == "required" for name, _ in calls)}
    forms = {key: _form(watch, f"{place}.{key}" if place else key, asked[key]) for key in sorted(watch.known[place])}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(required),
        "properties": {key: form if key in required else _nullable(form) for key, form in forms.items()},
    }


def _nullable(form: Schema) -> Schema:
    """Let a key stand without a value, which is as if it were not there."""
    if isinstance(form.get("type"), str):
        return {**form, "type": [form["type"], "null"]}
    return {**form, "enum": [*form["enum"], None]} if "enum" in form else form


def _form(watch: _Watch, place: str, calls: list[Call]) -> Schema:
    telling = [call for call in calls if call[0] not in {"node", "required"}]
    if not telling:
        raise LookupError(f"nothing asks for `{place}`; add it to the configuration that {Path(__file__).name} reads")
    name, options = telling[0]
    match name:
        case "named":
            return {"type": "object", "additionalProperties": _mapping(watch, f"{place}.any")}
        case "map" | "section":
            return _mapping(watch, place)
        case "maps":
            return {"type": "array", "items": _mapping(watch, f"{place}[]")}
        case "integer":
            return {"type": "integer", "minimum": options["minimum"], "maximum": options["maximum"]}
        case "choice":
            return {"enum": [member.value for member in options["choices"]]}
        case "text":
            return {"type": "string"} if options.get("empty") else _TEXT
        case _:
            return _FORMS[name]
