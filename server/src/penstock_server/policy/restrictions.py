"""Reads what narrows for everybody but those whom it names: `column_rules`.

INVARIANT: such an entry names whom it spares. Who is missing from a group, or whose groups an identity provider cut,
may lose access by that and never gain it.
"""

from __future__ import annotations

from typing import Final

from penstock_server.config.document import MapNode, Node
from penstock_server.model.principal import KnownIssuers
from penstock_server.policy.cells import parse_one_table
from penstock_server.policy.fields import Fields, Keys
from penstock_server.policy.principal_lists import read_principals
from penstock_server.policy.problems import Problems
from penstock_server.policy.source import ColumnRuleSource

_COLUMN_RULE_KEYS: Final = Keys(
    what="an entry of `column_rules`", known=frozenset({"resource", "columns", "principals"}), unavailable=frozenset()
)


def read_column_rule(node: Node, issuers: KnownIssuers, problems: Problems) -> ColumnRuleSource | None:
    """Read one entry under `column_rules`; None where it is wrong."""
    if not isinstance(node, MapNode):
        problems.add(node.place, "an entry of `column_rules` must hold keys with values")
        return None
    fields = Fields(node, _COLUMN_RULE_KEYS, problems)
    resource = fields.parsed("resource", parse_one_table)
    columns = fields.texts("columns")
    principals = read_principals(fields, "principals", issuers, problems)
    if resource is None or columns is None or principals is None:
        return None
    return ColumnRuleSource(
        resource=resource, resource_place=fields.place_of("resource"), columns=columns, principals=principals
    )
