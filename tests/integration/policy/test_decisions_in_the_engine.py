"""From policy text to rows out of DuckDB: what the engine gives is what the brute-force model says, cell by cell."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from penstock_server.engines.duckdb import instance, printing
from penstock_server.engines.duckdb.relations import DatabaseTable
from penstock_server.model.decision import TableDecision
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.evaluation import decide
from penstock_server.policy.files import load
from support.policies import ISSUERS, NOW, name_of, principal, table, write_policies
from support.random_policies import TABLES, World, random_world
from support.reference_model import see


def test_the_engine_gives_the_cells_of_the_model(tmp_path: Path) -> None:
    assert sum(_compare(random_world(Random(f"engine {n}")), tmp_path / str(n)) for n in range(30)) > 100


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_engine_gives_the_cells_of_the_model_in_many_worlds(tmp_path: Path) -> None:
    assert sum(_compare(random_world(Random(f"many {n}")), tmp_path / str(n)) for n in range(300)) > 1_200


def _compare(world: World, folder: Path) -> int:
    """Give how many relations were compared."""
    folder.mkdir()
    database = folder / "lake.duckdb"
    _write(world, database)
    policies = write_policies(folder, world.files)
    tables = tuple(table(name, columns) for name, columns in world.columns.items())
    policy = bind(load((policies,), ISSUERS), CatalogSnapshot(tables=tables), logins=frozenset())
    connection = instance.open_reader(memory_bytes=1 << 28, database=database)
    compared = 0
    for person in world.people:
        attributes = {key: tuple(values) for key, values in person.attributes.items()}
        asking = principal(
            person.username, issuer=person.issuer, subject=person.subject, groups=person.groups, attributes=attributes
        )
        for name in TABLES:
            outcome = decide(policy, asking, name_of(name), facts=RequestFacts.of_instant(NOW))
            if not isinstance(outcome, TableDecision):
                continue
            columns = [column.column.name for column in outcome.table.columns]
            relation = DatabaseTable(file=database, schema="main", table=name)
            statement = printing.source_statement(outcome.table, columns, relation)
            # By Arrow, as the product reads it; one list a column, since two columns of one name cannot be.
            found = list(zip(*connection.sql(statement).to_arrow_table().to_pydict().values(), strict=True))
            expected = see(world.model, person, name, world.rows[name], NOW)
            # NaN equals itself here, and -0.0 is 0.0.
            assert sorted(map(_plain, found)) == sorted(map(_plain, expected.rows)), (name, person, world.files)
            compared += 1
    connection.close()
    return compared


def _write(world: World, database: Path) -> None:
    connection = duckdb.connect(str(database))
    for name, columns in world.columns.items():
        declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        connection.execute(f'CREATE TABLE "{name}" ({declared})')
        places = ", ".join("?" for _ in columns)
        connection.executemany(
            f'INSERT INTO "{name}" VALUES ({places})', [[row[column] for column in columns] for row in world.rows[name]]
        )
    connection.close()


def _plain(row: tuple[Any, ...]) -> str:
    return repr(tuple(_cell(cell) for cell in row))


def _cell(cell: Any) -> Any:
    match cell:
        case float():
            return cell + 0.0
        case Decimal():
            return cell.normalize() + 0
        case datetime() if cell.tzinfo is not None:
            return cell.astimezone(UTC)
        case _:
            return cell
