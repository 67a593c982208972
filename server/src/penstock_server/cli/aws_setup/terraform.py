"""The set-up as Terraform."""

from __future__ import annotations

import json
from typing import Final

from penstock_server.cli.aws_setup.documents import Document
from penstock_server.cli.aws_setup.resources import LONGEST_SESSION_SECONDS, Boundary, Role, resources
from penstock_server.cli.aws_setup.wanted import SetUp

FILE: Final = "penstock.tf"
_HEAD: Final = """\
# Roles of Penstock, for the AWS provider 5.0 or newer.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}
"""
_BOUNDARY: Final = """
resource "aws_iam_policy" "penstock_boundary" {{
  name        = {name}
  description = "Penstock: boundary that holds what was revoked; never attach it as a permission"
  policy      = jsonencode({document})

  lifecycle {{
    ignore_changes  = [policy] # Penstock writes it; an apply would forget what was revoked
    prevent_destroy = true
  }}
}}
"""
_ROLE: Final = """
resource "aws_iam_role" "penstock_{what}" {{
  name                 = {name}
  description          = {says}
  max_session_duration = {seconds}{boundary}
  assume_role_policy   = jsonencode({trust}){after}
}}

resource "aws_iam_role_policy" "penstock_{what}" {{
  name   = {name}
  role   = aws_iam_role.penstock_{what}.id
  policy = jsonencode({permissions})
}}
"""


def template(setup: SetUp) -> str:
    """Give the text of a Terraform file."""
    boundary, roles = resources(setup)
    return _HEAD + _boundary(boundary) + "".join(_role(role) for role in roles)


def _boundary(boundary: Boundary) -> str:
    return _BOUNDARY.format(name=_text(boundary.name), document=_document(boundary.document))


def _role(role: Role) -> str:
    return _ROLE.format(
        what=role.what,
        name=_text(role.name),
        says=_text(role.says),
        seconds=LONGEST_SESSION_SECONDS,
        boundary="\n  permissions_boundary = aws_iam_policy.penstock_boundary.arn" if role.bounded else "",
        trust=_document(role.trust),
        # AWS: a trust policy may only name principals that exist.
        after="\n\n  depends_on = [aws_iam_role.penstock_broker]" if role.after_broker else "",
        permissions=_document(role.permissions),
    )


def _document(document: Document) -> str:
    # JSON is an expression of HCL, but for its templates.
    return _escaped(json.dumps(document, indent=2)).replace("\n", "\n  ")


def _text(value: str) -> str:
    return _escaped(json.dumps(value))


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
