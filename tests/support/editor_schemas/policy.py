"""The schema of a policy file, from the key tables of the policy package.

Which keys there are, and which of them an entry must have, is asked of the package itself; only the form of a value is
written down here, by key. A key without a form is an error, so that no key can be forgotten.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import penstock_server.policy as package
from penstock_server.config import quantities
from penstock_server.errors import ConfigurationError
from penstock_server.model.dynamodb import DynamoDbPermission
from penstock_server.model.resource import S3Permission, TablePermission
from penstock_server.model.services import ServicePermission
from penstock_server.policy.conditions.operators import OPERATORS
from penstock_server.policy.filters.row_filter import MAX_LENGTH
from penstock_server.policy.masks import reading as mask_reading
from penstock_server.policy.reading import cells
from penstock_server.policy.reading.fields import Keys
from penstock_server.policy.reading.files import load
from penstock_server.policy.reading.permission_lists import RedshiftPermission
from penstock_server.policy.rules.form import FIELD_TYPES

from support.policies import ISSUERS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NAME: Schema = {"type": "string", "pattern": f"^(?:{cells._NAME.pattern})$"}
FLAG: Schema = {"type": "boolean"}
DURATION: Schema = {"type": "string", "pattern": f"^(?:{quantities._DURATION.pattern})$"}
INSTANT: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})$",
}


def texts(item: Schema) -> Schema:
    """Give the form of a list of at least one text, none of them twice."""
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": item}


def mapping(value: Schema, *, names: Schema | None = None) -> Schema:
    """Give the form of a mapping with free names."""
    form: Schema = {"type": "object", "minProperties": 1, "additionalProperties": value}
    return form if names is None else {**form, "propertyNames": names}


_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_OPERATORS = "|".join([*sorted(operator.name for operator in OPERATORS.values()), "Null"])
_CONDITIONS = mapping(
    mapping({"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]}),
    names={"pattern": f"^(?:(?:ForAllValues|ForAnyValue):)?(?:{_OPERATORS})(?:IfExists)?$"},
)
_WORDS_OF_TAGS = mapping({"anyOf": [texts(TEXT), {"const": "*"}]})

_FORMS: Mapping[str, Schema] = {
    "allow_deny": FLAG,
    "attributes": texts(TEXT),
    "catalog": TEXT,
    "conditions": _CONDITIONS,
    "database": TEXT,
    "database_groups": texts(TEXT),
    "database_user": TEXT,
    "encryption_context": mapping(TEXT),
    "except_principals": texts(TEXT),
    "exclude": texts(TEXT),
    "expires": INSTANT,
    "expression": {**TEXT, "maxLength": MAX_LENGTH},
    "file": TEXT,
    "filter": TEXT,
    "filters": texts(TEXT),
    "include": texts(TEXT),
    "leading_keys": texts(TEXT),
    "masks": mapping(TEXT),
    "max_staleness": DURATION,
    "max_ttl": DURATION,
    "name": NAME,
    "note_columns": FLAG,
    "permission_policy": {"enum": ["GRANT_ACCESS", "DENY_ACCESS"]},
    "principals": texts(TEXT),
    "query": TEXT,
    "refresh": DURATION,
    "requires": texts(TEXT),
    "resource": TEXT,
    "rows": {**TEXT, "maxLength": MAX_LENGTH},
    "status": {"const": "enabled"},
    "tag_expression": _WORDS_OF_TAGS,
    "tags": mapping(TEXT),
    "types": mapping({"enum": list(FIELD_TYPES)}),
    "via": texts(TEXT),
}
"""The form of a key, wherever it stands; `_special` has those that differ."""

_PERMISSIONS: Mapping[str, Iterable[str]] = {
    "a grant on tables": [permission.value for permission in TablePermission],
    "a grant by tags": [permission.value for permission in TablePermission],
    "a grant on S3 objects": [permission.value for permission in S3Permission],
    "a grant on items of DynamoDB": [permission.value for permission in DynamoDbPermission],
    "a grant on a resource of an AWS service": [permission.value for permission in ServicePermission],
    "a grant of a Redshift login": [permission.value for permission in RedshiftPermission],
    "a denial by tags": [permission.value for permission in TablePermission],
}
_DYNAMODB = "^arn:aws:dynamodb:"
_SERVICES = "^arn:aws:(?:athena|glue|kinesis|kms|redshift):"
_WITH_COLUMN_LISTS = frozenset({"an entry of `column_rules`", "an entry of `tagged`"})

_PROBE = """\
version: 1
masks: {m: {type: varchar}}
filters: {f: {rows: "a = 1"}}
tagged: [{columns: [c]}]
grants:
  - {resource: a.b.c}
  - {resource: "arn:aws:s3:::b/*"}
  - {resource: "arn:aws:dynamodb:eu-west-1:111122223333:table/tab"}
  - {resource: "arn:aws:kms:eu-west-1:111122223333:key/0123abcd-0123-0123-0123-0123456789ab"}
  - {resource: "redshift:r"}
  - {tag_expression: {a: [b]}}
  - {}
row_rules: [{rules: {refresh: 1m}}, {name: n}]
column_rules: [{columns: [c]}, {resource: a.b.c}]
denials: [{resource: a.b.c}, {tag_expression: {a: [b]}}, {permissions: [SELECT]}]
"""
"""A policy in which every kind of entry lacks what it needs, so that the readers tell what that is."""


def policy_schema() -> Schema:
    """Give the schema of a policy file."""
    properties: dict[str, Schema] = {
        "version": {"const": 1},
        "masks": mapping(_mask(), names=NAME),
        "filters": mapping(_filter(), names=NAME),
        "grants": _list(_grant()),
        "row_rules": _list(entry("an entry of `row_rules`")),
        "column_rules": _list(entry("an entry of `column_rules`")),
        "denials": _list(_by_tags("a denial by tags", _denial())),
        "tags": mapping(texts(TEXT)),
        "tagged": _list(entry("an entry of `tagged`")),
    }
    known = tables()["a policy file"].known
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Penstock policy",
        "description": "Who sees which tables, columns, rows and cells. docs/policy-reference.md",
        "type": "object",
        "required": _required("a policy file"),
        "additionalProperties": False,
        "properties": {key: properties[key] for key in sorted(known)},
    }


@cache
def tables() -> Mapping[str, Keys]:
    """Give the key tables of the policy package by the kind of mapping that each is for."""
    found: dict[str, Keys] = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Keys) and found.setdefault(value.what, value) is not value:
                raise LookupError(f"two key tables are called `{value.what}`")
    return found


def entry(what: str) -> Schema:
    """Give the form of one kind of mapping."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": _required(what),
        "properties": {key: _form(what, key) for key in sorted(tables()[what].known)},
    }


def _form(what: str, key: str) -> Schema:
    special = _special(what, key)
    form = _FORMS.get(key) if special is None else special
    if form is None:
        raise LookupError(f"give the key `{key}` of {what} a form in {Path(__file__).name}")
    return form


def _special(what: str, key: str) -> Schema | None:
    match key:
        case "permissions":
            return texts({"enum": list(_PERMISSIONS[what])} if what in _PERMISSIONS else TEXT)
        case "columns" if what in _WITH_COLUMN_LISTS:
            return texts(TEXT)
        case "columns":
            return {**entry("`columns`"), "minProperties": 1, "maxProperties": 1}
        case "rules":
            query_only = dict.fromkeys(("catalog", "refresh", "max_staleness"), False)
            rules = {**entry("`rules`"), "required": [], "oneOf": [{"required": ["file"]}, {"required": ["query"]}]}
            return {
                **rules,
                "if": {"required": ["file"]},
                "then": {"properties": query_only},
                "else": {"required": ["catalog"]},
            }
        case "items":
            return {**entry("`items`"), "minProperties": 1}
        case "kms":
            return {**entry("`kms`"), "minProperties": 1}
        case "statements":
            return entry("`statements`")
        case _:
            return None


def _filter() -> Schema:
    return {**entry("a filter"), "anyOf": [{"required": ["columns"]}, {"required": ["rows"]}]}


def _grant() -> Schema:
    s3 = _when("^arn:", entry("a grant on S3 objects"), _redshift_or_table())
    service = _when(_SERVICES, entry("a grant on a resource of an AWS service"), s3)
    return _by_tags("a grant by tags", _when(_DYNAMODB, entry("a grant on items of DynamoDB"), service))


def _redshift_or_table() -> Schema:
    table = entry("a grant on tables")
    beside = dict.fromkeys(("rows", "columns"), False)
    table["dependencies"] = {
        "filter": {"properties": {**beside, "filters": False}},
        "filters": {"properties": {**beside, "filter": False}},
    }
    return _when("^redshift:", entry("a grant of a Redshift login"), table)


def _denial() -> Schema:
    denial = entry("an entry of `denials`")
    permissions = {
        kind: {"properties": {"permissions": texts({"enum": list(_PERMISSIONS[kind])})}}
        for kind in (
            "a grant on S3 objects",
            "a grant on items of DynamoDB",
            "a grant on a resource of an AWS service",
            "a grant of a Redshift login",
            "a grant on tables",
        )
    }
    login = _when("^redshift:", permissions["a grant of a Redshift login"], permissions["a grant on tables"])
    arn = _when("^arn:", permissions["a grant on S3 objects"], login)
    service = _when(_SERVICES, permissions["a grant on a resource of an AWS service"], arn)
    return {**denial, **_when(_DYNAMODB, permissions["a grant on items of DynamoDB"], service)}


def _by_tags(what: str, otherwise: Schema) -> Schema:
    return {
        "type": "object",
        "if": {"required": ["tag_expression"]},
        "then": entry(what),
        "else": otherwise,
    }


def _when(pattern: str, then: Schema, otherwise: Schema) -> Schema:
    named = {"properties": {"resource": {"type": "string", "pattern": pattern}}, "required": ["resource"]}
    return {"if": named, "then": then, "else": otherwise}


def _mask() -> Schema:
    kept = {"type": "integer", "minimum": 0, "maximum": mask_reading.MAX_KEPT}
    forms: dict[str, Schema] = {
        "rank": {"type": "integer", "minimum": 0, "maximum": mask_reading.MAX_RANK},
        "expression": _FORMS["expression"],
        "type": TEXT,
        "key": {"type": "string", "pattern": "^env:."},
        "keep_first": kept,
        "keep_last": kept,
        "with": {"type": "string", "pattern": "^[ -~]$"},
        "to": {"type": "number", "exclusiveMinimum": 0},
        # YAML reads a bare `null` as no value; it means the mask of that name all the same.
        "builtin": {"enum": [None, *mask_reading._PLAIN, *mask_reading._PARAMETERS]},
    }
    own = set(mask_reading._OWN)
    owners = mask_reading._PARAMETERS
    closed = {builtin: sorted(frozenset().union(*owners.values()) - keys) for builtin, keys in owners.items()} | {
        "": sorted(frozenset().union(*owners.values()))
    }

    def without(builtin: str) -> Schema:
        return {"properties": dict.fromkeys(closed[builtin], False)}

    return {
        "type": "object",
        "additionalProperties": False,
        "required": _required("a mask"),
        "properties": {key: forms[key] for key in sorted(own | frozenset().union(*owners.values()))},
        "oneOf": [{"required": ["builtin"]}, {"required": ["expression"]}],
        "allOf": [
            {
                "if": {"properties": {"builtin": {"const": builtin}}, "required": ["builtin"]},
                "then": without(builtin),
            }
            for builtin in owners
        ]
        + [
            {
                "if": {"not": {"properties": {"builtin": {"enum": list(owners)}}, "required": ["builtin"]}},
                "then": without(""),
            }
        ],
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}


def _required(what: str) -> list[str]:
    return sorted(key for kind, key in _needed() if kind == what)


@cache
def _needed() -> frozenset[tuple[str, str]]:
    """Ask the readers what each kind of entry needs."""
    return frozenset((found["what"], found["key"]) for text in _problems() if (found := _NEEDS.search(text)))


_NEEDS = re.compile(r":[0-9]+: (?P<what>.+) needs `(?P<key>\w+)`$")


def _problems() -> Iterator[str]:
    for text in (_PROBE, "masks: {m: {rank: 1, builtin: redact}}\n"):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "policy.yaml"
            path.write_text(text)
            try:
                load((path,), ISSUERS)
            except ConfigurationError as error:
                yield from error.problems
