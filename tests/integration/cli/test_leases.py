"""`penstock-server leases` on a state, with no service and with one that holds the audit trail."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.cli import main
from penstock_server.config.secrets import SecretReferences
from penstock_server.credentials.names import stable_name_of
from penstock_server.model.clock import SystemClock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Generation, Lease, LeaseId, LeaseStatus, RevocationKind
from penstock_server.model.resource import Door
from penstock_server.state.store import open_state
from support.server import running_server
from support.small_lake import write_world
from support.tokens import ISSUER
from support.trail import records

ROLE = "arn:aws:iam::111122223333:role/penstock-lake"
AWS = f"""
credentials:
  aws:
    region: eu-west-1
    roles:
      lake: {{arn: "{ROLE}", serves: ["arn:aws:s3:::acme-lake"]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_world(tmp_path, port=1)
    configuration = tmp_path / "penstock.yaml"
    configuration.write_text(configuration.read_text() + AWS)
    return tmp_path


def put_leases(folder: Path, *subjects: str) -> list[LeaseId]:
    clock = SystemClock()
    state = open_state(f"sqlite:///{folder / 'var' / 'penstock.db'}", clock, SecretReferences({}))

    async def put() -> list[LeaseId]:
        found = []
        for number, subject in enumerate(subjects):
            lease = Lease(
                id=LeaseId(f"{number:032x}"),
                issuer=ISSUER,
                subject=subject,
                client_id="c",
                door=Door.AWS,
                role=ROLE,
                source_identity=stable_name_of(ISSUER, subject),
                scope="READ arn:aws:s3:::acme-lake/x/*",
                grounds="",
                status=LeaseStatus.ISSUING,
                policy_version=PolicyVersion("v"),
                request_id=None,
                request_digest="d",
                generation=Generation(0),
                created_at=clock.now(),
                issued_at=None,
                expires_at=clock.now() + timedelta(hours=1),
                revoked_at=None,
            )
            await state.leases.begin(lease)
            await state.leases.finish(lease.id, issued_at=clock.now(), token_issued_at=clock.now())
            found.append(lease.id)
        return found

    try:
        return asyncio.run(put())
    finally:
        state.database.close_now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run_it(folder: Path, *arguments: str) -> Ran:
        capfd.readouterr()
        code = main.run(["leases", *arguments, "-c", str(folder / "penstock.yaml")])
        captured = capfd.readouterr()
        return Ran(returncode=code, stdout=captured.out, stderr=captured.err)

    return run_it


def states(run: Run, folder: Path) -> dict[str, str]:
    listed = run(folder, "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return {found["lease_id"]: found["state"] for found in map(json.loads, listed.stdout.splitlines())}


def recorded(folder: Path) -> list[tuple[str, str]]:
    return [
        (record["resources"][0], record["reason"]) for record in records(folder) if record["event"] == "leases.revoked"
    ]


def test_a_person_is_revoked_and_recorded_where_no_service_runs(run: Run, folder: Path) -> None:
    first, second, other = put_leases(folder, "sub-a", "sub-a", "sub-b")
    done = run(folder, "revoke-person", f"{ISSUER}|sub-a")
    assert done.returncode == 0, done.stderr
    assert "revoked: 2 leases" in done.stdout
    assert "work until they end" in " ".join(done.stdout.split())
    assert states(run, folder) == {first: "revoked", second: "revoked", other: "issued"}
    ((what, why),) = recorded(folder)
    assert what == f"{RevocationKind.PERSON}:{stable_name_of(ISSUER, 'sub-a')}"
    assert re.fullmatch(r"by `\w+` on the command line", why)


def test_a_lease_and_a_role_are_revoked_and_again_is_no_error(run: Run, folder: Path) -> None:
    first, second = put_leases(folder, "sub-a", "sub-b")
    assert "revoked: 1 leases" in run(folder, "revoke", first).stdout
    assert "revoked: 0 leases" in run(folder, "revoke", first).stdout
    assert states(run, folder) == {first: "revoked", second: "issued"}
    assert "revoked: 1 leases" in run(folder, "revoke-role", ROLE).stdout
    assert set(states(run, folder).values()) == {"revoked"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("revoke", "x"), "32 hex digits"),
        (("revoke-person", "https://nobody.test|x"), "is no issuer"),
        (("revoke-role", "arn:aws:iam::111122223333:role/other"), "is no role"),
    ],
)
def test_what_does_not_exist_is_told(run: Run, folder: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run(folder, *arguments)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_running_service_records_what_the_command_line_revoked(run: Run, tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        # Nothing of it can be decided anew, so the service may revoke it first; a person is an entry all the same.
        put_leases(tmp_path, "sub-a")
        done = run(tmp_path, "revoke-person", "sub-a")
        assert done.returncode == 0, done.stderr
        assert server.address
        assert f"person:{stable_name_of(ISSUER, 'sub-a')}" in [what for what, _ in recorded(tmp_path)]
