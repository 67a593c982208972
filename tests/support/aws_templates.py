"""What `penstock-server aws init` wrote, read back by parsers of others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
import yaml
from penstock_server.cli.main import run

Document = dict[str, Any]

ACCOUNT = "111122223333"
OWNER = "444455556666"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k-1"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"
WHOLE = (
    *("--offline", "--region", "eu-west-1", "--account", ACCOUNT, "--bucket", "acme-lake"),
    *("--key", f"acme-lake={KEY}", "--bucket", f"partner-data={OWNER}", "--table", TABLE),
    *("--cluster", "analytics", "--database", "prod", "--database-group", "bi_readers"),
    *("--access", "read", "--access", "list", "--access", "write"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRole:
    """A role of a template."""

    name: str
    trust: Document
    permissions: Document
    bounded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Everything that a template creates."""

    boundary: Document
    boundary_name: str
    roles: dict[str, MadeRole]


def init(folder: Path, *flags: str) -> Path:
    """Run the command with these flags and give the folder that it wrote."""
    output = folder / "out"
    assert run(["aws", "init", "--output", str(output), *flags]) == 0
    return output


def from_cloudformation(path: Path) -> Made:
    """Read a template of CloudFormation: ours refers to nothing but its own boundary."""
    resources = yaml.safe_load(path.read_text())["Resources"]
    boundary = resources["Boundary"]["Properties"]
    roles = {}
    for found in resources.values():
        if found["Type"] != "AWS::IAM::Role":
            continue
        properties = found["Properties"]
        assert properties.get("PermissionsBoundary") in (None, {"Ref": "Boundary"})
        (policy,) = properties["Policies"]
        roles[properties["RoleName"]] = MadeRole(
            name=properties["RoleName"],
            trust=properties["AssumeRolePolicyDocument"],
            permissions=policy["PolicyDocument"],
            bounded="PermissionsBoundary" in properties,
        )
    return Made(boundary=boundary["PolicyDocument"], boundary_name=boundary["ManagedPolicyName"], roles=roles)


def from_terraform(path: Path) -> Made:
    """Read a file of Terraform by a parser of HCL."""
    parsed = hcl2.loads(path.read_text())
    by_kind: dict[str, dict[str, Any]] = {}
    for each in parsed["resource"]:
        ((kind, named),) = each.items()
        ((name, body),) = named.items()
        by_kind.setdefault(_bare(kind), {})[_bare(name)] = body
    (boundary,) = by_kind["aws_iam_policy"].values()
    roles = {}
    for label, body in by_kind["aws_iam_role"].items():
        name = _bare(body["name"])
        permissions = by_kind["aws_iam_role_policy"][label]["policy"]
        roles[name] = MadeRole(
            name=name,
            trust=_document(body["assume_role_policy"]),
            permissions=_document(permissions),
            bounded="permissions_boundary" in body,
        )
    return Made(boundary=_document(boundary["policy"]), boundary_name=_bare(boundary["name"]), roles=roles)


def _bare(text: str) -> str:
    return text.strip('"')


def _document(expression: str) -> Document:
    """Give the JSON inside `jsonencode(...)`, whatever the parser made of its white space."""
    match = re.fullmatch(r"\$\{jsonencode\((.*)\)\}", expression, re.DOTALL)
    assert match is not None, expression[:200]
    # The parser prints `"key" = value`; no text of ours holds that.
    found: Document = json.loads(match[1].replace('" = ', '": ').replace("$${", "${"))
    return found
