"""What `aws init` writes: read by parsers of others, and its policies held before an evaluator of others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from penstock_server.cli.main import run
from penstock_server.config.loading import load
from penstock_server.credentials.revocation_document import revocation_document
from penstock_server.model.lease import Generation, Revocation, RevocationKind
from support.aws_stand_in import aws_url
from support.aws_templates import (
    ACCOUNT,
    KEY,
    OWNER,
    TABLE,
    WHOLE,
    Document,
    Made,
    from_cloudformation,
    from_terraform,
    init,
)
from support.iam_account import Request, verdicts
from support.iam_simulator import install
from support.tokens import SteppedClock

__all__ = ["aws_url"]

ALICE = "pk-aaaaaaaaaaaaaaaaaaaaaaaaaa"
BROKER = f"arn:aws:iam::{ACCOUNT}:role/penstock-broker"
BROKER_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-broker/task-1"
LAKE = f"arn:aws:iam::{ACCOUNT}:role/penstock-lake"
LAKE_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-lake/{ALICE}"
REVOKER = f"arn:aws:iam::{ACCOUNT}:role/penstock-revoker"
REVOKER_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-revoker/penstock-revoker"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/penstock-boundary"
OBJECT = "arn:aws:s3:::acme-lake/finance/a"
PARTNER_OBJECT = "arn:aws:s3:::partner-data/a"
EVERYTHING: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

# As AWS makes it: the account's own policies decide about the key.
KEY_POLICY: Document = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    ],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init(tmp_path_factory.mktemp("whole"), *WHOLE)


@pytest.fixture(scope="module")
def made(whole: Path) -> Made:
    install()
    return from_cloudformation(whole / "penstock.cfn.yaml")


def external_id(folder: Path) -> str:
    return (folder / "penstock.env").read_text().strip().partition("=")[2]


def assume(made: Made, folder: Path, **changed: str | None) -> Request:
    """AssumeRole as the service asks for it, but for what is changed; None leaves it out."""
    context: dict[str, str | None] = {
        "sts:ExternalId": external_id(folder),
        "sts:SourceIdentity": ALICE,
        "sts:RoleSessionName": ALICE,
        "aws:RequestTag/penstock:lease": "0" * 32,
        "aws:PrincipalArn": BROKER,
        "aws:PrincipalAccount": ACCOUNT,
        **{name.replace("__", ":"): value for name, value in changed.items()},
    }
    return Request(
        principal=BROKER_SESSION,
        action="sts:AssumeRole",
        resource=LAKE,
        account=ACCOUNT,
        identity=(made.roles["penstock-broker"].permissions,),
        resource_policy=made.roles["penstock-lake"].trust,
        context={
            "aws:TagKeys": ["penstock:lease", "penstock:user"],
            **{name: value for name, value in context.items() if value is not None},
        },
    )


def reach(
    made: Made,
    action: str = "s3:GetObject",
    resource: str = OBJECT,
    *,
    leased: bool = True,
    owner: str = ACCOUNT,
    boundary: Document | None = None,
    resource_policy: Document | None = None,
    context: Mapping[str, str] | None = None,
) -> Request:
    """A call of the bare target role, without a session policy of Penstock."""
    tags = {"aws:PrincipalTag/penstock:lease": "0" * 32, "aws:SourceIdentity": ALICE} if leased else {}
    return Request(
        principal=LAKE_SESSION,
        action=action,
        resource=resource,
        account=owner,
        identity=(made.roles["penstock-lake"].permissions,),
        boundary=boundary or made.boundary,
        resource_policy=resource_policy,
        context={
            "aws:PrincipalArn": LAKE,
            "aws:PrincipalAccount": ACCOUNT,
            "aws:ResourceAccount": owner,
            "aws:TokenIssueTime": "2026-11-24T12:00:00Z",
            **tags,
            **(context or {}),
        },
    )


def as_role(made: Made, role: str, action: str, resource: str) -> Request:
    session = {"broker": BROKER_SESSION, "revoker": REVOKER_SESSION}.get(
        role, f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-{role}/x"
    )
    return Request(
        principal=session,
        action=action,
        resource=resource,
        account=ACCOUNT,
        identity=(made.roles[f"penstock-{role}"].permissions,),
        context={
            "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/penstock-{role}",
            "aws:PrincipalAccount": ACCOUNT,
            "aws:ResourceAccount": ACCOUNT,
        },
    )


# --- the files ---


@pytest.mark.slow
def test_the_template_passes_the_linter_of_cloudformation(whole: Path) -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), whole / "penstock.cfn.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_both_forms_of_the_template_create_the_same(whole: Path, tmp_path: Path) -> None:
    other = init(tmp_path, *WHOLE, "--format", "terraform")
    assert from_terraform(other / "penstock.tf") == from_cloudformation(whole / "penstock.cfn.yaml")


def test_terraform_leaves_alone_what_penstock_writes(tmp_path: Path) -> None:
    text = (init(tmp_path, *WHOLE, "--format", "terraform") / "penstock.tf").read_text()
    assert "ignore_changes  = [policy]" in text


def test_the_same_flags_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    other = init(tmp_path, *WHOLE)
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
    assert len(names) == 7
    for name in names:
        assert (whole / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("name", ["penstock.cfn.yaml", "penstock.yaml", "policies/starter.yaml", "redshift.sql"])
def test_nothing_that_exists_is_overwritten(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    existing = tmp_path / "out" / name
    existing.parent.mkdir(parents=True)
    existing.write_text("mine")
    assert run(["aws", "init", "--output", str(tmp_path / "out"), *WHOLE]) == 1
    assert "exists already" in capsys.readouterr().err
    assert existing.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [existing]


@pytest.mark.parametrize("provider", ["okta", "entra", "keycloak", "auth0", "cognito", "other"])
def test_the_configuration_is_read_for_each_provider(provider: str, tmp_path: Path) -> None:
    folder = init(tmp_path, *WHOLE, "--idp", provider, "--issuer", "https://idp.example.com/a")
    (issuer,) = load(folder / "penstock.yaml", environ={}).identity.issuers
    assert issuer.issuer == "https://idp.example.com/a"
    assert "penstock" in (folder / "identity-provider.md").read_text()


def test_the_configuration_is_what_the_service_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = init(tmp_path, *WHOLE)
    (folder / "lake" / "nyc").mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "lake" / "nyc" / "t.parquet")
    monkeypatch.setenv("PENSTOCK_EXTERNAL_ID", external_id(folder))
    assert run(["check", "--config", str(folder / "penstock.yaml")]) == 0, capsys.readouterr().err
    settings = load(folder / "penstock.yaml", environ={})
    aws = settings.credentials.aws
    assert aws is not None
    assert aws.revocation is not None
    assert (aws.broker_role, aws.revocation.role, aws.revocation.boundary) == (BROKER, REVOKER, BOUNDARY)
    assert [(role.name, role.arn) for role in aws.roles if role.serves] == [("lake", LAKE)]


def test_a_flag_that_would_be_written_into_a_policy_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    bad = ("--bucket", "a*", "--prefix", "x/../*", "--assume", "arn:aws:iam::1:role/*", "--database-group", 'g"; drop')
    assert run(["aws", "init", "--offline", "--region", "eu-west-1", "--account", ACCOUNT, *bad]) == 1
    err = capsys.readouterr().err
    assert all(option in err for option in ("--bucket", "--prefix", "--assume", "--database-group"))


def test_each_account_has_an_external_id_of_its_own(tmp_path: Path, whole: Path) -> None:
    there = ("--offline", "--region", "eu-west-1", "--account", OWNER, "--bucket", "b-1", "--broker-role", BROKER)
    other = init(tmp_path, *there)
    assert external_id(other) != external_id(whole)


# --- who may make sessions ---


def test_the_broker_may_make_a_session_with_everything_that_is_asked_for(made: Made, whole: Path) -> None:
    assert verdicts([assume(made, whole)]) == ["Allowed"]


WITHOUT: tuple[dict[str, str | None], ...] = (
    {"sts__ExternalId": None},
    {"sts__ExternalId": "of-another"},
    {"sts__SourceIdentity": None},
    {"sts__SourceIdentity": "alice"},
    {"sts__RoleSessionName": "alice"},
    {"aws__RequestTag/penstock__lease": None},
    {"aws__RequestTag/penstock__lease": ""},
)


def test_without_one_of_them_nobody_may(made: Made, whole: Path) -> None:
    # The trust policy decides by itself: it alone allows what is whole, and nothing that lacks a part.
    requests = [assume(made, whole, **changed) for changed in ({}, *WITHOUT)]
    trusted_only = [replace(request, identity=()) for request in requests]
    assert verdicts(trusted_only) == ["Allowed"] + ["ImplicitlyDenied"] * len(WITHOUT)


def test_another_role_of_the_account_may_not_make_sessions(made: Made, whole: Path) -> None:
    other = f"arn:aws:sts::{ACCOUNT}:assumed-role/administrator/x"
    request = replace(assume(made, whole), principal=other, identity=())
    assert verdicts([request]) == ["ImplicitlyDenied"]


def test_tags_of_others_are_refused(made: Made) -> None:
    request = Request(
        principal=BROKER_SESSION,
        action="sts:TagSession",
        resource=LAKE,
        account=ACCOUNT,
        resource_policy=made.roles["penstock-lake"].trust,
        identity=(made.roles["penstock-broker"].permissions,),
        context={"sts:SourceIdentity": ALICE, "aws:PrincipalArn": BROKER, "aws:TagKeys": ["penstock:lease", "team"]},
    )
    good = replace(request, context={**request.context, "aws:TagKeys": ["penstock:lease"]})
    assert verdicts([request, good]) == ["ImplicitlyDenied", "Allowed"]


# --- what the target role may ---


def test_with_a_lease_the_role_reaches_what_is_served_and_nothing_else(made: Made) -> None:
    asked = [
        reach(made),
        reach(made, "s3:ListBucket", "arn:aws:s3:::acme-lake"),
        reach(made, "s3:PutObject"),
        reach(made, "dynamodb:Query", TABLE),
        reach(
            made,
            "kms:Decrypt",
            KEY,
            resource_policy=KEY_POLICY,
            context={"kms:ViaService": "s3.eu-west-1.amazonaws.com"},
        ),
        reach(made, "kms:Decrypt", KEY, resource_policy=KEY_POLICY),
        reach(made, "s3:DeleteObject"),
        reach(made, "s3:GetObject", "arn:aws:s3:::elsewhere/a"),
        reach(made, "dynamodb:Scan", TABLE),
        reach(made, owner="999999999999"),
    ]
    assert verdicts(asked) == ["Allowed"] * 5 + ["ImplicitlyDenied"] * 5


@pytest.mark.parametrize("missing", ["aws:PrincipalTag/penstock:lease", "aws:SourceIdentity"])
def test_without_a_lease_or_a_person_the_role_is_powerless_even_where_a_bucket_lets_everybody_in(
    missing: str, made: Made
) -> None:
    everybody: Document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::acme-lake/*"}],
    }
    request = reach(made, resource_policy=everybody)
    bare = replace(request, context={name: value for name, value in request.context.items() if name != missing})
    attached = replace(bare, identity=(*bare.identity, EVERYTHING))
    assert verdicts([request, bare, attached]) == ["Allowed", "ExplicitlyDenied", "ExplicitlyDenied"]


def test_a_boundary_that_revokes_denies_those_who_are_revoked_and_nobody_else(made: Made) -> None:
    clock = SteppedClock()
    revoked = Revocation(
        kind=RevocationKind.PERSON,
        target=ALICE,
        role="",
        until=clock.now().replace(year=2026, month=11, day=24, hour=12, minute=0, second=0),
        leaves_at=clock.now(),
        generation=Generation(1),
        cause="by a test",
        leases=1,
    )
    boundary: Document = json.loads(revocation_document([revoked]).text)
    asked = [
        reach(made, boundary=boundary),
        reach(made, boundary=boundary, context={"aws:SourceIdentity": ALICE.replace("a", "b")}),
        reach(made, boundary=boundary, context={"aws:TokenIssueTime": "2026-11-24T12:00:01Z"}),
    ]
    assert verdicts(asked) == ["ExplicitlyDenied", "Allowed", "Allowed"]


def test_whoever_writes_the_boundary_gives_the_role_nothing(made: Made) -> None:
    asked = [
        reach(made, "s3:DeleteBucket", "arn:aws:s3:::acme-lake", boundary=EVERYTHING),
        reach(made, "iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", boundary=EVERYTHING),
    ]
    assert verdicts(asked) == ["ImplicitlyDenied"] * 2


# --- what the others may ---

ESCALATIONS = (
    ("iam:PassRole", LAKE),
    ("iam:PutRolePolicy", LAKE),
    ("iam:AttachRolePolicy", LAKE),
    ("iam:UpdateAssumeRolePolicy", LAKE),
    ("iam:DeleteRolePermissionsBoundary", LAKE),
    ("iam:PutRolePermissionsBoundary", LAKE),
    ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/x"),
    ("iam:SetDefaultPolicyVersion", BOUNDARY),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
    ("sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/x"),
    ("s3:GetObject", OBJECT),
    ("s3:PutBucketPolicy", "arn:aws:s3:::acme-lake"),
    ("kms:CreateGrant", KEY),
    ("lambda:CreateFunction", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:x"),
)


def test_neither_broker_nor_revoker_can_become_more_whatever_is_attached_to_them(made: Made) -> None:
    requests = [
        as_role(made, role, action, resource) for role in ("broker", "revoker") for action, resource in ESCALATIONS
    ]
    attached = [replace(request, identity=(*request.identity, EVERYTHING)) for request in requests]
    assert verdicts(attached) == ["ExplicitlyDenied"] * len(requests)


def test_the_broker_may_not_write_the_boundary(made: Made) -> None:
    assert verdicts([as_role(made, "broker", "iam:CreatePolicyVersion", BOUNDARY)]) == ["ExplicitlyDenied"]


def test_the_revoker_writes_that_one_policy_and_no_other(made: Made) -> None:
    asked = [
        as_role(made, "revoker", "iam:CreatePolicyVersion", BOUNDARY),
        as_role(made, "revoker", "iam:DeletePolicyVersion", BOUNDARY),
        as_role(made, "revoker", "iam:GetRole", LAKE),
        as_role(made, "revoker", "iam:CreatePolicyVersion", f"{BOUNDARY}-other"),
    ]
    assert verdicts(asked) == ["Allowed"] * 3 + ["ExplicitlyDenied"]


def test_the_broker_gets_no_password_of_a_user_without_the_prefix(made: Made) -> None:
    place = f"arn:aws:redshift:eu-west-1:{ACCOUNT}"
    users = ("pk_alice", "awsuser", "admin", "rdsdb", "PK_alice", "xpk_alice")
    asked = [
        as_role(made, "broker", "redshift:GetClusterCredentials", f"{place}:dbuser:analytics/{user}") for user in users
    ]
    asked.append(as_role(made, "broker", "redshift:CreateClusterUser", f"{place}:dbuser:analytics/pk_alice"))
    assert verdicts(asked) == ["Allowed"] + ["ExplicitlyDenied"] * 6


def test_queries_read_and_write_nothing(made: Made) -> None:
    asked = [
        as_role(made, "query", "s3:GetObject", OBJECT),
        as_role(made, "query", "s3:PutObject", OBJECT),
        as_role(made, "query", "dynamodb:GetItem", TABLE),
    ]
    assert verdicts(asked) == ["Allowed", "ImplicitlyDenied", "ImplicitlyDenied"]


# --- across accounts ---


def test_a_bucket_of_another_account_opens_by_the_policy_that_its_owner_adds_to_sessions_with_a_lease_alone(
    made: Made, whole: Path
) -> None:
    policy: Document = json.loads((whole / "bucket-policy-partner-data.json").read_text())
    leased = reach(made, resource=PARTNER_OBJECT, owner=OWNER, resource_policy=policy)
    bare = reach(made, resource=PARTNER_OBJECT, owner=OWNER, resource_policy=policy, leased=False)
    without = reach(made, resource=PARTNER_OBJECT, owner=OWNER)
    taken_over = reach(made, resource=PARTNER_OBJECT, owner="999999999999", resource_policy=policy)
    assert verdicts([leased, bare, without, taken_over]) == [
        "Allowed",
        "ExplicitlyDenied",
        "ImplicitlyDenied",
        "ImplicitlyDenied",
    ]


def test_a_role_in_the_owners_account_trusts_the_broker_of_the_other_as_its_own_does(tmp_path: Path) -> None:
    here = init(
        tmp_path / "here",
        *("--offline", "--region", "eu-west-1", "--account", ACCOUNT, "--bucket", "acme-lake"),
        *("--assume", f"arn:aws:iam::{OWNER}:role/penstock-lake"),
    )
    there = init(
        tmp_path / "there",
        *("--offline", "--region", "eu-west-1", "--account", OWNER, "--bucket", "partner-data"),
        *("--broker-role", BROKER),
    )
    owners = from_cloudformation(there / "penstock.cfn.yaml")
    assert set(owners.roles) == {"penstock-lake"}
    request = replace(
        assume(from_cloudformation(here / "penstock.cfn.yaml"), there),
        resource=f"arn:aws:iam::{OWNER}:role/penstock-lake",
        account=OWNER,
        resource_policy=owners.roles["penstock-lake"].trust,
    )
    wrong = replace(request, context={**request.context, "sts:ExternalId": external_id(here)})
    assert verdicts([request, wrong]) == ["Allowed", "ImplicitlyDenied"]
    fragment = yaml.safe_load((there / "roles.yaml").read_text())
    assert fragment[f"lake-{OWNER}"]["arn"] == f"arn:aws:iam::{OWNER}:role/penstock-lake"


def test_iam_takes_every_policy_of_the_template(made: Made, aws_url: str) -> None:
    """The stand-in checks the grammar of policies, as IAM does when a template is deployed."""
    iam = boto3.client(
        "iam", region_name="us-east-1", endpoint_url=aws_url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    boundary = iam.create_policy(PolicyName=f"{made.boundary_name}-init", PolicyDocument=json.dumps(made.boundary))[
        "Policy"
    ]["Arn"]
    for role in made.roles.values():
        name = f"{role.name}-init"
        bounded = {"PermissionsBoundary": boundary} if role.bounded else {}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(role.trust), **bounded)
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(role.permissions))
        found = iam.get_role(RoleName=name)["Role"]
        assert ("PermissionsBoundary" in found) == (role.name == "penstock-lake")
    iam.close()
