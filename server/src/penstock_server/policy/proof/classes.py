"""Classes of principals for people to read: those whom one selector alone names, with everyone of their issuer.

The verdict for all principals needs no classes, and holds for combinations of groups too. These tell whom it is about.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from penstock_server.model.principal import EveryoneOf, Group, PrincipalSelector, UserByName, UserBySubject
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.comparison import TablePair
from penstock_server.policy.proof.inputs import DatasetInput, GrantInput, TableInput, further_selectors
from penstock_server.policy.proof.terms import CallerTest, Certain, ClaimKind, Conjunction, Disjunction, Negation, Term

MOST_CLASSES: Final = 100
"""Most different classes of one table that are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalClass:
    """Principals for whom the same is kept in both versions; `pair` holds what names them and nothing else."""

    members: tuple[Somebody, ...]
    pair: TablePair


def somebody_of(selector: PrincipalSelector) -> Somebody:
    """Give the principals whom this selector names, and no other one but that of everyone."""
    return Somebody(
        issuer=selector.issuer,
        username=selector.username if isinstance(selector, UserByName) else None,
        subject=selector.subject if isinstance(selector, UserBySubject) else None,
        groups=(selector,) if isinstance(selector, Group) else (),
        attributes=(),
    )


def changed_classes(pair: TablePair) -> Iterator[PrincipalClass]:
    """Give the classes for which something is kept otherwise, at most `MOST_CLASSES`."""
    selectors = {selector for table in _tables(pair) for selector in _selectors(table)}
    alone = any(
        _asks_for_names(part.rows) for table in _tables(pair) for grant in table.grants for part in grant.filters
    )
    found: dict[Hashable, list[PrincipalSelector]] = {}
    for selector in sorted(selectors, key=order):
        old, new = _kept(pair.old, selector), _kept(pair.new, selector)
        if old != new:
            found.setdefault((old, new, selector if alone else None), []).append(selector)
        if len(found) >= MOST_CLASSES:
            break
    for named in found.values():
        yield PrincipalClass(
            members=tuple(somebody_of(selector) for selector in named),
            pair=replace(pair, old=_only(pair.old, named[0]), new=_only(pair.new, named[0])),
        )


def _tables(pair: TablePair) -> Iterable[TableInput]:
    return [table for table in (pair.old, pair.new) if table is not None]


def _selectors(table: TableInput) -> Iterator[PrincipalSelector]:
    for grant in table.grants:
        yield from grant.selectors
    for dataset in table.datasets:
        yield from dataset.rules
    yield from further_selectors(table)


def order(selector: PrincipalSelector) -> tuple[int, str]:
    """Put everyone first, then groups, then users."""
    rank = 0 if isinstance(selector, EveryoneOf) else 1 if isinstance(selector, Group) else 2
    return rank, repr(selector)


def named_by(selector: PrincipalSelector) -> frozenset[PrincipalSelector]:
    """Give all selectors that name the principals whom this one names and no other but that of everyone."""
    return frozenset({selector, EveryoneOf(issuer=selector.issuer)})


def _kept(table: TableInput | None, selector: PrincipalSelector) -> Hashable:
    """Give all that is kept for a class, whatever its grants are called."""
    if table is None:
        return None
    mine = named_by(selector)
    grants = frozenset(
        (grant.permissions, grant.filters, grant.expires, grant.conditions)
        for grant in table.grants
        if grant.selectors & mine
    )
    rules = tuple(tuple(dataset.rules.get(one) for one in sorted(mine, key=order)) for dataset in table.datasets)
    opened = frozenset((column, bool(named & mine)) for column, named in table.column_rules.items())
    closed = frozenset(
        column for column, denials in table.column_denials.items() if not all(spared & mine for spared in denials)
    )
    denied = frozenset(denial.permissions for denial in table.denials if not denial.spared & mine)
    files = all(spared & mine for spared in table.files_spared)
    return table.columns, table.location, grants, rules, opened, closed, denied, files


def _only(table: TableInput | None, selector: PrincipalSelector) -> TableInput | None:
    """Leave out what names others."""
    if table is None:
        return None
    mine = named_by(selector)
    return replace(
        table,
        grants=tuple(_grant_for(grant, mine) for grant in table.grants if grant.selectors & mine),
        datasets=tuple(_dataset_for(dataset, mine) for dataset in table.datasets),
        column_rules={column: named & mine for column, named in table.column_rules.items()},
        column_denials={
            column: frozenset(spared & mine for spared in denials) for column, denials in table.column_denials.items()
        },
        denials=frozenset(replace(denial, spared=denial.spared & mine) for denial in table.denials),
        files_spared=frozenset(spared & mine for spared in table.files_spared),
    )


def _grant_for(grant: GrantInput, mine: frozenset[PrincipalSelector]) -> GrantInput:
    return replace(grant, selectors=grant.selectors & mine)


def _dataset_for(dataset: DatasetInput, mine: frozenset[PrincipalSelector]) -> DatasetInput:
    return replace(dataset, rules={one: rules for one, rules in dataset.rules.items() if one in mine})


def _asks_for_names(term: Term) -> bool:
    """Tell whether a term compares with the caller's own name or groups, by which members of a class differ."""
    match term:
        case CallerTest():
            return term.claim.kind is not ClaimKind.ATTRIBUTE
        case Negation() | Certain():
            return _asks_for_names(term.operand)
        case Conjunction() | Disjunction():
            return any(_asks_for_names(operand) for operand in term.operands)
        case _:
            return False
