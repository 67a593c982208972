"""Reads lists of principals of a policy file."""

from __future__ import annotations

from penstock_server.config.principals import parse_selector
from penstock_server.model.principal import KnownIssuers, PrincipalSelector
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields


def read_principals(
    fields: Fields, key: str, issuers: KnownIssuers, problems: Problems
) -> tuple[PrincipalSelector, ...] | None:
    """Read a list of at least one principal; None where one of them is wrong."""
    texts = fields.texts(key)
    if texts is None:
        return None
    found: list[PrincipalSelector] = []
    for text in texts:
        try:
            found.append(parse_selector(text.value, issuers))
        except ValueError as error:
            problems.add(text.place, f"`{key}`: `{text.value}` {error}")
    return tuple(found) if len(found) == len(texts) else None
