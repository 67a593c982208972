"""Reads the entries under `row_rules`: a rules dataset of one table, with the file that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_server.config.document import MapNode, Node
from penstock_server.model.principal import KnownIssuers
from penstock_server.policy.cells import parse_name, parse_one_table
from penstock_server.policy.fields import Fields, Keys
from penstock_server.policy.file_trees import PolicyFiles
from penstock_server.policy.problems import NOT_AVAILABLE, Problems
from penstock_server.policy.rules_csv import parse_rules
from penstock_server.policy.source import RowRulesSource

_ROW_RULES_KEYS: Final = Keys(
    what="an entry of `row_rules`",
    known=frozenset({"resource", "name", "status", "permission_policy", "rules"}),
    unavailable=frozenset({"allow_deny", "types", "max_staleness"}),
)
_RULES_KEYS: Final = Keys(
    what="`rules`", known=frozenset({"file"}), unavailable=frozenset({"query", "catalog", "refresh", "max_staleness"})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRowRules:
    """An entry, and what of it counts for the version of the policy beside its own text."""

    rules: RowRulesSource
    content: bytes


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
    _check_word(fields, "status", "enabled", "it would open every row; remove the entry if that is meant", problems)
    _check_word(fields, "permission_policy", "GRANT_ACCESS", f"other values are {NOT_AVAILABLE}", problems)
    rules = fields.mapping("rules")
    if rules is None:
        return None
    inner = Fields(rules, _RULES_KEYS, problems)
    file = inner.text("file") if not inner.has("query") else None
    if file is None or name is None or resource is None:
        return None
    source = policy_file.parent / file.value
    raw = files.rules(source, file.place, problems)
    table = parse_rules(raw, str(source), issuers, problems) if raw is not None else None
    if raw is None or table is None:
        return None
    read = RowRulesSource(
        name=name,
        place=node.place,
        resource=resource,
        resource_place=fields.place_of("resource"),
        table=table,
    )
    return ReadRowRules(rules=read, content=name.encode() + b"\n" + raw)


def _check_word(fields: Fields, key: str, only: str, why: str, problems: Problems) -> None:
    text = fields.text(key) if fields.has(key) else None
    if text is not None and text.value != only:
        problems.add(text.place, f"`{key}: {text.value}`: write `{only}`; {why}")
