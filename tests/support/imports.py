"""Recorded answers of AWS and the small estate that they speak of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock_server.importers.lakeformation.conversion import convert
from penstock_server.importers.lakeformation.resources import Scope
from penstock_server.importers.lakeformation.saved import read_estate
from penstock_server.importers.outcome import Imported
from penstock_server.importers.principals import mapped
from penstock_server.model.schema import CatalogSnapshot

from support.policies import ISSUERS, NOW, table

VECTORS = Path(__file__).parents[1] / "vectors" / "importers"
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
MAPPING = {
    f"{ROLE}analysts": "group:analysts",
    f"{ROLE}finance": "group:finance",
    f"{ROLE}platform": "group:platform",
    f"{ROLE}catalogue": "group:catalogue",
    f"arn:aws:iam::{ACCOUNT}:user/dora": "user:dora",
}
SNAPSHOT = CatalogSnapshot(
    tables=(
        table(
            "lake.db.t",
            {"id": "INTEGER", "country": "VARCHAR", "year": "INTEGER", "amount": "INTEGER", "ssn": "VARCHAR"},
        ),
        table("lake.db.u", {"id": "INTEGER", "rate": "DOUBLE", "ok": "BOOLEAN", "price": "DECIMAL(9,2)"}),
    )
)


def recorded(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """Copy the recorded answers; `change` may edit the objects by the names of their files."""
    shutil.copytree(VECTORS / "lakeformation", folder, dirs_exist_ok=True)
    if change is not None:
        answers = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
        change(answers)
        for path in folder.glob("*.json"):
            path.unlink()
        for name, answer in answers.items():
            (folder / f"{name}.json").write_text(json.dumps(answer))
    return folder


def permission(
    resource: dict[str, Any], *permissions: str, principal: str = f"{ROLE}analysts", **more: Any
) -> dict[str, Any]:
    """Give an entry of ListPermissions."""
    return {
        "Principal": {"DataLakePrincipalIdentifier": principal},
        "Resource": resource,
        "Permissions": list(permissions),
        "PermissionsWithGrantOption": [],
        **more,
    }


def cells_filter(name: str, rows: dict[str, Any], columns: dict[str, Any], of: str = "t") -> dict[str, Any]:
    """Give a data cells filter of ListDataCellsFilter."""
    return {
        "TableCatalogId": ACCOUNT,
        "DatabaseName": "db",
        "TableName": of,
        "Name": name,
        "RowFilter": rows,
        **columns,
    }


def lake_table(name: str) -> dict[str, Any]:
    """Give a resource that is a table."""
    return {"Table": {"CatalogId": ACCOUNT, "DatabaseName": "db", "Name": name}}


def filtered(name: str, of: str = "t") -> dict[str, Any]:
    """Give a resource that is a data cells filter."""
    return {"DataCellsFilter": {"TableCatalogId": ACCOUNT, "DatabaseName": "db", "TableName": of, "Name": name}}


def only(
    *permissions: dict[str, Any], filters: tuple[dict[str, Any], ...] = (), attachments: tuple[Any, ...] = ()
) -> Callable[[dict[str, Any]], None]:
    """Give a change that leaves these entries alone."""

    def change(answers: dict[str, Any]) -> None:
        answers.clear()
        answers["permissions"] = {"PrincipalResourcePermissions": list(permissions)}
        answers["filters"] = {"DataCellsFilters": list(filters)}
        answers["attachments"] = {"RLSPolicyAttachments": list(attachments)}

    return change


def convert_lake(
    folder: Path, change: Callable[[dict[str, Any]], None] | None = None, mapping: Mapping[str, str] = MAPPING
) -> Imported:
    """Import the recorded answers, changed."""
    scope = Scope(account=ACCOUNT, catalog="lake", snapshot=SNAPSHOT)
    principals = {arn: mapped(written, ISSUERS) for arn, written in mapping.items()}
    return convert(read_estate(recorded(folder / "answers", change)), scope, principals, ISSUERS, at=NOW)
