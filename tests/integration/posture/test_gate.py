"""The gate from end to end: a server, a policy that requires something, and buckets with their settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import grpc
import pytest
from penstock.v1 import posture_service_pb2 as messages
from penstock.v1 import posture_service_pb2_grpc
from support.calls import Client, client, refusal
from support.credentials import REGION
from support.server import ServerProcess, free_port, start_server, wait_until
from support.small_lake import token_for, write_world
from support.trail import of_request, records

AWS = {
    "AWS_ACCESS_KEY_ID": "ASIATEST",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SESSION_TOKEN": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
POLICY = """\
version: 1
grants:
  - {name: flights, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT], requires: [encrypted, private]}
  - {name: airlines, principals: [everyone], resource: lake.nyc.airlines, permissions: [SELECT]}
  - {name: exports, principals: [everyone], resource: "arn:aws:s3:::gate-open/x/*", permissions: [READ], requires: [private]}
"""  # noqa: E501 - one grant a line


def buckets(aws_url: str) -> None:
    s3: Any = boto3.client(
        "s3", region_name=REGION, endpoint_url=aws_url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    for name, owner in (("gate-lake", "BucketOwnerEnforced"), ("gate-open", "ObjectWriter")):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": owner}]})
        rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.close()


@pytest.fixture(scope="module")
def server(aws_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    buckets(aws_url)
    folder: Path = tmp_path_factory.mktemp("gate")
    port = free_port()
    extra = f"credentials:\n  aws: {{region: {REGION}, endpoint_url: '{aws_url}'}}\n"
    path = write_world(folder, port=port, policy=POLICY, extra=extra)
    path.write_text(
        path.read_text().replace("    parquet: lake\n", "    parquet: lake\n    location: s3://gate-lake/n/\n")
    )
    running = start_server(path, port=port, environment=AWS)
    try:
        running.wait_for_serving()
        yield running
    finally:
        running.stop()


def list_findings(caller: Client, **fields: Any) -> messages.ListFindingsResponse:
    stub = posture_service_pb2_grpc.PostureServiceStub(caller.channel)
    answer: messages.ListFindingsResponse = caller.call(stub.ListFindings, messages.ListFindingsRequest(**fields))
    return answer


def test_a_table_is_there_once_its_bucket_is_known_to_be_what_is_required(server: ServerProcess) -> None:
    with client(server.address, token_for("mallory")) as caller:

        def is_there() -> bool:
            try:
                return caller.rows("select count(*) n from nyc.flights") == [{"n": 1_000}]
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return False

        wait_until(is_there, seconds=30, what="the bucket was looked at")
        assert caller.rows("select count(*) n from nyc.airlines") == [{"n": 4}]


def test_auditors_and_administrators_read_what_was_found(server: ServerProcess) -> None:
    for user in ("carol", "dave"):
        with client(server.address, token_for(user)) as caller:
            found = list_findings(caller).locations
        assert [(each.location, each.bucket) for each in found] == [
            ("arn:aws:s3:::gate-open/x/*", "gate-open"),
            ("s3://gate-lake/n/", "gate-lake"),
        ]
        states = [[finding.state for finding in each.findings] for each in found]
        met, not_met = messages.POSTURE_STATE_MET, messages.POSTURE_STATE_NOT_MET
        assert states == [[met, not_met], [met, met]]
        assert found[0].findings[1].sentence == "ACLs may make its objects public"
        assert found[0].findings[1].remedy
        record = [each for each in records(server.folder) if each["event"] == "posture.shown"][-1]
        assert (record["username"], record["outcome"]) == (user, "allowed")


def test_findings_come_in_pages(server: ServerProcess) -> None:
    with client(server.address, token_for("carol")) as caller:
        first = list_findings(caller, page_size=1)
        second = list_findings(caller, page_size=1, page_token=first.next_page_token)
    assert [each.bucket for page in (first, second) for each in page.locations] == ["gate-open", "gate-lake"]
    assert (bool(first.next_page_token), second.next_page_token) == (True, "")


def test_findings_are_for_nobody_else(server: ServerProcess) -> None:
    with client(server.address, token_for("alice")) as caller, refusal() as told:
        list_findings(caller, page_size=-1)
    assert (told[0].code, told[0].reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    assert of_request(server.folder, told[0].request_id)[-1]["outcome"] == "refused"


def test_the_command_says_what_is_missing_and_what_mends_it(server: ServerProcess) -> None:
    command = [str(Path(sys.executable).with_name("penstock-server")), "posture", "--config"]
    ran = subprocess.run(
        [*command, str(server.folder / "penstock.yaml")],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **AWS},
    )
    assert ran.stdout.splitlines() == [
        "arn:aws:s3:::gate-open/x/*",
        "  encrypted: yes",
        "  private: no, ACLs may make its objects public; "
        "set Object Ownership to BucketOwnerEnforced, or IgnorePublicAcls",
        "s3://gate-lake/n/",
        "  encrypted: yes",
        "  private: yes",
    ]
    assert ran.returncode == 1
