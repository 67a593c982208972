"""The same decisions by PostgreSQL's column grants and row security on a real server: an oracle that others wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.reading.files import load
from support.engine_rows import EngineRows, plain
from support.policies import ISSUERS, NOW, name_of, principal, write_policies
from support.policies import table as schema_of
from support.postgres_server import OWNER, connected, postgres_server
from support.random_policies import TABLES, World, random_world
from support.reference_model import Person, see
from support.row_security import (
    Connection,
    Said,
    install,
    installed,
    is_sayable,
    login_of,
    prepare,
    read_as,
    said,
)


def test_rows_and_columns_are_those_of_row_security(postgres: Connection, tmp_path: Path) -> None:
    found = Counter(kind for kind, _ in _compared(postgres, "foreign", 40, tmp_path))
    assert found.keys() == {"nothing", "no rows", "some rows", "rows and cells"}
    assert found["rows and cells"] > 50


def test_whoever_logs_in_sees_what_their_role_sees() -> None:
    compared = 0
    with postgres_server() as server, connected(server, OWNER) as owner:
        prepare(owner)
        world = random_world(Random("login 13"))
        install(owner, world)
        for person in world.people:
            for name in TABLES:
                with owner.transaction():
                    role = said(owner, world, person, name)
                if role.columns:
                    with connected(server, f"'{login_of(world, person)}'") as login:
                        rows = read_as(login, name, role.comparable) if role.comparable else role.rows
                        assert sorted(map(plain, rows)) == sorted(map(plain, role.rows))
                        compared += bool(rows)
    assert compared > 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_rows_and_columns_are_those_of_row_security_in_many_worlds(postgres: Connection, tmp_path: Path) -> None:
    found = Counter(kind for kind, _ in _compared(postgres, "many", 400, tmp_path))
    assert found["rows and cells"] > 500


def test_rules_that_are_joined_by_or_would_be_seen(postgres: Connection, tmp_path: Path) -> None:
    """Mutation control: the oracle tells row rules that narrow from such that add."""
    assert any(different for _, different in _compared(postgres, "foreign", 20, tmp_path, rules="PERMISSIVE"))


def _compared(
    postgres: Connection, seed: str, count: int, folder: Path, *, rules: str | None = None
) -> Iterator[tuple[str, bool]]:
    """Give for each person and table what kind of answer it was, and whether it differed; without `rules` none may."""
    worlds = [random_world(Random(f"{seed} {number}")) for number in range(count)]
    rows = EngineRows(folder / "lake.duckdb", worlds)
    for number, world in enumerate(worlds):
        policy = _bound(world, folder / str(number))
        with installed(postgres, world, rules=rules or "RESTRICTIVE"):
            for person in world.people:
                for name in filter(lambda name: is_sayable(world, name), TABLES):
                    theirs = said(postgres, world, person, name)
                    outcome = decide(policy, _asking(person), name_of(name), facts=RequestFacts.of_instant(NOW))
                    table = outcome.table if isinstance(outcome, TableDecision) else None
                    ours = (set(), []) if table is None else _seen(table, rows.read(number, table), theirs)
                    model = _model(world, person, name, theirs)
                    foreign = set(theirs.columns), sorted(map(plain, theirs.rows))
                    if rules is None:
                        assert ours == foreign == model, (f"{seed} {number}", name, person, world.files)
                    yield _kind(theirs), ours != foreign
    rows.close()


def _asking(person: Person) -> Principal:
    attributes = {key: tuple(values) for key, values in person.attributes.items()}
    return principal(
        person.username, issuer=person.issuer, subject=person.subject, groups=person.groups, attributes=attributes
    )


def _seen(table: GovernedTable, rows: list[tuple[Any, ...]], theirs: Said) -> tuple[set[str], list[str]]:
    columns = [column.column.name for column in table.columns]
    return set(columns), _projected(columns, rows, theirs)


def _model(world: World, person: Person, name: str, theirs: Said) -> tuple[set[str], list[str]]:
    seen = see(world.model, person, name, world.rows[name], NOW)
    if seen.outcome != "select":
        return set(), []
    return set(seen.columns), _projected(seen.columns, seen.rows, theirs)


def _projected(columns: Sequence[str], rows: Iterable[tuple[Any, ...]], theirs: Said) -> list[str]:
    at = [columns.index(column) for column in theirs.comparable]
    return sorted(plain(tuple(row[index] for index in at)) for row in rows)


def _kind(theirs: Said) -> str:
    if not theirs.columns:
        return "nothing"
    if not theirs.rows:
        return "no rows"
    return "rows and cells" if theirs.comparable == theirs.columns else "some rows"


def _bound(world: World, folder: Path) -> BoundPolicy:
    folder.mkdir()
    policies = write_policies(folder, world.files)
    tables = tuple(schema_of(name, columns) for name, columns in world.columns.items())
    return bind(load((policies,), ISSUERS), CatalogSnapshot(tables=tables), logins=frozenset())
