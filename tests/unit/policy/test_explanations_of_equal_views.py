"""Explanations to callers hang on what is theirs alone: not on grants of others, nor on names of hidden columns."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import penstock_server
import pytest
from penstock_server.errors import PenstockError
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.applicable_grants import describing, in_force, named_grants
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.policy.reading.files import load
from penstock_server.policy.situation import Situation
from support.policies import ISSUERS, NOW, name_of, principal, table, write_policies
from support.random_policies import TABLES, World, random_world
from support.reference_model import Person

FACTS = RequestFacts.of_instant(NOW)
WORLDS = 40


def bound(world: World, folder: Path) -> BoundPolicy:
    policies = write_policies(folder, {})
    for file in policies.rglob("*.*"):
        file.unlink()
    write_policies(folder, world.files)
    snapshot = CatalogSnapshot(tables=tuple(table(name, columns) for name, columns in world.columns.items()))
    return bind(load((policies,), ISSUERS), snapshot, logins=frozenset())


def as_principal(person: Person) -> Principal:
    return principal(
        person.username,
        groups=person.groups,
        issuer=person.issuer,
        subject=person.subject,
        attributes={name: tuple(values) for name, values in person.attributes.items()},
    )


def told(policy: BoundPolicy, who: Principal, name: str) -> ExplanationNode | tuple[object, ...]:
    try:
        return explain(policy, who, tuple(name.split(".")), default_catalog=None, facts=FACTS)
    except PenstockError as error:
        return (error.reason, error.message, error.hint, error.metadata)


def with_grants_of_others(world: World, random: Random) -> World:
    """Add grants that nobody of the world is named by, of every form."""
    forms: list[dict[str, Any]] = [
        {},
        {"rows": "c0 = 'secret'"},
        {"columns": {"include": ["c0"]}},
        {"columns": {"exclude": ["c0"]}, "expires": "2020-01-01T00:00:00Z"},
        {"conditions": {"StringEquals": {"penstock:Purpose": "audit"}}},
    ]
    grants = [
        {
            "name": f"other{number}",
            "principals": random.sample(["user:zoe", "group:green", "group:other:green"], 2),
            "resource": resource,
            "permissions": ["SELECT"],
            **form,
        }
        for number, (resource, form) in enumerate((resource, form) for resource in TABLES for form in forms)
    ]
    return replace(world, files={**world.files, "others.yaml": json.dumps({"version": 1, "grants": grants})})


def with_columns_renamed(world: World, name: str, names: Mapping[str, str]) -> World:
    """Rename columns of one table, in the catalog and wherever the policy speaks of them."""

    def renamed(text: str) -> str:
        return re.sub(r"\b[cC]\d\b", lambda found: names.get(found[0].lower(), found[0]), text)

    files = dict(world.files)
    for file in [each for each in files if each.endswith(".yaml")]:
        sections = json.loads(files[file])
        for section in ("filters", "grants", "column_rules", "row_rules"):
            entries = sections.get(section, [])
            keys = list(entries) if isinstance(entries, dict) else range(len(entries))
            for key in keys:
                entry = entries[key]
                if entry["resource"].lower() != name:
                    continue
                entries[key] = json.loads(renamed(json.dumps(entry)))
                if section == "row_rules":
                    path = entry["rules"]["file"]
                    files[path] = renamed(files[path])
        files[file] = json.dumps(sections)
    columns = {names.get(column, column): sql for column, sql in world.columns[name].items()}
    return replace(world, files=files, columns={**world.columns, name: columns})


def hidden_columns(policy: BoundPolicy, who: Principal, name: str) -> list[str]:
    """The columns that no grant in force shows or describes to the principal, or that column rules close."""
    key = name_of(name).key()
    grants = describing(in_force(named_grants(policy, who, key), Situation.of(policy, who, FACTS)))
    schema = policy.tables[key].schema
    shown = {
        column.name
        for column in schema.columns
        for grant in grants
        for part in grant.filters
        if part.columns is None or column.name in part.columns
    }
    open_ones = shown - policy.tables[key].closed_columns(who)
    return [column.name for column in schema.columns if column.name not in open_ones]


@pytest.mark.parametrize("seed", range(2))
def test_grants_for_others_change_no_explanation(seed: int, tmp_path: Path) -> None:
    explained = 0
    for number in range(WORLDS):
        random = Random(f"others {seed} {number}")
        world = random_world(random)
        before = bound(world, tmp_path)
        after = bound(with_grants_of_others(world, random), tmp_path)
        for person in world.people:
            for name in TABLES:
                tree = told(before, as_principal(person), name)
                assert tree == told(after, as_principal(person), name)
                explained += isinstance(tree, ExplanationNode)
    assert explained > 50


@pytest.mark.parametrize("seed", range(2))
def test_the_names_of_hidden_columns_change_no_explanation(seed: int, tmp_path: Path) -> None:
    explained = 0
    for number in range(WORLDS):
        world = random_world(Random(f"hidden {seed} {number}"))
        before = bound(world, tmp_path)
        for person in world.people:
            for name in TABLES[:2]:
                hidden = hidden_columns(before, as_principal(person), name)
                tree = told(before, as_principal(person), name)
                if not hidden or not isinstance(tree, ExplanationNode):
                    continue
                names = {column: f"zz_{column[1:]}_hidden" for column in hidden}
                after = bound(with_columns_renamed(world, name, names), tmp_path)
                assert tree == told(after, as_principal(person), name)
                explained += 1
    assert explained > 20


def test_explanations_have_no_path_to_data() -> None:
    """The modules that explain, and all that they import of ours, reach no engine, no file and no network."""
    root = Path(penstock_server.__file__).parent
    seen: set[str] = set()
    outside: set[str] = set()
    todo = ["penstock_server.policy.explanation.for_callers", "penstock_server.policy.explanation.for_administrators"]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        path = root.joinpath(*module.split(".")[1:])
        source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        for node in ast.walk(ast.parse(source.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            todo += [name for name in names if name.startswith("penstock_server.")]
            outside.update(name.split(".")[0] for name in names if not name.startswith("penstock_server"))
    packages = {module.split(".")[1] for module in seen}
    assert packages <= {"config", "errors", "model", "policy"}, packages
    forbidden = {"duckdb", "pyarrow", "boto3", "botocore", "sqlite3", "socket", "ssl", "urllib", "http", "subprocess"}
    assert not outside & (forbidden | {"os", "io", "asyncio", "tempfile", "grpc"}), outside
