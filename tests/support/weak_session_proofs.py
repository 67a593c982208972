"""The proof of session policies with one of its own rules switched off at a time; the suites must notice each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from penstock_server.credentials.proof import boxes, domains, patterns, proving, reading, space
from penstock_server.credentials.proof.reading import KeyTest

Weaken = Callable[[pytest.MonkeyPatch], None]


def _no_fresh_letter(patch: pytest.MonkeyPatch) -> None:
    real = domains._fresh
    patch.setattr(domains, "_fresh", lambda patterns: next(iter(_named(patterns)), real(patterns)))


def _named(patterns: Any) -> list[str]:
    return sorted({part for pattern in patterns for part in pattern.glob if isinstance(part, str)})


def _plain_without(lost: Callable[[Any], bool]) -> Weaken:
    def weaken(patch: pytest.MonkeyPatch) -> None:
        real = domains._plain_regions
        patch.setattr(
            domains,
            "_plain_regions",
            lambda patterns, steps: [region for region in real(patterns, steps) if not lost(region)],
        )

    return weaken


def _walked_without_the_unmatched(patch: pytest.MonkeyPatch) -> None:
    real = domains._walked_regions
    patch.setattr(
        domains,
        "_walked_regions",
        lambda patterns, steps: [region for region in real(patterns, steps) if region.matching],
    )


def _keys_never_absent(patch: pytest.MonkeyPatch) -> None:
    real = domains.TextDomain.__init__

    def init(self: Any, patterns: Any, steps: Any, *, optional: bool) -> None:
        real(self, patterns, steps, optional=optional)
        if optional:
            self.every &= ~1
            self.absent = 0

    patch.setattr(domains.TextDomain, "__init__", init)


def _test_read_as(one: KeyTest, other: KeyTest) -> Weaken:
    def weaken(patch: pytest.MonkeyPatch) -> None:
        real = space.Space._holding

        def holding(self: Any, condition: Any) -> int:
            if condition.test is one:
                condition = type(condition)(
                    key=condition.key, test=other, patterns=condition.patterns, instants=condition.instants
                )
            return real(self, condition)

        patch.setattr(space.Space, "_holding", holding)

    return weaken


def _instants_one_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(domains.InstantDomain, "before", domains.InstantDomain.until)


def _pieces_lost(patch: pytest.MonkeyPatch) -> None:
    real = boxes._without
    patch.setattr(boxes, "_without", lambda piece, cover: real(piece, cover)[:1])


def _covers_that_only_meet(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(boxes, "_without", lambda *_: [])


def _everything_impossible(patch: pytest.MonkeyPatch) -> None:
    real = space.Space.__init__

    def init(self: Any, *given: Any) -> None:
        real(self, *given)
        self.impossible = tuple((box[0], self._resources.every, *box[2:]) for box in self.impossible)

    patch.setattr(space.Space, "__init__", init)


def _no_claim(name: str) -> Weaken:
    return lambda patch: patch.setattr(proving._Proof, name, lambda _: None)


def _elements_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reading, "_once", dict)


def _stars_across_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proving, "_is_certain", lambda _: True)


def _variables_are_text(patch: pytest.MonkeyPatch) -> None:
    real = patterns.read_pattern
    patch.setattr(reading, "read_pattern", lambda text: real(text.replace("${aws:username}", "${$}{aws:username}")))


WEAKNESSES: Mapping[str, tuple[Weaken, str]] = {
    "no fresh letter": (_no_fresh_letter, "pairs"),
    "no region that nothing matches": (_plain_without(lambda region: not region.matching), "regions"),
    "no region that nothing matches, walked": (_walked_without_the_unmatched, "regions"),
    "no texts that go on after a beginning": (_plain_without(lambda region: region.open and region.stem), "pairs"),
    "no text by itself": (_plain_without(lambda region: not region.open), "pairs"),
    "a key is never absent": (_keys_never_absent, "mistakes"),
    "an absent key fails a negated test": (_test_read_as(KeyTest.MATCHES_NONE, KeyTest.PRESENT), "policies"),
    "an optional test is a test": (_test_read_as(KeyTest.MATCHES_IF_THERE, KeyTest.MATCHES), "mistakes"),
    "a Null guard either way": (_test_read_as(KeyTest.ABSENT, KeyTest.PRESENT), "mistakes"),
    "an instant belongs to what is before it": (_instants_one_off, "mistakes"),
    "pieces of a box are lost": (_pieces_lost, "policies"),
    "a box is covered by whatever meets it": (_covers_that_only_meet, "mistakes"),
    "too much is impossible": (_everything_impossible, "mistakes"),
    "an Allow may be broad": (_no_claim("_not_narrow"), "mistakes"),
    "no fence is needed": (_no_claim("_not_fenced"), "mistakes"),
    "less may be allowed": (_no_claim("_not_whole"), "policies"),
    "elements may stand twice": (_elements_twice, "mistakes"),
    "a variable is a text": (_variables_are_text, "mistakes"),
    "a star of a Deny reaches across the parts of an ARN": (_stars_across_parts, "stars"),
}
"""By name: how the rule is switched off, and which suite must go red."""
