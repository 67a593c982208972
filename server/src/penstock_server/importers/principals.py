"""Which of our principals an AWS principal is: a mapping file that the operator writes.

```yaml
principals:
  "arn:aws:iam::111122223333:role/analysts": "group:analysts"
  "user/default/JohnDoe": "user:john"
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_server.config.document import MapNode, ScalarNode, read
from penstock_server.config.principals import parse_selector
from penstock_server.errors import ConfigurationError
from penstock_server.model.principal import EveryoneOf, Group, KnownIssuers, PrincipalSelector, UserByName


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedPrincipal:
    """One of our principals: as a policy file writes it, and what that means."""

    written: str
    selector: PrincipalSelector


PrincipalMapping = Mapping[str, MappedPrincipal]
"""AWS principals, compared exactly, with ours."""


def read_mapping(path: Path, issuers: KnownIssuers) -> PrincipalMapping:
    """Read a mapping file.

    Raises:
        ConfigurationError: it cannot be read, or names no principal of a configured issuer.
    """
    root = read(path)
    principals = root.node("principals") if isinstance(root, MapNode) else None
    if not isinstance(root, MapNode) or not isinstance(principals, MapNode) or len(root.entries) != 1:
        raise ConfigurationError((f"{path}: must hold `principals:` alone, with AWS principals and ours",))
    found: dict[str, MappedPrincipal] = {}
    problems: list[str] = []
    for entry in principals.entries:
        if not isinstance(entry.node, ScalarNode) or not isinstance(entry.node.value, str):
            problems.append(f"{entry.place}: `{entry.key}` needs the name of one principal as text")
            continue
        try:
            found[entry.key] = mapped(entry.node.value, issuers)
        except ValueError as error:
            problems.append(f"{entry.place}: `{entry.node.value}` {error}")
    if problems:
        raise ConfigurationError(tuple(problems))
    return found


def mapped(written: str, issuers: KnownIssuers) -> MappedPrincipal:
    """Give one of our principals by its name.

    Raises:
        ValueError: it names none, or everyone; the text goes well after the name in backticks.
    """
    selector = parse_selector(written, issuers)
    if isinstance(selector, EveryoneOf):
        # SECURITY: one AWS principal is never everybody; such a line would open its tables to all.
        raise ValueError(  # noqa: TRY004 - the text is wrong, not its type
            "cannot stand for one AWS principal; write `user:NAME` or `group:NAME`"
        )
    return MappedPrincipal(written=written, selector=selector)


def selector_words(selector: PrincipalSelector) -> str:
    """Name a selector for the report."""
    match selector:
        case UserByName(username=name):
            return f"user:{name}"
        case Group(name=name):
            return f"group:{name}"
        case EveryoneOf(issuer=issuer):
            return f"everyone@{issuer}"
        case _:
            return f"user:{selector.issuer}|{selector.subject}"
