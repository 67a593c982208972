"""Random tags before the proof: a policy by tags is proved equal to one that names each column, columns to come too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Same
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import compare
from support.policies import NOW, bind_policy, table
from support.random_policies import TABLES, World, random_world
from support.random_tags import random_tags
from support.reference_model import CellsModel, GrantModel, see
from support.tag_model import TagsModel, matches, with_tags


@pytest.mark.parametrize("seed", range(40))
def test_a_policy_by_tags_is_proved_equal_to_one_by_names(seed: int, tmp_path: Path) -> None:
    random = Random(f"proof {seed}")
    world = random_world(random)
    tags, text = random_tags(random, world)
    file = json.loads(text)
    file.pop("denials", None)
    by_tags = _bound(file, world, tmp_path)
    by_names = _bound(_named(tags, world), world, tmp_path)
    assert compare(by_tags, by_names, at=NOW, budget=DEFAULT_BUDGET).subjects == ()
    assert compare(by_names, by_tags, at=NOW, budget=DEFAULT_BUDGET).subjects == ()


DENIED = """\
version: 1
tags: {{classification: [pii]}}
tagged: [{{resource: lake.db.t, columns: [ssn], tags: {{classification: pii}}}}]
grants: [{{name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT]}}]
denials: [{{tag_expression: {{classification: [pii]}}, except_principals: [{}], permissions: [SELECT]}}]
"""


def test_whom_a_denial_by_tags_newly_spares_is_told_as_a_class_of_their_own(tmp_path: Path) -> None:
    tables = with_later_columns(
        CatalogSnapshot(tables=(table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR"}),))
    ).tables
    old = bind_policy(tmp_path, DENIED.format('"group:privacy"'), *tables)
    new = bind_policy(tmp_path, DENIED.format('"group:privacy", "user:bob"'), *tables)
    (subject,) = compare(old, new, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert [[who.username for who in named.members] for named in subject.classes] == [["bob"]]


def test_whom_a_denial_by_tags_reaches_is_told_where_it_closes_another_column(tmp_path: Path) -> None:
    tables = with_later_columns(
        CatalogSnapshot(tables=(table("lake.db.t", {"id": "INTEGER", "ssn": "VARCHAR"}),))
    ).tables
    text = DENIED.format('"group:privacy"')
    old = bind_policy(tmp_path, text, *tables)
    new = bind_policy(tmp_path, text.replace("[ssn]", "[id]"), *tables)
    (subject,) = compare(old, new, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert subject.classes
    assert all(not who.groups for named in subject.classes for who in named.members)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_proved_of_a_change_of_tags_holds_for_everybody(seed: int, tmp_path: Path) -> None:
    """The same and narrower by the proof are the same and narrower by the brute-force model, denials included."""
    random = Random(f"change {seed}")
    world = random_world(random)
    everything = GrantModel(
        name="all",
        principals=["group:red", "user:bob"],
        tables=frozenset(TABLES),
        permissions=frozenset({"SELECT"}),
        cells=[CellsModel(mode=None, names=frozenset(), rows=None)],
        expires=None,
    )
    model = replace(world.model, grants=[everything], datasets={}, column_rules=(), denials=())
    grant = {"name": "all", "principals": list(everything.principals), "permissions": ["SELECT"]}
    named = [{**grant, "name": f"all-{n}", "resource": name} for n, name in enumerate(TABLES)]
    versions = []
    for _ in range(2):
        tags, text = random_tags(random, world)
        file = json.loads(text)
        file["grants"] += named
        versions.append((tags, _bound(file, world, tmp_path)))
    (old_tags, old), (new_tags, new) = versions
    verdicts = {each.name: each.verdict for each in compare(old, new, at=NOW, budget=DEFAULT_BUDGET).subjects}
    for name in TABLES:
        verdict = verdicts.get(name, Same())
        for person in world.people:
            before = see(with_tags(model, old_tags, person), person, name, world.rows[name], NOW)
            after = see(with_tags(model, new_tags, person), person, name, world.rows[name], NOW)
            if isinstance(verdict, Same):
                assert after == before
            elif isinstance(verdict, Narrowing):
                assert set(after.columns) <= set(before.columns)
                assert before.full or not after.full
                assert (before.outcome == "select") or after.outcome != "select"


def _bound(file: dict[str, Any], world: World, folder: Path) -> BoundPolicy:
    snapshot = CatalogSnapshot(
        tables=tuple(table(name, columns, f"acme/{name}/") for name, columns in world.columns.items())
    )
    return bind_policy(folder, json.dumps(file), *with_later_columns(snapshot).tables)


def _named(tags: TagsModel, world: World) -> dict[str, Any]:
    """Write each grant by tags as one grant on each table, with a list of its columns."""
    grants: list[dict[str, Any]] = []
    for grant in tags.grants:
        for name in TABLES:
            columns = list(world.columns[name])
            matching = [column for column in columns if matches(tags, grant.expression, name, column)]
            later = matches(tags, grant.expression, name, None)
            whole = later and matching == columns
            permissions = sorted(grant.permissions if whole else grant.permissions - {"RAW"})
            if not permissions or not (matching or later):
                continue
            entry: dict[str, Any] = {
                "name": f"{grant.name}-{len(grants)}",
                "principals": list(grant.principals),
                "resource": name,
                "permissions": permissions,
            }
            if grant.expires is not None:
                entry["expires"] = grant.expires.isoformat()
            if not whole:
                others = [column for column in columns if column not in matching]
                entry["columns"] = {"exclude": others} if later else {"include": matching}
            grants.append(entry)
    return {"version": 1, "grants": grants} if grants else {"version": 1}
