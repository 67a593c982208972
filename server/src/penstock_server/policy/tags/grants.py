"""Reads grants and denials by tag expression.

Such a grant goes to what matches in every catalog, and has no columns, rows, filters or masks of its own, as a grant on
an LF-tag policy in Lake Formation: the tags say which columns.
"""

from __future__ import annotations

from typing import Final

from penstock_server.config.document import MapNode
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import TablePermission
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.cells import parse_name
from penstock_server.policy.reading.condition_blocks import read_conditions
from penstock_server.policy.reading.fields import Fields, Keys
from penstock_server.policy.reading.permission_lists import read_permissions
from penstock_server.policy.reading.principal_lists import read_principals
from penstock_server.policy.requirements import read_requirements
from penstock_server.policy.source import Spared, TagDenial, TagGrant
from penstock_server.policy.tags.reading import TagReader

_BESIDE: Final = (
    (frozenset({"resource"}), "`tag_expression` says what it is on; make two grants"),
    (
        frozenset({"columns", "rows", "filter", "filters", "masks"}),
        "the tags say which columns, as in Lake Formation; name a table for it",
    ),
    (frozenset({"max_ttl"}), "it goes with an ARN or a Redshift login"),
    (frozenset({"database_groups"}), "it goes with a login"),
)
_GRANT_KEYS: Final = Keys(
    what="a grant by tags",
    known=frozenset({"name", "principals", "tag_expression", "permissions", "expires", "conditions", "requires"}),
    unavailable=frozenset(),
    elsewhere=(*_BESIDE, (frozenset({"items"}), "it goes with a table of DynamoDB")),
)
_DENIAL_KEYS: Final = Keys(
    what="a denial by tags",
    known=frozenset({"tag_expression", "except_principals", "permissions"}),
    unavailable=frozenset(),
    elsewhere=(
        (frozenset({"resource"}), "`tag_expression` says what it is on; make two denials"),
        (frozenset({"principals"}), "a denial holds for everybody but `except_principals`"),
        (frozenset({"conditions", "expires"}), "a denial holds as long as it stands in a file"),
        (frozenset({"columns"}), "the tags say which columns"),
    ),
)


def read_tag_grant(node: MapNode, issuers: KnownIssuers, tags: TagReader, problems: Problems) -> TagGrant | None:
    """Read an entry under `grants` that has `tag_expression`; None where it is wrong."""
    before = len(problems)
    fields = Fields(node, _GRANT_KEYS, problems)
    name = fields.parsed("name", parse_name)
    principals = read_principals(fields, "principals", issuers, problems)
    expression = tags.expression(fields)
    permissions = read_permissions(fields, TablePermission, problems)
    expires = fields.instant("expires") if fields.has("expires") else None
    conditions = read_conditions(fields, problems)
    requires = read_requirements(fields, problems)
    if name is None or principals is None or expression is None or permissions is None or len(problems) != before:
        return None
    return TagGrant(
        name=name,
        place=fields.place,
        principals=principals,
        expression=expression,
        permissions=permissions,
        expires=expires,
        conditions=conditions,
        requires=requires,
    )


def read_tag_denial(node: MapNode, issuers: KnownIssuers, tags: TagReader, problems: Problems) -> TagDenial | None:
    """Read an entry under `denials` that has `tag_expression`; None where it is wrong."""
    before = len(problems)
    fields = Fields(node, _DENIAL_KEYS, problems)
    expression = tags.expression(fields)
    permissions = read_permissions(fields, TablePermission, problems)
    principals = (
        read_principals(fields, "except_principals", issuers, problems) if fields.has("except_principals") else ()
    )
    if expression is None or permissions is None or principals is None or len(problems) != before:
        return None
    return TagDenial(expression=expression, permissions=permissions, spared=Spared(selectors=frozenset(principals)))
