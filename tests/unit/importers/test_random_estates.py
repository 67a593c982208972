"""Random estates: whatever the grants and filters, what is carried over is equal on both sides."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from penstock_server.aws.answers import Answer
from penstock_server.aws.lake_formation_answers import LakeAnswer, estate_of
from penstock_server.importers.lakeformation.conversion import convert
from penstock_server.importers.lakeformation.resources import Scope
from penstock_server.importers.principals import mapped
from support.imports import ACCOUNT, MAPPING, SNAPSHOT, cells_filter, filtered, lake_table, permission
from support.policies import ISSUERS, NOW

COLUMNS = ["id", "country", "year", "amount", "ssn"]
TESTS = [
    "country = 'US'",
    "year > 2010",
    "ssn IS NOT NULL",
    "amount IN (1, 2)",
    "country LIKE 'U%'",
    "id BETWEEN 1 AND 3",
]


def expression(random: Random, depth: int = 0) -> str:
    if depth > 2 or random.random() < 0.4:
        return random.choice(TESTS)
    if random.random() < 0.3:
        return f"NOT ({expression(random, depth + 1)})"
    word = random.choice(["AND", "OR"])
    return f"({expression(random, depth + 1)}) {word} ({expression(random, depth + 1)})"


def columns(random: Random) -> dict[str, Any]:
    some = random.sample(COLUMNS, random.randint(1, 4))
    return random.choice(
        [{"ColumnNames": some}, {"ColumnWildcard": {"ExcludedColumnNames": some}}, {"ColumnWildcard": {}}]
    )


def entry(random: Random, filters: int) -> dict[str, Any]:
    who = random.choice(sorted(MAPPING))
    kind = random.randrange(5)
    if kind == 0:
        return permission(lake_table(random.choice("tu")), random.choice(["SELECT", "DESCRIBE"]), principal=who)
    if kind == 1:
        every = {"Table": {"CatalogId": ACCOUNT, "DatabaseName": "db", "TableWildcard": {}}}
        return permission(every, random.choice(["SELECT", "DESCRIBE", "ALL"]), principal=who)
    if kind == 2:
        table = {"CatalogId": ACCOUNT, "DatabaseName": "db", "Name": "t", **columns(random)}
        return permission({"TableWithColumns": table}, "SELECT", principal=who)
    return permission(filtered(f"f{random.randrange(filters)}"), "SELECT", principal=who)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_carried_over_is_equal(seed: int) -> None:
    random = Random(seed)
    filters = [
        cells_filter(
            f"f{number}",
            random.choice([{"FilterExpression": expression(random)}, {"AllRowsWildcard": {}}]),
            columns(random),
        )
        for number in range(6)
    ]
    answers: dict[str, dict[str, Any]] = {
        "ListPermissions": {"PrincipalResourcePermissions": [entry(random, 6) for _ in range(random.randint(1, 14))]},
        "ListDataCellsFilter": {"DataCellsFilters": filters},
        "ListRLSPolicyAttachments": {"RLSPolicyAttachments": []},
    }
    estate = estate_of(
        tuple(LakeAnswer(operation=name, pages=(Answer(members=page, place=name),)) for name, page in answers.items())
    )
    principals = {arn: mapped(written, ISSUERS) for arn, written in MAPPING.items()}
    scope = Scope(account=ACCOUNT, catalog="lake", snapshot=SNAPSHOT)
    imported = convert(estate, scope, principals, ISSUERS, at=NOW)
    assert imported.different == ()
    assert imported.compared
    assert all("ALL but SELECT" in each.what for each in imported.left_out)
