"""Answers of AWS as JSON objects, read strictly: what is not known is refused, never skipped.

SECURITY: a member that this version does not know may restrict what the answer permits, as `Condition` did when it was
new (test_a_member_that_nobody_knows_is_refused).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One JSON object; `place` says where it stands: `FILE: Member[3].Resource`."""

    members: Mapping[str, object]
    place: str

    def only(self, *known: str) -> None:
        """Require that no other member is there.

        Raises:
            ConfigurationError: there is one.
        """
        for name in self.members:
            if name not in known:
                raise self.problem(f"holds `{name}`, which this version does not know and so cannot carry over")

    def has(self, name: str) -> bool:
        """Tell whether a member is there; null is as if it were not."""
        return self.members.get(name) is not None

    def text(self, name: str) -> str:
        """Give a text that must be there and not be empty."""
        value = self.members.get(name)
        if not isinstance(value, str) or not value:
            raise self.problem(f"`{name}` must be a text")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Give a text, or None where it is not there."""
        return self.text(name) if self.has(name) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a list of texts; none where it is not there."""
        value = self.members.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.problem(f"`{name}` must be a list of texts")
        return tuple(value)

    def child(self, name: str) -> Answer | None:
        """Give an object, or None where it is not there."""
        value = self.members.get(name)
        return None if value is None else answer_of(value, f"{self.place}.{name}")

    def required(self, name: str) -> Answer:
        """Give an object that must be there."""
        child = self.child(name)
        if child is None:
            raise self.problem(f"lacks `{name}`")
        return child

    def children(self, name: str) -> tuple[Answer, ...]:
        """Give a list of objects; none where it is not there."""
        value = self.members.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.problem(f"`{name}` must be a list")
        return tuple(answer_of(item, f"{self.place}.{name}[{index}]") for index, item in enumerate(value))

    def entries(self, name: str) -> tuple[Answer, ...]:
        """Give the objects of a map; none where it is not there."""
        child = self.child(name)
        if child is None:
            return ()
        return tuple(answer_of(value, f"{child.place}.{key}") for key, value in child.members.items())

    def problem(self, what: str) -> ConfigurationError:
        """Give the error for something that is wrong here."""
        return ConfigurationError((f"{self.place}: {what}",))


def answer_of(value: object, place: str) -> Answer:
    """Give a JSON value as an answer.

    Raises:
        ConfigurationError: it is no object.
    """
    if not isinstance(value, dict):
        raise ConfigurationError((f"{place}: must be an object",))
    return Answer(members=value, place=place)
