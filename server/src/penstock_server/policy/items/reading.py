"""Reads `items` of a grant on a table or an index of DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import MapNode
from penstock_server.model.dynamodb import MAX_ATTRIBUTE_CHARS, DynamoDbPermission, DynamoDbTarget, is_attribute
from penstock_server.policy.items.templates import KeyTemplate, parse_key_template
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields, Keys, Text

_KEYS: Final = Keys(what="`items`", known=frozenset({"leading_keys", "attributes"}), unavailable=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What a grant gives of a table or an index; None = all."""

    leading_keys: tuple[KeyTemplate, ...] | None
    attributes: tuple[str, ...] | None


def read_items(
    fields: Fields, target: DynamoDbTarget, permissions: frozenset[DynamoDbPermission], problems: Problems
) -> Items | None:
    """Read `items`, and hold the permissions against it; None where something is wrong, which is noted."""
    before = len(problems)
    items = Items(leading_keys=None, attributes=None)
    node = fields.mapping("items") if fields.has("items") else None
    if isinstance(node, MapNode):
        items = _items(Fields(node, _KEYS, problems), problems)
    place = fields.place_of("permissions")
    if DynamoDbPermission.WRITE in permissions:
        if target.index is not None:
            problems.add(place, "an index cannot be written to; grant WRITE on its table")
        if DynamoDbPermission.READ not in permissions:
            # SECURITY: `ReturnValues` and `ReturnValuesOnConditionCheckFailure` answer with the item.
            problems.add(place, "WRITE needs READ beside it, because a write can return the item that it meets")
        if items.attributes is not None:
            problems.add(
                place,
                "WRITE cannot stand beside `attributes`: a write can return the whole item, and no condition of AWS "
                "keeps that; leave out one of them",
            )
    return items if len(problems) == before else None


def _items(fields: Fields, problems: Problems) -> Items:
    keys = fields.texts("leading_keys") if fields.has("leading_keys") else None
    names = fields.texts("attributes") if fields.has("attributes") else None
    for name in names or ():
        if not is_attribute(name.value):
            problems.add(
                name.place,
                f"`{name.value}` is no name of an attribute: up to {MAX_ATTRIBUTE_CHARS} of a-z, A-Z, 0-9 and `_.:#/-`",
            )
    return Items(
        leading_keys=None if keys is None else tuple(_templates(keys, problems)),
        attributes=None if names is None else tuple(sorted(name.value for name in names)),
    )


def _templates(keys: tuple[Text, ...], problems: Problems) -> Iterator[KeyTemplate]:
    for key in keys:
        try:
            yield parse_key_template(key.value)
        except ValueError as error:
            problems.add(key.place, f"`{key.value}` in `leading_keys` {error}")
