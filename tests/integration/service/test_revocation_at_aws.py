"""The whole service with revocation configured, beside a stand-in for AWS: issued, revoked, written, still so later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import penstock
import pytest
from penstock_server.cli.main import run
from penstock_server.credentials.names import stable_name_of
from penstock_server.credentials.revocation_document import revocation_document
from support.aws_stand_in import aws_url
from support.credentials import REGION
from support.revocation import REVOKER, Account, account
from support.server import ServerProcess, free_port, start_server, wait_until
from support.small_lake import POLICY, mint, token_for, write_world
from support.tokens import ISSUER

__all__ = ["aws_url"]

RESOURCE = "arn:aws:s3:::acme-lake/exports/*"
SECONDS = 60
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "ASIATEST",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SESSION_TOKEN": "test",
    "PENSTOCK_EXTERNAL_ID": "external-id-of-acme",
}
GRANT = f"""\
  - name: exports
    principals: ["group:analysts", "group:ops"]
    resource: "{RESOURCE}"
    permissions: [READ, LIST]
"""


@pytest.fixture
def at(aws_url: str) -> Iterator[Account]:
    with account(aws_url) as found:
        yield found


def world(folder: Path, at: Account, *, port: int) -> Path:
    extra = f"""\
credentials:
  lifetime: fixed
  aws:
    region: {REGION}
    endpoint_url: {at.url}
    roles:
      lake:
        arn: "{at.role("lake", bounded=True)}"
        external_id: "env:PENSTOCK_EXTERNAL_ID"
        serves: ["arn:aws:s3:::acme-lake/*"]
    revocation: {{role: "{REVOKER}", boundary: "{at.policy}", external_id: "env:PENSTOCK_EXTERNAL_ID"}}
"""
    return write_world(folder, port=port, extra=extra, policy=POLICY + GRANT)


@contextmanager
def serving(path: Path, port: int, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    server = start_server(path, port=port, environment=environment or ENVIRONMENT)
    try:
        server.wait_for_serving()
        yield server
    finally:
        server.stop()


def wait_for(at: Account, text: str) -> None:
    wait_until(lambda: text in json.dumps(at.document()), seconds=SECONDS, what=f"{text} in the boundary")


def issued(broker: penstock.Broker) -> penstock.AwsCredentials:
    """Credentials that outlive their token, once the service has seen that the role carries the boundary.

    Until then tokens of five minutes open nothing.
    """
    found: list[penstock.AwsCredentials] = []

    def revocable() -> bool:
        try:
            found.append(broker.aws_credentials([RESOURCE]))
        except penstock.LimitExceeded:
            return False
        return found[-1].revocable.startswith("yes within")

    wait_until(revocable, seconds=SECONDS, what="a revocable session")
    return found[-1]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_was_revoked_is_denied_by_the_boundary_and_still_is_after_a_restart(
    tmp_path: Path, at: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    path = world(tmp_path, at, port=port)
    token = mint()("bob", groups=["ops"])
    with serving(path, port) as server:
        with penstock.connect(server.address, token=token_for("alice")) as alice:
            lease = issued(alice).lease_id
            alice.revoke_lease(lease)
            wait_for(at, lease)
        with penstock.connect(server.address, token=token) as bob:
            theirs = issued(bob)
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        assert run(["leases", "revoke-person", f"{ISSUER}|bob", "--config", str(path)]) == 0
        wait_for(at, stable_name_of(ISSUER, "bob"))
        assert theirs.lease_id not in json.dumps(at.document())

    # Somebody else empties the document while nobody serves: what is revoked is in the state.
    at.iam.create_policy_version(PolicyArn=at.policy, PolicyDocument=revocation_document(()).text, SetAsDefault=True)
    with serving(path, port) as server:
        wait_for(at, lease)
        wait_for(at, stable_name_of(ISSUER, "bob"))
        with penstock.connect(server.address, token=token_for("alice")) as alice:
            assert alice.lease(lease).state is penstock.LeaseState.REVOKED
        with penstock.connect(server.address, token=token) as bob, pytest.raises(penstock.Unauthenticated):
            bob.aws_credentials([RESOURCE])
        logged = server.written()
    assert "external-id-of-acme" not in logged
    assert "the revocation document cannot be written" not in logged


def test_a_service_on_the_keys_of_an_iam_user_does_not_start(tmp_path: Path, at: Account) -> None:
    port = free_port()
    path = world(tmp_path, at, port=port)
    server = start_server(path, port=port, environment={**ENVIRONMENT, "AWS_ACCESS_KEY_ID": "AKIATEST"})
    try:
        assert server.wait(seconds=SECONDS) != 0
    finally:
        server.stop()
    assert "long-term keys of an IAM user" in server.written()
