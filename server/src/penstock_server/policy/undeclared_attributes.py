"""Attributes that a policy asks for and no issuer brings: a slip in a name, for whoever reviews a policy.

Such a policy means something and is loaded: what looks at the attribute is unknown or missing for everybody. Under a
negated operator of a condition that is *true* for everybody, as in IAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from penstock_server.config.document import Place
from penstock_server.config.reading import suggestion
from penstock_server.policy.conditions.block import Block, Condition
from penstock_server.policy.conditions.keys import PREFIX, TAG
from penstock_server.policy.conditions.patterns import Variable
from penstock_server.policy.filters.nodes import (
    AndNode,
    BetweenNode,
    CompareNode,
    FilterNode,
    InNode,
    IsNullNode,
    LikeNode,
    NotNode,
    OrNode,
    UserAttribute,
)
from penstock_server.policy.source import (
    DynamoDbGrant,
    FilterSource,
    PolicySource,
    RedshiftGrant,
    S3Grant,
    ServiceGrant,
    TableGrant,
    TagGrant,
)


def attribute_warnings(source: PolicySource, declared: frozenset[str]) -> tuple[str, ...]:
    """Give `FILE:LINE: what is asked for`, each once.

    `declared` are the names under `attribute_claims` of all issuers.
    """
    folded = {name.lower() for name in declared}
    found = [(place, f":user.attributes.{name}") for place, name in _in_filters(source) if name not in declared]
    found += [(place, f"{PREFIX}PrincipalTag/{name}") for place, name in _in_conditions(source) if name not in folded]
    return tuple(dict.fromkeys(f"{place}: {_message(written, declared)}" for place, written in found))


def _message(written: str, declared: frozenset[str]) -> str:
    name = written.rpartition("." if written.startswith(":") else "/")[2]
    return f"no issuer has `{name}` under `attribute_claims`, so `{written}` has no value for anybody" + suggestion(
        name, sorted(declared)
    )


def _in_filters(source: PolicySource) -> Iterator[tuple[Place, str]]:
    holders: tuple[FilterSource | TableGrant, ...] = (*source.filters, *source.table_grants)
    for holder in holders:
        rows = holder.cells.rows
        if rows is not None:
            for name in _attributes(rows.node):
                yield rows.place, name


def _attributes(node: FilterNode) -> Iterator[str]:
    match node:
        case AndNode(operands=operands) | OrNode(operands=operands):
            for operand in operands:
                yield from _attributes(operand)
        case NotNode(operand=operand):
            yield from _attributes(operand)
        case CompareNode(operand=UserAttribute(name=name)) | InNode(values=UserAttribute(name=name)):
            yield name
        case CompareNode() | InNode() | BetweenNode() | LikeNode() | IsNullNode():
            pass
        case _:
            assert_never(node)


def _in_conditions(source: PolicySource) -> Iterator[tuple[Place, str]]:
    grants: tuple[TableGrant | TagGrant | S3Grant | RedshiftGrant | DynamoDbGrant | ServiceGrant, ...] = (
        *source.table_grants,
        *source.tag_grants,
        *source.s3_grants,
        *source.redshift_grants,
        *source.dynamodb_grants,
        *source.service_grants,
    )
    for grant in grants:
        for key in _keys(grant.conditions):
            if key.startswith(TAG):
                yield grant.place, key.removeprefix(TAG)


def _keys(block: Block | None) -> Iterator[str]:
    for condition in () if block is None else block.conditions:
        yield condition.key.name
        if isinstance(condition, Condition):
            parts = (part for value in condition.values for part in value.parts)
            yield from (part.key.name for part in parts if isinstance(part, Variable))
