"""What the door sends is what was proved, and what is not proved is not sent: whole doors over a builder gone wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from penstock_server.credentials import proved_policies
from penstock_server.credentials.fit import SessionPolicyPrinter, print_session_policy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import ProvedPolicy, Refused, prove
from penstock_server.errors import Disagreement, Reason
from penstock_server.model.audit import Event, Outcome
from penstock_server.model.decision import S3Scope
from penstock_server.policy.bound import BoundPolicy
from penstock_server.service.status import to_status
from support.credentials import Doors, aws_request, bound_policy, doors, principal
from support.iam import Verdict, evaluate
from support.tokens import SteppedClock, request_context
from support.weak_builders import MISTAKES

ALICE = principal("alice")
CONTEXT = request_context()
REQUEST = aws_request("arn:aws:s3:::acme-lake/finance/*", "arn:aws:s3:::acme-lake/hr/public/*")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    grant = (
        '{name: f, principals: [everyone], resource: "arn:aws:s3:::acme-lake/*", permissions: [READ, LIST, WRITE],'
        " expires: 2100-01-01T00:00:00Z}"
    )
    return bound_policy(tmp_path_factory.mktemp("policy"), f"grants:\n  - {grant}\n")


@contextmanager
def opened(folder: Path, policy: BoundPolicy, url: str, printer: SessionPolicyPrinter) -> Iterator[Doors]:
    clock = SteppedClock(instant=datetime.now(UTC))
    with doors(folder, policy, endpoint_url=url, clock=clock, printer=printer) as found:
        yield found


def altered(place: int) -> SessionPolicyPrinter:
    """Print the right policy with the lowest bit of one byte turned."""

    def printer(scopes: tuple[S3Scope, ...], account: str, ends_at: datetime | None) -> str:
        text = print_session_policy(scopes, account, ends_at)
        return text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]

    return printer


async def refused(bench: Doors, caplog: pytest.LogCaptureFixture) -> Disagreement:
    with caplog.at_level(logging.ERROR), pytest.raises(Disagreement) as failed:
        await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    assert bench.recorder.calls == []
    assert await bench.state.leases.of(ALICE, after="", limit=9) == ()
    (record,) = bench.audit.records
    assert record.event is Event.CREDENTIALS_FAILED
    assert record.outcome is Outcome.FAILED
    (line,) = (line for line in caplog.records if line.name == proved_policies.__name__)
    assert line.levelno == logging.ERROR
    assert vars(line)["request_id"] == CONTEXT.request_id
    assert "finance" not in f"{line.getMessage()} {vars(line)}"
    caplog.clear()
    return failed.value


async def test_the_bytes_that_are_sent_are_the_bytes_that_were_proved(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved: list[str] = []

    def recorded(text: str, decided: Decided) -> ProvedPolicy | Refused:
        proved.append(text)
        return prove(text, decided)

    monkeypatch.setattr(proved_policies, "prove", recorded)
    with opened(tmp_path, policy, aws_url, print_session_policy) as bench:
        await bench.aws.issue(ALICE, REQUEST, CONTEXT)
        assert [bench.recorder.only("AssumeRole")["Policy"]] == proved


async def test_one_byte_that_is_altered_is_one_too_many(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "right", policy, aws_url, print_session_policy) as bench:
        issued = await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    for place in range(0, len(issued.session_policy), 97):
        with opened(tmp_path / str(place), policy, aws_url, altered(place)) as bench:
            error = await refused(bench, caplog)
            assert error.reason is Reason.INTERNAL


@pytest.mark.parametrize("name", ["the slash of a prefix is lost", "no fence", "a listing has no prefix"])
async def test_a_builder_gone_wrong_issues_nothing_and_the_audit_has_the_offending_request(
    tmp_path: Path,
    policy: BoundPolicy,
    aws_url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
) -> None:
    MISTAKES[name].make(monkeypatch)
    with opened(tmp_path, policy, aws_url, print_session_policy) as bench:
        error = await refused(bench, caplog)
        details = dict(bench.audit.records[0].details)
    assert details["doubt"] == MISTAKES[name].doubt.value
    assert details["offending_request"].startswith("s3:")
    assert details["offending_request"] in bench.audit.records[0].reason
    assert json.loads(details["session_policy"])["Version"] == "2012-10-17"
    # The caller is told nothing of it.
    told = to_status(error, request_id=CONTEXT.request_id)
    assert told.code is grpc.StatusCode.INTERNAL
    for hidden in ("finance", "acme-lake", "s3:", "Deny"):
        assert hidden.encode() not in told.details
        assert hidden not in f"{told.message} {error.hint}"


async def test_the_door_asks_for_an_end_of_its_own_reckoning(
    tmp_path: Path, aws_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A printer that forgets when the decision ends is found out, though it was the door that told it."""
    ends = datetime.now(UTC) + timedelta(minutes=40)
    grant = (
        '{name: f, principals: [everyone], resource: "arn:aws:s3:::acme-lake/*", permissions: [READ],'
        f" expires: {ends:%Y-%m-%dT%H:%M:%SZ}}}"
    )
    ending = bound_policy(tmp_path / "policy", f"grants:\n  - {grant}\n")
    with opened(tmp_path / "right", ending, aws_url, print_session_policy) as bench:
        issued = await bench.aws.issue(ALICE, REQUEST, CONTEXT)
    keys = {"aws:ResourceAccount": "111122223333", "aws:CurrentTime": (ends + timedelta(seconds=1)).isoformat()}
    late = evaluate(
        issued.session_policy, action="s3:GetObject", resource="arn:aws:s3:::acme-lake/finance/a", context=keys
    )
    assert late is Verdict.EXPLICITLY_DENIED
    forgetful = opened(
        tmp_path / "wrong", ending, aws_url, lambda scopes, account, _: print_session_policy(scopes, account, None)
    )
    with forgetful as bench:
        error = await refused(bench, caplog)
        assert "aws:currenttime" in error.detail
