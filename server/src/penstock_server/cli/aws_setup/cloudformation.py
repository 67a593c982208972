"""The set-up as a CloudFormation template."""

from __future__ import annotations

from typing import Final

import yaml

from penstock_server.cli.aws_setup.documents import Document, Json
from penstock_server.cli.aws_setup.resources import LONGEST_SESSION_SECONDS, Boundary, Role, resources
from penstock_server.cli.aws_setup.wanted import SetUp

FILE: Final = "penstock.cfn.yaml"
_HEAD: Final = """\
# Roles of Penstock. Deploy: aws cloudformation deploy --template-file {file} --stack-name {prefix} \\
#   --capabilities CAPABILITY_NAMED_IAM
# Never change the document of the boundary here: Penstock writes it, and an update would forget what was revoked.
"""
_WIDE: Final = 1_000_000


def template(setup: SetUp) -> str:
    """Give the text of the template."""
    boundary, roles = resources(setup)
    made: dict[str, Json] = {"Boundary": _boundary(boundary)}
    made.update({_logical(role): _role(role) for role in roles})
    body = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Penstock: roles, trust, boundary and revoker",
        "Resources": made,
        "Outputs": {
            f"{_logical(role)}Arn": {"Value": {"Fn::GetAtt": [_logical(role), "Arn"]}, "Description": role.says}
            for role in roles
        },
    }
    head = _HEAD.format(file=FILE, prefix=setup.prefix)
    return head + yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=_WIDE, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    """Writes every value out: no anchors, which CloudFormation does not take everywhere."""

    def ignore_aliases(self, data: object) -> bool:
        """Never refer to a value written before."""
        del data
        return True


def _boundary(boundary: Boundary) -> Json:
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "ManagedPolicyName": boundary.name,
            "Description": "Penstock: boundary that holds what was revoked; never attach it as a permission",
            "PolicyDocument": boundary.document,
        },
    }


def _role(role: Role) -> Json:
    properties: dict[str, Json] = {
        "RoleName": role.name,
        "Description": role.says,
        "MaxSessionDuration": LONGEST_SESSION_SECONDS,
        "AssumeRolePolicyDocument": role.trust,
        "Policies": [{"PolicyName": role.name, "PolicyDocument": role.permissions}],
    }
    found: Document = {"Type": "AWS::IAM::Role"}
    if role.after_broker:
        # AWS: a trust policy may only name principals that exist.
        found["DependsOn"] = ["BrokerRole"]
    if role.bounded:
        properties["PermissionsBoundary"] = {"Ref": "Boundary"}
    found["Properties"] = properties
    return found


def _logical(role: Role) -> str:
    return f"{role.what.title()}Role"
