"""Random tags beside random policies: the policy package against the brute-force model, cell by cell."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import TableDecision, TableDescribed, TableOutcome
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
from support.random_tags import random_tags
from support.reference_model import Person, Seen, see
from support.tag_model import with_tags


@pytest.mark.parametrize("seed", range(2))
def test_every_cell_is_as_the_brute_force_model_says_with_tags(seed: int, tmp_path: Path) -> None:
    assert _compare(seed, 60, tmp_path, structs=False) == {
        "hidden",
        "described",
        "select",
        "full",
        "narrowed",
        "widened",
    }


def test_every_field_is_as_the_brute_force_model_says_with_tags(tmp_path: Path) -> None:
    assert {"select", "full", "narrowed", "widened"} <= _compare(7, 40, tmp_path, structs=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("structs", [False, True])
def test_every_cell_of_many_comparisons_with_tags(structs: bool, tmp_path: Path) -> None:
    _compare(3_000_000, 2_000, tmp_path, structs=structs)


def _compare(seed: int, worlds: int, folder: Path, *, structs: bool) -> set[str]:
    """Compare 4 tables x 5 people in each world; give the kinds of answers that came up."""
    kinds: set[str] = set()
    for number in range(worlds):
        random = Random(f"tags {seed}-{number}")
        world = random_world(random, structs=structs)
        tags, text = random_tags(random, world)
        policy = _bound(world, text, folder)
        for name in TABLES:
            for person in world.people:
                model = with_tags(world.model, tags, person)
                expected = see(model, person, name, world.rows[name], NOW)
                outcome = decide(policy, _principal(person), name_of(name), facts=RequestFacts.of_instant(NOW))
                what = f"world {seed}-{number}, {name}, {person}"
                assert _seen(outcome, world.rows[name]) == expected, what
                kinds |= _kinds(expected, see(world.model, person, name, world.rows[name], NOW))
    return kinds


def _kinds(expected: Seen, without: Seen) -> set[str]:
    """Tell what came up, and what the tags did to it."""
    kinds = {expected.outcome, *(["full"] if expected.full else [])}
    if set(without.columns) - set(expected.columns):
        kinds.add("narrowed")
    if set(expected.columns) - set(without.columns):
        kinds.add("widened")
    return kinds


def _bound(world: World, tags: str, folder: Path) -> BoundPolicy:
    # The files of another world must not stay.
    files = {**{f"{n}.yaml": "version: 1" for n in range(3)}, **world.files, "tags.yaml": tags}
    policies = write_policies(folder, files)
    tables = tuple(table(name, columns) for name, columns in world.columns.items())
    return bind(load((policies,), ISSUERS), CatalogSnapshot(tables=tables), logins=frozenset())


def _principal(person: Person) -> Principal:
    return principal(
        person.username,
        issuer=person.issuer,
        subject=person.subject,
        groups=person.groups,
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
        cells = tuple(cell for column in outcome.columns for cell in cells_of(column))
        return Seen(outcome="described", columns=tuple(written_path(cell.name) for cell in cells))
    return Seen(outcome="hidden")
