"""The whole door over a real policy, real state and a stand-in for AWS that keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.config.settings import LifetimeRule
from penstock_server.credentials.names import stable_name
from penstock_server.credentials.revocation_writing import REVOCABLE
from penstock_server.errors import (
    AccessDenied,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    Reason,
    Unavailable,
)
from penstock_server.model.audit import Event, Outcome
from penstock_server.model.decision import Access
from penstock_server.model.lease import LeaseStatus
from penstock_server.policy.bound import BoundPolicy
from support.credentials import (
    ACCOUNT,
    REGION,
    ROLE_ARN,
    Doors,
    at,
    aws_request,
    bound_policy,
    doors,
    doors_without_aws,
    principal,
    role,
    table,
)
from support.iam import Verdict, evaluate
from support.tokens import SteppedClock, request_context

B = "arn:aws:s3:::acme-lake"
UUID = "7f1c9c1e-9d8a-4d0e-8f0a-2b9f0d3c4e5f"
POLICY = """
grants:
  - {name: lake-files, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/*",
      permissions: [READ, LIST], max_ttl: 30m}
  - {name: drop-box, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/in/*", permissions: [WRITE]}
  - {name: archive, principals: ["group:archive"], resource: "arn:aws:s3:::acme-lake/a*/*",
      permissions: [READ, LIST, VERSIONS, DELETE, WRITE]}
  - {name: far, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-elsewhere/*", permissions: [READ]}
  - {name: flights-part, principals: ["group:analysts"], resource: lake.nyc.flights,
      permissions: [SELECT], rows: "origin = 'JFK'"}
  - {name: airlines, principals: [everyone], resource: lake.nyc.airlines, permissions: [SELECT]}
  - {name: airlines-files, principals: ["group:analysts"], resource: lake.nyc.airlines, permissions: [RAW]}
  - {name: flights-files, principals: ["group:analysts"], resource: lake.nyc.flights, permissions: [RAW]}
"""
ALICE = principal("alice", "analysts")
CONTEXT = request_context()


@pytest.fixture
def clock() -> SteppedClock:
    # The stand-in has the machine's clock, so these doors have it too.
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound_policy(
        tmp_path_factory.mktemp("policy"),
        POLICY,
        table("nyc.flights", at("curated/nyc/flights")),
        table("nyc.airlines", at("curated/nyc/airlines")),
        table("hr.people", at("curated/hr/people")),
    )


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock) -> Iterator[Doors]:
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, catalogs=[at("curated")]) as opened:
        yield opened


async def refused(bench: Doors, *resources: str, who: Any = ALICE, **changes: Any) -> PenstockError:
    """Ask for what must be refused, and check that AWS was not asked, and that the audit says why."""
    with pytest.raises(PenstockError) as failed:
        await bench.aws.issue(who, aws_request(*resources, **changes), CONTEXT)
    error = failed.value
    assert bench.recorder.calls == []
    (record,) = bench.audit.records
    assert record.event is Event.CREDENTIALS_REFUSED
    assert record.outcome is Outcome.REFUSED
    assert record.reason.startswith(error.reason.value)
    assert await bench.state.leases.of(who, after="", limit=9) == ()
    return error


async def test_a_session_is_asked_for_with_exactly_these_parameters(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*", purpose="month end"), CONTEXT)
    sent = bench.recorder.only("AssumeRole")
    assert sent == {
        "RoleArn": ROLE_ARN,
        "RoleSessionName": stable_name(ALICE),
        "SourceIdentity": stable_name(ALICE),
        "ExternalId": "external-id-of-acme",
        "Policy": issued.session_policy,
        "Tags": [{"Key": "penstock:lease", "Value": issued.lease_id}, {"Key": "penstock:user", "Value": "alice"}],
        "DurationSeconds": 1800,
    }
    assert len(bench.recorder.calls) == 1


async def test_the_answer_says_what_the_credential_is(bench: Doors, policy: BoundPolicy) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    assert issued.scope == "LIST,READ arn:aws:s3:::acme-lake/finance/*"
    assert issued.grants == ("lake-files",)
    assert issued.role_arn == ROLE_ARN
    assert issued.region == REGION
    assert issued.revocable == "no"
    assert issued.policy_version == policy.version
    assert re.fullmatch(r"[0-9a-f]{32}", issued.lease_id)
    for secret in (issued.secret_access_key, issued.session_token):
        assert secret.reveal()
        assert secret.reveal() not in repr(issued)


async def test_the_session_policy_gives_the_prefix_and_nothing_beside_it(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)

    def verdict(action: str, resource: str, **context: str) -> Verdict:
        keys = {"aws:ResourceAccount": ACCOUNT, **context}
        return evaluate(issued.session_policy, action=action, resource=resource, context=keys)

    assert verdict("s3:GetObject", f"{B}/finance/a") is Verdict.ALLOWED
    assert verdict("s3:ListBucket", B, **{"s3:prefix": "finance/"}) is Verdict.ALLOWED
    assert verdict("s3:GetObject", f"{B}/finance2/a") is Verdict.EXPLICITLY_DENIED
    assert verdict("s3:PutObject", f"{B}/finance/a") is Verdict.EXPLICITLY_DENIED
    assert verdict("s3:ListBucket", B) is Verdict.EXPLICITLY_DENIED


async def test_the_audit_has_attempt_and_outcome_and_no_secret(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*", purpose="month end"), CONTEXT)
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_ISSUED)
    for event in bench.audit.events():
        assert bench.audit.detail(event, "lease") == issued.lease_id
        assert bench.audit.detail(event, "session_policy") == issued.session_policy
        assert bench.audit.detail(event, "purpose") == "month end"
        assert bench.audit.detail(event, "role") == ROLE_ARN
    assert bench.audit.detail(Event.CREDENTIALS_ISSUED, "expires_at") == issued.expires_at.isoformat()
    for record in bench.audit.records:
        assert (record.issuer, record.subject, record.username) == (ALICE.issuer, ALICE.subject, "alice")
        assert record.request_id == CONTEXT.request_id
        assert record.policy_version == issued.policy_version
        assert record.resources == (f"{B}/finance/*",)
        for secret in (issued.secret_access_key, issued.session_token):
            assert secret.reveal() not in str(record)
        assert "external-id-of-acme" not in str(record)


async def test_the_lease_is_listed_as_issued(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    (lease,) = await bench.state.leases.of(ALICE, after="", limit=9)
    assert (lease.id, lease.status, lease.scope) == (issued.lease_id, LeaseStatus.ISSUED, issued.scope)
    assert lease.expires_at >= bench.clock.now() + timedelta(minutes=30)


async def test_what_no_grant_covers_is_denied_in_one_text(bench: Doors) -> None:
    error = await refused(bench, f"{B}/finance/*", who=principal("mallory", "nobodies"))
    assert isinstance(error, AccessDenied)
    assert error.reason is Reason.NOT_PERMITTED
    assert "finance" not in error.message


async def test_a_bucket_that_nobody_ever_named_is_denied_with_the_same_words(bench: Doors) -> None:
    one = await refused(bench, "arn:aws:s3:::does-not-exist/x/*")
    bench.audit.records.clear()
    two = await refused(bench, f"{B}/finance/*", who=principal("mallory"))
    assert (one.message, one.hint, one.reason) == (two.message, two.hint, two.reason)


async def test_write_brings_no_reading_and_read_no_writing(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(f"{B}/in/*", access=[Access.WRITE]), CONTEXT)
    assert issued.scope == "WRITE arn:aws:s3:::acme-lake/in/*"
    assert "GetObject" not in issued.session_policy
    assert "ListBucket" not in json.loads(issued.session_policy)["Statement"][0]["Action"]
    both = await bench.aws.issue(ALICE, aws_request(f"{B}/in/*", access=[Access.WRITE, Access.READ]), CONTEXT)
    assert both.scope == "LIST,READ,WRITE arn:aws:s3:::acme-lake/in/*"


async def test_writing_where_only_reading_is_granted_is_denied(bench: Doors) -> None:
    error = await refused(bench, f"{B}/finance/*", access=[Access.READ, Access.WRITE])
    assert error.reason is Reason.NOT_PERMITTED


@pytest.mark.parametrize(
    "resource", [f"{B}/curated/nyc/flights/*", f"{B}/curated/nyc/*", f"{B}/*", f"{B}/curated/hr/people/p.parquet"]
)
async def test_the_location_of_a_governed_table_is_closed(bench: Doors, resource: str) -> None:
    error = await refused(bench, resource)
    assert error.reason is Reason.LOCATION_CLOSED
    assert "penstock query" in error.hint
    assert "lake." not in error.message + error.hint
    assert "lake." in bench.audit.records[0].reason


async def test_a_table_that_is_full_is_given_by_its_name(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request("lake.nyc.airlines"), CONTEXT)
    assert "arn:aws:s3:::acme-lake/curated/nyc/airlines/*" in issued.scope
    assert issued.grants == ("airlines-files",)
    by_arn = await bench.aws.issue(ALICE, aws_request(f"{B}/curated/nyc/airlines/*"), CONTEXT)
    assert by_arn.grants == ("lake-files",)


async def test_raw_on_a_governed_table_is_closed(bench: Doors) -> None:
    assert (await refused(bench, "lake.nyc.flights")).reason is Reason.LOCATION_CLOSED


async def test_a_hidden_table_and_a_missing_one_are_one_answer(bench: Doors) -> None:
    hidden = await refused(bench, "lake.hr.people")
    bench.audit.records.clear()
    missing = await refused(bench, "lake.hr.nobody")
    assert isinstance(hidden, NotFound)
    assert isinstance(missing, NotFound)
    assert hidden.message.replace("people", "nobody") == missing.message
    assert (hidden.hint, hidden.reason) == (missing.hint, missing.reason)


async def test_a_tables_files_are_never_written(bench: Doors) -> None:
    error = await refused(bench, "lake.nyc.airlines", access=[Access.READ, Access.WRITE])
    assert isinstance(error, InvalidRequest)


async def test_a_table_without_raw_is_denied(bench: Doors) -> None:
    assert (await refused(bench, "nyc.airlines", who=principal("bob"))).reason is Reason.NOT_PERMITTED


async def test_an_arn_that_no_role_serves_is_not_configured(bench: Doors) -> None:
    assert (await refused(bench, "arn:aws:s3:::acme-elsewhere/x")).reason is Reason.NOT_CONFIGURED


async def test_a_request_that_spans_two_roles_is_refused(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    second = role("second", arn=f"arn:aws:iam::{ACCOUNT}:role/second", serves=["arn:aws:s3:::acme-elsewhere/*"])
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, roles=[role(), second]) as bench:
        error = await refused(bench, f"{B}/finance/*", "arn:aws:s3:::acme-elsewhere/x")
        assert "acme-elsewhere" in error.hint


@pytest.mark.parametrize(
    ("resources", "changes", "field"),
    [
        ((), {}, "resources"),
        (("s3://acme-lake/finance/",), {}, "resources[0]"),
        ((f"{B}/finance/*", f"{B}/fin*"), {}, "resources[1]"),
        ((f"{B}/finance/a.csv",), {"access": [Access.LIST]}, "resources[0]"),
        ((f"{B}/finance/*",), {"ttl": timedelta(seconds=10)}, "ttl"),
        ((f"{B}/finance/*",), {"purpose": "\x00"}, "purpose"),
        ((f"{B}/finance/*",), {"request_id": "again"}, "request_id"),
        (("a.b.c.d",), {}, "resources[0]"),
        (("",), {}, "resources[0]"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named(
    bench: Doors, resources: tuple[str, ...], changes: dict[str, Any], field: str
) -> None:
    error = await refused(bench, *resources, **changes)
    assert isinstance(error, InvalidRequest)
    assert [violation.field for violation in error.fields] == [field]


async def test_a_huge_request_leaves_a_small_record(bench: Doors) -> None:
    await refused(bench, *(["x" * 100_000] * 500), purpose="p" * 1_000_000 + "\ud800")
    assert len(str(bench.audit.records[0])) < 30_000
    str(bench.audit.records[0]).encode()


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 1800), (timedelta(minutes=20), 1200), (timedelta(hours=12), 1800)])
async def test_the_shortest_bound_is_sent(bench: Doors, ttl: timedelta | None, seconds: int) -> None:
    await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*", ttl=ttl), CONTEXT)
    assert bench.recorder.only("AssumeRole")["DurationSeconds"] == seconds


async def test_a_session_never_outlives_the_token(bench: Doors) -> None:
    short = principal("alice", "analysts", token_ends=bench.clock.now() + timedelta(minutes=17))
    await bench.aws.issue(short, aws_request(f"{B}/finance/*"), CONTEXT)
    assert bench.recorder.only("AssumeRole")["DurationSeconds"] == 17 * 60


async def test_a_token_that_ends_too_soon_gives_no_session(bench: Doors) -> None:
    short = principal("alice", "analysts", token_ends=bench.clock.now() + timedelta(minutes=5))
    error = await refused(bench, f"{B}/finance/*", who=short)
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.LIFETIME_TOO_SHORT


async def test_with_a_fixed_lifetime_a_session_may_outlive_a_short_token(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    short = principal("alice", "analysts", token_ends=clock.now() + timedelta(minutes=5))
    fixed = LifetimeRule.FIXED
    with doors(
        tmp_path, policy, endpoint_url=aws_url, clock=clock, lifetime=fixed, revocable=lambda _: REVOCABLE
    ) as bench:
        await bench.aws.issue(short, aws_request(f"{B}/finance/*"), CONTEXT)
        assert bench.recorder.only("AssumeRole")["DurationSeconds"] == 1800


async def test_a_session_that_nobody_can_revoke_never_outlives_its_token(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    short = principal("alice", "analysts", token_ends=clock.now() + timedelta(minutes=5))
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, lifetime=LifetimeRule.FIXED) as bench:
        error = await refused(bench, f"{B}/finance/*", who=short)
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.LIFETIME_TOO_SHORT


async def test_a_session_on_a_bucket_of_another_account_is_fenced_to_that_account(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    foreign = (role(bucket_accounts=(("acme-lake", "444455556666"),)),)
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, roles=foreign) as bench:
        await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
        text = bench.recorder.only("AssumeRole")["Policy"]
    action, inside = "s3:GetObject", f"{B}/finance/x"
    owned = evaluate(text, action=action, resource=inside, context={"aws:ResourceAccount": "444455556666"})
    assert owned is Verdict.ALLOWED
    other = evaluate(text, action=action, resource=inside, context={"aws:ResourceAccount": ACCOUNT})
    assert other is Verdict.EXPLICITLY_DENIED


async def test_a_grant_that_ends_closes_the_session_by_its_own_policy(
    tmp_path: Path, aws_url: str, clock: SteppedClock
) -> None:
    ends = (clock.now() + timedelta(minutes=20)).replace(microsecond=0)
    grant = f'{{name: g, principals: [everyone], resource: "{B}/soon/*", permissions: [READ], expires: {ends:%FT%TZ}}}'
    ending = bound_policy(tmp_path, f"grants:\n  - {grant}\n")
    with doors(tmp_path, ending, endpoint_url=aws_url, clock=clock) as bench:
        await bench.aws.issue(ALICE, aws_request(f"{B}/soon/*"), CONTEXT)
        sent = bench.recorder.only("AssumeRole")
    assert 1198 <= sent["DurationSeconds"] <= 1200
    context = {"aws:ResourceAccount": ACCOUNT, "aws:CurrentTime": ends.isoformat()}
    outcome = evaluate(sent["Policy"], action="s3:GetObject", resource=f"{B}/soon/a", context=context)
    assert outcome is Verdict.EXPLICITLY_DENIED
    context["aws:CurrentTime"] = (ends - timedelta(seconds=1)).isoformat()
    outcome = evaluate(sent["Policy"], action="s3:GetObject", resource=f"{B}/soon/a", context=context)
    assert outcome is Verdict.ALLOWED


async def test_more_than_a_session_policy_holds_is_refused_with_what_to_leave_out(bench: Doors) -> None:
    resources = [f"{B}/finance/department-{number:02d}/*" for number in range(20)]
    error = await refused(bench, *resources)
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.SESSION_POLICY_TOO_LARGE
    apart = re.findall(r"`([^`]+)`", error.hint)
    assert set(apart) < set(resources)
    bench.audit.records.clear()
    kept = [resource for resource in resources if resource not in apart]
    issued = await bench.aws.issue(ALICE, aws_request(*kept), CONTEXT)
    assert len(issued.session_policy) <= 2048


async def test_one_name_that_fits_no_policy_is_refused(bench: Doors) -> None:
    error = await refused(bench, f"{B}/{'${*}' * 290}/*")
    assert error.reason is Reason.SESSION_POLICY_TOO_LARGE


async def test_a_request_id_gives_one_credential(bench: Doors) -> None:
    request = aws_request(f"{B}/finance/*", request_id=UUID)
    issued = await bench.aws.issue(ALICE, request, CONTEXT)
    for again in (request, aws_request(f"{B}/finance/*", request_id=UUID.upper())):
        with pytest.raises(InvalidRequest, match="never shown twice") as repeated:
            await bench.aws.issue(ALICE, again, CONTEXT)
        assert issued.lease_id in repeated.value.detail
    with pytest.raises(InvalidRequest, match="another request"):
        await bench.aws.issue(ALICE, aws_request(f"{B}/other/*", request_id=UUID), CONTEXT)
    assert len(bench.recorder.calls) == 1
    assert bench.audit.events()[2:] == (Event.CREDENTIALS_REFUSED,) * 3
    await bench.aws.issue(principal("bert", "analysts"), request, CONTEXT)
    assert len(bench.recorder.calls) == 2


async def test_simultaneous_requests_of_one_id_give_one_credential(bench: Doors) -> None:
    request = aws_request(f"{B}/finance/*", request_id=UUID)
    outcomes = await asyncio.gather(
        *(bench.aws.issue(ALICE, request, CONTEXT) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InvalidRequest) for outcome in outcomes) == 7
    assert len(bench.recorder.calls) == 1


@pytest.mark.parametrize("event", [Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_ISSUED])
async def test_without_its_record_nothing_is_answered(bench: Doors, event: Event) -> None:
    bench.audit.broken_at = frozenset({event})
    with pytest.raises(Unavailable) as failed:
        await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    assert failed.value.reason is Reason.AUDIT_UNAVAILABLE
    called = event is Event.CREDENTIALS_ISSUED
    assert bool(bench.recorder.calls) is called
    # A credential that exists keeps its lease, although nobody holds it.
    assert len(await bench.state.leases.of(ALICE, after="", limit=9)) == (1 if called else 0)


async def test_without_state_aws_is_not_asked(bench: Doors) -> None:
    await bench.state.close()
    with pytest.raises(Unavailable) as failed:
        await bench.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    assert failed.value.reason is Reason.STATE_UNAVAILABLE
    assert bench.recorder.calls == []
    assert bench.audit.events() == (Event.CREDENTIALS_FAILED,)


async def test_without_the_audit_a_refusal_is_not_answered_either(bench: Doors) -> None:
    bench.audit.broken_at = frozenset(Event)
    with pytest.raises(Unavailable) as failed:
        await bench.aws.issue(principal("mallory"), aws_request(f"{B}/finance/*"), CONTEXT)
    assert failed.value.reason is Reason.AUDIT_UNAVAILABLE


async def test_a_service_without_aws_says_so(tmp_path: Path, policy: BoundPolicy, clock: SteppedClock) -> None:
    with doors_without_aws(tmp_path, policy, clock=clock) as bench:
        assert (await refused(bench, f"{B}/finance/*")).reason is Reason.NOT_CONFIGURED
