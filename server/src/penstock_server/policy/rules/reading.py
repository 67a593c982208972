"""Reads the entries under `row_rules`: a rules dataset of one table, from a file or from a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.config.document import MapNode, Node, ScalarNode
from penstock_server.config.quantities import print_duration
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.schema import TypeFamily
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.cells import parse_name, parse_one_table
from penstock_server.policy.reading.fields import Fields, Keys, Text, text_of
from penstock_server.policy.reading.file_trees import PolicyFiles
from penstock_server.policy.rules.csv_text import RulesTable, parse_rules
from penstock_server.policy.rules.form import FIELD_TYPES, RowsOfFile, RulesFormat
from penstock_server.policy.source import RowRulesSource, RulesQuery

DEFAULT_REFRESH: Final = timedelta(minutes=5)
MIN_REFRESH: Final = timedelta(seconds=10)
DEFAULT_MAX_STALENESS: Final = timedelta(hours=1)
MAX_MAX_STALENESS: Final = timedelta(days=7)
NAMES_NOBODY: Final = "names nobody, and where nobody is denied everybody sees all rows; name somebody"

_ROW_RULES_KEYS: Final = Keys(
    what="an entry of `row_rules`",
    known=frozenset(
        {"resource", "name", "status", "permission_policy", "allow_deny", "types", "note_columns", "rules"}
    ),
    unavailable=frozenset(),
)
_RULES_KEYS: Final = Keys(
    what="`rules`",
    known=frozenset({"file", "query", "catalog", "refresh", "max_staleness"}),
    unavailable=frozenset(),
)
_QUERY_ONLY: Final = ("catalog", "refresh", "max_staleness")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRowRules:
    """An entry, and what of it counts for the version of the policy beside its own text: the bytes of its file."""

    rules: RowRulesSource
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Where the rows of a dataset come from; `table` and `raw` of a query come later."""

    table: RulesTable | None
    raw: bytes
    query: RulesQuery | None


def read_row_rules(
    node: Node, policy_file: Path, files: PolicyFiles, issuers: KnownIssuers, problems: Problems
) -> ReadRowRules | None:
    """Read one entry under `row_rules` of a policy file; None where it is wrong."""
    if not isinstance(node, MapNode):
        problems.add(node.place, "an entry of `row_rules` must hold keys with values")
        return None
    fields = Fields(node, _ROW_RULES_KEYS, problems)
    name = fields.parsed("name", parse_name)
    resource = fields.parsed("resource", parse_one_table)
    _check_status(fields, problems)
    denies = _denies(fields, problems)
    form = _form(fields, problems)
    rows = None
    if form is not None:
        rows, file = _origin(fields, problems)
        if file is not None:
            reading = _Reading(folder=policy_file.parent, files=files, issuers=issuers, form=form)
            rows = _rows_of_file(file, reading, problems)
    if rows is None or name is None or resource is None or form is None or denies is None:
        return None
    if denies and rows.table is not None and not rows.table.rules:
        problems.add(rows.table.header_place, NAMES_NOBODY)
        return None
    read = RowRulesSource(
        name=name,
        place=node.place,
        resource=resource,
        resource_place=fields.place_of("resource"),
        denies=denies,
        form=form,
        table=rows.table,
        query=rows.query,
        result_digest=None,
        fresh_until=None,
    )
    return ReadRowRules(rules=read, content=name.encode() + b"\n" + rows.raw)


def _check_status(fields: Fields, problems: Problems) -> None:
    text = fields.text("status") if fields.has("status") else None
    if text is not None and text.value != "enabled":
        problems.add(
            text.place,
            f"`status: {text.value}` would open every row; write `enabled`, or remove the entry if that is meant",
        )


def _denies(fields: Fields, problems: Problems) -> bool | None:
    """Tell whether the dataset takes rows away, which has to be allowed in as many words."""
    allowed = _flag(fields, "allow_deny", problems)
    text = fields.text("permission_policy") if fields.has("permission_policy") else None
    word = text.value if text is not None else "GRANT_ACCESS"
    place = text.place if text is not None else fields.place
    if word == "GRANT_ACCESS":
        if allowed:
            problems.add(fields.place_of("allow_deny"), "`allow_deny` goes with `permission_policy: DENY_ACCESS` only")
        return None if allowed else False
    if word != "DENY_ACCESS":
        problems.add(place, f"`permission_policy: {word}`: write `GRANT_ACCESS` or `DENY_ACCESS`")
        return None
    if not allowed:
        problems.add(
            place,
            "`permission_policy: DENY_ACCESS` shows all rows to whom no rule names; write rules that grant, or "
            "`allow_deny: true` to keep an imported dataset as it is",
        )
        return None
    return True


def _form(fields: Fields, problems: Problems) -> RulesFormat | None:
    note_columns = _flag(fields, "note_columns", problems)
    types: dict[str, TypeFamily] = {}
    if fields.has("types"):
        mapping = fields.mapping("types")
        if mapping is None:
            return None
        for entry in mapping.entries:
            text = text_of(entry.node, entry.key, problems)
            family = FIELD_TYPES.get(text.value) if text is not None else None
            if text is not None and family is None:
                known = ", ".join(f"`{word}`" for word in FIELD_TYPES)
                problems.add(text.place, f"`types`: `{text.value}` is no type of a field; write one of {known}")
            if family is None:
                return None
            types[entry.key] = family
    return None if note_columns is None else RulesFormat(types=types, note_columns=note_columns)


def _origin(fields: Fields, problems: Problems) -> tuple[_Rows | None, Text | None]:
    """Read `rules`: the query, or the file; both None where it is wrong."""
    mapping = fields.mapping("rules")
    if mapping is None:
        return None, None
    inner = Fields(mapping, _RULES_KEYS, problems)
    if inner.has("query"):
        query = _query(inner, problems)
        return (None if query is None else _Rows(table=None, raw=b"", query=query)), None
    for key in _QUERY_ONLY:
        if inner.has(key):
            problems.add(inner.place_of(key), f"`{key}` goes with `query` only")
            return None, None
    return None, inner.text("file")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What reading a file of rules needs beside its name."""

    folder: Path
    files: PolicyFiles
    issuers: KnownIssuers
    form: RulesFormat


def _rows_of_file(file: Text, reading: _Reading, problems: Problems) -> _Rows | None:
    source = reading.folder / file.value
    raw = reading.files.rules(source, file.place, problems)
    if raw is None:
        return None
    places = RowsOfFile(source=str(source))
    table = parse_rules(raw, places, reading.issuers, problems, form=reading.form)
    return None if table is None else _Rows(table=table, raw=raw, query=None)


def _query(inner: Fields, problems: Problems) -> RulesQuery | None:
    if inner.has("file"):
        problems.add(inner.place_of("file"), "`file` and `query` exclude each other; keep one")
        return None
    sql = inner.expression("query")
    catalog = inner.text("catalog")
    refresh = inner.duration("refresh") if inner.has("refresh") else DEFAULT_REFRESH
    longest = inner.duration("max_staleness") if inner.has("max_staleness") else DEFAULT_MAX_STALENESS
    if sql is None or catalog is None or refresh is None or longest is None:
        return None
    if refresh < MIN_REFRESH:
        problems.add(inner.place_of("refresh"), f"`refresh` must be at least {print_duration(MIN_REFRESH)}")
        return None
    if not 2 * refresh <= longest <= MAX_MAX_STALENESS:
        problems.add(
            inner.place_of("max_staleness"),
            "`max_staleness` must be at least twice `refresh`, so that one failure closes nothing, and at most "
            f"{print_duration(MAX_MAX_STALENESS)}",
        )
        return None
    return RulesQuery(place=sql.place, sql=sql.value, catalog=catalog.value, refresh=refresh, max_staleness=longest)


def _flag(fields: Fields, key: str, problems: Problems) -> bool | None:
    """Read `true` or `false`; a key that is not there is `false`."""
    if not fields.has(key):
        return False
    node = fields.node(key)
    if not isinstance(node, ScalarNode) or not isinstance(node.value, bool):
        problems.add(fields.place_of(key), f"`{key}` must be true or false")
        return None
    return node.value
