"""From policy text to rows out of DuckDB: what the engine gives is what the brute-force model says, cell by cell."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load
from support.engine_rows import EngineRows, plain
from support.policies import ISSUERS, NOW, name_of, principal, table, write_policies
from support.random_policies import TABLES, World, random_world
from support.reference_model import see


def test_the_engine_gives_the_cells_of_the_model(tmp_path: Path) -> None:
    assert _compare("engine", 30, tmp_path) > 100


def test_the_engine_gives_the_fields_of_the_model(tmp_path: Path) -> None:
    assert _compare("structs", 30, tmp_path, structs=True) > 100


def test_the_engine_gives_the_rows_of_typed_rules_and_denials(tmp_path: Path) -> None:
    assert _compare("rules", 15, tmp_path, rules=True) > 40


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_engine_gives_the_rows_of_typed_rules_and_denials_in_many_worlds(tmp_path: Path) -> None:
    assert _compare("many rules", 300, tmp_path, rules=True) > 1_200


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_engine_gives_the_fields_of_the_model_in_many_worlds(tmp_path: Path) -> None:
    assert _compare("many structs", 300, tmp_path, structs=True) > 1_200


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_engine_gives_the_cells_of_the_model_in_many_worlds(tmp_path: Path) -> None:
    assert _compare("many", 300, tmp_path) > 1_200


def _compare(seed: str, count: int, folder: Path, *, structs: bool = False, rules: bool = False) -> int:
    """Give how many relations were compared."""
    worlds = [random_world(Random(f"{seed} {number}"), structs=structs, rules=rules) for number in range(count)]
    rows = EngineRows(folder / "lake.duckdb", worlds)
    compared = sum(_compare_world(world, number, rows, folder / str(number)) for number, world in enumerate(worlds))
    rows.close()
    return compared


def _compare_world(world: World, number: int, rows: EngineRows, folder: Path) -> int:
    folder.mkdir()
    policies = write_policies(folder, world.files)
    tables = tuple(table(name, columns) for name, columns in world.columns.items())
    policy = bind(load((policies,), ISSUERS), CatalogSnapshot(tables=tables), logins=frozenset())
    compared = 0
    for person in world.people:
        attributes = {key: tuple(values) for key, values in person.attributes.items()}
        asking = principal(
            person.username,
            issuer=person.issuer,
            subject=person.subject,
            groups=person.groups,
            groups_complete=person.groups_complete,
            attributes=attributes,
        )
        for name in TABLES:
            outcome = decide(policy, asking, name_of(name), facts=RequestFacts.of_instant(NOW))
            if not isinstance(outcome, TableDecision):
                continue
            found = rows.read(number, outcome.table)
            expected = see(world.model, person, name, world.rows[name], NOW)
            assert sorted(map(plain, found)) == sorted(map(plain, expected.rows)), (name, person, world.files)
            compared += 1
    return compared
