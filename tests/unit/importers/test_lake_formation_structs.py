"""Fields of structs in Lake Formation's column lists and expressions: equal on both sides where carried over."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from penstock_server.aws.answers import Answer
from penstock_server.aws.lake_formation_answers import LakeAnswer, estate_of
from penstock_server.importers.lakeformation.conversion import convert
from penstock_server.importers.lakeformation.resources import Scope
from penstock_server.importers.outcome import Imported
from penstock_server.importers.principals import mapped
from penstock_server.importers.report import print_report
from penstock_server.importers.row_forms import words
from penstock_server.model.cell_paths import written_path
from penstock_server.model.schema import CatalogSnapshot
from support.imports import ACCOUNT, MAPPING, cells_filter, filtered, permission
from support.policies import ISSUERS, NOW, table

SNAPSHOT = CatalogSnapshot(
    tables=(
        table(
            "lake.db.t",
            {
                "id": "INTEGER",
                "address": "STRUCT(zip VARCHAR, city VARCHAR, geo STRUCT(lat DOUBLE, lon DOUBLE))",
                "a": "STRUCT(b INTEGER, c INTEGER)",
                "a.b": "INTEGER",
            },
        ),
    )
)
NAMES = ["id", "address", '"address"."zip"', '"address"."geo"', '"address"."geo"."lat"', '"a"."b"', "a.b", "a"]
TESTS = ["id = 1", "address.zip = '10001'", '"address"."geo"."lat" > 1.5', "address.city IS NULL", "a.b IN (1, 2)"]


def imported(entries: list[dict[str, Any]], filters: list[dict[str, Any]]) -> Imported:
    answers: dict[str, dict[str, Any]] = {
        "ListPermissions": {"PrincipalResourcePermissions": entries},
        "ListDataCellsFilter": {"DataCellsFilters": filters},
        "ListRLSPolicyAttachments": {"RLSPolicyAttachments": []},
    }
    estate = estate_of(
        tuple(LakeAnswer(operation=name, pages=(Answer(members=page, place=name),)) for name, page in answers.items())
    )
    principals = {arn: mapped(written, ISSUERS) for arn, written in MAPPING.items()}
    scope = Scope(account=ACCOUNT, catalog="lake", snapshot=SNAPSHOT)
    return convert(estate, scope, principals, ISSUERS, at=NOW)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_carried_over_is_equal(seed: int) -> None:
    random = Random(seed)

    def columns() -> dict[str, Any]:
        some = random.sample(NAMES, random.randint(1, 3))
        return random.choice([{"ColumnNames": some}, {"ColumnWildcard": {"ExcludedColumnNames": some}}])

    filters = [cells_filter(f"f{number}", {"FilterExpression": random.choice(TESTS)}, columns()) for number in range(4)]
    entries = [
        permission(filtered(f"f{random.randrange(4)}"), "SELECT", principal=random.choice(sorted(MAPPING)))
        for _ in range(random.randint(1, 6))
    ]
    table_columns = {"CatalogId": ACCOUNT, "DatabaseName": "db", "Name": "t", **columns()}
    entries.append(permission({"TableWithColumns": table_columns}, "SELECT"))
    found = imported(entries, filters)
    assert found.different == ()
    assert found.compared
    assert found.left_out == ()


def test_a_field_is_a_column_of_its_own_in_policy_and_report() -> None:
    of_zip = cells_filter(
        "f", {"FilterExpression": "address.zip = '10001'"}, {"ColumnNames": ['"address"."zip"', '"a"."b"']}
    )
    found = imported([permission(filtered("f"), "SELECT")], [of_zip])
    (file,) = found.files
    assert "address.zip" in file.text
    assert r"\"a\".\"b\"" in file.text or '"a"."b"' in file.text
    (pair,) = found.compared
    assert pair.aws == pair.policy
    assert [written_path(name) for name, _ in pair.policy.columns] == ["address.zip", "a.b"]
    assert words(pair.policy.rows) == "address.zip = '10001'"
    assert "\0" not in print_report(found, title="import")


def test_a_field_that_is_not_there_is_left_out_with_its_reason() -> None:
    found = imported(
        [permission(filtered("f"), "SELECT")],
        [cells_filter("f", {"AllRowsWildcard": {}}, {"ColumnNames": ['"address"."street"']})],
    )
    assert found.files == ()
    assert 'has no column `"address"."street"`' in found.left_out[0].reason
