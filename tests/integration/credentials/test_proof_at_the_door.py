"""What the door sends is what was proved, and what is not proved is not sent: whole doors over a builder gone wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock_server.credentials import covered, proved_policies, session_plans
from penstock_server.credentials.fit import Scope, SessionPolicyPrinter, print_session_policy
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy, Refused
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.roles import RoleTable
from penstock_server.errors import Disagreement, Reason
from penstock_server.model.audit import Event, Outcome
from penstock_server.model.decision import AwsDecision, AwsOutcome
from penstock_server.model.resource import S3Permission
from penstock_server.policy import resources
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.s3_arns import S3Pattern
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

    def printer(scopes: tuple[Scope, ...], account: str, ends_at: datetime | None) -> str:
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


def _more(outcome: AwsDecision, **changed: Any) -> AwsDecision:
    return replace(outcome, scopes=tuple(replace(scope, **changed) for scope in outcome.scopes))


def _decides(patch: pytest.MonkeyPatch, change: Callable[[AwsDecision], AwsDecision]) -> None:
    def decide(*given: Any, **named: Any) -> AwsOutcome:
        outcome = resources.decide_s3(*given, **named)
        return change(outcome) if isinstance(outcome, AwsDecision) else outcome

    patch.setattr(covered, "decide_s3", decide)


def _looks_up_nothing(patch: pytest.MonkeyPatch) -> None:
    real = covered.cover
    patch.setattr(session_plans, "cover", lambda *given, **named: replace(real(*given, **named), requested=()))
    # Without a resource there is no role either, which would hide the mistake.
    patch.setattr(RoleTable, "role_for", lambda table, *_: table._roles[0])


WRONG_DECISIONS: dict[str, tuple[Doubt, Callable[[pytest.MonkeyPatch], None]]] = {
    "a grant that covers nothing of it is used": (
        Doubt.NOT_GRANTED,
        lambda patch: patch.setattr(S3Pattern, "covers_prefix", lambda *_: True),
    ),
    "permissions that no access brings": (
        Doubt.NOT_ASKED,
        lambda patch: _decides(patch, lambda outcome: _more(outcome, permissions=frozenset({S3Permission.WRITE}))),
    ),
    "denials are forgotten": (
        Doubt.DENIED,
        lambda patch: patch.setattr(S3Pattern, "overlaps", lambda *_, **__: False),
    ),
    "less is looked up than is decided": (Doubt.NOT_LOOKED_UP, _looks_up_nothing),
}
"""Mistakes in the policy's and the door's own sums, each made in the real ones."""


@pytest.mark.parametrize("name", WRONG_DECISIONS)
async def test_a_decision_gone_wrong_issues_nothing(
    tmp_path: Path, aws_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, name: str
) -> None:
    text = (
        'grants:\n  - {name: f, principals: [everyone], resource: "arn:aws:s3:::acme-lake/*",'
        " permissions: [READ, LIST, WRITE]}\n"
    )
    if name.startswith("a grant"):
        text = text.replace("acme-lake/*", "acme-lake/other/*")
    if name.startswith("denials"):
        denial = 'resource: "arn:aws:s3:::acme-lake/*secret*", permissions: [READ]'
        text += f'denials:\n  - {{except_principals: ["group:auditors"], {denial}}}\n'
    policy = bound_policy(tmp_path / "policy", text)
    wrong, make = WRONG_DECISIONS[name]
    make(monkeypatch)
    with opened(tmp_path, policy, aws_url, print_session_policy) as bench:
        await refused(bench, caplog)
        details = dict(bench.audit.records[0].details)
    assert details["doubt"] == wrong.value
    assert details["offending_request"].startswith("s3:")
