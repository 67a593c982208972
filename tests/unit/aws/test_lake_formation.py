from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.lake_formation import OPERATIONS, LakeFormation
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.importers.lakeformation.saved import read_estate
from support.credentials import REGION, CallRecorder
from support.imports import VECTORS

RECORDED = {
    "ListPermissions": "list-permissions.json",
    "ListDataCellsFilter": "list-data-cells-filter.json",
    "ListRLSPolicyAttachments": "list-rls-policy-attachments.json",
    "ListLFTags": "list-lf-tags.json",
    "ListLFTagExpressions": "list-lf-tag-expressions.json",
}
TABLES = (("db", "t"), ("db", "u"))


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    opened = AwsClients(CallRecorder().session(), endpoint_url="http://127.0.0.1:1")
    yield opened
    opened.close()


def recorded(operation: str) -> list[dict[str, Any]]:
    content = json.loads((VECTORS / "lakeformation" / RECORDED[operation]).read_text())
    return content if isinstance(content, list) else [content]


def answer_all(stub: Stubber) -> None:
    for operation in OPERATIONS:
        token = None
        for page in recorded(operation):
            stub.add_response(OPERATIONS[operation], page, {} if token is None else {"NextToken": token})
            token = page.get("NextToken")


async def test_live_answers_give_the_records_that_saved_ones_give(clients: AwsClients, tmp_path: Path) -> None:
    for name in RECORDED.values():
        (tmp_path / name).write_bytes((VECTORS / "lakeformation" / name).read_bytes())
    for _, table in TABLES:
        name = f"get-resource-lf-tags.db.{table}.json"
        (tmp_path / name).write_bytes((VECTORS / "lakeformation" / name).read_bytes())
    with Stubber(clients.lake_formation(REGION)) as stub:
        answer_all(stub)
        for database, table in TABLES:
            page = json.loads((VECTORS / "lakeformation" / f"get-resource-lf-tags.{database}.{table}.json").read_text())
            named = {"Table": {"DatabaseName": database, "Name": table}}
            stub.add_response("get_resource_lf_tags", page, {"Resource": named})
        live = await LakeFormation(clients, region=REGION).estate(TABLES)
        stub.assert_no_pending_responses()
    saved = read_estate(tmp_path)
    assert [replace(record, place="") for record in live.permissions] == [
        replace(record, place="") for record in saved.permissions
    ]
    assert [replace(record, place="") for record in live.filters] == [
        replace(record, place="") for record in saved.filters
    ]
    assert (len(live.filters), len(live.tags), live.row_policies) == (2, 1, ())
    assert [(each.database, each.table, len(each.on_columns)) for each in live.table_tags] == [
        (each.database, each.table, len(each.on_columns)) for each in saved.table_tags
    ]
    assert live.tag_expressions[0].terms == saved.tag_expressions[0].terms


async def test_a_table_that_the_glue_catalog_lacks_has_no_known_tags(clients: AwsClients) -> None:
    with Stubber(clients.lake_formation(REGION)) as stub:
        answer_all(stub)
        stub.add_client_error("get_resource_lf_tags", "EntityNotFoundException", http_status_code=400)
        live = await LakeFormation(clients, region=REGION).estate(TABLES[:1])
    assert live.table_tags == ()


async def test_tags_that_may_not_be_read_are_no_estate(clients: AwsClients) -> None:
    with Stubber(clients.lake_formation(REGION)) as stub:
        answer_all(stub)
        stub.add_client_error("get_resource_lf_tags", "AccessDeniedException", http_status_code=400)
        with pytest.raises(Unavailable) as failed:
            await LakeFormation(clients, region=REGION).estate(TABLES[:1])
    assert failed.value.reason is Reason.AWS_REFUSED


async def test_pages_that_do_not_end_are_an_error(clients: AwsClients) -> None:
    with Stubber(clients.lake_formation(REGION)) as stub:
        for _ in range(2):
            stub.add_response("list_permissions", {"PrincipalResourcePermissions": [], "NextToken": "again"}, None)
        with pytest.raises(Unavailable) as failed:
            await LakeFormation(clients, region=REGION).estate(())
    assert "do not end" in failed.value.detail


async def test_a_refusal_of_one_call_is_no_estate(clients: AwsClients) -> None:
    with Stubber(clients.lake_formation(REGION)) as stub:
        stub.add_response("list_permissions", {"PrincipalResourcePermissions": []}, None)
        stub.add_client_error("list_data_cells_filter", "AccessDeniedException")
        with pytest.raises(Unavailable) as failed:
            await LakeFormation(clients, region=REGION).estate(())
    assert failed.value.reason is Reason.AWS_REFUSED


async def test_a_live_member_that_nobody_knows_is_refused(clients: AwsClients, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore drops what its model lacks; a newer botocore would hand it on."""
    client = clients.lake_formation(REGION)
    for operation, method in OPERATIONS.items():
        (page, *_) = recorded(operation)
        page = {key: value for key, value in page.items() if key != "NextToken"}
        if operation == "ListPermissions":
            page["PrincipalResourcePermissions"][0]["Restriction"] = "x"
        monkeypatch.setattr(client, method, lambda page=page, **_: page)
    with pytest.raises(ConfigurationError, match="`Restriction`"):
        await LakeFormation(clients, region=REGION).estate(())


def test_only_calls_that_read_are_made() -> None:
    assert all(operation.startswith("List") for operation in OPERATIONS)
