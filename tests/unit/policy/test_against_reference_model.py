"""Random policies, data and people: the policy package against the brute-force model, cell by cell."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import TableDecision, TableDescribed, TableOutcome
from penstock_server.model.predicate import Always
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot, cells_of
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load
from support.governed_rows import apply_decision
from support.policies import ISSUERS, NOW, name_of, principal, table, write_policies
from support.random_policies import TABLES, World, random_world
from support.reference_model import Person, Seen, see


@pytest.mark.parametrize("seed", range(5))
def test_every_cell_is_as_the_brute_force_model_says(seed: int, tmp_path: Path) -> None:
    assert _compare_worlds(seed, 50, tmp_path) == {"hidden", "described", "select", "full", "some rows", "no rows"}


def test_every_field_of_a_struct_is_as_the_brute_force_model_says(tmp_path: Path) -> None:
    kinds = _compare_worlds(7, 60, tmp_path, structs=True)
    assert kinds == {"hidden", "described", "select", "full", "some rows", "no rows", "rebuilt", "partly"}


def test_every_row_of_typed_rules_and_denials_is_as_the_brute_force_model_says(tmp_path: Path) -> None:
    assert _compare_worlds(11, 60, tmp_path, rules=True) >= {"hidden", "described", "select", "some rows", "no rows"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_row_of_many_rules(tmp_path: Path) -> None:
    _compare_worlds(3_000_000, 1_500, tmp_path, rules=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_cell_of_a_hundred_thousand_comparisons(tmp_path: Path) -> None:
    _compare_worlds(1_000_000, 5_000, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_field_of_many_structs(tmp_path: Path) -> None:
    _compare_worlds(2_000_000, 1_500, tmp_path, structs=True)


def _compare_worlds(seed: int, worlds: int, folder: Path, *, structs: bool = False, rules: bool = False) -> set[str]:
    """Compare 4 tables x 5 people in each world; give the kinds of answers that came up."""
    kinds: set[str] = set()
    for number in range(worlds):
        label = f"{seed}-{number}"
        world = random_world(Random(label), structs=structs, rules=rules)
        comparison = _Comparison(world, _bound(world, folder))
        for table_name in TABLES:
            for person in world.people:
                seen = comparison.check(person, table_name, f"world {label}, {table_name}, {person}")
                kinds |= {seen.outcome, *(["full"] if seen.full else [])}
                if seen.outcome == "select":
                    kinds.add("some rows" if seen.rows else "no rows")
        kinds |= comparison.structs
    return kinds


class _Comparison:
    def __init__(self, world: World, policy: BoundPolicy) -> None:
        self._world = world
        self._policy = policy
        self._by_fingerprint: dict[str, Seen] = {}
        self.structs: set[str] = set()

    def check(self, person: Person, name: str, what: str) -> Seen:
        rows = self._world.rows[name]
        expected = see(self._world.model, person, name, rows, NOW)
        outcome = decide(self._policy, _principal(person), name_of(name), facts=RequestFacts.of_instant(NOW))
        assert _seen(outcome, rows) == expected, what
        if isinstance(outcome, TableDecision):
            # Equal fingerprints are equal relations, whoever asks.
            assert self._by_fingerprint.setdefault(outcome.fingerprint, expected).rows == expected.rows, what
            self._check_end(person, outcome, expected, what)
            rebuilt = [column for column in outcome.table.columns if column.fields]
            self.structs |= {"rebuilt"} if rebuilt else set()
            if any(field.cases[-1].when != Always() for column in rebuilt for field in column.parts()):
                self.structs.add("partly")
        return expected

    def _check_end(self, person: Person, outcome: TableDecision, now: Seen, what: str) -> None:
        """Nothing changes before `expires_at`, and something does then."""
        name = str(outcome.table.name)
        ends = {grant.expires for grant in self._world.model.grants if grant.expires is not None}
        for end in sorted(end for end in ends if end > NOW):
            later = decide(self._policy, _principal(person), outcome.table.name, facts=RequestFacts.of_instant(end))
            same = isinstance(later, TableDecision) and (later.fingerprint, later.full) == (
                outcome.fingerprint,
                outcome.full,
            )
            if outcome.expires_at is None or end < outcome.expires_at:
                assert same, what
                assert see(self._world.model, person, name, self._world.rows[name], end) == now, what
            elif end == outcome.expires_at:
                assert not same, what


def _bound(world: World, folder: Path) -> BoundPolicy:
    policies = write_policies(folder, {**{f"{n}.yaml": "version: 1" for n in range(3)}, **world.files})
    tables = tuple(table(name, columns) for name, columns in world.columns.items())
    return bind(load((policies,), ISSUERS), CatalogSnapshot(tables=tables), logins=frozenset())


def _principal(person: Person) -> Principal:
    return principal(
        person.username,
        issuer=person.issuer,
        subject=person.subject,
        groups=person.groups,
        groups_complete=person.groups_complete,
        attributes={name: tuple(values) for name, values in person.attributes.items()},
    )


def _seen(outcome: TableOutcome, rows: list[dict[str, Any]]) -> Seen:
    if isinstance(outcome, TableDecision):
        return Seen(
            outcome="select",
            columns=tuple(written_path(cell.name) for cell in outcome.table.cells()),
            rows=tuple(apply_decision(outcome.table, rows)),
            full=outcome.full,
        )
    if isinstance(outcome, TableDescribed):
        return Seen(
            outcome="described",
            columns=tuple(written_path(cell.name) for column in outcome.columns for cell in cells_of(column)),
        )
    return Seen(outcome="hidden")
