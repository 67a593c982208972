"""Rules datasets as terms, however large they are.

The rows that a dataset leaves are an OR over the selectors that name the caller. Selectors of a large dataset that
bring the same rows in both versions are taken together as one free truth value, the same in both: more than there is,
so that "no model" stays a proof. A model that rests on it has to be found again with these selectors spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from penstock_server.model.principal import PrincipalSelector, UserByName
from penstock_server.policy.proof.inputs import DatasetInput, RuleInput, TableInput, further_selectors
from penstock_server.policy.proof.scales import Point
from penstock_server.policy.proof.terms import Conjunction, Disjunction, OneOf, Term

MOST_SPELLED: Final = 256
"""Most selectors of one dataset that are all spelled out."""
SLICE: Final = 64
"""How many users, or sets of rows, are spelled out together where there are more."""

DatasetKey = tuple[str, tuple[str, ...]]
"""Name and columns: a dataset of other columns is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTerms:
    """The rows that one dataset leaves in one version: those of each selector; `lump` = further ones, the same in both.

    `key` tells which lump. From `fresh_until` on there are no rows.
    """

    key: DatasetKey
    rows: tuple[tuple[PrincipalSelector, Term], ...]
    lump: bool
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of all principals: which selectors of large datasets are spelled out.

    The others are lumped, or left out as if they named nobody.
    """

    spelled: frozenset[PrincipalSelector]
    lump: bool


class RuleSlices:
    """The datasets of two versions of a table, cut into slices that can be compared."""

    def __init__(self, old: TableInput | None, new: TableInput | None) -> None:
        self._terms: dict[tuple[tuple[str, ...], frozenset[RuleInput]], Term] = {}
        self._granted = frozenset(
            selector
            for table in (old, new)
            if table is not None
            for selector in chain(
                (selector for grant in table.grants for selector in grant.selectors), further_selectors(table)
            )
        )
        before = _by_key(old)
        after = _by_key(new)
        pairs = {key: (before.get(key, {}), after.get(key, {})) for key in before.keys() | after.keys()}
        self._large = {
            key: (first, second)
            for key, (first, second) in pairs.items()
            if len(first.keys() | second.keys()) > MOST_SPELLED
        }
        self._every = frozenset(
            selector for first, second in self._large.values() for selector in first.keys() | second.keys()
        )
        self._changed = frozenset(
            selector
            for first, second in self._large.values()
            for selector in first.keys() | second.keys()
            if first.get(selector) != second.get(selector)
        )

    def all(self) -> Iterator[Slice]:
        """Give slices that together cover all principals: a proof needs each of them to be without a model."""
        if not self._large:
            yield Slice(spelled=frozenset(), lump=False)
            return
        # A caller has one username: of changed users a slice needs its own only.
        users = sorted((one for one in self._changed if isinstance(one, UserByName)), key=_order)
        others = self._changed.difference(users)
        for start in range(0, max(len(users), 1), SLICE):
            yield Slice(spelled=others.union(users[start : start + SLICE]), lump=True)

    def spelled_out(self, part: Slice) -> Iterator[Slice]:
        """Give slices that spell out what a slice lumps. Of selectors that are alike one stands for all.

        Where `conclusive` they cover all of it: who is visible is named by one selector of the lump, which one of the
        slices has; those left out could only make less visible in the old version.
        """
        alike: dict[object, PrincipalSelector] = {}
        for selector in sorted(self._every - self._changed, key=_order):
            rows = tuple(first.get(selector) for first, _ in self._large.values())
            alike.setdefault((rows, selector if selector in self._granted else _sort_of(selector)), selector)
        found = list(alike.values())
        for start in range(0, len(found), SLICE):
            yield Slice(spelled=part.spelled.union(found[start : start + SLICE]), lump=False)

    @property
    def conclusive(self) -> bool:
        """Whether `spelled_out` covers all: with two lumps a caller may be named in each by another selector."""
        return len(self._large) <= 1

    def terms(self, table: TableInput | None, part: Slice) -> tuple[DatasetTerms, ...]:
        """Give the terms of the datasets of one version in a slice."""
        return tuple(self._dataset(dataset, part) for dataset in table.datasets) if table is not None else ()

    def _dataset(self, dataset: DatasetInput, part: Slice) -> DatasetTerms:
        key = (dataset.name, dataset.columns)
        large = key in self._large
        selectors = dataset.rules.keys() & part.spelled if large else dataset.rules.keys()
        return DatasetTerms(
            key=key,
            rows=tuple(
                (selector, self._rows(dataset.columns, dataset.rules[selector]))
                for selector in sorted(selectors, key=_order)
            ),
            lump=large and part.lump,
            fresh_until=dataset.fresh_until,
        )

    def _rows(self, columns: tuple[str, ...], rules: frozenset[RuleInput]) -> Term:
        term = self._terms.get((columns, rules))
        if term is None:
            term = self._terms[columns, rules] = _term(columns, rules)
        return term


def _by_key(table: TableInput | None) -> Mapping[DatasetKey, Mapping[PrincipalSelector, frozenset[RuleInput]]]:
    return {(one.name, one.columns): one.rules for one in table.datasets} if table is not None else {}


def _order(selector: PrincipalSelector) -> str:
    return repr(selector)


def _sort_of(selector: PrincipalSelector) -> tuple[type, str]:
    return type(selector), selector.issuer


def _term(columns: tuple[str, ...], rules: Iterable[RuleInput]) -> Term:
    """Give the OR of rules; those that restrict one and the same column only become one test."""
    single: dict[str, set[Point]] = {}
    operands: list[Term] = []
    for rule in rules:
        tests = [
            OneOf(column=column, points=values)
            for column, values in zip(columns, rule, strict=True)
            if values is not None
        ]
        if len(tests) == 1:
            single.setdefault(tests[0].column, set()).update(tests[0].points)
        else:
            operands.append(Conjunction(operands=tuple(tests)))
    operands += [OneOf(column=column, points=frozenset(points)) for column, points in sorted(single.items())]
    return Disjunction(operands=tuple(operands))
