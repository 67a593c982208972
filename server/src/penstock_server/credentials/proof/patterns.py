"""Patterns of IAM as values: `*` any characters, `?` one; `${*}`, `${?}`, `${$}` the characters themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from penstock_server.policy.proof.globs import Glob, GlobSet, Wild, normal

_PARTS: Final = re.compile(
    r"\$\{(?P<escaped>[*?$])\}|(?P<wild>[*?])|(?P<variable>\$\{)|(?P<text>[^*?$]+|\$)", re.DOTALL
)
_WILD: Final = {"*": Wild.RUN, "?": Wild.ONE}


class NotUnderstood(Exception):
    """A text says something that is not known here; `str()` says what."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The texts that begin with `head` and go on as `tail` says.

    A tail is empty (one text), or begins with a wildcard.
    """

    head: str
    tail: Glob = ()

    @property
    def is_text(self) -> bool:
        """It matches its head alone."""
        return not self.tail

    @property
    def is_prefix(self) -> bool:
        """It matches everything that begins with its head."""
        return self.tail == PREFIX

    @property
    def is_plain(self) -> bool:
        """It is a text or a prefix: no wildcard but one `*` at the end."""
        return not self.tail or self.tail == PREFIX

    @property
    def glob(self) -> Glob:
        """All of its parts."""
        return (*self.head, *self.tail)

    def matches(self, text: str) -> bool:
        """Tell whether it matches a text."""
        if self.is_text:
            return text == self.head
        if self.is_prefix:
            return text.startswith(self.head)
        return bool(GlobSet((self.glob,)).matches(text))

    def __str__(self) -> str:
        signs = {Wild.RUN: "*", Wild.ONE: "?"}
        return self.head + "".join(part if isinstance(part, str) else signs[part] for part in self.tail)


PREFIX: Final[Glob] = (Wild.RUN,)


def text_of(text: str) -> Pattern:
    """Give the pattern of one text."""
    return Pattern(text)


def beginning(text: str) -> Pattern:
    """Give the pattern of everything that begins with a text."""
    return Pattern(text, PREFIX)


@lru_cache(maxsize=2_048)
def read_pattern(text: str) -> Pattern:
    """Read a pattern of a Resource, an Action or a StringLike.

    Raises:
        NotUnderstood: it holds a policy variable: what AWS puts in its place is not known here.
    """
    parts: list[str | Wild] = []
    for found in _PARTS.finditer(text):
        if found["variable"]:
            raise NotUnderstood(f"a policy variable in {text!r}")
        if found["wild"]:
            parts.append(_WILD[found["wild"]])
        else:
            parts.extend(found["escaped"] or found["text"])
    glob = normal(parts)
    first = next((place for place, part in enumerate(glob) if isinstance(part, Wild)), len(glob))
    return Pattern("".join(part for part in glob[:first] if isinstance(part, str)), glob[first:])


def read_text(text: str) -> Pattern:
    """Read a value of StringEquals, in which `*` and `?` are characters.

    Raises:
        NotUnderstood: it holds `${`. AWS documents a replacement there, and evaluators differ.
    """
    if "${" in text:
        raise NotUnderstood(f"`${{` in a value that is compared as it stands: {text!r}")
    return Pattern(text)
