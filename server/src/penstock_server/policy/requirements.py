"""Reads and binds `requires` of a grant."""

from __future__ import annotations

from penstock_server.model.posture import Requirement
from penstock_server.model.schema import TableSchema
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.conditions.posture import requiring
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields
from penstock_server.policy.source import TableGrant, TagGrant


def read_requirements(fields: Fields, problems: Problems) -> frozenset[Requirement]:
    """Read `requires`; nothing where it is not there. Whoever reads a grant with a problem in it drops the grant."""
    texts = fields.texts("requires") if fields.has("requires") else None
    found: set[Requirement] = set()
    for text in texts or ():
        try:
            found.add(Requirement(text.value))
        except ValueError:
            known = " and ".join(each.value for each in Requirement)
            problems.add(text.place, f"`{text.value}` in `requires` is nothing that data can be; there are {known}")
    return frozenset(found)


def bound_conditions(grant: TableGrant | TagGrant, schema: TableSchema, problems: Problems) -> Block | None:
    """Give the conditions of a grant on one table, with what it requires of the bucket of its files."""
    if not grant.requires:
        return grant.conditions
    if schema.location is None:
        problems.add(
            grant.resource_place if isinstance(grant, TableGrant) else grant.place,
            f"`requires` asks where the files of {schema.name} lie, which nobody knows; "
            "give its catalog a `location`, or remove `requires`",
        )
        return grant.conditions
    return requiring(grant.requires, schema.location.bucket, grant.conditions)
